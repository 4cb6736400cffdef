//! Signs of life on standard error, for what takes longer than a second.

use std::{
    io::{IsTerminal as _, stderr},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::output::Output;

const SHOWN_AFTER: Duration = Duration::from_secs(1);

/// A count that is shown while it grows.
pub(crate) struct Counter {
    what: &'static str,
    begun: Instant,
    bar: Option<ProgressBar>,
    visible: bool,
    count: u64,
}

impl Counter {
    /// A counter of `what`.
    pub(crate) fn new(out: Output, what: &'static str) -> Self {
        Self { what, begun: Instant::now(), bar: None, visible: visible(out), count: 0 }
    }

    /// Counts `n` more.
    pub(crate) fn add(&mut self, n: usize) {
        self.count += n as u64;
        if !self.visible || self.begun.elapsed() < SHOWN_AFTER {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::no_length();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {human_pos} {msg} in {elapsed}") {
                bar.set_style(style);
            }
            bar.set_message(self.what);
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        bar.set_position(self.count);
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// How much of something is done.
pub(crate) struct Bar {
    what: &'static str,
    begun: Instant,
    bar: Option<ProgressBar>,
    visible: bool,
}

impl Bar {
    /// Nothing of `what` is done yet.
    pub(crate) fn new(out: Output, what: &'static str) -> Self {
        Self { what, begun: Instant::now(), bar: None, visible: visible(out) }
    }

    /// So much of all is done.
    pub(crate) fn set(&mut self, done: u64, all: u64) {
        if !self.visible || self.begun.elapsed() < SHOWN_AFTER {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::new(all);
            if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {human_pos}/{human_len} {eta}")
            {
                bar.set_style(style);
            }
            bar.set_message(self.what);
            bar
        });
        bar.set_length(all);
        bar.set_position(done);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Waits for `work`, and shows that it goes on.
pub(crate) async fn spinning<T>(out: Output, what: &'static str, work: impl Future<Output = T>) -> T {
    if !visible(out) {
        return work.await;
    }
    let mut work = std::pin::pin!(work);
    if let Ok(done) = tokio::time::timeout(SHOWN_AFTER, work.as_mut()).await {
        return done;
    }
    let bar = Spinner(ProgressBar::new_spinner().with_message(what));
    bar.0.enable_steady_tick(Duration::from_millis(100));
    work.await
}

struct Spinner(ProgressBar);

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn visible(out: Output) -> bool {
    !out.quiet && stderr().is_terminal()
}
