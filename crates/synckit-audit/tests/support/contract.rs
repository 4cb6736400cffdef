//! What every index does with entries.

use synckit_audit::AuditFilter;
use synckit_core::{ErrorKind, limits::MAX_TIMESTAMP_MICROS};

use super::{
    Place,
    sample::{LOG, all, at, decision, entry, everything, id, of_group},
};

pub(crate) async fn a_new_index_has_read_nothing(place: Place) {
    let index = place.open(LOG).await;
    assert_eq!(index.progress().await.unwrap(), None);
    assert!(all(&*index).await.is_empty() && index.kept(0, 10).await.unwrap().is_empty());
    assert_eq!(index.get(&id("e1")).await.unwrap(), None);
    assert_eq!(index.count(&everything()).await.unwrap(), 0);
    assert!(index.log().is_none_or(|log| log == LOG));
}

pub(crate) async fn what_is_recorded_is_found_in_pages(place: Place) {
    let index = place.open(LOG).await;
    let entries: Vec<_> = [3, 4, 9, 12, 13].map(|p| entry(&format!("e{p}"), p, decision("keep"))).into();
    assert!(index.record(&entries, None, &at(20)).await.unwrap());
    assert_eq!(index.progress().await.unwrap(), Some(at(20)));
    assert_eq!(all(&*index).await, entries);
    assert_eq!(index.get(&id("e9")).await.unwrap().as_ref(), Some(&entries[2]));
    assert_eq!(index.count(&everything()).await.unwrap(), 5);
    for limit in 1..7 {
        let (mut found, mut after) = (Vec::new(), 0);
        loop {
            let page = index.find(&everything(), after, limit).await.unwrap();
            let Some(last) = page.last() else { break };
            after = last.position;
            assert!(page.len() <= limit);
            found.extend(page);
        }
        assert_eq!(found, entries, "{limit}");
    }
    assert!(index.find(&everything(), 13, 10).await.unwrap().is_empty());
    assert!(index.find(&everything(), u64::MAX, 10).await.unwrap().is_empty());
    assert!(index.find(&everything(), 0, 0).await.unwrap().is_empty());
    let kept = index.kept(4, 2).await.unwrap();
    let kept: Vec<_> = kept.into_iter().map(|row| (row.position, row.entry.unwrap())).collect();
    assert_eq!(kept, [(9, entries[2].clone()), (12, entries[3].clone())]);
}

pub(crate) async fn recording_again_changes_nothing(place: Place) {
    let index = place.open(LOG).await;
    let entries = [of_group("a", 1), of_group("b", 2)];
    assert!(index.record(&entries, None, &at(2)).await.unwrap());
    assert!(index.record(&entries, Some(&at(2)), &at(2)).await.unwrap());
    assert_eq!(all(&*index).await, entries);
    assert!(index.record(&[], Some(&at(2)), &at(5)).await.unwrap(), "nothing but progress");
    assert_eq!((all(&*index).await.len(), index.progress().await.unwrap()), (2, Some(at(5))));
}

pub(crate) async fn an_entry_replaces_what_has_its_event_or_position(place: Place) {
    let index = place.open(LOG).await;
    let first = [entry("a", 1, decision("one")), entry("b", 2, decision("two"))];
    assert!(index.record(&first, None, &at(2)).await.unwrap());
    let later = entry("a", 5, decision("one"));
    assert!(index.record(std::slice::from_ref(&later), Some(&at(2)), &at(5)).await.unwrap());
    assert_eq!(all(&*index).await, [first[1].clone(), later.clone()]);
    let there = entry("c", 2, decision("three"));
    assert!(index.record(std::slice::from_ref(&there), Some(&at(5)), &at(6)).await.unwrap());
    assert_eq!(all(&*index).await, [there, later]);
    assert_eq!(index.get(&id("b")).await.unwrap(), None);
}

pub(crate) async fn the_last_of_a_batch_counts(place: Place) {
    let index = place.open(LOG).await;
    let batch = [
        entry("a", 1, decision("one")),
        entry("b", 1, decision("two")),
        entry("b", 2, decision("three")),
        entry("c", 3, decision("four")),
        entry("c", 3, decision("five")),
    ];
    assert!(index.record(&batch, None, &at(3)).await.unwrap());
    assert_eq!(all(&*index).await, [batch[2].clone(), batch[4].clone()]);
}

pub(crate) async fn a_record_from_elsewhere_changes_nothing(place: Place) {
    let index = place.open(LOG).await;
    let [first, second] = [of_group("a", 1), of_group("b", 2)];
    let second = std::slice::from_ref(&second);
    assert!(!index.record(second, Some(&at(1)), &at(2)).await.unwrap(), "it has read nothing");
    assert!(index.record(std::slice::from_ref(&first), None, &at(1)).await.unwrap());
    let mut restored = at(1);
    restored.mark.hash = at(9).mark.hash;
    for from in [None, Some(&at(2)), Some(&restored)] {
        assert!(!index.record(second, from, &at(2)).await.unwrap(), "{from:?}");
    }
    assert_eq!(all(&*index).await, [first]);
    assert_eq!(index.progress().await.unwrap(), Some(at(1)));
}

pub(crate) async fn a_record_is_all_or_nothing(place: Place) {
    let index = place.open(LOG).await;
    let first = of_group("a", 1);
    assert!(index.record(std::slice::from_ref(&first), None, &at(1)).await.unwrap());
    let mut late = of_group("c", 3);
    late.written_at = synckit_core::Timestamp::from_micros(MAX_TIMESTAMP_MICROS + 1);
    for wrong in [late, of_group("c", u64::MAX)] {
        let batch = [of_group("b", 2), wrong];
        let refused = index.record(&batch, Some(&at(1)), &at(3)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    }
    assert_eq!(all(&*index).await, [first]);
    assert_eq!(index.progress().await.unwrap(), Some(at(1)));
}

pub(crate) async fn what_is_cleared_is_gone(place: Place) {
    let index = place.open(LOG).await;
    assert!(index.record(&[of_group("a", 1)], None, &at(1)).await.unwrap());
    index.clear().await.unwrap();
    assert!(all(&*index).await.is_empty());
    assert_eq!(index.progress().await.unwrap(), None);
    assert_eq!(index.get(&id("e1")).await.unwrap(), None);
    assert!(!index.record(&[], Some(&at(1)), &at(2)).await.unwrap());
    assert!(index.record(&[of_group("b", 1)], None, &at(1)).await.unwrap());
    assert_eq!(all(&*index).await, [of_group("b", 1)]);
}

pub(crate) async fn what_was_recorded_is_there_when_it_is_opened_again(place: Place) {
    let index = place.open(LOG).await;
    assert!(index.record(&[of_group("a", 1), of_group("b", 2)], None, &at(4)).await.unwrap());
    drop(index);
    let again = place.open(LOG).await;
    assert_eq!(all(&*again).await, [of_group("a", 1), of_group("b", 2)]);
    assert_eq!(again.progress().await.unwrap(), Some(at(4)));
}

pub(crate) async fn groups_hold_what_is_within_them(place: Place) {
    let index = place.open(LOG).await;
    let groups = ["a", "a.b", "a.b.c", "ab", "a_b", "a%", "A", "", ".x", "a.", "b"];
    let entries: Vec<_> = groups.iter().zip(1..).map(|(group, n)| of_group(group, n)).collect();
    assert!(index.record(&entries, None, &at(20)).await.unwrap());
    for (group, within) in [
        ("a", &["a", "a.b", "a.b.c", "a."][..]),
        ("a.b", &["a.b", "a.b.c"]),
        ("a_", &[]),
        ("a%", &["a%"]),
        ("%", &[]),
        ("", &["", ".x"]),
        ("a.", &["a."]),
    ] {
        let mut filter = AuditFilter::default();
        filter.group = Some(group.into());
        let found = index.find(&filter, 0, 100).await.unwrap();
        let found: Vec<_> = found.iter().map(|e| e.decision.group.as_deref().unwrap()).collect();
        assert_eq!(found, within, "{group:?}");
    }
}

pub(crate) async fn long_text_and_nul_are_told_apart(place: Place) {
    let index = place.open(LOG).await;
    let long = "x".repeat(20_000);
    let texts = [long.clone(), format!("{long}y"), "a\0b".into(), "a\0c".into(), "a".into(), String::new()];
    let entries: Vec<_> = texts
        .iter()
        .zip(1..)
        .map(|(text, n)| {
            let mut decision = decision("keep");
            decision.resolver.clone_from(text);
            (decision.user, decision.rule) = (Some(text.clone()), Some(text.clone()));
            (decision.group, decision.reasons) = (Some(text.clone()), vec![text.clone()]);
            entry(&format!("e{n}"), n, decision)
        })
        .collect();
    assert!(index.record(&entries, None, &at(20)).await.unwrap());
    let set: [fn(&mut AuditFilter, String); 4] = [
        |f, text| f.user = Some(text),
        |f, text| f.resolver = Some(text),
        |f, text| f.rule = Some(text),
        |f, text| f.group = Some(text),
    ];
    for (field, set) in set.into_iter().enumerate() {
        for (text, is) in texts.iter().zip(&entries) {
            let mut filter = AuditFilter::default();
            set(&mut filter, text.clone());
            let found = index.find(&filter, 0, 100).await.unwrap();
            assert_eq!(found.as_slice(), std::slice::from_ref(is), "field {field}, {} bytes", text.len());
        }
    }
}

pub(crate) async fn many_entries_are_recorded_at_once(place: Place) {
    let index = place.open(LOG).await;
    let entries: Vec<_> =
        (1..=10_000).map(|n| of_group(if n % 1_000 == 0 { "few" } else { "many" }, n)).collect();
    assert!(index.record(&entries, None, &at(10_000)).await.unwrap());
    let mut few = AuditFilter::default();
    few.group = Some("few".into());
    assert_eq!(index.count(&few).await.unwrap(), 10);
    let found = index.find(&few, 2_000, 3).await.unwrap();
    assert_eq!(found.iter().map(|e| e.position).collect::<Vec<_>>(), [3_000, 4_000, 5_000]);
}
