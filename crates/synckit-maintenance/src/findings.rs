//! What an examination found.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;
use synckit_core::store::Standing;

/// Most findings of one kind that are told apart; of more, only the number is given.
const MOST_OF_A_KIND: usize = 20;

/// Something that is wrong, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// The kind, as a stable word.
    pub kind: &'static str,
    /// What is wrong, and where.
    pub what: String,
    /// How to mend it.
    pub mend: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// What was examined, and what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Examined {
    /// Entries read.
    pub entries: u64,
    /// Aggregates whose heads were worked out anew.
    pub aggregates: u64,
    /// Whether the log can be written to.
    pub standing: Standing,
    /// What is wrong; nothing, if all is well.
    pub findings: Vec<Finding>,
}

pub(crate) const RESTORE: &str = "what is stored is damaged: make a new store, sync it with a hub or node that has the \
                                  events, and put this one aside; `synckit export` still reads what is whole";
pub(crate) const REBUILD: &str = "the events are whole, and what is worked out from them is not: make a new store and sync it \
                                  with any hub or node that has them";
pub(crate) const CLOCK: &str =
    "set the clock right; events are stamped right again once it has passed what it said";

/// Collects findings, of each kind only so many.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    found: Vec<Finding>,
    more: BTreeMap<(&'static str, &'static str), usize>,
}

impl Findings {
    pub(crate) fn add(&mut self, kind: &'static str, mend: &'static str, what: impl Into<String>) {
        if self.found.iter().filter(|f| f.kind == kind).count() < MOST_OF_A_KIND {
            self.found.push(Finding { kind, what: what.into(), mend });
        } else {
            *self.more.entry((kind, mend)).or_default() += 1;
        }
    }

    pub(crate) fn finish(mut self) -> Vec<Finding> {
        for ((kind, mend), count) in self.more {
            self.found.push(Finding { kind, what: format!("{count} more of the kind {kind}"), mend });
        }
        self.found
    }
}
