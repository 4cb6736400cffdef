//! Deciding by rules.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "../spec/support.rs"]
#[allow(dead_code, reason = "it is shared with the tests of specs")]
mod support;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use serde_json::json;
use synckit_resolve::{
    Choice, Conflict, ConflictResolver, DynamicResolver, FirstWriteWins, LastWriteWins, Limits, ManualReview,
    ObservableResolver, Reads, Resolution, ResolutionMetrics, ResolutionObserver, ResolveError, Rule,
    RuleGroup, RuleInfo, RulesError, Spec,
    workflow::{StatefulResolver, Workflows},
};

use support::{conflict, event, forked};

fn gates() -> Conflict {
    forked(
        &json!({"gate": "A1", "crew": 1}),
        &json!({"gate": "A2", "crew": 1}),
        &json!({"gate": "A3", "crew": 1}),
    )
}

fn of_type(name: &str) -> Spec {
    Spec::event_type(name.parse().unwrap())
}

fn rule(name: &str, spec: Spec) -> Rule {
    Rule::new(name, spec, LastWriteWins::default())
}

/// Who decided: rule, group, resolver.
async fn decided(
    resolver: &DynamicResolver,
    conflict: &Conflict,
) -> (Option<String>, Option<String>, String) {
    match resolver.resolve(conflict).await.unwrap() {
        Resolution::Adopt { rule, group, resolver, .. } => (rule, group, resolver.unwrap_or_default()),
        Resolution::Review { rule, group, .. } => (rule, group, "review".into()),
        other => panic!("{other:?}"),
    }
}

fn by(rule: &str, group: &str, resolver: &str) -> (Option<String>, Option<String>, String) {
    let name = |text: &str| Some(text.to_owned()).filter(|t| !t.is_empty());
    (name(rule), name(group), resolver.into())
}

#[tokio::test]
async fn the_first_rule_that_matches_decides_and_is_named() {
    let resolver = DynamicResolver::builder()
        .rule(rule("crews", Spec::field_changed("crew")))
        .rule(Rule::new("gates", Spec::field_changed("gate"), FirstWriteWins::default()))
        .rule(rule("all", Spec::always()))
        .build()
        .unwrap();
    assert_eq!(decided(&resolver, &gates()).await, by("gates", "", "first_write_wins"));
    assert_eq!(resolver.reads(), Reads::Everything);
}

#[tokio::test]
async fn priorities_go_before_the_order_and_what_is_off_is_passed_over() {
    let resolver = DynamicResolver::builder()
        .rule(rule("first", Spec::always()))
        .rule(rule("strong", Spec::always()).priority(5))
        .rule(rule("strongest", Spec::always()).priority(9).enabled(false))
        .build()
        .unwrap();
    let order: Vec<&str> = resolver.rules().map(|r| r.path).collect();
    assert_eq!(order, ["strongest", "strong", "first"]);
    assert_eq!(decided(&resolver, &gates()).await.0.unwrap(), "strong");
}

#[tokio::test]
async fn a_group_s_fallback_lets_later_groups_decide_unless_it_is_final() {
    let first = RuleGroup::new("first").rule(rule("never", of_type("no.such")));
    let second = || RuleGroup::new("second").rule(rule("gates", Spec::field_changed("gate")));
    let later = DynamicResolver::builder()
        .group(first.clone().fallback(ManualReview::default()))
        .group(second())
        .build()
        .unwrap();
    assert_eq!(decided(&later, &gates()).await, by("second.gates", "second", "last_write_wins"));
    let at_once = DynamicResolver::builder()
        .group(first.clone().final_fallback(ManualReview::default()))
        .group(second())
        .build()
        .unwrap();
    assert_eq!(decided(&at_once, &gates()).await, by("", "first", "review"));
    // Rules before the group go before its fallback all the same.
    let before = DynamicResolver::builder()
        .rule(rule("gates", Spec::field_changed("gate")))
        .group(first.clone().final_fallback(ManualReview::default()))
        .build()
        .unwrap();
    assert_eq!(decided(&before, &gates()).await.0.unwrap(), "gates");
    // With nothing else left, the first fallback decides, that of a subgroup before the one around it.
    let nested = DynamicResolver::builder()
        .group(
            first
                .subgroup(RuleGroup::new("within").fallback(FirstWriteWins::default()))
                .fallback(ManualReview::default()),
        )
        .fallback(LastWriteWins::default())
        .build()
        .unwrap();
    assert_eq!(decided(&nested, &gates()).await, by("", "first.within", "first_write_wins"));
}

#[tokio::test]
async fn groups_are_switched_while_they_are_in_use() {
    let inner = RuleGroup::new("inner").rule(rule("gates", Spec::field_changed("gate")));
    let resolver = DynamicResolver::builder()
        .group(RuleGroup::new("outer").subgroup(inner))
        .fallback(FirstWriteWins::default())
        .build()
        .unwrap();
    assert_eq!(decided(&resolver, &gates()).await.1.unwrap(), "outer.inner");
    let outer = resolver.switch("outer").unwrap();
    outer.set(false);
    assert_eq!(decided(&resolver, &gates()).await, by("", "", "first_write_wins"));
    let stats = resolver.stats();
    assert_eq!((stats[0].name.as_str(), stats[0].enabled, stats[0].total_rules), ("outer", false, 1));
    assert_eq!((stats[1].name.as_str(), stats[1].enabled, stats[1].matched), ("outer.inner", false, 1));
    outer.set(true);
    assert_eq!(decided(&resolver, &gates()).await.1.unwrap(), "outer.inner");
    assert!(resolver.switch("inner").is_none());
}

#[test]
fn rules_that_make_no_sense_are_refused() {
    let never = || of_type("no.such");
    let build = DynamicResolver::builder;
    assert_eq!(build().build().unwrap_err(), RulesError::Empty);
    assert_eq!(build().group(RuleGroup::new("g")).build().unwrap_err(), RulesError::Empty);
    for bad in ["", "a.b", "a\nb"] {
        let error = build().rule(rule(bad, never())).build().unwrap_err();
        assert!(matches!(error, RulesError::BadName { of: "rule", .. }), "{error}");
        let error = build().group(RuleGroup::new(bad).rule(rule("a", never()))).build().unwrap_err();
        assert!(matches!(error, RulesError::BadName { of: "group", .. }), "{error}");
    }
    let twice = RuleGroup::new("inner").rule(rule("a", never())).rule(rule("a", never()));
    let error = build().group(RuleGroup::new("outer").subgroup(twice)).build().unwrap_err();
    assert_eq!(error.to_string(), "there are two rules with the name \"a\" in the group outer.inner");
    let error =
        build().rule(rule("a", never())).rule(rule("b", never())).validator(|rules: &[RuleInfo<'_>]| {
            if rules.len() > 1 { Err(format!("{} rules", rules.len())) } else { Ok(()) }
        });
    assert_eq!(error.build().unwrap_err(), RulesError::Rejected("2 rules".into()));
    let many = RuleGroup::new("g").rule(rule("a", never())).rule(rule("b", never()));
    let error = build().group(many).rules_per_group(1).build().unwrap_err();
    assert!(matches!(error, RulesError::TooManyRules { rules: 2, allowed: 1, .. }), "{error}");
    let deep = (0..40).fold(RuleGroup::new("g").rule(rule("a", never())), |g, i| {
        RuleGroup::new(format!("g{i}")).subgroup(g)
    });
    assert!(matches!(build().group(deep).build().unwrap_err(), RulesError::TooDeep { .. }));
}

/// Answers like `kind`.
#[derive(Debug)]
enum Odd {
    Fails,
    Panics,
}

#[async_trait]
impl ConflictResolver for Odd {
    fn name(&self) -> &str {
        "odd"
    }

    async fn resolve(&self, _: &Conflict) -> Result<Resolution, ResolveError> {
        match self {
            Self::Fails => Err(ResolveError::new("no luck")),
            Self::Panics => panic!("oh"),
        }
    }
}

#[derive(Debug, Default)]
struct Notes(Mutex<Vec<String>>);

impl Notes {
    fn note(&self, text: String) {
        self.0.lock().unwrap().push(text);
    }
}

impl ResolutionObserver for Notes {
    fn on_conflict(&self, conflict: &Conflict) {
        self.note(format!("conflict about {}", conflict.aggregate()));
    }

    fn on_rule_matched(&self, _: &Conflict, rule: &str, group: Option<&str>) {
        self.note(format!("rule {rule} of {group:?}"));
    }

    fn on_fallback(&self, _: &Conflict, group: Option<&str>) {
        self.note(format!("fallback of {group:?}"));
    }

    fn on_resolution(&self, _: &Conflict, resolution: &Resolution, _: Duration) {
        self.note(format!("decided by {:?}", resolution.rule()));
    }

    fn on_error(&self, _: &Conflict, error: &ResolveError, _: Duration) {
        self.note(format!("error: {error}"));
    }
}

/// Panics whenever it is told something.
#[derive(Debug)]
struct Clumsy;

impl ResolutionObserver for Clumsy {
    fn on_conflict(&self, _: &Conflict) {
        panic!("clumsy");
    }
}

#[tokio::test]
async fn observers_are_told_everything_with_names_and_cannot_disturb() {
    let (notes, metrics) = (Arc::new(Notes::default()), Arc::new(ResolutionMetrics::default()));
    let group = RuleGroup::new("g").rule(rule("gates", Spec::field_changed("gate")));
    let group = group.rule(Rule::new("odd", of_type("odd"), Odd::Fails));
    let resolver = DynamicResolver::builder()
        .group(group)
        .fallback(ManualReview::because("who knows"))
        .observer(Arc::new(Clumsy))
        .observer(notes.clone())
        .observer(metrics.clone())
        .build()
        .unwrap();
    resolver.resolve(&gates()).await.unwrap();
    resolver
        .resolve(&conflict(
            vec![],
            vec![vec![event("odd", &json!({"x": 1}))], vec![event("odd", &json!({"x": 2}))]],
        ))
        .await
        .unwrap_err();
    resolver
        .resolve(&conflict(vec![], vec![vec![event("a", &json!(1))], vec![event("b", &json!(1))]]))
        .await
        .unwrap();
    assert_eq!(
        *notes.0.lock().unwrap(),
        [
            "conflict about flight-7",
            "rule g.gates of Some(\"g\")",
            "decided by (Some(\"g.gates\"), Some(\"g\"))",
            "conflict about flight-7",
            "rule g.odd of Some(\"g\")",
            "error: odd of the rule g.odd: no luck",
            "conflict about flight-7",
            "fallback of None",
            "decided by (None, None)",
        ]
    );
    let counted = metrics.snapshot();
    assert_eq!((counted.conflicts, counted.errors), (3, 1));
    assert_eq!((counted.decided["g.gates"], counted.reviews[""]), (1, 1));
    assert_eq!((counted.matched_in["g"], counted.fallbacks[""]), (2, 1));
}

#[tokio::test]
async fn any_resolver_can_be_watched() {
    let notes = Arc::new(Notes::default());
    let inner = DynamicResolver::builder().rule(rule("gates", Spec::always())).build().unwrap();
    let watched = ObservableResolver::new(inner, notes.clone());
    watched.resolve(&gates()).await.unwrap();
    let expected = ["conflict about flight-7", "rule gates of None", "decided by (Some(\"gates\"), None)"];
    assert_eq!(*notes.0.lock().unwrap(), expected);
}

#[tokio::test]
async fn a_condition_that_panics_is_an_error_that_names_its_rule() {
    let spec = Spec::custom("clumsy", |_| panic!("clumsy"));
    let resolver = DynamicResolver::builder().rule(rule("clumsy", spec)).build().unwrap();
    let error = resolver.resolve(&gates()).await.unwrap_err();
    assert_eq!(error.to_string(), "the condition of the rule clumsy panicked");
    assert!(resolver.explain(&gates()).is_err());
}

#[tokio::test]
async fn a_panic_of_a_rule_s_resolver_reaches_whoever_asks_who_must_catch_it() {
    let resolver =
        DynamicResolver::builder().rule(Rule::new("odd", Spec::always(), Odd::Panics)).build().unwrap();
    let asked = tokio::spawn(async move { resolver.resolve(&gates()).await }).await;
    assert!(asked.unwrap_err().is_panic());
}

#[test]
fn explanations_name_every_rule_up_to_the_one_that_decides() {
    let resolver = DynamicResolver::builder()
        .rule(rule("crews", Spec::field_changed("crew")))
        .rule(rule("off", Spec::always()).enabled(false))
        .group(RuleGroup::new("night").enabled(false).rule(rule("all", Spec::always())))
        .group(
            RuleGroup::new("day")
                .rule(rule("gates", Spec::field_changed("gate")))
                .rule(rule("rest", Spec::always())),
        )
        .build()
        .unwrap();
    let explained = resolver.explain(&gates()).unwrap();
    let asked: Vec<_> = explained.asked.iter().map(|a| (a.rule.as_str(), a.decides, a.off)).collect();
    assert_eq!(
        asked,
        [
            ("crews", false, None),
            ("off", false, Some("the rule is off")),
            ("night.all", false, Some("its group is off")),
            ("day.gates", true, None),
        ]
    );
    let rule = Choice::Rule { rule: "day.gates".into(), resolver: "last_write_wins".into() };
    assert_eq!(explained.choice, rule);
    let text = explained.to_string();
    assert!(text.ends_with("the rule day.gates decides: last_write_wins"), "{text}");
    let nobody = DynamicResolver::builder().rule(rule_never()).build().unwrap();
    assert_eq!(nobody.explain(&gates()).unwrap().choice, Choice::Person);
}

fn rule_never() -> Rule {
    rule("never", of_type("no.such"))
}

#[tokio::test]
async fn rules_for_other_event_types_are_not_even_asked() {
    let asked = Arc::new(AtomicUsize::new(0));
    let mut builder = DynamicResolver::builder();
    for i in 0..1_000 {
        let asked = Arc::clone(&asked);
        let counts = Spec::custom("counts", move |_| {
            asked.fetch_add(1, Ordering::Relaxed);
            false
        });
        let name: &str = if i == 500 { "flight.boarded" } else { &format!("other.{i}") };
        builder = builder.rule(rule(&format!("r{i}"), of_type(name).and(counts)));
    }
    let resolver = builder.rule(rule("last", Spec::always())).build().unwrap();
    assert_eq!(decided(&resolver, &gates()).await.0.unwrap(), "last");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[test]
fn whoever_wraps_a_resolver_keeps_its_limits() {
    let limits = Limits::default().answer(Duration::from_secs(1)).review(Duration::from_secs(2)).batch(3);
    let rules = || DynamicResolver::builder().rule(rule_never()).limits(limits).build().unwrap();
    assert_eq!(rules().limits(), limits);
    assert_eq!(ObservableResolver::new(rules(), Arc::new(ResolutionMetrics::default())).limits(), limits);
    assert_eq!(StatefulResolver::new(rules(), Workflows::default()).limits(), limits);
}
