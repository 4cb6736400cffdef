//! Each check fails on what it is there for.

use synckit_core::{
    ConflictId, EventId, Payload, VertexId,
    decision::{Decision, RESOLUTION, WITHDRAWAL},
    store::{LogEntry, ReviewRow},
};
use synckit_resolve::workflow::{WorkflowFilter, WorkflowOutcome, Workflows};

use super::{
    Replica, one, rivals,
    sample::{a, event, stamped},
    vertex,
};
use crate::oracle::{History, Violation, decisions, heads, newest_write, people, reviews, views, workflows};

fn invariant(found: Result<(), Violation>) -> &'static str {
    found.unwrap_err().invariant
}

fn of(log: &[LogEntry]) -> History {
    History::of(&a(), log).unwrap()
}

/// The log of a replica, without one entry.
fn without(replica: &Replica, id: &str) -> Vec<LogEntry> {
    replica.log().into_iter().filter(|e| e.event.id.as_str() != id).collect()
}

/// The history of the replica's log with its decisions changed.
fn redecided(replica: &Replica, change: impl Fn(&mut Decision)) -> History {
    let mut log = replica.log();
    for entry in log.iter_mut().filter(|e| e.event.event_type.as_str() == RESOLUTION) {
        let mut decision: Decision = serde_json::from_slice(entry.event.data.bytes()).unwrap();
        change(&mut decision);
        entry.event.data = Payload::json(&decision).unwrap();
    }
    of(&log)
}

/// A machine's id for what a changed decision says now.
fn renamed(decision: &mut Decision) {
    decision.decision = Some(decision.machine_id(&a(), &[vertex("x"), vertex("y")]));
}

#[test]
fn what_is_no_history() {
    let one = rivals();
    let mut log = one.log();
    log.extend(one.log());
    assert_eq!(History::of(&a(), &log).unwrap_err().invariant, "L2");
    one.last_write_wins();
    let mut log = one.log();
    log[2].event.data = Payload::json("no decision").unwrap();
    assert_eq!(History::of(&a(), &log).unwrap_err().invariant, "C2");
    let mut log = one.log();
    log[0].stamp.parents = vec![vertex("y")];
    log[1].stamp.parents = vec![vertex("x")];
    assert_eq!(History::of(&a(), &log).unwrap_err().invariant, "L3");
    let mut log = one.log();
    log[0].event.event_type = synckit_core::EventType::new("synckit.unheard").unwrap();
    assert_eq!(History::of(&a(), &log).unwrap_err().invariant, "L9");
}

#[test]
fn heads_that_differ() {
    let one = rivals();
    let (graph, open) = (one.graph(), one.open());
    assert!(open.is_some());
    let check = |log: &[LogEntry]| heads::check(&of(log), &graph, open.as_ref());
    check(&one.log()).unwrap();
    assert_eq!(invariant(check(&without(&one, "x"))), "C0");
    let mut log = one.log();
    log[1].stamp.timestamp = log[1].stamp.timestamp.plus(1);
    assert_eq!(invariant(check(&log)), "C0");
    let more = one;
    more.last_write_wins();
    assert_eq!(invariant(check(&more.log())), "C0");
}

#[test]
fn an_open_conflict_that_is_another_or_none() {
    let one = rivals();
    let (history, graph) = (one.history(), one.graph());
    let other = ConflictId::new("c-other").unwrap();
    assert_eq!(invariant(heads::check(&history, &graph, Some(&other))), "C0");
    assert_eq!(invariant(heads::check(&history, &graph, None)), "C0");
    one.last_write_wins();
    let (history, graph) = (one.history(), one.graph());
    heads::check(&history, &graph, None).unwrap();
    assert_eq!(invariant(heads::check(&history, &graph, Some(&other))), "C0");
}

#[test]
fn views_that_differ() {
    let one = rivals();
    one.last_write_wins();
    assert!(one.append("e", "data"));
    let graph = one.graph();
    let check = |history: &History| views::check(history, &graph);
    check(&one.history()).unwrap();
    assert_eq!(invariant(check(&of(&without(&one, "e")))), "C3");
    let hiding = redecided(&one, |d| d.hidden = vec![EventId::new("y").unwrap()]);
    assert_eq!(invariant(check(&hiding)), "C3");
    let mut log = one.log();
    log[1].stub = true;
    assert_eq!(invariant(check(&of(&log))), "C3");
    let mut log = one.log();
    log.last_mut().unwrap().stamp.parents = vec![vertex("y")];
    let elsewhere = invariant(check(&of(&log)));
    assert_eq!(elsewhere, "C3");
}

#[test]
fn withdrawn_events_that_count() {
    let one = one();
    assert!(one.append("e", "data"));
    let graph = one.graph();
    one.withdraw("e");
    assert_eq!(invariant(views::check(&one.history(), &graph)), "C3");
    let log: Vec<LogEntry> =
        one.log().into_iter().filter(|e| e.event.event_type.as_str() != WITHDRAWAL).collect();
    assert_eq!(invariant(views::check(&of(&log), &one.graph())), "C3");
}

#[test]
fn a_newest_write_that_does_not_count() {
    let one = rivals();
    one.last_write_wins();
    newest_write::check(&one.history()).unwrap();
    let hiding = redecided(&one, |d| {
        d.hidden = vec![EventId::new("y").unwrap()];
        renamed(d);
    });
    assert_eq!(invariant(newest_write::check(&hiding)), "C4");
    assert!(newest_write::check(&redecided(&one, |d| d.decision = None)).is_ok());
}

#[test]
fn a_newest_write_on_a_base_that_does_not_count() {
    let one = rivals();
    one.take(&super::one(), vec![stamped(event("z", "data"), 3, 30, &["y"])]);
    one.last_write_wins();
    newest_write::check(&one.history()).unwrap();
    let torn = redecided(&one, |d| {
        d.adopts = vec![vertex("x")];
        d.restored = vec![EventId::new("z").unwrap()];
    });
    let found = newest_write::check(&torn).unwrap_err();
    assert!(found.what.contains("built on"), "{found:?}");
}

#[test]
fn concurrent_writes_that_both_count() {
    let one = rivals();
    one.last_write_wins();
    let both = redecided(&one, |d| {
        d.adopts = vec![vertex("x"), vertex("y")];
        renamed(d);
    });
    assert_eq!(invariant(newest_write::check(&both)), "C4");
}

#[test]
fn a_person_overturned() {
    let one = rivals();
    one.keep(&["x"]);
    assert!(one.append("e", "data"));
    people::check(&one.history()).unwrap();
    for event in ["x", "y"] {
        let mut history = one.history();
        let of_event = history.index[&vertex(event)];
        let lead = history.lead(&history.head_indices()).unwrap();
        let mut changed = history.empty();
        changed.insert(of_event);
        let view = &mut history.points[lead].view;
        if view.contains(of_event) {
            view.take(&changed)
        } else {
            view.add(&changed)
        }
        assert_eq!(invariant(people::check(&history)), "C5");
    }
}

#[test]
fn decisions_that_are_none() {
    let one = rivals();
    one.last_write_wins();
    let found = |change: fn(&mut Decision)| invariant(decisions::check(&redecided(&one, change)));
    assert_eq!(found(|d| d.adopts.clear()), "C2");
    assert_eq!(found(|d| d.adopts = vec![vertex("z")]), "C2");
    assert_eq!(found(|d| d.adopts = vec![vertex("x")]), "C5");
    assert_eq!(found(|d| d.decision = Some(vertex("synckit.d.other"))), "C5");
    assert_eq!(found(|d| d.conflict = None), "C7");
    assert_eq!(found(|d| d.undoes = d.decision.clone()), "C7");
    assert_eq!(
        found(|d| {
            d.conflict = None;
            d.undoes = Some(vertex("x"));
        }),
        "C7"
    );
    let mut log = one.log();
    log[2].stamp.parents.clear();
    assert_eq!(invariant(decisions::check(&of(&log))), "C2");
}

#[test]
fn copies_of_a_decision_that_are_not_alike() {
    let one = rivals();
    one.last_write_wins();
    let mut log = one.log();
    let mut copy = log[2].clone();
    copy.event.id = EventId::new("synckit.e.copy").unwrap();
    log.push(copy);
    decisions::check(&of(&log)).unwrap();
    log[3].stamp.parents.push(vertex("z"));
    let found = decisions::check(&of(&log)).unwrap_err();
    assert!(found.what.contains("not alike"), "{found:?}");
}

#[test]
fn a_review_queue_that_is_not_the_logs() {
    let one = rivals();
    one.review();
    let (history, graph, listed) = (one.history(), one.graph(), one.reviews());
    reviews::check(&history, &graph, &listed).unwrap();
    assert_eq!(invariant(reviews::check(&history, &graph, &[])), "C6");
    let twice = [listed.clone(), listed.clone()].concat();
    assert_eq!(invariant(reviews::check(&history, &graph, &twice)), "C6");
    let mut other = listed.clone();
    other[0].reason.clear();
    assert_eq!(invariant(reviews::check(&history, &graph, &other)), "C6");
    let lost = of(&without(&one, listed[0].event.as_str()));
    assert_eq!(invariant(reviews::check(&lost, &graph, &listed)), "C6");
}

#[test]
fn a_workflow_that_waits_for_nobody_or_nobody_waits_in() {
    let one = rivals();
    one.review();
    let (graph, listed) = (one.graph(), one.reviews());
    let of = |rows: &[ReviewRow], workflows: &Workflows| {
        let summaries = workflows.list(&WorkflowFilter::default());
        workflows::check(&summaries, rows.iter().map(|row| (&graph, row)))
    };
    let workflows = Workflows::default();
    assert_eq!(invariant(of(&listed, &workflows)), "C6");
    let now = synckit_core::Timestamp::from_micros(1);
    let waits = WorkflowOutcome::ManualReview { reason: "unclear".into() };
    workflows.settle(&listed[0].conflict, &a(), waits, now).unwrap();
    of(&listed, &workflows).unwrap();
    assert_eq!(invariant(of(&[], &workflows)), "C6");
    workflows.start(&ConflictId::new("another").unwrap(), &a(), now).unwrap();
    assert_eq!(invariant(of(&listed, &workflows)), "C6");
}

#[test]
fn something_built_on_a_review() {
    let one = rivals();
    one.review();
    let mut log = one.log();
    log[1].stamp.parents = vec![VertexId::from(&one.reviews()[0].event)];
    let found = reviews::check(&of(&log), &one.graph(), &one.reviews());
    assert_eq!(invariant(found), "C6");
}
