//! L7: pages.

use synckit_core::{
    Mark, Payload,
    limits::MAX_DATA_BYTES,
    store::{LogEntry, ReadRequest},
};

use crate::{
    sample::{event, events, ids, stamped, stub},
    stores::Stores,
    subject::{all_pages, ids_of},
};

pub(super) async fn l7_pages_of_every_size(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.append(events("a", "x", 11)).await;
    let all = store.all().await;
    for limit in 1..=12 {
        let pages = all_pages(&*store, &ReadRequest::default().limit(limit)).await;
        assert!(pages.iter().all(|p| p.entries.len() <= limit));
        assert_eq!(pages.len(), all.len().div_ceil(limit), "pages are not full");
        for page in &pages {
            assert_eq!(page.head, store.head().await.unwrap());
            let last = page.entries.last().unwrap();
            assert_eq!(page.next, Mark { position: last.position, hash: last.hash });
        }
        let read: Vec<LogEntry> = pages.into_iter().flat_map(|p| p.entries).collect();
        assert_eq!(read, all);
    }
    for after in 0..=11 {
        let page = store.read(ReadRequest::after(after)).await.unwrap();
        assert_eq!(page.entries, all[usize::try_from(after).unwrap()..]);
    }
}

pub(super) async fn l7_pages_keep_to_the_bytes(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let sizes = [10, 3_000, 0, 20_000, 10, 10, 5_000, 5_000, 20_000, 1];
    for (i, size) in sizes.into_iter().enumerate() {
        let mut event = event(&format!("a{i}"), "x", "");
        event.data = Payload::encoded("bin", vec![7; size]).unwrap();
        store.append(vec![event]).await;
    }
    let all = store.all().await;
    for max in [1, 100, 3_000, 6_000, 12_000, 30_000, 1_000_000] {
        let pages = all_pages(&*store, &ReadRequest::default().max_bytes(max)).await;
        for page in &pages {
            let bytes: usize = page.entries.iter().map(|e| e.event.data.bytes().len()).sum();
            assert!(bytes <= max || page.entries.len() == 1, "{bytes} bytes in a page of {max}");
            assert!(!page.entries.is_empty(), "a page has at least one entry");
        }
        let read: Vec<LogEntry> = pages.into_iter().flat_map(|p| p.entries).collect();
        assert_eq!(read, all);
    }
}

pub(super) async fn l7_the_default_page_is_bounded(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    for i in 0..10 {
        let mut event = event(&format!("a{i}"), "x", "");
        event.data = Payload::encoded("bin", vec![7; MAX_DATA_BYTES]).unwrap();
        store.append(vec![event]).await;
    }
    let pages = all_pages(&*store, &ReadRequest::default()).await;
    assert!(pages.len() > 1, "ten megabytes in one page");
    assert_eq!(pages.iter().map(|p| p.entries.len()).sum::<usize>(), 10);
    let one = store.read(ReadRequest::default().max_bytes(usize::MAX)).await.unwrap();
    assert_eq!(one.entries.len(), 10);
}

pub(super) async fn l7_reading_at_and_beyond_the_end(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.append(events("a", "x", 3)).await;
    let head = store.head().await.unwrap();
    for after in [3, 4, 1_000_000, i64::MAX as u64, u64::MAX] {
        let page = store.read(ReadRequest::after(after)).await.unwrap();
        assert!(page.entries.is_empty() && !page.has_more, "after {after}");
        assert_eq!((page.next, page.head), (head, head), "after {after}");
    }
}

pub(super) async fn l7_only_what_counts(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let whole = stamped("b", "x", 2, 2, 60, &["a"]);
    store.seed(vec![stamped("a", "x", 2, 1, 50, &[]), stub(whole.clone()), whole]).await;
    store.seed(vec![stamped("a", "x", 3, 1, 40, &[])]).await;
    assert_eq!(store.all().await.len(), 4);
    for limit in 1..=5 {
        let read = store.pages(&ReadRequest::default().only_counting().limit(limit)).await;
        assert_eq!(ids_of(&read), ["b", "a"]);
        assert!(read.iter().all(|e| !e.superseded && !e.stub));
    }
}

pub(super) async fn l7_a_large_write_and_a_large_load(stores: &Stores<'_>) {
    const COUNT: u64 = 3_000;
    let store = stores.fresh().await;
    let name = |n: u64| format!("event {n}");
    let page = (1..=COUNT)
        .map(|n| stamped(&name(n), &format!("a{}", n % 1_000), 2, n, n, &[]))
        .collect();
    store.seed(page).await;
    assert_eq!(store.count_conflicts().await.unwrap(), 1_000);
    let names: Vec<String> = (1..=COUNT).map(name).collect();
    let mut wanted: Vec<&str> = names.iter().map(String::as_str).collect();
    wanted.push("unknown");
    let mut loaded = store.load(&ids(&wanted)).await.unwrap();
    loaded.sort_by_key(|e| e.position);
    assert_eq!(loaded, store.all().await);
    assert!(store.load(&[]).await.unwrap().is_empty());
    let thrice = store.load(&ids(&["event 7", "event 7", "event 7"])).await.unwrap();
    assert_eq!(thrice.len(), 1, "each entry is given once, however often it is asked for");
    assert!(store.graphs(&[]).await.unwrap().is_empty());
}
