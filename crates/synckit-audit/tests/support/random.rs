//! Random decisions and filters.

use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::select,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};
use synckit_audit::{AuditEntry, AuditFilter, AuditIndex};
use synckit_core::{LogId, NodeId, Timestamp};

use super::{
    Place,
    sample::{LOG, all, at, decision},
};

const SEED: &str = "SYNCKIT_AUDIT_SEED";
const ROUNDS: u32 = 40;

fn name() -> impl Strategy<Value = String> {
    select(vec!["a", "ab", "a.b", "A", "ä", "a%", "a_b", "\u{10ffff}"]).prop_map(str::to_owned)
}

fn text() -> impl Strategy<Value = String> {
    let long = "a".repeat(300);
    let texts = ["", "a", "a.", "a.b", "a.b.c", "ab", "a%", "a_b", "A", "a\0", "\0", "ä", "\u{10ffff}", "a/"];
    let mut texts: Vec<String> = texts.map(str::to_owned).into();
    texts.extend([format!("{long}.b"), format!("{long}b"), long]);
    select(texts)
}

fn time() -> impl Strategy<Value = Timestamp> {
    (0..8_u64).prop_map(Timestamp::from_micros)
}

fn entries() -> impl Strategy<Value = Vec<AuditEntry>> {
    let free = (option::of(text()), text(), option::of(text()), option::of(text()));
    let one = (name(), option::of(name()), free, time(), 1..4_u64);
    vec(one, 0..40).prop_map(|many| {
        let mut position = 0;
        let entry =
            |(n, (aggregate, conflict, free, at, step)): (usize, (String, Option<String>, _, _, u64))| {
                let mut decision = decision("keep");
                decision.conflict = conflict.map(|c| c.parse().unwrap());
                (decision.user, decision.resolver, decision.rule, decision.group) = free;
                position += step;
                let event = format!("e{n}").parse().unwrap();
                AuditEntry::new(
                    event,
                    position,
                    aggregate.parse().unwrap(),
                    NodeId::from_u128(1),
                    at,
                    decision,
                )
            };
        many.into_iter().enumerate().map(entry).collect()
    })
}

fn filter() -> impl Strategy<Value = AuditFilter> {
    let maybe = |of: BoxedStrategy<String>| option::weighted(0.25, of);
    let names = (maybe(name().boxed()), maybe(name().boxed()));
    let texts = (maybe(text().boxed()), maybe(text().boxed()), maybe(text().boxed()), maybe(text().boxed()));
    let far = prop_oneof![6 => time(), 1 => Just(Timestamp::from_micros(u64::MAX))].boxed();
    let times = (option::weighted(0.25, far.clone()), option::weighted(0.25, far));
    (names, texts, times).prop_map(|(names, texts, times)| {
        let mut filter = AuditFilter::default();
        filter.aggregate = names.0.map(|a| a.parse().unwrap());
        filter.conflict = names.1.map(|c| c.parse().unwrap());
        (filter.user, filter.resolver, filter.rule, filter.group) = texts;
        (filter.from, filter.to) = times;
        filter
    })
}

async fn check(
    index: &dyn AuditIndex,
    entries: &[AuditEntry],
    filters: &[AuditFilter],
    limit: usize,
) -> Result<(), TestCaseError> {
    index.clear().await.unwrap();
    prop_assert!(index.record(entries, None, &at(1_000)).await.unwrap());
    prop_assert_eq!(all(index).await, entries);
    for filter in filters {
        let wanted: Vec<_> = entries.iter().filter(|e| filter.wants(e)).cloned().collect();
        prop_assert_eq!(index.count(filter).await.unwrap(), wanted.len() as u64, "{:?}", filter);
        let (mut found, mut after) = (Vec::new(), 0);
        loop {
            let page = index.find(filter, after, limit).await.unwrap();
            let Some(last) = page.last() else { break };
            after = last.position;
            found.extend(page);
        }
        prop_assert_eq!(found, wanted, "{:?}", filter);
    }
    Ok(())
}

pub(crate) async fn filters_mean_what_they_say(place: Place) {
    let index = place.open(LOG).await;
    let told = std::env::var(SEED).ok().map(|seed| seed.parse().unwrap());
    let seed: LogId = told.unwrap_or_else(LogId::random);
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed.to_bytes(), seed.to_bytes()].concat());
    let config = ProptestConfig { cases: ROUNDS, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = TestRunner::new_with_rng(config, rng);
    let runtime = tokio::runtime::Handle::current();
    let ran = tokio::task::block_in_place(|| {
        runner.run(&(entries(), vec(filter(), 8), 1..9_usize), |(entries, filters, limit)| {
            runtime.block_on(check(&*index, &entries, &filters, limit))
        })
    });
    if let Err(failed) = ran {
        panic!("{failed}\nonce more with {SEED}={seed}");
    }
}
