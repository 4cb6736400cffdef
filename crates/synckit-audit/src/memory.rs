//! An index in memory.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use synckit_core::{
    EventId, Result,
    audit::{AuditEntry, AuditFilter},
};

use crate::{
    batch::survivors,
    index::{AuditIndex, AuditProgress, Kept},
};

/// An index in memory, for tests and for programs that read their log anew whenever they start. A query goes through all
/// decisions.
#[derive(Debug, Default)]
pub struct MemoryAuditIndex(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    progress: Option<AuditProgress>,
    entries: BTreeMap<u64, AuditEntry>,
    positions: HashMap<EventId, u64>,
}

impl State {
    fn put(&mut self, entry: &AuditEntry) {
        if let Some(before) = self.positions.insert(entry.event.clone(), entry.position) {
            self.entries.remove(&before);
        }
        let before = self.entries.insert(entry.position, entry.clone());
        if let Some(other) = before.filter(|before| before.event != entry.event) {
            self.positions.remove(&other.event);
        }
    }

    fn after(&self, position: u64) -> impl Iterator<Item = &AuditEntry> {
        self.entries.range((Bound::Excluded(position), Bound::Unbounded)).map(|(_, entry)| entry)
    }
}

impl MemoryAuditIndex {
    /// An index that has read nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl AuditIndex for MemoryAuditIndex {
    async fn progress(&self) -> Result<Option<AuditProgress>> {
        Ok(self.state().progress)
    }

    async fn record(
        &self,
        entries: &[AuditEntry],
        from: Option<&AuditProgress>,
        to: &AuditProgress,
    ) -> Result<bool> {
        let entries = survivors(entries, to)?;
        let mut state = self.state();
        if state.progress.as_ref() != from {
            return Ok(false);
        }
        entries.into_iter().for_each(|entry| state.put(entry));
        state.progress = Some(*to);
        Ok(true)
    }

    async fn clear(&self) -> Result<()> {
        *self.state() = State::default();
        Ok(())
    }

    async fn find(&self, filter: &AuditFilter, after: u64, limit: usize) -> Result<Vec<AuditEntry>> {
        Ok(self.state().after(after).filter(|e| filter.wants(e)).take(limit).cloned().collect())
    }

    async fn get(&self, event: &EventId) -> Result<Option<AuditEntry>> {
        let state = self.state();
        Ok(state.positions.get(event).and_then(|position| state.entries.get(position)).cloned())
    }

    async fn count(&self, filter: &AuditFilter) -> Result<u64> {
        Ok(self.state().after(0).filter(|e| filter.wants(e)).count() as u64)
    }

    async fn kept(&self, after: u64, limit: usize) -> Result<Vec<Kept>> {
        let kept = |entry: &AuditEntry| Kept::new(entry.position, Ok(entry.clone()));
        Ok(self.state().after(after).take(limit).map(kept).collect())
    }
}
