//! What specs match, how they say so, and how they are written.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod serial;
mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::prelude::*;
use serde_json::{Value, json};
use synckit_core::{AggregateId, Metadata};
use synckit_resolve::{Comparison, Conflict, Reads, Relation, Spec};

use self::support::{conflict, event, forked, node, opaque, types, with};

fn check(spec: &Spec, conflict: &Conflict, expected: bool) {
    let explanation = spec.explain(conflict);
    assert_eq!(spec.matches(conflict), expected, "{spec}");
    assert_eq!(explanation.matched, expected, "{explanation}");
}

fn plain() -> Conflict {
    forked(&json!({}), &json!({}), &json!({}))
}

#[test]
fn event_types_of_what_is_not_shared() {
    let conflict = plain();
    let of = |names: &[&'static str]| Spec::event_types(types(names));
    check(&of(&["flight.delayed"]), &conflict, true);
    check(&of(&["other", "flight.boarded"]), &conflict, true);
    check(&of(&["flight.planned"]), &conflict, false);
    check(&of(&[]), &conflict, false);
    check(&Spec::event_type(types(&["flight.delayed"])[0].clone()), &conflict, true);
    check(&Spec::always(), &conflict, true);
}

#[test]
fn aggregates_by_name_and_pattern() {
    let conflict = plain();
    check(&Spec::aggregate_glob("flight-*").unwrap(), &conflict, true);
    check(&Spec::aggregate_glob("flight").unwrap(), &conflict, false);
    check(&Spec::aggregate_regex("light").unwrap(), &conflict, true);
    check(&Spec::aggregate_regex("^light").unwrap(), &conflict, false);
    let id = |text| AggregateId::new(text).unwrap();
    check(&Spec::aggregates([id("flight-7"), id("x")]), &conflict, true);
    check(&Spec::aggregates([id("flight-")]), &conflict, false);
    assert!(Spec::aggregate_glob("[").is_err());
    assert!(Spec::aggregate_regex("(a{1000}){1000}").is_err());
}

#[test]
fn fields_that_changed() {
    let conflict = forked(
        &json!({"gate": {"name": "A", "floor": 1}, "a/b": 1, "seats": 9}),
        &json!({"gate": {"name": "B", "floor": 1}, "a/b": 2, "seats": 9}),
        &json!({"gate": {"name": "C", "floor": 1}, "a/b": 3, "seats": 9}),
    );
    for field in ["gate", "/gate", "/gate/name", "/gate/name/first", "a/b", "/a~1b", ""] {
        check(&Spec::field_changed(field), &conflict, true);
    }
    for field in ["seats", "/gate/floor", "gat", "/a", "/gate/nam"] {
        check(&Spec::field_changed(field), &conflict, false);
    }
    check(&Spec::any_field_in(["seats", "gate"]), &conflict, true);
    check(&Spec::any_field_in(["seats", "x"]), &conflict, false);
    check(&Spec::any_field_in::<&str>([]), &conflict, false);
    check(&Spec::all_fields_in(["gate", "a/b", "x"]), &conflict, true);
    check(&Spec::all_fields_in(["/gate/name", "a/b"]), &conflict, true);
    check(&Spec::all_fields_in([""]), &conflict, true);
    check(&Spec::all_fields_in(["gate"]), &conflict, false);
    check(&Spec::all_fields_in(["/gate/name/first", "a/b"]), &conflict, false);
    check(&Spec::all_fields_in([""]), &plain(), false);
    check(&Spec::field_changed(""), &plain(), false);
}

#[test]
fn metadata_of_what_is_not_shared() {
    let conflict = conflict(
        vec![with("flight.planned", &[("shared", json!(1))])],
        vec![
            vec![
                with("a", &[("origin", json!("tower")), ("nothing", Value::Null)]),
                with("a", &[("n", json!(1.0))]),
            ],
            vec![with("b", &[("deep", json!([{"x": 2}]))])],
        ],
    );
    check(&Spec::metadata_eq("origin", json!("tower")), &conflict, true);
    check(&Spec::metadata_eq("origin", json!("gate")), &conflict, false);
    check(&Spec::metadata_eq("n", json!(1)), &conflict, true);
    check(&Spec::metadata_eq("n", json!("1")), &conflict, false);
    check(&Spec::metadata_eq("deep", json!([{"x": 2.0}])), &conflict, true);
    check(&Spec::metadata_eq("deep", json!([{"x": 2, "y": 1}])), &conflict, false);
    check(&Spec::metadata_eq("nothing", Value::Null), &conflict, true);
    check(&Spec::metadata_eq("absent", Value::Null), &conflict, false);
    check(&Spec::metadata_eq("shared", json!(1)), &conflict, false);
    check(&Spec::has_metadata("nothing"), &conflict, true);
    check(&Spec::has_metadata("shared"), &conflict, false);
}

#[test]
fn origins_by_stamp() {
    let conflict = plain();
    check(&Spec::origins([node(1), node(5)]), &conflict, true);
    check(&Spec::origins([node(99)]), &conflict, false);
    check(&Spec::origins([]), &conflict, false);
}

#[test]
fn relations_of_the_sides() {
    let apart = conflict(vec![], vec![vec![event("a", &json!(1))], vec![event("b", &json!(2))]]);
    check(&Spec::relation(Relation::Forked), &plain(), true);
    check(&Spec::relation(Relation::Independent), &plain(), false);
    check(&Spec::relation(Relation::Forked), &apart, false);
    check(&Spec::relation(Relation::Independent), &apart, true);
}

#[test]
fn data_of_the_newest_events() {
    let big = 9_007_199_254_740_993_u64;
    let conflict = conflict(
        vec![event("a", &json!({"common": 1}))],
        vec![
            vec![event("a", &json!({"old": 1, "n": 1})), event("a", &json!({"n": big, "list": ["x", null]}))],
            vec![event("b", &json!({"s": "m"}))],
            vec![opaque("c")],
        ],
    );
    for place in ["n", "/s", "/list/1", ""] {
        check(&Spec::data_exists(place), &conflict, true);
    }
    for place in ["old", "common", "/list/2", "/n/x"] {
        check(&Spec::data_exists(place), &conflict, false);
    }
    check(&Spec::data_equals("n", json!(big)), &conflict, true);
    check(&Spec::data_equals("n", json!(big - 1)), &conflict, false);
    check(&Spec::data_equals("n", json!(1)), &conflict, false);
    check(&Spec::data_equals("/list", json!(["x", null])), &conflict, true);
    check(&Spec::data_equals("absent", Value::Null), &conflict, false);
    let n = |comparison, value: Value| Spec::data_compares("n", comparison, value);
    check(&n(Comparison::Greater, json!(9_007_199_254_740_992.0)), &conflict, true);
    check(&n(Comparison::LessOrEqual, json!(9_007_199_254_740_992.0)), &conflict, false);
    check(&n(Comparison::Less, json!(big)), &conflict, false);
    check(&n(Comparison::GreaterOrEqual, json!(big)), &conflict, true);
    check(&n(Comparison::Less, json!("x")), &conflict, false);
    check(&Spec::data_compares("s", Comparison::Less, json!("n")), &conflict, true);
    check(&Spec::data_compares("s", Comparison::Less, json!("M")), &conflict, false);
}

#[test]
fn specs_combine() {
    let conflict = plain();
    let (yes, no) = (Spec::always, || Spec::always().not());
    check(&yes().and(yes()).and(no()), &conflict, false);
    check(&yes().and(yes()), &conflict, true);
    check(&no().or(no()).or(yes()), &conflict, true);
    check(&no().or(no()), &conflict, false);
    check(&(!no()), &conflict, true);
    check(&Spec::all([]), &conflict, true);
    check(&Spec::any([]), &conflict, false);
    check(&Spec::all([yes(), no()]).or(Spec::any([no(), yes()])), &conflict, true);
}

#[test]
fn long_chains_do_not_nest() {
    let chain = (0..100_000).fold(Spec::always(), |spec, _| spec.and(Spec::always()));
    check(&chain, &plain(), true);
    let chain = (0..100_001).fold(Spec::always(), |spec, _| spec.not());
    check(&chain, &plain(), false);
}

#[test]
fn code_decides_and_its_panics_pass_through() {
    let conflict = plain();
    check(&Spec::custom("two_sides", |c| c.sides().len() == 2), &conflict, true);
    check(&Spec::custom("no_sides", |c| c.sides().is_empty()), &conflict, false);
    let broken = Spec::custom("broken", |_| panic!("no"));
    assert!(catch_unwind(AssertUnwindSafe(|| broken.matches(&conflict))).is_err());
    assert_eq!(format!("{broken:?}"), r#"Spec { node: Custom(Custom { name: "broken", .. }) }"#);
}

#[test]
fn what_was_not_read_does_not_match() {
    let whole = forked(&json!({"a": 0}), &json!({"a": 1}), &json!({"a": 2}));
    let sides = whole.sides().iter().map(|s| synckit_resolve::Side::new(s.outline.clone(), Vec::new()));
    let outline = Conflict::new(whole.outline().clone(), sides.collect(), Vec::new());
    check(&Spec::relation(Relation::Forked), &outline, true);
    check(&Spec::event_types(types(&["flight.delayed"])), &outline, false);
    check(&Spec::data_exists("a"), &outline, false);
    check(&Spec::field_changed("a"), &outline, false);
}

#[test]
fn reads_as_little_as_it_can() {
    let glob = || Spec::aggregate_glob("*").unwrap();
    assert_eq!(Spec::always().reads(), Reads::Outline);
    assert_eq!(glob().and(Spec::relation(Relation::Forked)).not().reads(), Reads::Outline);
    assert_eq!(Spec::all([]).reads(), Reads::Outline);
    assert_eq!(glob().or(Spec::has_metadata("x")).reads(), Reads::Sides);
    assert_eq!(Spec::data_exists("x").reads(), Reads::Sides);
    assert_eq!(Spec::origins([]).not().reads(), Reads::Sides);
    assert_eq!(Spec::data_exists("x").and(Spec::field_changed("x")).reads(), Reads::Everything);
    assert_eq!(Spec::custom("x", |_| true).reads(), Reads::Everything);
}

#[test]
fn event_types_without_which_it_cannot_match() {
    let of = |names: &[&'static str]| Spec::event_types(types(names));
    let needs = |spec: Spec, names: &[&'static str]| {
        assert_eq!(spec.event_types_needed(), Some(types(names).into_iter().collect()), "{spec}");
    };
    needs(of(&["a", "b"]), &["a", "b"]);
    needs(of(&["a", "b"]).and(Spec::always()).and(of(&["c"])), &["c"]);
    needs(of(&["a"]).or(of(&["b"]).and(Spec::has_metadata("x"))), &["a", "b"]);
    needs(Spec::any([]), &[]);
    for free in [Spec::always(), of(&["a"]).or(Spec::always()), of(&["a"]).not(), Spec::all([])] {
        assert_eq!(free.event_types_needed(), None, "{free}");
    }
}

#[test]
fn specs_are_shown_as_sentences() {
    let delayed = || Spec::event_types(types(&["flight.delayed"]));
    let tower = || Spec::metadata_eq("origin", json!("tower"));
    let shown = |spec: Spec, text: &str| assert_eq!(spec.to_string(), text);
    shown(
        delayed().and(Spec::field_changed("gate").or(tower())),
        r#"event type is flight.delayed and any of (field /gate changed, metadata origin = "tower")"#,
    );
    shown(Spec::event_types(types(&["a", "b"])).not(), "not event type is one of (a, b)");
    shown(
        delayed().and(tower()).not(),
        r#"not (event type is flight.delayed and metadata origin = "tower")"#,
    );
    shown(Spec::all([]).or(Spec::any([])), "any of (always, never)");
    shown(Spec::data_compares("/n", Comparison::LessOrEqual, json!(5)), "data /n <= 5");
    shown(Spec::has_metadata("two words\u{1b}"), r#"metadata "two words\u{1b}" exists"#);
    shown(Spec::custom("urgent", |_| true), "custom urgent");
    shown(Spec::relation(Relation::Independent), "the sides are independent");
    assert!(Spec::metadata_eq("k", json!("x".repeat(5000))).to_string().len() < 200);
}

#[test]
fn explanations_tell_what_was_found() {
    let conflict = forked(&json!({"gate": 0}), &json!({"gate": 1}), &json!({"gate": 2}));
    let spec = Spec::event_types(types(&["flight.cancelled"]))
        .or(Spec::data_compares("gate", Comparison::Greater, json!(1)))
        .and(Spec::has_metadata("origin").not());
    assert_eq!(
        spec.explain(&conflict).to_string(),
        "\
yes all of: 2 of 2 hold
  yes any of: 1 of 2 hold
    no  event type is flight.cancelled; the sides have flight.boarded, flight.delayed
    yes data /gate > 1; the sides have 1, 2
  yes not
    no  metadata origin exists; the sides have none"
    );
}

prop_compose! {
    fn arbitrary_json()(value in leaf().prop_recursive(4, 24, 4, |inner| prop_oneof![
        prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
        prop::collection::btree_map(".{0,6}", inner, 0..4).prop_map(|m| Value::Object(m.into_iter().collect())),
    ])) -> Value {
        value
    }
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i32>().prop_map(|n| Value::from(f64::from(n) / 4.0)),
        ".{0,12}".prop_map(Value::from),
    ]
}

proptest! {
    #[test]
    fn any_data_and_metadata_is_judged(
        key in ".{0,6}",
        value in arbitrary_json(),
        other in arbitrary_json(),
        place in "(/?[a-z~/0-9]{0,3}){0,3}",
    ) {
        let metadata = Metadata::from_pairs([(&*key, &value)]).unwrap();
        let side = event("a", &value).with_metadata(metadata);
        let conflict = conflict(vec![event("o", &other)], vec![vec![side], vec![event("b", &other)]]);
        prop_assert!(Spec::metadata_eq(&*key, value.clone()).matches(&conflict));
        prop_assert!(Spec::has_metadata(&*key).matches(&conflict));
        prop_assert!(Spec::data_equals("", value).matches(&conflict));
        for spec in [
            Spec::metadata_eq(&*key, other.clone()),
            Spec::data_exists(&place),
            Spec::data_equals(&place, other.clone()),
            Spec::data_compares(&place, Comparison::Less, other),
            Spec::field_changed(&place),
            Spec::all_fields_in([&*place, &*key]),
        ] {
            prop_assert_eq!(spec.explain(&conflict).matched, spec.matches(&conflict));
            prop_assert!(!spec.explain(&conflict).to_string().chars().any(char::is_control));
        }
    }

    #[test]
    fn any_metadata_text_is_judged(text in ".{0,30}", depth in 0_usize..400) {
        for text in [text, format!("{{\"k\":{}1{}}}", "[".repeat(depth), "]".repeat(depth))] {
            let side = event("a", &json!(1)).with_metadata(Metadata::stored(text));
            let conflict = conflict(vec![], vec![vec![side], vec![event("b", &json!(2))]]);
            for spec in [Spec::metadata_eq("k", json!(1)), Spec::has_metadata("k")] {
                prop_assert_eq!(spec.explain(&conflict).matched, spec.matches(&conflict));
            }
        }
    }
}
