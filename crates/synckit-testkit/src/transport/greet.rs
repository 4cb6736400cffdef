//! Who is there, and is it still who it was?

use synckit_core::{Hash, LogId, Mark, store::ReadRequest, transport::Greeting};

use super::ends::Ends;
use crate::{
    sample::{event, events, stamped},
    subject::Subject,
};

async fn marks(store: &Subject) -> Vec<Mark> {
    let page = store.read(ReadRequest::default()).await.unwrap();
    page.entries.iter().map(|e| Mark { position: e.position, hash: e.hash }).collect()
}

fn greeting(log: Option<LogId>, marks: &[Mark]) -> Greeting {
    Greeting { log, marks: marks.to_vec(), wants_vector: false }
}

pub(super) async fn greet_an_empty_log(ends: &Ends<'_>) {
    let (store, way) = ends.fresh().await;
    let peer = way.greet(Greeting::default()).await.unwrap();
    assert_eq!((peer.log, peer.head), (store.identity().log, Mark::START));
    assert!(peer.verified && peer.keeps_stamps && peer.vector.is_none());
    let peer = way.greet(greeting(Some(peer.log), &[Mark::START])).await.unwrap();
    assert!(peer.verified, "every log begins at the beginning");
}

pub(super) async fn greet_says_who_is_there(ends: &Ends<'_>) {
    let (store, way) = ends.fresh().await;
    store.append(events("a", "x", 3)).await;
    let (peer, identity) = (way.greet(Greeting::default()).await.unwrap(), store.identity());
    assert_eq!((peer.log, peer.node, peer.mode), (identity.log, identity.node, identity.mode));
    assert_eq!(peer.head, store.head().await.unwrap());
}

pub(super) async fn greet_verifies_marks(ends: &Ends<'_>) {
    let (store, way) = ends.fresh().await;
    store.append(events("a", "x", 5)).await;
    let (log, marks) = (store.identity().log, marks(&store).await);
    let verified = async |marks: &[Mark]| way.greet(greeting(Some(log), marks)).await.unwrap().verified;
    assert!(verified(&[]).await);
    assert!(verified(&marks).await);
    assert!(verified(&[marks[4], marks[0], Mark::START, marks[4]]).await);
    let wrong = Mark { hash: Hash::of(b"wrong"), ..marks[2] };
    let beyond = Mark { position: 6, hash: marks[4].hash };
    let shifted = Mark { position: 3, hash: marks[3].hash };
    let zero = Mark { position: 0, hash: marks[0].hash };
    let far = Mark { position: i64::MAX as u64, hash: marks[0].hash };
    for bad in [wrong, beyond, shifted, zero, far] {
        assert!(!verified(&[bad]).await, "{bad:?}");
        assert!(!verified(&[marks[0], bad]).await, "{bad:?} is the second of two");
        assert!(!verified(&[bad, marks[4]]).await, "{bad:?} is the first of two");
    }
}

pub(super) async fn greet_notices_another_log(ends: &Ends<'_>) {
    let ((old, _), (new, way)) = (ends.fresh().await, ends.fresh().await);
    old.append(events("a", "x", 3)).await;
    new.append(events("b", "x", 5)).await;
    let (theirs, seen) = (old.identity().log, marks(&old).await);
    let peer = way.greet(greeting(Some(theirs), &[])).await.unwrap();
    assert!(!peer.verified, "another log answers");
    assert_eq!(peer.log, new.identity().log);
    assert!(!way.greet(greeting(Some(theirs), &[Mark::START])).await.unwrap().verified);
    assert!(!way.greet(greeting(None, &seen)).await.unwrap().verified);
    assert!(!way.greet(greeting(Some(peer.log), &seen)).await.unwrap().verified);
    assert!(way.greet(greeting(Some(peer.log), &marks(&new).await)).await.unwrap().verified);
}

pub(super) async fn greet_gives_what_the_peer_holds(ends: &Ends<'_>) {
    let (store, way) = ends.fresh().await;
    let ask = Greeting { wants_vector: true, ..Greeting::default() };
    assert_eq!(way.greet(ask.clone()).await.unwrap().vector, Some(store.vector().await.unwrap()));
    store.append(events("a", "x", 3)).await;
    store.seed(vec![stamped("b", "y", 2, 7, 1, &[]), stamped("c", "y", 2, 3, 2, &[])]).await;
    store.seed(vec![stamped("d", "y", u128::MAX, i64::MAX as u64, 3, &[])]).await;
    store.seed(vec![stamped("e", "y", 2, 7, 4, &[])]).await;
    let peer = way.greet(ask).await.unwrap();
    assert_eq!(peer.vector, Some(store.vector().await.unwrap()));
    assert!(way.greet(Greeting::default()).await.unwrap().vector.is_none());
}

pub(super) async fn greet_sees_what_was_written_meanwhile(ends: &Ends<'_>) {
    let (store, way) = ends.fresh().await;
    for n in 1..=5 {
        store.append(vec![event(&format!("a{n}"), "x", "1")]).await;
        let peer = way.greet(Greeting::default()).await.unwrap();
        assert_eq!((peer.head.position, peer.head), (n, store.head().await.unwrap()));
    }
}
