//! Vector cursors: what one holder has and another lacks.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::{BTreeMap, BTreeSet};

mod support;

use support::Rng;
use synckit_core::{Doubt, NodeId, Progress, VectorCursor};

const ORIGINS: usize = 3;

fn node(n: usize) -> NodeId {
    NodeId::from_u128(n as u128)
}

fn share(origin: usize, counter: u64) -> u128 {
    (origin as u128 + 1) << 64 | u128::from(counter)
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
        let mut progress = Progress::of(of(None).map(|((o, c), _)| (*c, share(*o, *c))));
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
        for at in ours.keys() {
            let (origin, counter) = (node(at.0), at.1);
            let expected = match theirs.get(at) {
                None => [true, true],
                // Whether this holder has the data, each entry tells by itself.
                Some(false) => [true, false],
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
        let held = |((origin, counter), whole): (&(usize, u64), &bool)| {
            !whole && again.contains(node(*origin), *counter, true)
                || *whole && again.contains(node(*origin), *counter, false)
        };
        assert!(!ours.iter().any(held), "seed {seed}: nobody lacks what it holds");
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
fn stubs_have_the_shares_of_whole_events() {
    let whole = Progress::of([(1, 10), (2, 20)]);
    let stubs = Progress { stubs: vec![(2, 2)], ..whole.clone() };
    assert!(stubs.lacking(Some(&whole)).is_empty() && whole.lacking(Some(&stubs)).is_empty());
    assert_eq!(whole.lacking_data(Some(&stubs)), [(2, 2)]);
    assert!(stubs.lacking_data(Some(&whole)).is_empty());
    assert_eq!(stubs.lacking_data(Some(&stubs)), [(2, 2)], "another event may have that counter");
}

/// The doubt about origin 1 between holders of these counters.
fn doubt(ours: &[(u64, u128)], theirs: &[(u64, u128)]) -> Option<Doubt> {
    let cursor = |held: &[(u64, u128)]| {
        let progress = Progress::of(held.iter().copied());
        VectorCursor::from_progress(BTreeMap::from([(node(1), progress)])).unwrap()
    };
    let mut doubts = cursor(ours).doubts(&cursor(theirs));
    assert!(doubts.len() < 2);
    doubts.pop()
}

#[test]
fn who_covers_the_same_and_has_the_same_hash_is_not_in_doubt() {
    assert_eq!(doubt(&[(1, 10), (3, 30)], &[(1, 10), (3, 30)]), None);
    let other = doubt(&[(1, 10), (3, 30)], &[(1, 11), (3, 30)]).unwrap();
    assert_eq!((other.ranges, other.difference), (Some(vec![]), 10 ^ 11));
}

#[test]
fn who_covers_more_can_tell() {
    let held = [(1, 10), (2, 20), (3, 30), (4, 40), (7, 70)];
    let more = doubt(&held, &[(1, 10), (4, 40)]).unwrap();
    assert_eq!((more.ranges, more.difference), (Some(vec![(2, 3), (5, 7)]), 20 ^ 30 ^ 70));
    let within_a_gap = doubt(&held, &[(4, 40), (7, 70)]).unwrap();
    assert_eq!(within_a_gap.ranges, Some(vec![(1, 3)]));
}

#[test]
fn who_covers_less_cannot_tell() {
    for theirs in [&[(1, 10), (4, 40)][..], &[(1, 10), (2, 20), (3, 30)], &[(3, 30)]] {
        assert_eq!(doubt(&[(1, 10), (2, 20)], theirs).unwrap().ranges, None, "{theirs:?}");
    }
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
