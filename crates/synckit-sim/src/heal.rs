//! The end of a history: faults stop, nodes sync until nothing happens any more, and everything is compared.

use std::time::Duration;

use synckit_core::{Filter, Result};

use crate::{
    oracle::{Violation, converged},
    script::{Gap, Schedule},
    world::World,
};

/// Deciding and syncing ends within so many rounds, whatever the topology.
const MOST_ROUNDS: usize = 30;
/// In so many rounds even a sync that meets what others change at the same time has to succeed.
const ROUNDS_WITH_ERRORS: usize = 8;
const A_DAY: Duration = Duration::from_secs(25 * 3600);

impl World {
    /// Ends every fault, and lets what runs end.
    pub(crate) async fn calm(&mut self) -> Result<()> {
        self.shared.note(format_args!("the faults are over"));
        self.network.calm();
        self.executor.forget_endings();
        self.shared.state().failing_writes.clear();
        self.settle().await?;
        self.restart_due(true)?;
        for n in 0..self.replicas.len() {
            self.replicas[n].clock.set_skew(0);
            self.set_filter(n, Filter::everything())?;
        }
        // What was not acknowledged is given to the nodes again.
        for n in 0..self.replicas.len() {
            self.append(n, Vec::new());
        }
        self.settle().await
    }

    /// Syncs until nothing changes any more. Gives the number of rounds.
    pub(crate) async fn converge(&mut self) -> Result<usize> {
        let mut quiet = 0;
        let mut before = self.heads();
        for round in 1..=MOST_ROUNDS {
            self.round().await?;
            if self.shared.is_violated() {
                return Ok(round);
            }
            let errors = self.take_errors();
            if round > ROUNDS_WITH_ERRORS && !errors.is_empty() {
                self.violated("E7", format!("syncs go on failing: {}", errors.join("; ")));
                return Ok(round);
            }
            let now = self.heads();
            quiet = if now == before && errors.is_empty() { quiet + 1 } else { 0 };
            before = now;
            if quiet == 2 {
                return Ok(round);
            }
            self.pass(Gap::Millis(1_000)).await?;
        }
        self.violated("E7", format!("there is no end to it after {MOST_ROUNDS} rounds"));
        Ok(MOST_ROUNDS)
    }

    fn violated(&self, invariant: &'static str, what: String) {
        self.shared.judge(Err(Violation::new(invariant, what)));
    }

    fn heads(&self) -> Vec<u64> {
        self.shared.state().ledger.books.iter().map(|b| b.head().position).collect()
    }

    fn take_errors(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.state().errors)
    }

    async fn round(&mut self) -> Result<()> {
        let mut syncs: Vec<(usize, usize)> = Vec::new();
        for (n, replica) in self.replicas.iter().enumerate() {
            syncs.extend((0..replica.peers.len().max(1)).map(|link| (n, link)));
        }
        self.rng.shuffle(&mut syncs);
        self.take_errors();
        match self.settings.schedule {
            Schedule::InTurn => {
                for (n, link) in syncs {
                    self.sync(n, link);
                    self.settle().await?;
                }
            }
            Schedule::InStep => {
                syncs.into_iter().for_each(|(n, link)| self.sync(n, link));
                self.settle().await?;
            }
            Schedule::Staggered => {
                for (n, link) in syncs {
                    self.sync(n, link);
                    let gap = Gap::Millis(self.rng.between(1, 120) as u64);
                    self.pass(gap).await?;
                }
                self.settle().await?;
            }
        }
        Ok(())
    }

    /// Ends the faults, converges, and compares everything. Gives the digest that all have.
    pub(crate) async fn heal(&mut self) -> Result<(usize, Option<String>)> {
        self.calm().await?;
        let mut rounds = self.converge().await?;
        let mut digest = self.compare()?;
        if self.settings.a_day_later && !self.shared.is_violated() {
            self.shared.note(format_args!("a day later"));
            tokio::time::sleep(A_DAY).await;
            self.shared.follow_time();
            rounds = rounds.max(self.converge().await?);
            digest = self.compare()?;
        }
        Ok((rounds, digest))
    }

    fn compare(&mut self) -> Result<Option<String>> {
        if self.shared.is_violated() {
            return Ok(None);
        }
        let mut views = Vec::new();
        for replica in &self.replicas {
            if let Some(running) = &replica.running {
                views.push(converged::View::of(&running.store, &running.workflows)?);
            }
        }
        let found = {
            let state = self.shared.state();
            converged::check(&state.ledger, &views, self.only_last_write_wins())
        };
        self.shared.judge(found);
        let digest = views.first().map(|v| format!("{} {} {}", v.digest.ids, v.digest.log, v.digest.view));
        if let Some(digest) = &digest {
            self.shared.note(format_args!("digest {digest}"));
        }
        Ok(digest)
    }
}
