//! Recording and asking.

use proptest::{prelude::*, test_runner::TestRunner};
use synckit_audit::AuditIndex;
use synckit_core::{
    ErrorKind, EventId,
    audit::{AuditEntry, AuditFilter},
};

use crate::support::{Place, at, entries, entry, filter, log};

async fn all(index: &dyn AuditIndex) -> Vec<AuditEntry> {
    index.find(&AuditFilter::default(), 0, usize::MAX).await.unwrap()
}

fn ids(entries: &[AuditEntry]) -> Vec<&str> {
    entries.iter().map(|e| e.event.as_str()).collect()
}

#[test]
fn an_index_finds_what_the_filter_wants_and_nothing_else() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for place in Place::all() {
        let index = runtime.block_on(place.open(log()));
        let mut runner = TestRunner::new(ProptestConfig {
            failure_persistence: None,
            cases: 60,
            ..ProptestConfig::default()
        });
        let asked = (entries(), proptest::collection::vec(filter(), 8), 0..30_u64, 1..9_usize);
        let found = runner.run(&asked, |(entries, filters, after, limit)| {
            runtime.block_on(async {
                index.clear().await.unwrap();
                assert!(index.record(&entries, None, &at(1_000)).await.unwrap());
                for filter in filters {
                    let wanted: Vec<AuditEntry> =
                        entries.iter().filter(|e| filter.wants(e)).cloned().collect();
                    assert_eq!(index.find(&filter, 0, 1_000).await.unwrap(), wanted, "{filter:?}");
                    assert_eq!(index.count(&filter).await.unwrap(), wanted.len() as u64, "{filter:?}");
                    let page: Vec<AuditEntry> =
                        wanted.into_iter().filter(|e| e.position > after).take(limit).collect();
                    assert_eq!(index.find(&filter, after, limit).await.unwrap(), page, "{filter:?}");
                }
                for entry in &entries {
                    assert_eq!(index.get(&entry.event).await.unwrap().as_ref(), Some(entry));
                }
                let kept = index.kept(0, 1_000).await.unwrap();
                let kept: Vec<AuditEntry> = kept.into_iter().map(|k| k.entry.unwrap()).collect();
                assert_eq!(kept, entries);
            });
            Ok(())
        });
        found.unwrap_or_else(|e| panic!("{place:?}: {e}"));
        drop(index);
        runtime.block_on(place.leave());
    }
}

#[tokio::test]
async fn an_index_goes_on_only_from_where_it_is() {
    for place in Place::all() {
        let index = place.open(log()).await;
        assert_eq!(index.progress().await.unwrap(), None);
        assert!(!index.record(&[entry(1, "x")], Some(&at(1)), &at(2)).await.unwrap(), "{place:?}");
        assert!(index.record(&[entry(1, "a")], None, &at(1)).await.unwrap());
        assert!(!index.record(&[entry(2, "x")], None, &at(2)).await.unwrap(), "it has begun");
        let mut elsewhere = at(1);
        elsewhere.mark.hash = at(9).mark.hash;
        assert!(!index.record(&[entry(2, "x")], Some(&elsewhere), &at(2)).await.unwrap());
        assert_eq!(index.progress().await.unwrap(), Some(at(1)), "{place:?}");
        assert!(index.record(&[entry(3, "b")], Some(&at(1)), &at(5)).await.unwrap());
        assert_eq!(
            (index.progress().await.unwrap(), ids(&all(&*index).await)),
            (Some(at(5)), vec!["a", "b"])
        );
        index.clear().await.unwrap();
        assert_eq!((index.progress().await.unwrap(), all(&*index).await), (None, Vec::new()));
        assert_eq!(index.get(&EventId::new("a").unwrap()).await.unwrap(), None);
        drop(index);
        place.leave().await;
    }
}

#[tokio::test]
async fn an_entry_takes_the_place_of_one_with_its_id_or_position() {
    for place in Place::all() {
        let index = place.open(log()).await;
        let first = [entry(1, "a"), entry(2, "b"), entry(3, "c")];
        assert!(index.record(&first, None, &at(3)).await.unwrap());
        assert!(index.record(&first, Some(&at(3)), &at(3)).await.unwrap(), "the same again");
        assert_eq!(all(&*index).await, first, "{place:?}");
        let later = [entry(4, "a"), entry(2, "d"), entry(5, "d"), entry(6, "d")];
        assert!(index.record(&later, Some(&at(3)), &at(6)).await.unwrap());
        let left = all(&*index).await;
        assert_eq!(ids(&left), ["b", "c", "a", "d"], "{place:?}");
        assert_eq!(left.iter().map(|e| e.position).collect::<Vec<_>>(), [2, 3, 4, 6]);
        drop(index);
        place.leave().await;
    }
}

#[tokio::test]
async fn numbers_that_cannot_be_kept_change_nothing() {
    for place in Place::all() {
        let index = place.open(log()).await;
        let batch = [entry(1, "a"), entry(u64::MAX, "b")];
        let refused = index.record(&batch, None, &at(2)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{place:?}");
        assert_eq!((index.progress().await.unwrap(), all(&*index).await), (None, Vec::new()));
        drop(index);
        place.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_record_at_once_one_does() {
    for place in Place::all() {
        let index = place.open(log()).await;
        for step in 0..10_u64 {
            let from = (step > 0).then(|| at(step));
            let mut recording = tokio::task::JoinSet::new();
            for n in 0..4 {
                // In memory, there is only one.
                let index =
                    if matches!(place, Place::Memory) { index.clone() } else { place.open(log()).await };
                let entry = entry(step + 1, &format!("{step}-{n}"));
                recording.spawn(async move {
                    index.record(&[entry], from.as_ref(), &at(step + 1)).await.unwrap()
                });
            }
            let done = recording.join_all().await;
            assert_eq!(done.into_iter().filter(|done| *done).count(), 1, "{place:?}");
        }
        assert_eq!(all(&*index).await.len(), 10);
        drop(index);
        place.leave().await;
    }
}
