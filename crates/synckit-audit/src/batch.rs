//! What is recorded together.

use std::collections::HashSet;

use synckit_core::{
    Error, Result,
    audit::AuditEntry,
    limits::{MAX_COUNTER, MAX_TIMESTAMP_MICROS},
};

use crate::index::AuditProgress;

/// The entries that are left of a batch, no two of which have an event id or a position in common.
///
/// # Errors
/// [`ErrorKind::Invalid`](synckit_core::ErrorKind::Invalid) for a position or a timestamp out of range.
pub(crate) fn survivors<'a>(entries: &'a [AuditEntry], to: &AuditProgress) -> Result<Vec<&'a AuditEntry>> {
    let positions = entries.iter().map(|e| e.position).chain([to.mark.position]);
    if let Some(position) = positions.into_iter().find(|p| *p > MAX_COUNTER) {
        return Err(invalid(format!("the position {position} is beyond {MAX_COUNTER}")));
    }
    let mut written = entries.iter().map(|e| e.written_at.as_micros());
    if let Some(written) = written.find(|at| *at > MAX_TIMESTAMP_MICROS) {
        return Err(invalid(format!("the timestamp {written} is beyond {MAX_TIMESTAMP_MICROS}")));
    }
    let (mut events, mut positions) = (HashSet::new(), HashSet::new());
    let mut left: Vec<&AuditEntry> = Vec::with_capacity(entries.len());
    for entry in entries.iter().rev() {
        let (new_event, new_position) = (events.insert(&entry.event), positions.insert(entry.position));
        if new_event && new_position {
            left.push(entry);
        }
    }
    left.reverse();
    Ok(left)
}

fn invalid(what: String) -> Error {
    Error::invalid("record decisions", what)
}
