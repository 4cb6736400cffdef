//! Workflows moved by hand.

use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use synckit_core::ConflictId;
use synckit_machine::{Note, State, Transition};
use synckit_resolve::workflow::{
    RuleVerdict, WorkflowError, WorkflowFilter, WorkflowLimits, WorkflowObserver, WorkflowOutcome,
    WorkflowState, Workflows,
};

use crate::support::{DAY, aggregate, at, conflict_id, evaluation, resolved, review, small, states};

#[test]
fn a_summary_tells_the_whole_story() {
    let workflows = Workflows::default();
    let id = conflict_id("c");
    let run = workflows.start(&id, &aggregate("a"), at(10)).unwrap();
    assert_eq!(workflows.active().len(), 1);
    assert_eq!(workflows.run(&id).unwrap(), run);
    workflows.apply(&run, Note::new(), at(11)).unwrap();
    for (rule, verdict) in
        [("one", RuleVerdict::Failed), ("two", RuleVerdict::NotMatched), ("three", RuleVerdict::Matched)]
    {
        workflows.evaluated(&run, evaluation(rule, verdict)).unwrap();
    }
    workflows.end(&run, resolved(), at(15)).unwrap();

    let summary = workflows.get(&id).unwrap();
    assert_eq!((summary.state, summary.run, summary.duration()), (WorkflowState::Resolved, 1, 5));
    assert_eq!((summary.evaluated, summary.matched, summary.failed), (3, 1, 1));
    assert_eq!(summary.evaluations[2], evaluation("three", RuleVerdict::Matched));
    assert_eq!(summary.reasons(), ["she knows"]);
    let times: Vec<u64> = summary.path.iter().map(|step| step.at).collect();
    assert_eq!(times, [10, 11, 15]);
    assert!(workflows.active().is_empty());
    assert!(workflows.to_dot(&id).unwrap().contains("\"resolved\" [style=filled"));
}

#[test]
fn the_number_of_evaluations_is_bounded_but_all_are_counted() {
    let workflows = Workflows::default();
    let id = conflict_id("c");
    let run = workflows.start(&id, &aggregate("a"), at(1)).unwrap();
    for n in 0..1_000 {
        workflows.evaluated(&run, evaluation(&n.to_string(), RuleVerdict::Matched)).unwrap();
    }
    let summary = workflows.get(&id).unwrap();
    assert_eq!((summary.evaluated, summary.evaluations.len()), (1_000, 200));
    assert_eq!(summary.evaluations[199].rule, "999");
}

#[test]
fn a_conflict_that_is_taken_up_anew_keeps_its_path() {
    use WorkflowState::{Analyzing, Failed, Idle, ManualReview};
    let workflows = Workflows::default();
    let id = conflict_id("c");
    let first = workflows.start(&id, &aggregate("a"), at(1)).unwrap();
    let second = workflows.start(&id, &aggregate("a"), at(2)).unwrap();
    let superseded = Err(WorkflowError::Superseded { conflict: id.clone(), run: 1 });
    assert_eq!(workflows.end(&first, resolved(), at(3)), superseded);
    workflows.apply(&second, Note::new(), at(3)).unwrap();
    workflows.end(&second, review(), at(4)).unwrap();
    let third = workflows.start(&id, &aggregate("a"), at(5)).unwrap();
    assert_eq!(third.number(), 3);

    let summary = workflows.get(&id).unwrap();
    assert_eq!(
        states(&summary),
        [Analyzing, Failed, Idle, Analyzing, WorkflowState::ApplyingRules, ManualReview, Idle, Analyzing]
    );
    assert_eq!(summary.path[1].note["reason"], "the conflict was taken up anew");
    assert_eq!((summary.started_at, summary.outcome), (at(5), None));
}

#[test]
fn what_waits_can_be_answered_later() {
    let workflows = Workflows::default();
    let id = conflict_id("c");
    let run = workflows.start(&id, &aggregate("a"), at(1)).unwrap();
    let too_soon = workflows.end(&run, resolved(), at(2)).unwrap_err();
    assert!(matches!(too_soon, WorkflowError::Refused(_)));
    workflows.apply(&run, Note::new(), at(2)).unwrap();
    workflows.end(&run, review(), at(3)).unwrap();
    let later = workflows.run(&id).unwrap();
    workflows.end(&later, WorkflowOutcome::Escalated { reason: "ask bob".into() }, at(4)).unwrap();
    workflows.end(&later, resolved(), at(9)).unwrap();
    assert_eq!(workflows.get(&id).unwrap().duration(), 8);
}

#[test]
fn lists_are_of_what_is_meant() {
    let workflows = Workflows::default();
    for (n, of) in ["a", "b", "a"].into_iter().enumerate() {
        let run = workflows.start(&conflict_id(&n.to_string()), &aggregate(of), at(1)).unwrap();
        if n < 2 {
            workflows.apply(&run, Note::new(), at(1)).unwrap();
            workflows.end(&run, review(), at(1)).unwrap();
        }
    }
    let count = |filter: WorkflowFilter| workflows.list(&filter).len();
    let (state, of) = (Some(WorkflowState::ManualReview), Some(aggregate("a")));
    assert_eq!(count(WorkflowFilter::default()), 3);
    assert_eq!(count(WorkflowFilter { state, aggregate: None }), 2);
    assert_eq!(count(WorkflowFilter { state: None, aggregate: of.clone() }), 2);
    assert_eq!(count(WorkflowFilter { state, aggregate: of }), 1);
}

fn ended(workflows: &Workflows, name: &str, outcome: WorkflowOutcome, now: u64) {
    let run = workflows.start(&conflict_id(name), &aggregate(name), at(now)).unwrap();
    workflows.apply(&run, Note::new(), at(now)).unwrap();
    workflows.end(&run, outcome, at(now)).unwrap();
}

fn names(workflows: &Workflows) -> Vec<String> {
    workflows.list(&WorkflowFilter::default()).iter().map(|s| s.conflict.to_string()).collect()
}

#[test]
fn what_ended_is_forgotten_after_a_day_and_what_waits_is_not() {
    let workflows = Workflows::default();
    ended(&workflows, "done", resolved(), 1);
    ended(&workflows, "waits", review(), 1);
    ended(&workflows, "later", resolved(), DAY + 1);
    assert_eq!(names(&workflows), ["done", "later", "waits"]);
    ended(&workflows, "last", resolved(), DAY + 2);
    assert_eq!(names(&workflows), ["last", "later", "waits"]);
}

#[test]
fn the_oldest_are_forgotten_beyond_the_limit_and_what_waits_goes_last() {
    let workflows = Workflows::new(small(10, 2));
    for (n, outcome) in [review(), resolved(), review(), review(), resolved()].into_iter().enumerate() {
        ended(&workflows, &n.to_string(), outcome, n as u64);
    }
    workflows.start(&conflict_id("x"), &aggregate("x"), at(9)).unwrap();
    assert_eq!(names(&workflows), ["2", "3", "x"]);
}

#[test]
fn no_more_are_active_than_allowed() {
    let workflows = Workflows::new(small(1, 10));
    let id = conflict_id("one");
    workflows.start(&id, &aggregate("a"), at(1)).unwrap();
    let refused = workflows.start(&conflict_id("two"), &aggregate("a"), at(1)).unwrap_err();
    assert_eq!(refused, WorkflowError::TooMany { limit: 1 });
    assert!(workflows.get(&conflict_id("two")).is_none());
    assert_eq!(workflows.start(&id, &aggregate("a"), at(2)).unwrap().number(), 2);
    assert_eq!(WorkflowLimits::default().active, 1_000);
}

#[test]
fn the_rules_are_those_that_are_documented() {
    let rules = WorkflowState::rules();
    let all: Vec<String> = rules
        .states()
        .iter()
        .map(|from| {
            let to: Vec<&str> = rules.targets(*from).iter().map(State::name).collect();
            format!("{} -> {}", from.name(), to.join(","))
        })
        .collect();
    assert_eq!(
        all,
        [
            "idle -> analyzing",
            "analyzing -> applying_rules,failed",
            "applying_rules -> resolved,manual_review,escalated,failed",
            "failed -> idle",
            "resolved -> idle",
            "manual_review -> resolved,escalated,failed,idle",
            "escalated -> resolved,failed,idle",
        ]
    );
    let serde_name = |state: &WorkflowState| serde_json::to_value(state).unwrap();
    assert!(rules.states().iter().all(|state| serde_name(state) == state.name()));
}

proptest! {
    #[test]
    fn whatever_is_asked_a_workflow_keeps_to_its_rules(asked in proptest::collection::vec((0..6_u8, 0..3_u8), 0..60)) {
        let workflows = Workflows::new(small(2, 3));
        let mut runs = Vec::new();
        for (now, (what, which)) in asked.into_iter().enumerate() {
            let (id, now) = (conflict_id(&which.to_string()), at(now as u64));
            if what == 0 {
                runs.extend(workflows.start(&id, &aggregate("a"), now));
            } else if let Some(run) = runs.iter().rev().find(|run| run.conflict() == &id) {
                let reason = "so".to_owned();
                let _ = match what {
                    1 => workflows.apply(run, Note::new(), now),
                    2 => workflows.end(run, resolved(), now),
                    3 => workflows.end(run, review(), now),
                    4 => workflows.end(run, WorkflowOutcome::Escalated { reason }, now),
                    _ => workflows.end(run, WorkflowOutcome::Failed { reason }, now),
                };
            }
            prop_assert!(workflows.active().len() <= 2);
        }
        for summary in workflows.list(&WorkflowFilter::default()) {
            let rules = WorkflowState::rules();
            prop_assert!(summary.path.iter().all(|step| rules.allows(step.from, step.to)));
            prop_assert!(summary.path.windows(2).all(|steps| steps[0].to == steps[1].from));
            prop_assert_eq!(summary.path.last().unwrap().to, summary.state);
            prop_assert_eq!(summary.outcome.is_none(), summary.state.is_active());
        }
    }
}

#[test]
fn what_was_decided_elsewhere_ends_a_workflow_from_any_state() {
    use WorkflowState::{Analyzing, ApplyingRules, Escalated, Failed, ManualReview, Resolved};
    let escalated = || WorkflowOutcome::Escalated { reason: "nobody answered".into() };
    let failed = || WorkflowOutcome::Failed { reason: "no".into() };
    let outcomes: [fn() -> WorkflowOutcome; 4] = [resolved, review, escalated, failed];
    let workflows = Workflows::default();
    for (i, first) in outcomes.iter().enumerate() {
        for (j, second) in outcomes.iter().enumerate() {
            let id = conflict_id(&format!("{i}-{j}"));
            workflows.settle(&id, &aggregate("a"), first(), at(1)).unwrap();
            workflows.settle(&id, &aggregate("a"), second(), at(2)).unwrap();
            let summary = workflows.get(&id).unwrap();
            assert_eq!(summary.state, second().state(), "{i} {j}");
            assert_eq!(summary.outcome, Some(second()));
        }
    }
    let id = conflict_id("answered");
    workflows.settle(&id, &aggregate("a"), review(), at(1)).unwrap();
    workflows.settle(&id, &aggregate("a"), escalated(), at(2)).unwrap();
    workflows.settle(&id, &aggregate("a"), resolved(), at(3)).unwrap();
    let summary = workflows.get(&id).unwrap();
    assert_eq!(states(&summary), [Analyzing, ApplyingRules, ManualReview, Escalated, Resolved]);
    assert_eq!(summary.run, 1, "an answer ends the run that waits for it");
    workflows.start(&id, &aggregate("a"), at(4)).unwrap();
    workflows.settle(&id, &aggregate("a"), resolved(), at(5)).unwrap();
    let summary = workflows.get(&id).unwrap();
    assert!(states(&summary).contains(&Failed), "what was under way does not end well");
    assert_eq!(summary.state, Resolved);
}

#[derive(Debug, Default)]
struct Told {
    seen: Mutex<Vec<(String, WorkflowState)>>,
    workflows: Mutex<Option<Workflows>>,
    panics: bool,
}

impl WorkflowObserver for Told {
    fn transitioned(&self, conflict: &ConflictId, transition: &Transition<WorkflowState>) {
        assert!(!self.panics, "an observer that goes wrong");
        if let Some(workflows) = &*self.workflows.lock().unwrap() {
            assert!(workflows.get(conflict).is_some(), "nothing is locked meanwhile");
        }
        self.seen.lock().unwrap().push((conflict.to_string(), transition.to));
    }
}

#[test]
fn observers_are_told_of_all_transitions_in_their_order() {
    use WorkflowState::{Analyzing, ApplyingRules, ManualReview, Resolved};
    let workflows = Workflows::default();
    workflows.settle(&conflict_id("before"), &aggregate("a"), review(), at(1)).unwrap();
    let told = Arc::new(Told::default());
    *told.workflows.lock().unwrap() = Some(workflows.clone());
    workflows.observe(Arc::new(Told { panics: true, ..Told::default() }));
    workflows.observe(Arc::clone(&told) as Arc<dyn WorkflowObserver>);
    let id = conflict_id("c");
    workflows.settle(&id, &aggregate("a"), review(), at(1)).unwrap();
    workflows.settle(&id, &aggregate("a"), resolved(), at(2)).unwrap();
    let seen = told.seen.lock().unwrap();
    let expected = [Analyzing, ApplyingRules, ManualReview, Resolved].map(|s| ("c".to_owned(), s));
    assert_eq!(*seen, expected);
}
