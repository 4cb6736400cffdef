//! What the merges and the strategies that pick a side make of plain conflicts.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use serde_json::{Value, json};
use support::{World, outcome, review_reason, vertex};
use synckit_core::{EventId, Metadata, NodeId, Payload, decision::Decision};
use synckit_resolve::{
    AdditiveMerge, ConflictResolver, Extreme, FieldwiseLastWrite, KeepBoth, Priority, ThreeWayMerge,
};

/// A shared event, and two sides on it: the left one is written first.
fn fork(common: Value, left: Value, right: Value) -> World {
    let mut world = World::default();
    world.event("base", 1, 1, &[], &common);
    world.event("left", 2, 2, &["base"], &left);
    world.event("right", 3, 3, &["base"], &right);
    world
}

fn merged(world: &World, resolver: &dyn ConflictResolver) -> Value {
    outcome(&world.conflict(), resolver).document
}

#[test]
fn an_event_speaks_of_the_fields_in_its_data_only() {
    let world = fork(json!({"a": 1, "b": 1, "c": {"x": 1}}), json!({"a": 2, "c": {"y": 2}}), json!({"b": 3}));
    let expected = json!({"a": 2, "b": 3, "c": {"x": 1, "y": 2}});
    assert_eq!(merged(&world, &FieldwiseLastWrite::new()), expected);
    assert_eq!(merged(&world, &ThreeWayMerge::new()), expected);
    assert_eq!(merged(&world, &AdditiveMerge::new()), expected);
}

#[test]
fn a_restated_value_is_a_write_by_field_and_none_three_way() {
    let world = fork(json!({"a": 1, "b": 1}), json!({"a": 2, "b": 1}), json!({"a": 1, "b": 3}));
    assert_eq!(merged(&world, &FieldwiseLastWrite::new()), json!({"a": 1, "b": 3}));
    assert_eq!(merged(&world, &ThreeWayMerge::new()), json!({"a": 2, "b": 3}));
}

#[test]
fn a_merge_brings_one_event_along_and_says_what_it_did() {
    let world = fork(json!({"a": 1, "b": 1}), json!({"a": 2, "b": 2}), json!({"b": 3}));
    let outcome = outcome(&world.conflict(), &ThreeWayMerge::new());
    let [event] = outcome.merged.as_slice() else { panic!("{:?}", outcome.merged) };
    assert_eq!(event.data.get(), r#"{"a":2,"b":3}"#);
    assert_eq!(event.event_type.as_str(), "thing.changed");
    assert_eq!(event.metadata.as_ref().unwrap().get(), r#"{"synckit.merge":"three_way_merge"}"#);
    assert_eq!((event.id.as_str().len(), &event.id.as_str()[..6]), (46, "merge-"));
    assert_eq!(outcome.reasons, ["changed on one side: /a", "last write: /b"]);
    assert_eq!(outcome.heads.len(), 2);
}

#[test]
fn nothing_is_brought_along_if_the_newest_event_says_it_all() {
    let world = fork(json!({"a": 1}), json!({"a": 2}), json!({"a": 3}));
    let outcome = outcome(&world.conflict(), &FieldwiseLastWrite::new());
    assert!(outcome.merged.is_empty());
    assert_eq!(outcome.document, json!({"a": 3}));
}

#[test]
fn a_person_decides_overlaps_if_told_so() {
    let asks = ThreeWayMerge::new().review_overlaps(true);
    let base = json!({"a": 1, "b": {"c": 1}});
    let apart = fork(base.clone(), json!({"a": 2}), json!({"b": {"c": 2}}));
    assert_eq!(merged(&apart, &asks), json!({"a": 2, "b": {"c": 2}}));
    let alike = fork(base.clone(), json!({"a": 2}), json!({"a": 2, "b": {"c": 2}}));
    assert_eq!(merged(&alike, &asks), json!({"a": 2, "b": {"c": 2}}));
    let both = fork(base.clone(), json!({"a": 2}), json!({"a": 3}));
    assert_eq!(review_reason(&both.conflict(), &asks), "several sides changed /a");
    let above = fork(base, json!({"b": null}), json!({"b": {"c": 2}}));
    assert_eq!(review_reason(&above.conflict(), &asks), "several sides changed /b");
}

#[test]
fn later_writes_replace_what_is_in_their_way() {
    let scalar_last = fork(json!({"a": {"x": 1}}), json!({"a": {"y": 2}}), json!({"a": 5}));
    let object_last = fork(json!({"a": {"x": 1}}), json!({"a": 5}), json!({"a": {"y": 2}}));
    for resolver in [&FieldwiseLastWrite::new() as &dyn ConflictResolver, &ThreeWayMerge::new()] {
        assert_eq!(merged(&scalar_last, resolver), json!({"a": 5}));
        assert_eq!(merged(&object_last, resolver), json!({"a": {"y": 2}}));
    }
}

#[test]
fn a_value_that_comes_back_is_written_again() {
    let mut world = fork(json!({"a": {"x": 1}}), json!({"a": 5}), json!({"b": 1}));
    world.event("left2", 2, 4, &["left"], &json!({"a": {"x": 1}}));
    assert_eq!(merged(&world, &ThreeWayMerge::new()), json!({"a": {"x": 1}, "b": 1}));
}

#[test]
fn sets_are_united_and_what_a_side_took_out_is_gone() {
    let sets = AdditiveMerge::new().set("tags").unwrap();
    let world =
        fork(json!({"tags": ["a", "b"]}), json!({"tags": ["a", "b", "d"]}), json!({"tags": ["a", "c"]}));
    assert_eq!(merged(&world, &sets), json!({"tags": ["a", "c", "d"]}));
    assert_eq!(outcome(&world.conflict(), &sets).reasons, ["united: /tags"]);
    let emptied = fork(json!({"tags": [10, 9]}), json!({"tags": []}), json!({"n": 1}));
    assert_eq!(merged(&emptied, &sets), json!({"n": 1, "tags": []}));
    let sorted = fork(json!({}), json!({"tags": [10, 9]}), json!({"tags": ["b", 9, "a"]}));
    assert_eq!(merged(&sorted, &sets), json!({"tags": [9, 10, "a", "b"]}));
}

#[test]
fn counters_sum_what_everyone_changed() {
    let counts = AdditiveMerge::new().counter("/n").unwrap();
    let mut world = fork(json!({"n": 10}), json!({"n": 12}), json!({"n": 7}));
    world.event("left2", 2, 4, &["left"], &json!({"n": 13}));
    assert_eq!(merged(&world, &counts), json!({"n": 10}));
    let (decision, _) = world.decide(&counts);
    world.event("on", 2, 10, &[decision.as_str()], &json!({"n": 11}));
    world.event("rival", 3, 11, &[decision.as_str()], &json!({"n": 15}));
    assert_eq!(merged(&world, &counts), json!({"n": 16}), "a change is against the sum that its author saw");
    let real = fork(json!({"n": 1}), json!({"n": 1.5}), json!({"n": 3}));
    assert_eq!(merged(&real, &counts), json!({"n": 3.5}));
    let vast = fork(json!({"n": 0}), json!({"n": u64::MAX}), json!({"n": 1}));
    assert_eq!(review_reason(&vast.conflict(), &counts), "the sum is beyond the numbers of JSON: /n");
}

#[test]
fn lists_are_merged_by_key() {
    let lists = AdditiveMerge::new().list("items", "id").unwrap();
    let base = json!({"items": [{"id": 2, "n": 1, "m": 1}, {"id": 10, "n": 1}, {"id": 3}]});
    let left = json!({"items": [{"id": 2, "n": 2, "m": 1}, {"id": 10, "n": 1}, {"id": 3}, {"id": 1}]});
    let right = json!({"items": [{"id": 10, "n": 3}, {"id": 2, "n": 1}]});
    let expected = json!({"items": [{"id": 1}, {"id": 2, "n": 2}, {"id": 10, "n": 3}]});
    assert_eq!(merged(&fork(base, left, right), &lists), expected);
    let taken_out = fork(
        json!({"items": [{"id": 1, "n": 1}]}),
        json!({"items": []}),
        json!({"items": [{"id": 1, "n": 2}]}),
    );
    assert_eq!(
        merged(&taken_out, &lists),
        json!({"items": [{"id": 1, "n": 2}]}),
        "changed later than taken out"
    );
    let keyless =
        fork(json!({"items": [{"id": 1}]}), json!({"items": [{"id": 2}]}), json!({"items": [{"n": 1}]}));
    assert_eq!(merged(&keyless, &lists), json!({"items": [{"n": 1}]}), "one value");
}

#[test]
fn declarations_are_checked() {
    let additive = AdditiveMerge::new().set("a/b").unwrap();
    assert!(additive.clone().set("/a/b").is_ok());
    assert!(additive.clone().counter("a/b").is_err());
    assert!(additive.clone().set("a").is_err() && additive.clone().set("a/b/c").is_err());
    assert!(additive.clone().set("").is_err() && additive.clone().set("a~").is_err());
    assert!(additive.list("c", "").is_err());
    assert!(Extreme::maximum("").is_err());
}

#[test]
fn data_that_is_no_object_goes_to_a_person() {
    let world = fork(json!({"a": 1}), json!([1]), json!({"a": 2}));
    let reason = "the event left has data that is not a JSON object";
    let resolvers: [&dyn ConflictResolver; 4] = [
        &FieldwiseLastWrite::new(),
        &ThreeWayMerge::new().review_overlaps(true),
        &AdditiveMerge::new(),
        &Extreme::maximum("a").unwrap(),
    ];
    for resolver in resolvers {
        assert_eq!(review_reason(&world.conflict(), resolver), reason);
    }
    assert_eq!(world.conflict().changed_fields(), [""]);
    assert_eq!(outcome(&world.conflict(), &KeepBoth).heads.len(), 2);
}

#[test]
fn earlier_merges_are_hidden_and_say_nothing() {
    let mut world = fork(json!({"a": 1}), json!({"a": 2}), json!({"b": 3}));
    let (decision, first) = world.decide(&ThreeWayMerge::new());
    world.event("on", 2, 10, &[decision.as_str()], &json!({"a": 5}));
    world.event("rival", 3, 9, &["right"], &json!({"c": 1}));
    let outcome = outcome(&world.conflict(), &ThreeWayMerge::new());
    assert_eq!(outcome.document, json!({"a": 5, "b": 3, "c": 1}));
    assert_eq!(outcome.hidden, [first.merged[0].id.clone()]);
}

#[test]
fn what_a_person_took_out_stays_out() {
    let mut world = fork(json!({"a": 1}), json!({"a": 2}), json!({"b": 3}));
    let outline = world.outline();
    let mut decision = Decision::adopting(vec![vertex("left"), vertex("right")], "keep", "person");
    decision.conflict = Some(outline.id.clone());
    decision.hidden = vec![EventId::new("left").unwrap()];
    world.decision(decision, outline.heads, false);
    world.event("rival", 4, 9, &["left"], &json!({"c": 1}));
    assert_eq!(merged(&world, &FieldwiseLastWrite::new()), json!({"a": 1, "b": 3, "c": 1}));
}

/// A fork that a resolver of someone's own decided by an event that says `a` is 9.
fn decided_by_another(by_machine: bool) -> (World, String) {
    let mut world = fork(json!({"a": 1}), json!({"a": 2}), json!({"b": 3}));
    let outline = world.outline();
    let mut decision =
        Decision::adopting(outline.heads.clone(), "merge", if by_machine { "own" } else { "person" });
    decision.conflict = Some(outline.id.clone());
    decision.merged = vec![synckit_core::decision::MergedEvent {
        id: EventId::new("brought").unwrap(),
        event_type: synckit_core::EventType::new("t").unwrap(),
        data: serde_json::value::RawValue::from_string(r#"{"a":9}"#.into()).unwrap(),
        metadata: None,
    }];
    let decided = world.decision(decision, outline.heads, by_machine);
    (world, decided.to_string())
}

#[test]
fn what_a_person_brought_along_is_written_when_the_person_decided() {
    let (mut world, _) = decided_by_another(false);
    world.event("rival", 4, 9, &["left"], &json!({"a": 7, "c": 1}));
    for resolver in [&ThreeWayMerge::new() as &dyn ConflictResolver, &FieldwiseLastWrite::new()] {
        let outcome = outcome(&world.conflict(), resolver);
        assert_eq!(outcome.document, json!({"a": 9, "b": 3, "c": 1}));
        assert!(outcome.hidden.is_empty());
    }
}

#[test]
fn what_a_resolver_brought_along_is_as_old_as_what_it_decided() {
    for (at, wins) in [(9, 7), (2, 9)] {
        let (mut world, _) = decided_by_another(true);
        world.event("rival", 4, at, &["base"], &json!({"a": 7, "c": 1}));
        for resolver in [&ThreeWayMerge::new() as &dyn ConflictResolver, &FieldwiseLastWrite::new()] {
            let merged = merged(&world, resolver);
            assert_eq!(merged, json!({"a": wins, "b": 3, "c": 1}), "a rival of {at}");
        }
    }
}

#[test]
fn what_is_written_on_top_of_a_decision_outranks_what_it_brought_along() {
    for by_machine in [false, true] {
        let (mut world, decided) = decided_by_another(by_machine);
        world.event("later", 2, 2_000_000, &[&decided], &json!({"a": 8}));
        world.event("rival", 4, 9, &["left"], &json!({"c": 1}));
        for resolver in [
            &ThreeWayMerge::new() as &dyn ConflictResolver,
            &FieldwiseLastWrite::new(),
            &AdditiveMerge::new(),
        ] {
            assert_eq!(
                merged(&world, resolver),
                json!({"a": 8, "b": 3, "c": 1}),
                "by a machine: {by_machine}"
            );
        }
    }
}

#[test]
fn a_counter_goes_on_from_what_a_decision_brought_along() {
    let (mut world, decided) = decided_by_another(true);
    world.event("later", 2, 2_000_000, &[&decided], &json!({"a": 10}));
    world.event("rival", 4, 9, &["left"], &json!({"a": 7}));
    let additive = AdditiveMerge::new().counter("a").unwrap();
    assert_eq!(merged(&world, &additive)["a"], json!(15), "2, and 7 and 1 and 5 more");
}

#[test]
fn changes_are_told_by_side() {
    let world = fork(json!({"a": 1, "b": 1}), json!({"a": 2, "d": {"e": 1}}), json!({"a": 2, "b": 3}));
    let conflict = world.conflict();
    assert_eq!(conflict.changed_fields(), ["/b", "/d/e"], "both made /a the same");
    assert_eq!(conflict.changes(), [vec!["/a", "/d/e"], vec!["/a", "/b"]]);
}

#[test]
fn the_side_that_comes_first_in_a_list_wins() {
    let mut world = World::default();
    for (i, (role, total)) in [("guest", 3), ("admin", 20), ("owner", 3)].into_iter().enumerate() {
        let metadata = Metadata::from_pairs([("role", role)]).unwrap();
        let (node, data) = (i as u128 + 1, Payload::json(&json!({ "total": total })).unwrap());
        world.payload(role, node, 1 + i as u64, &[], data, metadata);
    }
    let winner = |resolver: &dyn ConflictResolver| outcome(&world.conflict(), resolver).heads[0].to_string();
    assert_eq!(winner(&Priority::by_origin([2, 1].map(NodeId::from_u128))), "admin");
    assert_eq!(winner(&Priority::by_metadata("role", ["guest", "owner"])), "guest");
    assert_eq!(winner(&Priority::by_metadata("role", ["nobody"])), "owner", "the last write");
    assert_eq!(winner(&Extreme::maximum("total").unwrap()), "admin");
    assert_eq!(winner(&Extreme::minimum("total").unwrap()), "owner", "the last write of two");
    assert_eq!(winner(&Extreme::minimum("/nothing").unwrap()), "owner");
}

#[test]
fn long_branches_are_merged() {
    let mut world = World::default();
    let document =
        |n: u64| json!({"a": n, "b": {"c": n % 7, "d": "text"}, "tags": [n % 3, n % 5], "count": n});
    world.event("base", 1, 1, &[], &document(0));
    for side in ["left", "right"] {
        let mut on = "base".to_owned();
        for n in 1..=2500 {
            let id = format!("{side}{n}");
            world.event(&id, u128::from(side == "left") + 2, n + 1, &[&on], &document(n));
            on = id;
        }
    }
    let conflict = world.conflict();
    let additive = AdditiveMerge::new().set("tags").unwrap().counter("count").unwrap();
    assert_eq!(outcome(&conflict, &additive).document["count"], json!(5000));
    assert_eq!(outcome(&conflict, &ThreeWayMerge::new()).document["count"], json!(2500));
}

#[test]
fn strategies_that_come_to_the_same_data_bring_events_of_their_own() {
    let world = fork(json!({"a": 1, "b": 1}), json!({"a": 2}), json!({"b": 3}));
    let brought = |resolver: &dyn ConflictResolver| {
        let merged = outcome(&world.conflict(), resolver).merged;
        (merged[0].id.clone(), merged[0].data.get().to_owned())
    };
    let (by_field, three_way) = (brought(&FieldwiseLastWrite::new()), brought(&ThreeWayMerge::new()));
    assert_eq!(by_field.1, three_way.1);
    assert_ne!(by_field.0, three_way.0);
}

#[test]
fn numbers_beyond_what_the_parser_can_hold_are_never_changed() {
    for number in ["18446744073709551616", "123456789012345678901234567890", "1e400"] {
        let mut world = World::default();
        let raw = |text: String| Payload::json_text(text).unwrap();
        world.event("base", 1, 1, &[], &json!({"b": 1}));
        world.payload("left", 2, 2, &["base"], raw(format!("{{\"a\":{number}}}")), Metadata::default());
        world.event("right", 3, 3, &["base"], &json!({"b": 2}));
        for resolver in [&ThreeWayMerge::new() as &dyn ConflictResolver, &AdditiveMerge::new()] {
            let reason = review_reason(&world.conflict(), resolver);
            assert!(reason.contains("number"), "{number}: {reason}");
        }
    }
}
