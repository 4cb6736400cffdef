//! `synckit log`

use std::{collections::HashMap, io::Write};

use synckit::{
    AggregateId, CursorMode, Event, EventId, SyncNode, Version,
    core::store::LogEntry,
    node::{HistoryEntry, Superseded},
};

use crate::{
    args::Log,
    entry::{Shown, Superseded as ShownReason},
    failure::{Done, Failure},
    output::{Output, time, write_object},
    stores,
};

/// Aggregates whose histories are read together.
const BATCH: usize = 500;

pub(super) async fn run(args: Log, out: Output) -> Result<Done, Failure> {
    let Log { at, aggregate, effective } = args;
    stores::with_local(&at.store, async |node| {
        let mut versions = if out.json { clocks(node, aggregate.as_ref()).await? } else { HashMap::new() };
        let mut stdout = Output::stdout();
        if !out.json {
            let heading =
                format!("{:>8}  {:<27}  {:<8}  {:<20}  EVENT", "POSITION", "TIME", "ORIGIN", "TYPE");
            writeln!(stdout, "{}", out.strong(heading))?;
        }
        node.log(aggregate.as_ref(), 0, |item| {
            let counts = item.is_effective();
            let HistoryEntry { entry, superseded, merged, .. } = item;
            if counts || !effective {
                if out.json {
                    let version = versions.remove(&entry.event.id);
                    let shown = Shown::entry(&entry, version).superseded(superseded.map(reason));
                    write_object(&mut stdout, &shown)?;
                } else {
                    line(&mut stdout, out, &entry, &note(&entry, superseded.as_ref()))?;
                }
            }
            // In the whole log, they are part of the decision that is shown.
            for event in merged.iter().filter(|_| effective) {
                if out.json {
                    write_object(&mut stdout, &Shown::event(event))?;
                } else {
                    brought_along(&mut stdout, out, event)?;
                }
            }
            Ok::<(), Failure>(())
        })
        .await?;
        stdout.flush()?;
        Ok(Done::Clean)
    })
    .await
}

fn reason(why: Superseded) -> ShownReason {
    match why {
        Superseded::By(decision) => ShownReason { why: "decision", by: Some(decision) },
        Superseded::Provisionally => ShownReason { why: "open_conflict", by: None },
        Superseded::Withdrawn => ShownReason { why: "withdrawn", by: None },
        Superseded::Replaced { .. } => ShownReason { why: "replaced", by: None },
        _ => ShownReason { why: "other", by: None },
    }
}

fn note(entry: &LogEntry, why: Option<&Superseded>) -> String {
    match why {
        None if entry.stub => "held without its data".to_owned(),
        None => String::new(),
        Some(Superseded::By(decision)) => format!("superseded by {decision}"),
        Some(Superseded::Provisionally) => "loses while the conflict is open".to_owned(),
        Some(Superseded::Replaced { by }) => format!("replaced by the entry at {by}"),
        Some(Superseded::Withdrawn) => "withdrawn by its owner".to_owned(),
        Some(_) => "does not count".to_owned(),
    }
}

fn line(out: &mut impl Write, style: Output, entry: &LogEntry, note: &str) -> std::io::Result<()> {
    let origin = entry.stamp.origin.to_string();
    let note = if note.is_empty() { String::new() } else { format!("  {}", style.alert(note)) };
    writeln!(
        out,
        "{:>8}  {}  {}  {:<20}  {} {}{note}",
        entry.position,
        style.faint(format!("{:<27}", time(entry.stamp.timestamp))),
        origin.get(..8).unwrap_or(&origin),
        entry.event.event_type,
        entry.event.id,
        style.faint(format!("({})", entry.event.aggregate_id)),
    )
}

fn brought_along(out: &mut impl Write, style: Output, event: &Event) -> std::io::Result<()> {
    writeln!(
        out,
        "{:>8}  {:<27}  {:<8}  {:<20}  {} {}",
        "-",
        "by a decision",
        "-",
        event.event_type,
        event.id,
        style.faint(format!("({})", event.aggregate_id)),
    )
}

/// The versions of all events in vector mode; in integer mode, an event's position is its version.
async fn clocks(node: &SyncNode, only: Option<&AggregateId>) -> Result<HashMap<EventId, Version>, Failure> {
    let store = node.store();
    if store.identity().mode == CursorMode::Integer {
        return Ok(HashMap::new());
    }
    if let Some(aggregate) = only {
        return Ok(node.versions(aggregate).await?);
    }
    let mut versions = HashMap::new();
    let mut after: Option<AggregateId> = None;
    loop {
        let names = store.aggregates(after.as_ref(), BATCH).await?;
        let Some(last) = names.last() else { return Ok(versions) };
        after = Some(last.clone());
        for graph in store.graphs(&names).await? {
            let clocks = graph.clocks()?;
            versions.extend(clocks.into_iter().map(|(v, clock)| (EventId::from(&v), Version::Vector(clock))));
        }
    }
}
