//! What must hold, one file per invariant.
//!
//! A [`History`] says what the log of one replica means for one aggregate, worked out with plain sets from the words of the
//! model. The checks compare the kit with it. Letters and numbers are those of the model.

pub(crate) mod acknowledgements;
pub(crate) mod causes;
pub(crate) mod checkpoints;
pub(crate) mod clocks;
pub(crate) mod converged;
pub mod decisions;
mod derive;
mod entries;
pub mod heads;
mod history;
pub(crate) mod ids;
pub(crate) mod log;
pub mod newest_write;
pub(crate) mod nothing_lost;
pub(crate) mod order;
pub(crate) mod parents;
pub mod people;
pub mod reviews;
mod set;
pub(crate) mod syncs;
#[cfg(test)]
mod tests;
pub mod views;
pub mod workflows;

pub use self::history::History;

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The invariant's name.
    pub invariant: &'static str,
    /// What was found.
    pub what: String,
}

impl Violation {
    /// A violation.
    pub fn new(invariant: &'static str, what: impl Into<String>) -> Self {
        Self { invariant, what: what.into() }
    }
}

/// Fails unless `holds`; `what` is asked for only then.
fn expect(invariant: &'static str, holds: bool, what: impl FnOnce() -> String) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation::new(invariant, what())) }
}
