//! C2 and C5: decisions.

use synckit_core::{
    ErrorKind, EventId, NodeId,
    decision::{Decision, RESOLUTION},
    store::{Outcome, RefusalCode, Write},
};

use crate::{
    sample::{adopt, event, ids, rivals, stamped},
    stores::Stores,
    subject::{Subject, accepted_at, kind, vertex},
};

async fn in_conflict(stores: &Stores<'_>) -> Subject {
    let store = stores.fresh().await;
    store.seed(rivals("x")).await;
    store
}

/// The decision in the last entry of the log.
async fn last_decision(store: &Subject) -> (Decision, EventId) {
    let entry = store.all().await.pop().unwrap();
    assert_eq!(entry.event.event_type.as_str(), RESOLUTION);
    (Decision::read(&entry.event, &entry.stamp.parents).unwrap(), entry.event.id)
}

pub(super) async fn c2_a_decision_closes_its_conflict(stores: &Stores<'_>) {
    let store = in_conflict(stores).await;
    let conflict = store.conflict("x").await;
    let draft = adopt(&conflict, "x-a", true);
    assert_eq!(store.decide(draft).await.unwrap(), Outcome::Accepted { position: 3 });
    let (decision, event_id) = last_decision(&store).await;
    let entry = store.all().await.pop().unwrap();
    assert_eq!(entry.stamp.parents, [vertex("x-a"), vertex("x-b")], "its parents are the heads it decides");
    assert_eq!((entry.stamp.origin, entry.stamp.counter, entry.from), (store.identity().node, 1, None));
    assert_eq!(decision.decided_at.as_micros(), crate::sample::NOW, "by the clock of the node that decides");
    let rows = store.decisions(&conflict.id).await.unwrap();
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    assert_eq!((&row.vertex, &row.event), (&decision.vertex(&event_id), &event_id));
    assert_eq!((&row.aggregate, &row.conflict), (&conflict.aggregate, &Some(conflict.id.clone())));
    assert_eq!(decision.decision, Some(row.vertex.clone()), "a machine's decision has an id of its own");
    assert_eq!(store.count_conflicts().await.unwrap(), 0);
    assert_eq!((store.view("x").await, store.heads("x").await), (vec!["x-a".into()], vec![row.vertex.to_string()]));
    store.append(vec![event("next", "x", "1")]).await;
    assert_eq!(store.parents("next").await, std::slice::from_ref(&row.vertex));
    assert_eq!(store.view("x").await, ["x-a", "next"]);
    assert_eq!(store.all().await.len(), 4, "both sides stay in the log");
}

pub(super) async fn c2_a_persons_decision_keeps_what_was_named(stores: &Stores<'_>) {
    let store = in_conflict(stores).await;
    store.seed(vec![stamped("x-c", "x", 3, 7, 30, &["x-b"])]).await;
    let graph = store.graph("x").await;
    let conflict = graph.conflict().unwrap();
    let mut decision = graph.keep(&conflict.heads, &ids(&["x-a", "x-c"])).unwrap();
    decision.user = Some("Zoë \"Z\" O'Neil".into());
    decision.session = Some("s-1".into());
    decision.reasons = vec!["both\nare right".into()];
    let mut draft = adopt(&conflict, "x-a", false);
    draft.decision = decision;
    assert!(matches!(store.decide(draft).await.unwrap(), Outcome::Accepted { .. }));
    let (held, event_id) = last_decision(&store).await;
    assert_eq!(held.user.as_deref(), Some("Zoë \"Z\" O'Neil"));
    assert_eq!((held.session.as_deref(), held.reasons), (Some("s-1"), vec!["both\nare right".into()]));
    assert_eq!(held.decision, None);
    assert_eq!(store.heads("x").await, [event_id.to_string()]);
    let mut view = store.view("x").await;
    view.sort_unstable();
    assert_eq!(view, ["x-a", "x-b", "x-c"], "a head stands for its whole side");
}

pub(super) async fn c2_a_decision_on_what_changed_is_stale(stores: &Stores<'_>) {
    let store = in_conflict(stores).await;
    let old = adopt(&store.conflict("x").await, "x-a", true);
    store.seed(vec![stamped("x-c", "x", 4, 1, 30, &[])]).await;
    let head = store.head().await.unwrap();
    assert_eq!(store.decide(old.clone()).await.unwrap(), Outcome::Stale, "the conflict has grown");
    assert_eq!(store.head().await.unwrap(), head);
    let mut anyway = old;
    anyway.expect_heads = false;
    assert!(matches!(store.decide(anyway).await.unwrap(), Outcome::Accepted { .. }));
    assert_eq!(store.heads("x").await.len(), 2, "a smaller conflict is left");
    let current = adopt(&store.conflict("x").await, "x-c", true);
    store.append(vec![event("next", "x", "1")]).await;
    let fresh = adopt(&store.conflict("x").await, "next", true);
    let written = store.write(Write::Decide(vec![current, fresh])).await.unwrap();
    assert_eq!(written.outcomes[0], Outcome::Stale);
    assert!(matches!(written.outcomes[1], Outcome::Accepted { .. }), "a stale one does not harm the rest");
    assert_eq!(store.count_conflicts().await.unwrap(), 0);
}

pub(super) async fn c2_a_decision_on_what_is_not_there_fails(stores: &Stores<'_>) {
    let store = in_conflict(stores).await;
    let mut draft = adopt(&store.conflict("x").await, "x-a", true);
    draft.parents[0] = vertex("unknown");
    let error = store.decide(draft).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("unknown"), "{error}");
    let mut draft = adopt(&store.conflict("x").await, "x-a", true);
    draft.decision.adopts = vec![vertex("elsewhere")];
    assert_eq!(kind(store.decide(draft).await), ErrorKind::Invalid);
    assert_eq!(store.all().await.len(), 2);
}

pub(super) async fn c2_a_machines_decision_is_one_however_often_it_is_taken(stores: &Stores<'_>) {
    let (one, other) = (in_conflict(stores).await, in_conflict(stores).await);
    let conflict = one.conflict("x").await;
    one.decide(adopt(&conflict, "x-a", true)).await.unwrap();
    let mut again = adopt(&conflict, "x-a", true);
    again.expect_heads = false;
    assert_eq!(one.decide(again).await.unwrap(), Outcome::Duplicate);
    other.decide(adopt(&other.conflict("x").await, "x-a", true)).await.unwrap();
    assert_eq!(one.heads("x").await, other.heads("x").await);
    let copy = other.offers().await.pop().unwrap();
    assert_ne!(copy.event.id, one.all().await[2].event.id);
    assert_eq!(accepted_at(&one.pull(vec![copy.clone()]).await), [4]);
    assert_eq!(one.pull(vec![copy]).await.outcomes, [Outcome::Duplicate]);
    assert_eq!(one.heads("x").await, other.heads("x").await);
    assert_eq!(one.graph("x").await.vertices().len(), 3, "copies of one decision are one vertex");
    assert_eq!(one.decisions(&conflict.id).await.unwrap().len(), 1);
    assert!(one.in_conflict().await.is_empty());
}

pub(super) async fn c2_a_decision_of_another_replica_counts(stores: &Stores<'_>) {
    let (one, other) = (in_conflict(stores).await, in_conflict(stores).await);
    other.decide(adopt(&other.conflict("x").await, "x-a", false)).await.unwrap();
    other.append(vec![event("next", "x", "1")]).await;
    let written = one.pull(other.offers().await).await;
    assert_eq!((written.accepted(), written.duplicates()), (2, 2));
    assert_eq!(one.graph("x").await.heads(), other.graph("x").await.heads());
    assert_eq!(one.view("x").await, ["x-a", "next"]);
    assert!(one.in_conflict().await.is_empty());
    let waits = stores.fresh().await;
    let offers = other.offers().await;
    waits.seed(offers[..1].to_vec()).await;
    let written = waits.pull(offers[2..].to_vec()).await;
    let reasons: Vec<_> = written.outcomes.iter().map(|o| o.refusal().unwrap().code).collect();
    assert_eq!(reasons, [RefusalCode::WaitingForParent; 2], "a decision waits for what it decides");
}

pub(super) async fn c2_a_merged_event_comes_out_byte_for_byte(stores: &Stores<'_>) {
    let store = in_conflict(stores).await;
    let conflict = store.conflict("x").await;
    let text = format!(
        r#"{{"conflict":"{}","adopts":["x-a"],"hidden":["x-a"],"merged":[{{"id":"m","type":"merged","data":{{"big":9007199254740993,"e":1e400,"nul":"\u0000"}},"metadata":{{"k":1.0}}}}],"outcome":"merge","resolver":"r","decided_at":5}}"#,
        conflict.id
    );
    let mut source = crate::sample::stamp(event("synckit.e.1", "x", ""), 4, 1, 50, &["x-a", "x-b"]);
    source.event.event_type = synckit_core::EventType::new(RESOLUTION).unwrap();
    source.event.data = synckit_core::Payload::json_text(text).unwrap();
    store.seed(vec![source.clone()]).await;
    assert_eq!(store.entry("synckit.e.1").await.unwrap().event, source.event);
    let decision = last_decision(&store).await.0;
    let mut draft = adopt(&conflict, "x-a", true);
    draft.expect_heads = false;
    draft.decision.hidden = decision.hidden.clone();
    draft.decision.merged = decision.merged.clone();
    let outcome = store.decide(draft).await.unwrap();
    assert_eq!(outcome, Outcome::Accepted { position: 4 });
    let (rewritten, _) = last_decision(&store).await;
    assert_eq!(rewritten.merged[0].data.get(), r#"{"big":9007199254740993,"e":1e400,"nul":"\u0000"}"#);
    assert_eq!(rewritten.merged[0].metadata.as_ref().unwrap().get(), r#"{"k":1.0}"#);
    let view = store.graph("x").await.view();
    assert_eq!(view.iter().map(|e| e.id().as_str()).collect::<Vec<_>>(), ["m"]);
}

pub(super) async fn c2_disputed_aggregates_in_pages(stores: &Stores<'_>) {
    let store = stores.fresh().await;
    let names = ["Z", "a", "a ", "b", "c", "\u{e4}", "\u{1F980}"];
    for (n, name) in names.into_iter().enumerate() {
        store.seed(rivals(name)).await;
        if n % 2 == 0 {
            store.decide(adopt(&store.conflict(name).await, &format!("{name}-a"), true)).await.unwrap();
        }
        store.append(vec![event(&format!("calm {name}"), &format!("calm {name}"), "1")]).await;
    }
    for limit in 1..=8 {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = store.disputed(after.as_ref(), limit).await.unwrap();
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            after = Some(last.clone());
            found.extend(page.iter().map(ToString::to_string));
        }
        assert_eq!(found, names, "those that are settled may not count in full, too; limit {limit}");
    }
}

pub(super) async fn c2_a_person_outranks_a_machine(stores: &Stores<'_>) {
    let store = in_conflict(stores).await;
    let conflict = store.conflict("x").await;
    for (head, by_machine) in [("x-a", true), ("x-b", false), ("x-a", false), ("x-b", true)] {
        let mut draft = adopt(&conflict, head, by_machine);
        draft.expect_heads = false;
        store.clock.advance(1_000);
        assert!(matches!(store.decide(draft).await.unwrap(), Outcome::Accepted { .. }));
    }
    assert!(store.in_conflict().await.is_empty());
    assert_eq!(store.view("x").await, ["x-a"], "of two persons, the later");
    assert_eq!(store.decisions(&conflict.id).await.unwrap().len(), 4);
    let heads = store.heads("x").await;
    assert_eq!(heads.len(), 4, "settled heads are heads still");
    store.append(vec![event("next", "x", "1")]).await;
    assert_eq!(store.heads("x").await, ["next"], "an event takes along what its lead settles");
    let origin = store.entry("next").await.unwrap().stamp.origin;
    assert_ne!(origin, NodeId::from_u128(2));
}
