//! Vector cursors: what one holder has and another lacks.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::{BTreeMap, BTreeSet};

mod support;

use support::Rng;
use synckit_core::{NodeId, Progress, VectorCursor};

const ORIGINS: usize = 3;

fn node(n: usize) -> NodeId {
    NodeId::from_u128(n as u128)
}

/// What a node holds: counters by origin, and whether it has the data.
type Held = BTreeMap<(usize, u64), bool>;

fn cursor(held: &Held) -> VectorCursor {
    let mut origins = BTreeMap::new();
    for origin in 0..ORIGINS {
        let of = |data: Option<bool>| {
            held.iter().filter(move |((o, _), d)| *o == origin && data.is_none_or(|data| data == **d))
        };
        if of(None).next().is_none() {
            continue;
        }
        let ids: Vec<(u64, String)> = of(None).map(|((_, c), _)| (*c, format!("{origin}-{c}"))).collect();
        let mut progress = Progress::of(ids.iter().map(|(c, id)| (*c, id.as_str())));
        progress.stubs = Progress::ranges(of(Some(false)).map(|((_, c), _)| *c));
        origins.insert(node(origin), progress);
    }
    VectorCursor::from_progress(origins).unwrap()
}

fn random(rng: &mut Rng, most: u64) -> Held {
    let held = rng.below(100);
    let whole = rng.below(100);
    let mut all = Held::new();
    for origin in 0..ORIGINS {
        for counter in 1..=most {
            if rng.percent(held) {
                all.insert((origin, counter), rng.percent(whole));
            }
        }
    }
    all
}

#[test]
fn lacking_is_what_is_not_held_and_the_data_of_stubs() {
    for seed in 0..1_000 {
        let mut rng = Rng::new(seed);
        let most = 1 + rng.below(20) as u64;
        let (ours, theirs) = (random(&mut rng, most), random(&mut rng, most));
        let lacking = cursor(&ours).lacking(&cursor(&theirs));
        let mut counted = 0;
        for (at, whole) in &ours {
            let (origin, counter) = (node(at.0), at.1);
            let expected = match theirs.get(at) {
                None => [true, true],
                Some(false) => [*whole, false],
                Some(true) => [false, false],
            };
            let found = [false, true].map(|stub| lacking.contains(origin, counter, stub));
            assert_eq!(found, expected, "seed {seed}: {at:?}");
            counted += usize::from(expected[0]);
        }
        assert!(lacking.count() as usize >= counted, "seed {seed}");
        let mut seen = BTreeSet::new();
        for (origin, from, to) in lacking.ranges() {
            for counter in from..=to {
                assert!(seen.insert((origin, counter)), "seed {seed}: {counter} is named twice");
            }
        }
        let again = cursor(&ours).lacking(&cursor(&ours));
        assert_eq!(again.count(), 0, "seed {seed}: nobody lacks what it holds");
    }
}

#[test]
fn an_exchange_of_what_is_lacking_ends_with_equal_cursors() {
    for seed in 0..500 {
        let mut rng = Rng::new(seed);
        let mut sides = [random(&mut rng, 12), random(&mut rng, 12)];
        for (from, to) in [(0, 1), (1, 0)] {
            let lacking = cursor(&sides[from]).lacking(&cursor(&sides[to]));
            for (at, whole) in sides[from].clone() {
                if lacking.contains(node(at.0), at.1, !whole) {
                    let before = sides[to].insert(at, whole);
                    assert_ne!(before, Some(true), "seed {seed}: what is held whole is sent again");
                    assert_ne!(before, Some(whole), "seed {seed}: a stub is sent again");
                }
            }
        }
        assert_eq!(cursor(&sides[0]), cursor(&sides[1]), "seed {seed}");
    }
}

#[test]
fn the_ids_are_those_of_stubs_too() {
    let whole = Progress::of([(1, "a"), (2, "b")]);
    let stubs = Progress { stubs: vec![(2, 2)], ..whole.clone() };
    assert!(stubs.lacking(Some(&whole)).is_empty() && whole.lacking(Some(&stubs)).is_empty());
    assert_eq!(whole.lacking_data(Some(&stubs)), [(2, 2)]);
    assert!(stubs.lacking_data(Some(&whole)).is_empty());
    let other = Progress { stubs: vec![(1, 2)], ..Progress::of([(1, "a"), (2, "c")]) };
    let cursor = |p: &Progress| VectorCursor::from_progress(BTreeMap::from([(node(1), p.clone())])).unwrap();
    let lacking = cursor(&stubs).lacking(&cursor(&other));
    assert!((1..=2).all(|n| lacking.contains(node(1), n, true)), "another event's stub is of use");
    assert_eq!(lacking.count(), 2);
}

#[test]
fn ranges_join_what_touches() {
    assert_eq!(Progress::ranges([]), []);
    assert_eq!(
        Progress::ranges([1, 1, 2, 4, 6, 7, u64::MAX]),
        [(1, 2), (4, 4), (6, 7), (u64::MAX, u64::MAX)]
    );
}

#[test]
fn stubs_are_ascending_and_held() {
    for (stubs, good) in [
        (vec![(1, 3)], true),
        (vec![(1, 1), (3, 3)], true),
        (vec![(1, 1), (2, 3)], false),
        (vec![(0, 1)], false),
        (vec![(2, 4)], false),
        (vec![(3, 2)], false),
    ] {
        let progress = Progress { counter: 3, stubs: stubs.clone(), ..Progress::default() };
        let made = VectorCursor::from_progress(BTreeMap::from([(node(1), progress)]));
        assert_eq!(made.is_ok(), good, "{stubs:?}");
    }
}
