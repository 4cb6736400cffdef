//! A resolver whose conflicts have workflows.

use std::{
    any::Any,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::pin,
    sync::Arc,
    task::Poll,
};

use async_trait::async_trait;
use synckit_core::{Clock, SystemClock};

use crate::{
    conflict::Conflict,
    resolver::{ConflictResolver, Limits, Reads, Resolution, ResolveError},
    workflow::{
        summary::{RuleEvaluation, RuleVerdict, WorkflowOutcome},
        workflows::{WorkflowError, WorkflowRun, Workflows},
    },
};

/// Decides as another resolver does, and has a workflow for each conflict meanwhile.
///
/// An error, a panic, or a caller that does not wait for the answer leaves the workflow failed, with the reason.
/// Where there can be no workflow, because too many are active, conflicts are decided all the same.
#[derive(Debug, Clone)]
pub struct StatefulResolver<R> {
    inner: R,
    workflows: Workflows,
    clock: Arc<dyn Clock>,
}

impl<R: ConflictResolver> StatefulResolver<R> {
    /// This resolver, with workflows among these.
    #[must_use]
    pub fn new(inner: R, workflows: Workflows) -> Self {
        Self { inner, workflows, clock: Arc::new(SystemClock) }
    }

    /// Takes the time from another clock than the machine's.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The workflows.
    #[must_use]
    pub const fn workflows(&self) -> &Workflows {
        &self.workflows
    }

    fn begin(&self, conflict: &Conflict) -> Result<Attempt<'_, R>, WorkflowError> {
        let run = self.workflows.take_up(conflict, self.clock.now())?;
        Ok(Attempt { resolver: self, run, ended: false })
    }
}

/// One run; it fails unless it is ended.
struct Attempt<'a, R: ConflictResolver> {
    resolver: &'a StatefulResolver<R>,
    run: WorkflowRun,
    ended: bool,
}

impl<R: ConflictResolver> Attempt<'_, R> {
    fn answered(mut self, answer: &Result<Resolution, ResolveError>) {
        let asked = self.resolver.inner.name();
        match answer {
            Ok(resolution) => {
                self.matched(resolution);
                self.end(WorkflowOutcome::of(resolution, asked));
            }
            Err(error) => self.fail(format!("the resolver {asked} failed: {error}")),
        }
    }

    fn matched(&self, resolution: &Resolution) {
        let (Resolution::Adopt { rule, group, .. } | Resolution::Review { rule, group, .. }) = resolution;
        let Some(rule) = rule.clone() else { return };
        let evaluation =
            RuleEvaluation { rule, group: group.clone(), verdict: RuleVerdict::Matched, why: None };
        log(self.resolver.workflows.matched(&self.run, evaluation));
    }

    fn fail(&mut self, reason: String) {
        self.end(WorkflowOutcome::Failed { reason });
    }

    fn end(&mut self, outcome: WorkflowOutcome) {
        self.ended = true;
        log(self.resolver.workflows.end(&self.run, outcome, self.resolver.clock.now()));
    }
}

impl<R: ConflictResolver> Drop for Attempt<'_, R> {
    fn drop(&mut self) {
        if !self.ended {
            self.fail("the resolver was given up before it answered".to_owned());
        }
    }
}

/// A workflow that cannot go on is no reason not to decide.
fn log(result: Result<(), WorkflowError>) {
    if let Err(error) = result {
        tracing::debug!(%error, "a workflow does not go on");
    }
}

/// What the future gives, or what it panics with.
async fn caught<T>(work: impl Future<Output = T>) -> Result<T, Box<dyn Any + Send>> {
    let mut work = pin!(work);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
        Ok(polled) => polled.map(Ok),
        Err(cause) => Poll::Ready(Err(cause)),
    })
    .await
}

fn text(cause: &(dyn Any + Send)) -> &str {
    let text = cause.downcast_ref::<&str>().copied();
    text.or_else(|| cause.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}

#[async_trait]
impl<R: ConflictResolver> ConflictResolver for StatefulResolver<R> {
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
        let mut attempt = match self.begin(conflict) {
            Ok(attempt) => attempt,
            Err(error) => {
                tracing::warn!(conflict = %conflict.id(), %error, "a conflict is decided without a workflow");
                return self.inner.resolve(conflict).await;
            }
        };
        match caught(async { self.inner.resolve(conflict).await }).await {
            Ok(answer) => {
                attempt.answered(&answer);
                answer
            }
            Err(cause) => {
                attempt.fail(format!("the resolver {} panicked: {}", self.inner.name(), text(&*cause)));
                resume_unwind(cause)
            }
        }
    }
}
