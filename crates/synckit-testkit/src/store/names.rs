//! Names: 1 to 255 bytes of UTF-8, compared bytewise.

use std::collections::BTreeSet;

use synckit_core::{
    AggregateId, ErrorKind, EventId, Filter,
    limits::MAX_NAME_BYTES,
    store::{Outcome, ReadRequest},
};

use crate::{
    sample::{SECOND, adopt, aggregate, event, ids, rivals, stamp, typed},
    stores::Stores,
    subject::vertex,
};

/// Names that are equal, or sort otherwise, under some collation, normalization, padding or folding of case.
pub(crate) const ALIKE: [&str; 20] = [
    "a", "A", "á", "a\u{301}", "ａ", "a ", " a", "a\u{a0}", "ss", "ß", "ẞ", "I", "ı", "i", "İ", "K", "\u{212a}",
    "a\u{200b}", "a\u{feff}", "b",
];

/// Names that mean something in SQL, in JSON, in URLs, or to file systems.
pub(crate) const ODD: [&str; 16] = [
    "'", "\"", "\\", "%", "_", "a\"b'c\\d", "?", "#&=+/", "../..", "%41", "null", "[1]", "{}", "\u{1F980}", "\u{e000}",
    "\u{10ffff}",
];

fn long(of: &str) -> String {
    of.repeat(MAX_NAME_BYTES / of.len())
}

pub(super) async fn names_of_255_bytes(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let crabs = long("\u{1F980}");
    assert_eq!((crabs.chars().count(), crabs.len()), (63, 252));
    for longer in ["\u{1F980}".repeat(64), "a".repeat(MAX_NAME_BYTES + 1)] {
        assert_eq!(longer.len(), 256);
        assert_eq!(AggregateId::new(&*longer).unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(EventId::new(longer).unwrap_err().kind(), ErrorKind::Invalid);
    }
    let (letters, more) = (long("a"), "b".repeat(MAX_NAME_BYTES));
    store.append(vec![typed(&letters, &crabs, &letters), typed(&crabs, &letters, &letters)]).await;
    store.append(vec![typed(&letters, &more, &crabs)]).await;
    assert_eq!(store.parents(&letters).await, [vertex(&crabs)]);
    let almost = format!("{}c", &letters[..MAX_NAME_BYTES - 1]);
    store.seed(vec![stamp(event(&almost, &letters, "1"), 2, 1, 2 * SECOND, &[&letters])]).await;
    store.seed(vec![stamp(event("short", &crabs, "1"), 2, 2, 2, &[])]).await;
    let store = stores.reopened(store).await;
    assert_eq!(store.entry(&crabs).await.unwrap().event, typed(&letters, &crabs, &letters));
    assert_eq!(store.heads(&letters).await, [almost]);
    assert_eq!(store.in_conflict().await, [aggregate(&crabs)]);
    let conflict = store.conflict(&crabs).await;
    assert!(matches!(store.decide(adopt(&conflict, &more, true)).await, Ok(Outcome::Accepted { .. })));
    assert_eq!(store.aggregates(None, 9).await.unwrap(), [aggregate(&letters), aggregate(&crabs)]);
}

pub(super) async fn names_are_compared_bytewise(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    for name in ALIKE {
        let written = store.append(vec![event(name, name, name), event(&format!("{name}2"), name, name)]).await;
        assert_eq!(written.accepted(), 2, "{name:?} is another name than those before");
    }
    for name in ALIKE {
        assert_eq!(store.entry(name).await.unwrap().event, event(name, name, name));
        assert_eq!(store.heads(name).await, [format!("{name}2")]);
        let filter = Filter::everything().with_aggregate(aggregate(name));
        assert_eq!(store.pages(&ReadRequest::default().filter(filter)).await.len(), 2);
    }
    let expected: BTreeSet<AggregateId> = ALIKE.iter().map(|n| aggregate(n)).collect();
    assert_eq!(store.aggregates(None, 100).await.unwrap(), expected.into_iter().collect::<Vec<_>>());
    assert_eq!(store.load(&ids(&ALIKE)).await.unwrap().len(), ALIKE.len());
}

pub(super) async fn names_with_quotes_and_the_like(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    for name in ODD {
        store.append(vec![typed(name, name, name)]).await;
        store.seed(rivals(name)).await;
    }
    let store = stores.reopened(store).await;
    for name in ODD {
        assert_eq!(store.entry(name).await.unwrap().event, typed(name, name, name));
        assert_eq!(store.heads(name).await.len(), 3);
        let conflict = store.conflict(name).await;
        let head = conflict.sides[0].head.to_string();
        store.decide(adopt(&conflict, &head, true)).await.unwrap();
        assert_eq!(store.decisions(&conflict.id).await.unwrap().len(), 1);
    }
    assert_eq!(store.load(&ids(&ODD)).await.unwrap().len(), ODD.len());
}

pub(super) async fn names_of_aggregates_in_pages(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let names: BTreeSet<AggregateId> = ALIKE.iter().chain(&ODD).map(|n| aggregate(n)).collect();
    for name in &names {
        store.append(vec![event(&format!("in {name}"), name.as_str(), "1")]).await;
    }
    let names: Vec<AggregateId> = names.into_iter().collect();
    for limit in 1..=names.len() + 1 {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = store.aggregates(after.as_ref(), limit).await.unwrap();
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            after = Some(last.clone());
            found.extend(page);
        }
        assert_eq!(found, names, "limit {limit}");
    }
    assert!(store.aggregates(None, 0).await.unwrap().is_empty());
    assert_eq!(store.aggregates(Some(&aggregate("a!")), 1).await.unwrap().len(), 1);
}
