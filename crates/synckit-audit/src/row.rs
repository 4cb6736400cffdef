//! Rows of indexes in databases.

use synckit_core::{
    AggregateId, Error, ErrorKind, EventId, NodeId, Result, Timestamp, audit::AuditEntry, decision::Decision,
};

/// What a row of an index is made of. Free text is kept as bytes: it may have NUL in it, which databases do not take or do
/// not compare.
pub(crate) struct Columns<'a> {
    pub(crate) position: i64,
    pub(crate) event: &'a str,
    pub(crate) aggregate: &'a str,
    pub(crate) origin: &'a [u8],
    pub(crate) written_at: i64,
    pub(crate) conflict: Option<&'a str>,
    pub(crate) person: Option<&'a [u8]>,
    pub(crate) resolver: &'a [u8],
    pub(crate) rule: Option<&'a [u8]>,
    pub(crate) group_path: Option<&'a [u8]>,
    pub(crate) decision: &'a str,
}

impl Columns<'_> {
    /// The entry; an error if the parts of the row do not fit together.
    pub(crate) fn entry(&self) -> Result<AuditEntry> {
        self.read().map_err(|error| damaged(self.position).with_source(error))
    }

    fn read(&self) -> Result<AuditEntry> {
        let not = |what: &'static str| Error::invalid("read audit index", what);
        let decision: Decision =
            serde_json::from_str(self.decision).map_err(|e| not("it is not a decision").with_source(e))?;
        let same = |column: Option<&[u8]>, is: Option<&str>| column == is.map(str::as_bytes);
        let fits = self.conflict == decision.conflict.as_ref().map(AsRef::as_ref)
            && same(self.person, decision.user.as_deref())
            && same(Some(self.resolver), Some(&decision.resolver))
            && same(self.rule, decision.rule.as_deref())
            && self.group_path == decision.group.as_deref().map(group_path).as_deref();
        if !fits {
            return Err(not("its columns are not what its decision says"));
        }
        Ok(AuditEntry::new(
            EventId::new(self.event)?,
            unsigned(self.position)?,
            AggregateId::new(self.aggregate)?,
            NodeId::from_slice(self.origin)?,
            Timestamp::from_micros(unsigned(self.written_at)?),
            decision,
        ))
    }
}

/// A group with a dot after it: of two such paths, one is within the other if it begins with it.
pub(crate) fn group_path(group: &str) -> Vec<u8> {
    format!("{group}.").into_bytes()
}

/// The paths of a group and all groups within it: from the first text to before the second.
pub(crate) fn groups_within(group: &str) -> (Vec<u8>, Vec<u8>) {
    const AFTER_THE_DOT: char = '/';
    (group_path(group), format!("{group}{AFTER_THE_DOT}").into_bytes())
}

/// The decision as it is kept.
pub(crate) fn json(decision: &Decision) -> Result<String> {
    serde_json::to_string(decision).map_err(|e| {
        Error::invalid("record decisions", "a decision cannot be written as JSON").with_source(e)
    })
}

pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(crate) fn unsigned(number: i64) -> Result<u64> {
    u64::try_from(number)
        .map_err(|e| Error::invalid("read audit index", "a number is negative").with_source(e))
}

/// What every error of damage ends with.
pub(crate) const ANEW: &str = "the index can be made anew from the log";

pub(crate) fn damaged(position: i64) -> Error {
    let what = format!("the row of the decision at {position} is damaged; {ANEW}");
    Error::new(ErrorKind::Corrupt, "read audit index", what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_paths_is_a_group_and_what_is_within_it() {
        let groups = ["", ".", "a", "a.", "a.b", "a..b", "a/", "a-", "ab", "a.\u{10ffff}", "a\0", "b", "A"];
        for wanted in groups {
            let (first, end) = groups_within(wanted);
            for group in groups {
                let rest = group.strip_prefix(wanted);
                let within = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
                let path = group_path(group);
                assert_eq!(path >= first && path < end, within, "{wanted:?} {group:?}");
            }
        }
    }
}
