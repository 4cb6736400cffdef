//! L8: one outcome for each event.

use synckit_core::{
    Event, LogId, NodeId, Payload, Timestamp,
    store::{Apply, Offered, Outcome, Write},
};

use crate::{
    sample::{event, pushed, rivals, stamp, stamped, typed, with_data},
    stores::Stores,
    subject::{codes, ids_of, vertex},
};

fn of_size(id: &str, bytes: usize) -> Event {
    let mut event = event(id, "x", "");
    event.data = Payload::encoded("bin", vec![7; bytes]).unwrap();
    event
}

pub(super) async fn l8_one_outcome_for_each_event_in_order(stores: &Stores<'_>) {
    let store = stores.with(|setup| setup.max_data_bytes = 100).await;
    store.seed(vec![stamped("held", "x", 2, 1, 10, &[])]).await;
    let page = vec![
        stamped("held", "x", 2, 1, 10, &[]),
        stamped("waits", "x", 2, 3, 30, &["unknown"]),
        stamped("new", "x", 2, 4, 40, &["held"]),
        with_data(stamped("held", "x", 2, 5, 50, &[]), "other"),
        stamp(of_size("large", 101), 2, 6, 60, &[]),
        stamped("newer", "x", 2, 7, 70, &["new"]),
        stamped("waits too", "x", 2, 8, 80, &["waits"]),
    ];
    let written = store.pull(page).await;
    let waiting = Some("waiting_for_parent");
    let expected = [None, waiting, None, Some("content_mismatch"), Some("too_large"), None, waiting];
    assert_eq!(codes(&written), expected);
    assert_eq!(written.outcomes[0], Outcome::Duplicate);
    assert_eq!(written.outcomes[2], Outcome::Accepted { position: 2 });
    assert_eq!(written.outcomes[5], Outcome::Accepted { position: 3 });
    assert!(written.outcomes.iter().filter_map(Outcome::refusal).all(|r| !r.detail.is_empty()));
}

pub(super) async fn l8_a_write_of_nothing(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.append(vec![event("a", "x", "1")]).await;
    let head = store.head().await.unwrap();
    for write in [
        Write::Append(Vec::new()),
        Write::Apply(Apply::default()),
        Write::Decide(Vec::new()),
        Write::Review(Vec::new()),
        Write::Withdraw(Vec::new()),
        Write::Restamp(Vec::new()),
        Write::Release(Vec::new()),
    ] {
        let written = store.write(write).await.unwrap();
        assert_eq!((written.outcomes.len(), written.head), (0, head));
    }
    assert_eq!(store.head().await.unwrap(), head);
}

pub(super) async fn l8_too_much_data_is_refused(stores: &Stores<'_>) {
    let store = stores.with(|setup| setup.max_data_bytes = 100).await;
    let written = store.append(vec![of_size("a", 101), of_size("b", 100), of_size("c", 0)]).await;
    assert_eq!(codes(&written), [Some("too_large"), None, None]);
    let written = store.pull(vec![stamp(of_size("d", 101), 2, 1, 1, &[]), stamp(of_size("e", 100), 2, 2, 2, &[])]);
    assert_eq!(codes(&written.await), [Some("too_large"), None]);
    let unstamped = Apply {
        author: Some(NodeId::from_u128(2)),
        entries: vec![Offered::unstamped(of_size("f", 101))],
        ..Apply::default()
    };
    assert_eq!(codes(&store.apply(unstamped).await), [Some("too_large")]);
    assert_eq!(ids_of(&store.all().await), ["b", "c", "e"]);
}

pub(super) async fn l8_ten_mebibytes_are_too_much(stores: &Stores<'_>) {
    const BYTES: usize = 10 * 1024 * 1024;
    let store = stores.fresh().await;
    let written = store.append(vec![event("a", "x", "1"), of_size("large", BYTES), event("b", "x", "1")]).await;
    assert_eq!(codes(&written), [None, Some("too_large"), None]);
    let detail = &written.outcomes[1].refusal().unwrap().detail;
    assert!(detail.contains("10485760") && detail.contains("1048576"), "{detail}");
    let written = store.pull(vec![stamp(of_size("larger", BYTES), 2, 1, 1, &[])]).await;
    assert_eq!(codes(&written), [Some("too_large")]);
    assert_eq!(ids_of(&store.all().await), ["a", "b"]);
}

pub(super) async fn l8_reserved_names_are_refused(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let reserved = || {
        vec![
            typed("synckit.mine", "a", "x"),
            typed("mine", "synckit.a", "x"),
            typed("mine", "a", "synckit.x"),
            typed("synckitmine", "b", "x"),
        ]
    };
    let expected = [Some("invalid"), Some("invalid"), Some("invalid"), None];
    assert_eq!(codes(&store.append(reserved()).await), expected);
    let store = stores.fresh().await;
    let entries: Vec<Offered> = reserved().into_iter().map(Offered::unstamped).collect();
    let unstamped = Apply { author: Some(NodeId::from_u128(2)), entries, ..Apply::default() };
    assert_eq!(codes(&store.apply(unstamped).await), expected);
    assert_eq!(store.all().await.len(), 1);
}

pub(super) async fn l8_an_unknown_kind_of_the_kits_events_is_refused(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.seed(rivals("x")).await;
    let of = |event_type: &str, id: &str, n| stamp(typed(event_type, id, "x"), 2, n, n, &["x-a", "x-b"]);
    let page = vec![
        of("synckit.from-the-future", "synckit.f", 50),
        of("synckit.resolution", "synckit.r", 51),
        of("synckit.conflict", "synckit.c", 52),
        of("synckit.withdrawal", "synckit.w", 53),
        stamped("domain", "x", 2, 54, 54, &["x-a"]),
    ];
    let written = store.pull(page).await;
    assert_eq!(codes(&written), [Some("other"), Some("invalid"), Some("invalid"), Some("invalid"), None]);
    assert_eq!(store.quarantine().await.unwrap().len(), 4);
}

pub(super) async fn l8_an_event_without_stamp_becomes_the_hubs_own(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    store.append(vec![event("a", "x", "1")]).await;
    let entries = vec![Offered::unstamped(event("b", "x", "1")), Offered::unstamped(event("a", "x", "1"))];
    let written =
        store.apply(Apply { author: Some(NodeId::from_u128(2)), entries, ..Apply::default() }).await;
    assert_eq!(written.outcomes, [Outcome::Accepted { position: 2 }, Outcome::Duplicate]);
    let entry = store.entry("b").await.unwrap();
    assert_eq!((entry.stamp.origin, entry.stamp.counter, entry.from), (store.identity().node, 2, None));
    assert_eq!(entry.stamp.parents, [vertex("a")]);
    let changed = Apply {
        author: Some(NodeId::from_u128(2)),
        entries: vec![Offered::unstamped(event("b", "x", "2"))],
        ..Apply::default()
    };
    assert_eq!(codes(&store.apply(changed).await), [Some("content_mismatch")]);
}

pub(super) async fn l8_a_log_without_stamps_is_stamped_alike_everywhere(stores: &Stores<'_>) {
    let plain = LogId::from_u128(0x90);
    let log: Vec<Offered> = (1..=6)
        .map(|n| Offered {
            position: n,
            ..Offered::unstamped(event(&format!("e{n}"), if n % 2 == 0 { "x" } else { "y" }, "1"))
        })
        .collect();
    let (one, other) = (stores.fresh().await, stores.fresh().await);
    let page = |entries: &[Offered]| Apply {
        peer: Some(plain),
        entries: entries.to_vec(),
        hold: true,
        ..Apply::default()
    };
    assert_eq!(one.apply(page(&log)).await.accepted(), 6);
    other.append(vec![event("own", "z", "1")]).await;
    for entries in log.chunks(1) {
        assert_eq!(other.apply(page(entries)).await.accepted(), 1);
    }
    assert_eq!(other.apply(page(&log)).await.duplicates(), 6);
    for n in 1..=6_u64 {
        let (a, b) = (one.entry(&format!("e{n}")).await.unwrap(), other.entry(&format!("e{n}")).await.unwrap());
        assert_eq!(a.stamp, b.stamp);
        assert_eq!((a.stamp.origin, a.stamp.counter, a.from), (NodeId::from(plain), n, Some(plain)));
        let parents = if n > 2 { vec![vertex(&format!("e{}", n - 2))] } else { Vec::new() };
        assert_eq!(a.stamp.parents, parents);
        assert!(a.stamp.timestamp > Timestamp::default());
    }
    let peer = one.apply(pushed(NodeId::from_u128(2), vec![stamped("s", "x", 2, 1, 1, &["e6"])])).await;
    assert_eq!((peer.accepted(), one.heads("x").await), (1, vec!["s".to_owned()]));
    assert_eq!(one.entry("s").await.unwrap().from, None);
}
