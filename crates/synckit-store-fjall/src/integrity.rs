//! Whether the tables can be read, and fit together.

use fjall::Keyspace;
use synckit_core::{Progress, Result};

use crate::{entry::Stored, keys, lookup, schema, view::View};

/// Lines of one kind that are written out; the others are counted.
const SHOWN: usize = 5;

/// What is wrong of one kind.
struct Wrong {
    what: &'static str,
    shown: Vec<String>,
    count: usize,
}

impl Wrong {
    const fn new(what: &'static str) -> Self {
        Self { what, shown: Vec::new(), count: 0 }
    }

    fn add(&mut self, which: impl Into<String>) {
        self.count += 1;
        if self.shown.len() < SHOWN {
            self.shown.push(which.into());
        }
    }

    fn lines(self, findings: &mut Vec<String>) {
        let more = self.count - self.shown.len();
        findings.extend(self.shown.into_iter().map(|which| format!("{}: {which}", self.what)));
        if more > 0 {
            findings.push(format!("{}: {more} more", self.what));
        }
    }
}

/// Reads every row of every table, and compares the tables.
pub(crate) fn check(view: &View<'_>) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    entries(view, &mut findings)?;
    let tables = view.tables;
    let id = |key: &[u8], row: &[u8]| {
        let position = keys::number(row)?;
        view.entry(position, |entry| Ok(entry.id()?.as_str().as_bytes() == key && !entry.superseded()))
    };
    table(view, &tables.ids, "ids", &mut findings, id);
    let position = |key: &[u8], _: &[u8]| {
        let at = keys::number(key)?;
        view.entry(at, |entry| Ok(keys::aggregate_at(&entry.known()?.aggregate, at) == key))
    };
    table(view, &tables.positions, "positions of aggregates", &mut findings, position);
    let stamp = |key: &[u8], row: &[u8]| match keys::number(row)? {
        0 => Ok(true),
        at => view.entry(at, |entry| Ok(stamp_key(entry)? == key)),
    };
    table(view, &tables.stamps, "stamps", &mut findings, stamp);
    table(view, &tables.heads, "heads", &mut findings, |_, row| lookup::heads(row).map(|_| true));
    table(view, &tables.small, "small rows", &mut findings, |_, _| Ok(true));
    Ok(findings)
}

/// The key under which the stamp of an entry is listed.
fn stamp_key(entry: &Stored<'_>) -> Result<Vec<u8>> {
    let (id, known) = (entry.id()?, entry.known()?);
    let share = Progress::share(&id, &known.stamp, &known.content);
    Ok(keys::shared(entry.origin(), entry.counter(), id.as_str(), share))
}

/// Every entry is there, whole, and named by the other tables.
fn entries(view: &View<'_>, findings: &mut Vec<String>) -> Result<()> {
    let end = schema::node(view)?.state.head.position;
    let mut damaged = Wrong::new("entries");
    let mut missing = Wrong::new("positions without an entry");
    let mut unnamed = Wrong::new("entries that are not named elsewhere");
    let mut next = 1;
    for row in view.after(&view.tables.entries, &keys::position(0), None) {
        let (key, row) = match row {
            Ok(row) => row,
            Err(e) => {
                damaged.add(e.to_string());
                break;
            }
        };
        let position = keys::number(&key)?;
        if position > next {
            missing.add(format!("{next} to {}", position - 1));
        }
        next = position + 1;
        match Stored::read(position, &row).and_then(|entry| named(view, position, &entry)) {
            Ok(None) => {}
            Ok(Some(where_to)) => unnamed.add(format!("{position}, among the {where_to}")),
            Err(e) => damaged.add(format!("{position}: {}", e.message())),
        }
    }
    if next != end + 1 {
        missing.add(format!("the log ends at {}, and should end at {end}", next - 1));
    }
    for wrong in [damaged, missing, unnamed] {
        wrong.lines(findings);
    }
    Ok(())
}

/// The first table that should name an entry, and does not.
fn named(view: &View<'_>, position: u64, entry: &Stored<'_>) -> Result<Option<&'static str>> {
    let tables = view.tables;
    let (id, known) = (entry.id()?, entry.known()?);
    let is = |table: &Keyspace, key: &[u8], value: &[u8]| {
        Ok::<_, synckit_core::Error>(view.get(table, key)?.is_some_and(|v| &*v == value))
    };
    let at = keys::position(position);
    if !entry.superseded() && !is(&tables.ids, id.as_str().as_bytes(), &at)? {
        return Ok(Some("ids"));
    }
    if !is(&tables.positions, &keys::aggregate_at(&known.aggregate, position), &[])? {
        return Ok(Some("positions of aggregates"));
    }
    // Two entries may have one stamp: the later one is named.
    if view.get(&tables.stamps, stamp_key(entry)?)?.is_none() {
        return Ok(Some("stamps"));
    }
    if !known.event_type.is_reserved() && view.get(&tables.heads, known.aggregate.as_str())?.is_none() {
        return Ok(Some("heads"));
    }
    let stub = crate::progress::stub_key(entry.origin(), entry.counter(), id.as_str());
    if entry.stub() && !entry.superseded() && view.get(&tables.small, stub)?.is_none() {
        return Ok(Some("stubs"));
    }
    Ok(None)
}

/// Reads a table to its end. `fits` looks at each row.
fn table(
    view: &View<'_>,
    table: &Keyspace,
    what: &'static str,
    findings: &mut Vec<String>,
    fits: impl Fn(&[u8], &[u8]) -> Result<bool>,
) {
    let mut wrong = Wrong::new(what);
    for row in view.after(table, &[], None) {
        match row {
            Err(e) => {
                wrong.add(e.to_string());
                break;
            }
            Ok((key, row)) => match fits(&key, &row) {
                Ok(true) => {}
                Ok(false) => wrong.add(format!("{} does not fit the log", String::from_utf8_lossy(&key))),
                Err(e) => wrong.add(e.message()),
            },
        }
    }
    wrong.lines(findings);
}
