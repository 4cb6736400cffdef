//! How specs are written and read.

use proptest::prelude::*;
use serde_json::{Value, json};
use synckit_core::{AggregateId, EventType, NodeId};
use synckit_resolve::{Comparison, Relation, Spec};

use crate::{arbitrary_json, conflict, event, forked, node, types};

fn read(value: Value) -> Result<Spec, String> {
    serde_json::from_value(value).map_err(|e| e.to_string())
}

#[test]
fn the_shape_is_stable() {
    let id = AggregateId::new("x").unwrap();
    for (spec, shape) in [
        (Spec::always(), json!("always")),
        (Spec::event_types(types(&["b", "a"])), json!({"event_types": ["a", "b"]})),
        (Spec::aggregate_glob("flight-*").unwrap(), json!({"aggregate_glob": "flight-*"})),
        (Spec::aggregate_regex("^f").unwrap(), json!({"aggregate_regex": "^f"})),
        (Spec::aggregates([id]), json!({"aggregates": ["x"]})),
        (Spec::field_changed("status"), json!({"any_field_in": ["/status"]})),
        (Spec::all_fields_in(["a", "/b/c"]), json!({"all_fields_in": ["/a", "/b/c"]})),
        (Spec::metadata_eq("k", json!([1])), json!({"metadata_eq": {"key": "k", "value": [1]}})),
        (Spec::has_metadata("k"), json!({"has_metadata": "k"})),
        (Spec::origins([node(1)]), json!({"origins": ["00000000000000000000000000000001"]})),
        (Spec::relation(Relation::Independent), json!({"relation": "independent"})),
        (Spec::data_exists("a"), json!({"data_exists": "/a"})),
        (Spec::data_equals("", json!(null)), json!({"data_equals": {"pointer": "", "value": null}})),
        (
            Spec::data_compares("n", Comparison::GreaterOrEqual, json!(1)),
            json!({"data_compares": {"pointer": "/n", "comparison": "greater_or_equal", "value": 1}}),
        ),
        (Spec::always().and(Spec::any([])).not(), json!({"not": {"all": ["always", {"any": []}]}})),
    ] {
        assert_eq!(serde_json::to_value(&spec).unwrap(), shape);
        assert_eq!(read(shape).unwrap().to_string(), spec.to_string());
    }
}

#[test]
fn single_names_can_be_read() {
    assert_eq!(read(json!({"event_type": "a"})).unwrap().to_string(), "event type is a");
    assert_eq!(read(json!({"field_changed": "status"})).unwrap().to_string(), "field /status changed");
}

#[test]
fn mistakes_are_errors() {
    for (value, says) in [
        (json!({"event_typos": ["a"]}), "event_typos"),
        (json!("event_types"), "always"),
        (json!({}), "one entry"),
        (json!([]), "one entry"),
        (json!(1), "one entry"),
        (json!({"all": [], "any": []}), "follows"),
        (json!({"all": "always"}), "a list of specs"),
        (json!({"all": [{"aggregate_glob": "x[y"}]}), "the glob \"x[y\" is malformed: a [ is never closed"),
        (json!({"aggregate_regex": "(a{1000}){1000}"}), "(a{1000}){1000}"),
        (json!({"event_types": [""]}), "empty"),
        (json!({"origins": ["1"]}), "node id"),
        (json!({"relation": "cousins"}), "cousins"),
        (json!({"metadata_eq": {"key": "k"}}), "value"),
        (json!({"metadata_eq": {"key": "k", "value": 1, "more": 1}}), "more"),
        (json!({"data_compares": {"pointer": "k", "comparison": "equal", "value": 1}}), "equal"),
        (json!({"not": {"nor": 1}}), "nor"),
    ] {
        let error = read(value.clone()).unwrap_err();
        assert!(error.contains(says), "{value}: {error}");
    }
    let twice = serde_json::from_str::<Spec>(r#"{"all":[],"all":[]}"#);
    assert!(twice.is_err());
}

#[test]
fn code_is_not_written() {
    let spec = Spec::always().and(Spec::custom("urgent", |_| true));
    let error = serde_json::to_string(&spec).unwrap_err().to_string();
    assert!(error.contains("\"urgent\""), "{error}");
}

fn nested(depth: usize) -> Value {
    (1..depth).fold(json!("always"), |inner, _| json!({"all": [inner]}))
}

#[test]
fn what_is_nested_too_deep_is_neither_read_nor_written() {
    let deepest = read(nested(32)).unwrap();
    let text = serde_json::to_string(&deepest).unwrap();
    assert!(serde_json::from_str::<Spec>(&text).is_ok());
    assert!(read(nested(33)).unwrap_err().contains("deep"));
    let error = serde_json::to_string(&Spec::all([deepest])).unwrap_err().to_string();
    assert!(error.contains("deep"), "{error}");
    let bottomless = "{\"not\":".repeat(100_000);
    assert!(serde_json::from_str::<Spec>(&bottomless).unwrap_err().to_string().contains("deep"));
}

fn names() -> impl Strategy<Value = String> {
    "[a-z./~]{1,6}"
}

fn arbitrary_spec() -> impl Strategy<Value = Spec> {
    let comparison = prop_oneof![
        Just(Comparison::Less),
        Just(Comparison::LessOrEqual),
        Just(Comparison::Greater),
        Just(Comparison::GreaterOrEqual),
    ];
    let some_names = || prop::collection::vec(names(), 0..3);
    let leaf = prop_oneof![
        Just(Spec::always()),
        prop::sample::subsequence(types(&["flight.delayed", "b", "c"]), 0..3).prop_map(Spec::event_types),
        names().prop_map(|n| Spec::event_type(EventType::new(n).unwrap())),
        "[a-z*?]{0,6}(\\[!?[a-f]-[g-z]\\])?".prop_map(|p| Spec::aggregate_glob(p).unwrap()),
        "\\^?[a-z.]{0,4}[*+]?\\$?".prop_filter_map("malformed", |p| Spec::aggregate_regex(p).ok()),
        some_names().prop_map(|n| Spec::aggregates(n.into_iter().map(|n| AggregateId::new(n).unwrap()))),
        some_names().prop_map(Spec::any_field_in),
        some_names().prop_map(Spec::all_fields_in),
        (".{0,6}", arbitrary_json()).prop_map(|(k, v)| Spec::metadata_eq(k, v)),
        ".{0,6}".prop_map(Spec::has_metadata),
        prop::collection::vec(any::<u128>(), 0..3)
            .prop_map(|n| Spec::origins(n.into_iter().map(NodeId::from_u128))),
        Just(Spec::relation(Relation::Forked)),
        Just(Spec::relation(Relation::Independent)),
        names().prop_map(Spec::data_exists),
        (names(), arbitrary_json()).prop_map(|(p, v)| Spec::data_equals(p, v)),
        (names(), comparison, arbitrary_json()).prop_map(|(p, c, v)| Spec::data_compares(p, c, v)),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Spec::all),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Spec::any),
            inner.prop_map(Spec::not),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_it_was(spec in arbitrary_spec()) {
        let text = serde_json::to_string(&spec).unwrap();
        let read: Spec = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(serde_json::to_string(&read).unwrap(), text);
        prop_assert_eq!(read.to_string(), spec.to_string());
        prop_assert_eq!(read.reads(), spec.reads());
        prop_assert_eq!(read.event_types_needed(), spec.event_types_needed());
        for conflict in [
            forked(&json!({"a": 1, "b": 1}), &json!({"a": 2, "b": 1}), &json!({"a": 3, "b": 1})),
            conflict(vec![], vec![vec![event("b", &json!(1))], vec![event("c", &json!("x"))]]),
        ] {
            prop_assert_eq!(read.matches(&conflict), spec.matches(&conflict));
            prop_assert_eq!(spec.explain(&conflict), read.explain(&conflict));
            prop_assert_eq!(spec.explain(&conflict).matched, spec.matches(&conflict));
            if let Some(needed) = spec.event_types_needed() {
                prop_assert!(!spec.matches(&conflict) || !needed.is_disjoint(conflict.event_types()));
            }
        }
    }
}
