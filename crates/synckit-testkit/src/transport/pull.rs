//! Pages of the peer's log.

use synckit_core::{
    ErrorKind, Hash, LogId, Mark, NodeId, Payload, Progress, VectorCursor,
    limits::MAX_DATA_BYTES,
    transport::PullRequest,
};

use super::ends::{Ends, after, ids_of};
use crate::{
    sample::{event, events, stamped},
    subject::{Subject, kind},
};

async fn filled(store: &Subject) {
    store.append(events("a", "x", 4)).await;
    let page = vec![stamped("b", "y", 2, 1, 50, &[]), stamped("c", "y", 2, 2, 60, &["b"])];
    store.seed(page).await;
    store.seed(vec![stamped("b", "y", 3, 1, 40, &[])]).await;
    store.append(events("d", "x", 4)).await;
}

pub(super) async fn pull_from_an_empty_log(ends: &Ends<'_>) {
    let (store, way) = ends.fresh().await;
    for request in [PullRequest::default(), after(store.identity().log, Mark::START)] {
        let page = way.pull(request).await.unwrap();
        assert!(page.entries.is_empty() && !page.has_more);
        assert_eq!((page.log, page.next, page.head), (store.identity().log, Mark::START, Mark::START));
    }
}

pub(super) async fn pull_pages_of_every_size(ends: &Ends<'_>) {
    let (store, way) = ends.fresh().await;
    filled(&store).await;
    let all = store.offers().await;
    assert_eq!(all.len(), 11);
    for limit in 1..=12 {
        let pages = way.pages(&PullRequest { limit, ..PullRequest::default() }).await;
        assert!(pages.iter().all(|p| p.entries.len() <= limit), "more than {limit} entries in a page");
        let read: Vec<_> = pages.iter().flat_map(|p| p.entries.clone()).collect();
        assert_eq!(read, all, "entries that no longer count travel, too");
        for page in &pages {
            assert_eq!((page.log, page.head), (store.identity().log, store.head().await.unwrap()));
            let hash = store.hashes(&[page.next.position]).await.unwrap();
            assert_eq!(hash, [Some(page.next.hash)]);
        }
        assert_eq!(pages.last().unwrap().next, store.head().await.unwrap());
    }
}

pub(super) async fn pull_goes_on_as_the_log_grows(ends: &Ends<'_>) {
    let (store, way) = ends.fresh().await;
    let mut mark = Mark::START;
    for n in 1..=4 {
        store.append(events(&format!("{n}-"), "x", n)).await;
        let page = way.pull(after(store.identity().log, mark)).await.unwrap();
        assert_eq!(page.entries.len(), n);
        mark = page.next;
        let page = way.pull(after(store.identity().log, mark)).await.unwrap();
        assert!(page.entries.is_empty() && !page.has_more && page.next == mark);
    }
}

pub(super) async fn pull_without_a_limit_reaches_the_head(ends: &Ends<'_>) {
    let (store, way) = ends.fresh().await;
    for n in 0..3 {
        store.append(events(&format!("{n}-"), &format!("x{n}"), 1_000)).await;
    }
    let read = way.all(&PullRequest::default()).await;
    assert_eq!(read, store.offers().await);
    let read = way.all(&PullRequest { limit: usize::MAX, ..PullRequest::default() }).await;
    assert_eq!(read.len(), 3_000);
}

pub(super) async fn pull_large_pages(ends: &Ends<'_>) {
    let (store, way) = ends.fresh().await;
    for n in 0..12 {
        let mut large = event(&format!("a{n}"), "x", "");
        large.data = if n % 2 == 0 {
            Payload::encoded("bin", (0..MAX_DATA_BYTES).map(|i| (i * 7 % 256) as u8).collect::<Vec<_>>()).unwrap()
        } else {
            Payload::json_text(format!("\"{}\"", "\\u0000\u{fc}".repeat(MAX_DATA_BYTES / 8 - 1))).unwrap()
        };
        store.append(vec![large]).await;
    }
    for limit in [0, 1, 5] {
        let read = way.all(&PullRequest { limit, ..PullRequest::default() }).await;
        assert!(read == store.offers().await, "twelve megabytes came out otherwise than they went in");
    }
}

pub(super) async fn pull_with_a_wrong_cursor_fails(ends: &Ends<'_>) {
    let ((store, way), other) = (ends.fresh().await, ends.store().await);
    store.append(events("a", "x", 5)).await;
    other.append(events("a", "x", 5)).await;
    let (log, head) = (store.identity().log, store.head().await.unwrap());
    let wrong = [
        after(other.identity().log, Mark::START),
        after(other.identity().log, other.head().await.unwrap()),
        after(LogId::from_u128(0), head),
        after(log, other.head().await.unwrap()),
        after(log, Mark { position: 3, hash: Hash::ZERO }),
        after(log, Mark { position: 0, hash: head.hash }),
        after(log, Mark { position: 6, hash: head.hash }),
        after(log, Mark { position: i64::MAX as u64, hash: head.hash }),
        PullRequest { after: other.head().await.unwrap(), ..PullRequest::default() },
    ];
    for request in wrong {
        assert_eq!(kind(way.pull(request.clone()).await), ErrorKind::LogChanged, "{request:?}");
    }
    assert!(way.pull(after(log, head)).await.unwrap().entries.is_empty(), "the right one works as before");
}

pub(super) async fn pull_what_the_cursor_lacks(ends: &Ends<'_>) {
    let (store, way) = ends.fresh().await;
    filled(&store).await;
    store.seed(vec![stamped("other b", "z", 2, 1, 70, &[]), stamped("gap", "z", 4, 9, 80, &[])]).await;
    let own = store.identity().node;
    let progress = |held: &[u64]| Progress::of(held.iter().map(|counter| (*counter, 0)));
    let theirs = [
        (own, progress(&[1, 2, 4])),
        (NodeId::from_u128(2), progress(&[2])),
        (NodeId::from_u128(7), progress(&[i64::MAX as u64])),
    ];
    let theirs = VectorCursor::from_progress(theirs.into_iter().collect()).unwrap();
    let expected = ["a3", "b", "b", "d1", "d2", "d3", "d4", "other b", "gap"];
    for limit in [0, 1, 2, 3, 10, 100] {
        let request = PullRequest { missing_from: Some(theirs.clone()), limit, ..PullRequest::default() };
        assert_eq!(ids_of(&way.all(&request).await), expected, "limit {limit}");
    }
    let everything = PullRequest { missing_from: Some(store.vector().await.unwrap()), ..PullRequest::default() };
    let page = way.pull(everything).await.unwrap();
    assert!(page.entries.is_empty() && !page.has_more);
    assert_eq!(page.next, store.head().await.unwrap());
    let nothing = PullRequest { missing_from: Some(VectorCursor::default()), ..PullRequest::default() };
    assert_eq!(way.all(&nothing).await, store.offers().await);
}
