//! What a merge gives is a function of the events: the order of the sides, a side that comes twice and the stages of deciding
//! do not matter. A strategy that picks a side picks the same one.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use support::{Outcome, World, outcome};
use synckit_core::{NodeId, VertexId};
use synckit_resolve::{
    AdditiveMerge, Conflict, ConflictResolver, Extreme, FieldwiseLastWrite, KeepBoth, Priority, ThreeWayMerge,
};

/// What one event says, and how long after what it is built on.
type Step = (Value, u64);

/// Three branches on a shared beginning.
#[derive(Debug, Clone)]
struct Script {
    common: Vec<Step>,
    branches: [Vec<Step>; 3],
    /// How many events of the first branch the third one is built on.
    shared: usize,
    /// A rival of the first branch: the two were merged before the first branch went on.
    rival: Vec<Step>,
    later: Vec<Step>,
    /// Whether the rival was merged by a resolver of someone's own, that brought along an event that says this.
    foreign: Option<Value>,
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![(0..4_i32).prop_map(Value::from), Just(Value::Null), Just(json!("s")), Just(json!([1]))]
}

fn nested() -> impl Strategy<Value = Value> {
    let name = || prop_oneof![Just("x"), Just("y")];
    let object = || proptest::collection::btree_map(name(), scalar(), 0..3).prop_map(|m| json!(m));
    prop_oneof![scalar(), object(), object().prop_map(|o| json!({ "x": o }))]
}

fn tags() -> impl Strategy<Value = Value> {
    let set = proptest::collection::vec(
        prop_oneof![Just(json!("p")), Just(json!("q")), Just(json!(10)), Just(json!(9))],
        0..4,
    );
    prop_oneof![8 => set.prop_map(Value::from), 1 => scalar()]
}

fn count() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => (-3..9_i64).prop_map(Value::from),
        2 => (0..9_i32).prop_map(|n| json!(f64::from(n) / 10.0)),
        1 => Just(json!("none"))
    ]
}

fn items() -> impl Strategy<Value = Value> {
    let element =
        (1..4_i32, proptest::option::of(scalar()), proptest::option::of(nested())).prop_map(|(id, n, m)| {
            let fields = [("id", Some(json!(id))), ("n", n), ("m", m)];
            json!(fields.into_iter().filter_map(|(k, v)| Some((k.to_owned(), v?))).collect::<Map<_, _>>())
        });
    prop_oneof![8 => proptest::collection::vec(element, 0..4).prop_map(Value::from), 1 => scalar()]
}

fn data() -> impl Strategy<Value = Value> {
    let field = prop_oneof![
        nested().prop_map(|v| ("a", v)),
        nested().prop_map(|v| ("b", v)),
        tags().prop_map(|v| ("tags", v)),
        count().prop_map(|v| ("count", v)),
        items().prop_map(|v| ("items", v)),
    ];
    proptest::collection::vec(field, 0..5)
        .prop_map(|fields| json!(fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect::<Map<_, _>>()))
}

fn steps(range: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec((data(), 1..9_u64), range)
}

fn script() -> impl Strategy<Value = Script> {
    let branches = [steps(1..4), steps(1..4), steps(1..4)];
    let foreign = proptest::option::weighted(0.3, data());
    (steps(0..3), branches, 0..3_usize, steps(0..3), steps(1..3), foreign).prop_map(
        |(common, branches, shared, rival, later, foreign)| Script {
            common,
            branches,
            shared,
            rival,
            later,
            foreign,
        },
    )
}

/// The history of a script, and its three heads.
fn world(script: &Script, resolver: &dyn ConflictResolver) -> (World, [String; 3]) {
    let mut world = World::default();
    let chain = |world: &mut World, name: &str, node: u128, on: Option<(String, u64)>, steps: &[Step]| {
        let mut at = on;
        let mut made = Vec::new();
        for (i, (data, wait)) in steps.iter().enumerate() {
            let (parent, time) = at.clone().unzip();
            let (id, time) = (format!("{name}{i}"), time.unwrap_or_default() + wait);
            let parents: Vec<&str> = parent.iter().map(String::as_str).collect();
            world.event(&id, node, time, &parents, data);
            made.push((id.clone(), time));
            at = Some((id, time));
        }
        made
    };
    let base = chain(&mut world, "common", 1, None, &script.common).last().cloned();
    let mut first = chain(&mut world, "first", 2, base.clone(), &script.branches[0]);
    let forks_at = script.shared.min(first.len() - 1);
    if !script.rival.is_empty() {
        let rival = chain(&mut world, "rival", 5, base.clone(), &script.rival);
        let time = first.last().unwrap().1.max(rival.last().unwrap().1);
        let decided = match &script.foreign {
            None => world.decide(resolver).0,
            Some(data) => world.decide_by_hand(data),
        };
        first.extend(chain(&mut world, "later", 2, Some((decided.to_string(), time)), &script.later));
    }
    let second = chain(&mut world, "second", 3, base.clone(), &script.branches[1]);
    let on = forks_at.checked_sub(1).map_or(base, |i| Some(first[i].clone()));
    let third = chain(&mut world, "third", 4, on, &script.branches[2]);
    let heads = [&first, &second, &third].map(|branch| branch.last().unwrap().0.clone());
    (world, heads)
}

fn permuted(world: &World, order: [usize; 3]) -> Conflict {
    let mut outline = world.outline();
    let sides = outline.sides.clone();
    outline.sides = order.iter().filter_map(|i| sides.get(*i).cloned()).collect();
    world.read(outline)
}

fn repeated(world: &World) -> Conflict {
    let mut outline = world.outline();
    outline.sides.extend(outline.sides.clone());
    world.read(outline)
}

/// Decides the conflict of two of the heads, and then what is left.
fn in_stages(world: &World, first: [&str; 2], resolver: &dyn ConflictResolver) -> (World, Outcome) {
    let mut stage = world.up_to(&first);
    stage.decide(resolver);
    let mut all = world.clone();
    all.adopt_from(&stage);
    let (_, outcome) = all.decide(resolver);
    (all, outcome)
}

fn pairs(heads: &[String; 3]) -> [[&str; 2]; 3] {
    let [a, b, c] = heads.each_ref().map(String::as_str);
    [[a, b], [b, c], [a, c]]
}

fn keeps_all_laws(script: &Script, resolver: &dyn ConflictResolver) {
    let (world, heads) = world(script, resolver);
    let at_once = outcome(&world.conflict(), resolver);
    let again = outcome(&world.conflict(), resolver);
    assert_eq!(format!("{again:?}"), format!("{at_once:?}"), "the same conflict is decided alike");
    for order in [[1, 2, 0], [2, 0, 1], [0, 2, 1], [2, 1, 0]] {
        let other = outcome(&permuted(&world, order), resolver);
        assert_eq!(other.document, at_once.document, "sides in the order {order:?}");
        assert_eq!(other.merged.first().map(|m| &m.id), at_once.merged.first().map(|m| &m.id));
    }
    assert_eq!(outcome(&repeated(&world), resolver).document, at_once.document, "sides that come twice");
    let mut decided = world.clone();
    decided.decide(resolver);
    for pair in pairs(&heads) {
        let (staged, outcome) = in_stages(&world, pair, resolver);
        assert_eq!(outcome.document, at_once.document, "{pair:?} first");
        assert_eq!(staged.counting(), decided.counting(), "{pair:?} first");
    }
}

fn adopted(outcome: &Outcome) -> BTreeSet<&VertexId> {
    outcome.heads.iter().collect()
}

fn picks_the_same_side(script: &Script, resolver: &dyn ConflictResolver) {
    let (world, heads) = world(script, &ThreeWayMerge::new());
    let at_once = outcome(&world.conflict(), resolver);
    for order in [[1, 2, 0], [2, 0, 1], [0, 2, 1], [2, 1, 0]] {
        let other = outcome(&permuted(&world, order), resolver);
        assert_eq!(adopted(&other), adopted(&at_once), "sides in the order {order:?}");
    }
    let twice = outcome(&repeated(&world), resolver);
    assert_eq!(adopted(&twice), adopted(&at_once), "sides that come twice");
    let mut decided = world.clone();
    decided.decide(resolver);
    for pair in pairs(&heads) {
        let (staged, _) = in_stages(&world, pair, resolver);
        assert_eq!(staged.counting(), decided.counting(), "{pair:?} first");
    }
}

fn additive() -> AdditiveMerge {
    AdditiveMerge::new().set("tags").unwrap().counter("count").unwrap().list("items", "id").unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn fieldwise_last_write(script in script()) {
        keeps_all_laws(&script, &FieldwiseLastWrite::new());
    }

    #[test]
    fn three_way_merge(script in script()) {
        keeps_all_laws(&script, &ThreeWayMerge::new());
    }

    #[test]
    fn additive_merge(script in script()) {
        keeps_all_laws(&script, &additive());
    }

    #[test]
    fn keep_both(script in script()) {
        picks_the_same_side(&script, &KeepBoth);
    }

    #[test]
    fn priority(script in script(), first in proptest::collection::vec(1..6_u128, 0..3)) {
        picks_the_same_side(&script, &Priority::by_origin(first.into_iter().map(NodeId::from_u128)));
    }

    #[test]
    fn extremes(script in script()) {
        picks_the_same_side(&script, &Extreme::maximum("count").unwrap());
        picks_the_same_side(&script, &Extreme::minimum("/a").unwrap());
    }
}
