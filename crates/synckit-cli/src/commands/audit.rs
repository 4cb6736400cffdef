//! `synckit audit`

use std::io::Write as _;

use serde::Serialize;
use synckit::{
    AggregateId, EventId, NodeId, VertexId,
    core::decision::Decision,
    node::{AuditEntry, AuditFilter},
};

use crate::{
    args::Audit,
    failure::{Done, Failure},
    output::{Output, counted, plain, time, write_object},
    stores,
};

#[derive(Serialize)]
struct Shown<'a> {
    event: &'a EventId,
    position: u64,
    vertex: &'a VertexId,
    aggregate: &'a AggregateId,
    origin: NodeId,
    time: String,
    person: bool,
    decision: &'a Decision,
}

pub(super) async fn run(args: Audit, out: Output) -> Result<Done, Failure> {
    let mut filter = AuditFilter::default();
    (filter.aggregate, filter.conflict, filter.user) = (args.aggregate, args.conflict, args.user);
    (filter.resolver, filter.rule, filter.group) = (args.resolver, args.rule, args.group);
    (filter.from, filter.to) = (args.from, args.to);
    let mut stdout = Output::stdout();
    let mut found = 0_usize;
    stores::with_local(&args.at.store, async |node| {
        node.audit(&filter, |entry| {
            found += 1;
            if out.json {
                write_object(&mut stdout, &shown(&entry))?;
            } else {
                writeln!(stdout, "{}", for_people(out, &entry))?;
            }
            Ok::<(), Failure>(())
        })
        .await
    })
    .await?;
    if !out.json {
        writeln!(stdout, "{}", counted(found, "decision"))?;
    }
    stdout.flush()?;
    Ok(Done::Clean)
}

fn shown(entry: &AuditEntry) -> Shown<'_> {
    Shown {
        event: &entry.event,
        position: entry.position,
        vertex: &entry.vertex,
        aggregate: &entry.aggregate,
        origin: entry.origin,
        time: time(entry.written_at),
        person: entry.decision.is_person(),
        decision: &entry.decision,
    }
}

fn for_people(out: Output, entry: &AuditEntry) -> String {
    let decision = &entry.decision;
    let by = match (&decision.user, decision.is_person()) {
        (Some(user), _) => plain(user),
        (None, true) => "somebody".to_owned(),
        (None, false) => plain(&decision.resolver),
    };
    let mut text = format!(
        "{}  {}  {} by {}",
        out.faint(time(entry.written_at)),
        out.strong(&entry.aggregate),
        plain(&decision.outcome),
        by
    );
    match (&decision.rule, &decision.group) {
        (Some(rule), _) => text += &format!(", rule {}", out.strong(plain(rule))),
        (None, Some(group)) => text += &format!(", fallback of {}", out.strong(plain(group))),
        (None, None) => {}
    }
    if let Some(conflict) = &decision.conflict {
        text += &format!("  {}", out.faint(format!("on {conflict}")));
    }
    if let Some(undone) = &decision.undoes {
        text += &format!("  {}", out.faint(format!("takes back {undone}")));
    }
    if !decision.reasons.is_empty() {
        text += &format!("\n    {}", plain(&decision.reasons.join("; ")));
    }
    text
}
