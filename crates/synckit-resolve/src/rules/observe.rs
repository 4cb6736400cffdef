//! Watching what resolvers do.

use std::{
    collections::BTreeMap,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;

use crate::{
    conflict::Conflict,
    resolver::{ConflictResolver, Limits, Reads, Resolution, ResolveError},
};

/// Is told what a resolver does, in the order in which it does it, on the task that decides: be quick.
///
/// A panic in it is caught and logged; it never changes what is decided.
pub trait ResolutionObserver: fmt::Debug + Send + Sync + 'static {
    /// A conflict is about to be decided.
    fn on_conflict(&self, _conflict: &Conflict) {}

    /// A rule matched; its name has those of its groups before it.
    fn on_rule_matched(&self, _conflict: &Conflict, _rule: &str, _group: Option<&str>) {}

    /// No rule matched, and the fallback decides: that of a group, or the last one.
    fn on_fallback(&self, _conflict: &Conflict, _group: Option<&str>) {}

    /// It was decided, or sent to a person.
    fn on_resolution(&self, _conflict: &Conflict, _resolution: &Resolution, _took: Duration) {}

    /// It could not be decided.
    fn on_error(&self, _conflict: &Conflict, _error: &ResolveError, _took: Duration) {}
}

/// Runs what belongs to the user; none if it panics.
pub(super) fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

/// Several observers.
#[derive(Debug, Clone, Default)]
pub(super) struct Observers(pub(super) Vec<Arc<dyn ResolutionObserver>>);

impl Observers {
    pub(super) fn tell(&self, what: &'static str, tell: impl Fn(&dyn ResolutionObserver)) {
        for observer in &self.0 {
            if guarded(|| tell(&**observer)).is_none() {
                tracing::error!(?observer, what, "an observer of resolutions panicked");
            }
        }
    }

    pub(super) fn ended(
        &self,
        conflict: &Conflict,
        begun: Instant,
        result: &Result<Resolution, ResolveError>,
    ) {
        let took = begun.elapsed();
        match result {
            Ok(resolution) => self.tell("resolution", |o| o.on_resolution(conflict, resolution, took)),
            Err(error) => self.tell("error", |o| o.on_error(conflict, error, took)),
        }
    }
}

/// Any resolver, watched. Of a [`DynamicResolver`](crate::DynamicResolver), which has observers of its own, the rule is told, too.
///
/// ```
/// use std::sync::Arc;
/// use synckit_resolve::{ConflictResolver as _, LastWriteWins, ObservableResolver, ResolutionMetrics};
///
/// let metrics = Arc::new(ResolutionMetrics::default());
/// let resolver = ObservableResolver::new(LastWriteWins::default(), metrics.clone());
/// assert_eq!(resolver.name(), "last_write_wins");
/// assert_eq!(metrics.snapshot().conflicts, 0);
/// ```
#[derive(Debug)]
pub struct ObservableResolver<R> {
    inner: R,
    observers: Observers,
}

impl<R: ConflictResolver> ObservableResolver<R> {
    /// The resolver, watched by `observer`.
    pub fn new(inner: R, observer: Arc<dyn ResolutionObserver>) -> Self {
        Self { inner, observers: Observers(vec![observer]) }
    }

    /// Adds an observer, which is told after those before it.
    #[must_use]
    pub fn and(mut self, observer: Arc<dyn ResolutionObserver>) -> Self {
        self.observers.0.push(observer);
        self
    }
}

#[async_trait]
impl<R: ConflictResolver> ConflictResolver for ObservableResolver<R> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn reads(&self) -> Reads {
        self.inner.reads()
    }

    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    async fn resolve(&self, conflict: &Conflict) -> Result<Resolution, ResolveError> {
        let begun = Instant::now();
        self.observers.tell("conflict", |o| o.on_conflict(conflict));
        let result = self.inner.resolve(conflict).await;
        if let Ok(resolution) = &result
            && let (Some(rule), group) = resolution.rule()
        {
            self.observers.tell("rule", |o| o.on_rule_matched(conflict, rule, group));
        }
        self.observers.ended(conflict, begun, &result);
        result
    }
}

/// Counts what resolvers do, by rule and group.
#[derive(Debug, Default)]
pub struct ResolutionMetrics(Mutex<MetricsSnapshot>);

/// What was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MetricsSnapshot {
    /// Conflicts that came.
    pub conflicts: u64,
    /// Conflicts that were decided, by rule; the empty name stands for no rule.
    pub decided: BTreeMap<String, u64>,
    /// Conflicts that a person has to decide, by rule.
    pub reviews: BTreeMap<String, u64>,
    /// Rules that matched, by group; the empty name stands for no group.
    pub matched_in: BTreeMap<String, u64>,
    /// Fallbacks that decided, by group; the empty name stands for the last one.
    pub fallbacks: BTreeMap<String, u64>,
    /// Conflicts that could not be decided.
    pub errors: u64,
    /// How long all of it took.
    pub took: Duration,
    /// The longest that one took.
    pub longest: Duration,
}

impl ResolutionMetrics {
    /// What was counted until now.
    #[must_use]
    pub fn snapshot(&self) -> MetricsSnapshot {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count(&self, count: impl FnOnce(&mut MetricsSnapshot)) {
        count(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn add(to: &mut BTreeMap<String, u64>, name: Option<&str>) {
    *to.entry(name.unwrap_or_default().to_owned()).or_default() += 1;
}

impl MetricsSnapshot {
    fn took(&mut self, took: Duration) {
        self.took += took;
        self.longest = self.longest.max(took);
    }
}

impl ResolutionObserver for ResolutionMetrics {
    fn on_conflict(&self, _: &Conflict) {
        self.count(|m| m.conflicts += 1);
    }

    fn on_rule_matched(&self, _: &Conflict, _: &str, group: Option<&str>) {
        self.count(|m| add(&mut m.matched_in, group));
    }

    fn on_fallback(&self, _: &Conflict, group: Option<&str>) {
        self.count(|m| add(&mut m.fallbacks, group));
    }

    fn on_resolution(&self, _: &Conflict, resolution: &Resolution, took: Duration) {
        self.count(|m| {
            let by = match resolution {
                Resolution::Adopt { .. } => &mut m.decided,
                Resolution::Review { .. } => &mut m.reviews,
            };
            add(by, resolution.rule().0);
            m.took(took);
        });
    }

    fn on_error(&self, _: &Conflict, _: &ResolveError, took: Duration) {
        self.count(|m| {
            m.errors += 1;
            m.took(took);
        });
    }
}
