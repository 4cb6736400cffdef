//! `synckit audit`

use std::io::{BufWriter, StdoutLock, Write as _};

use serde::Serialize;
use serde_json::json;
use synckit::{
    AggregateId, EventId, NodeId, SyncNode, VertexId,
    audit::{self, DifferenceKind, open_index},
    core::decision::Decision,
    node::{AuditEntry, AuditFilter},
};

use crate::{
    args::Audit,
    failure::{Done, Failure},
    output::{Output, counted, plain, time, write_object},
    stores,
};

/// Decisions that are read from an index together.
const PAGE: usize = 1_000;

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
    let mut listed = Listed { stdout: Output::stdout(), out, found: 0 };
    let store = &args.at.store;
    let Some(index) = args.index else {
        stores::with_local(store, async |node| node.audit(&filter, |entry| listed.entry(&entry)).await)
            .await?;
        return listed.end();
    };
    if index == "mem:" {
        let what = "an index in memory ends with the command; name one that stays, such as sqlite:audit.db";
        return Err(Failure::told(what.to_owned()));
    }
    if args.verify {
        return stores::with_local(store, async |node| verify(node, &index, out).await).await;
    }
    stores::with_local(store, async |node| {
        let log = node.store().identity().log;
        let index = open_index(&index, log).await?;
        let updated = if args.rebuild {
            audit::rebuild(&**node.store(), &*index).await?
        } else {
            audit::update(&**node.store(), &*index).await?
        };
        if updated.rebuilt && !args.rebuild {
            out.warn("the index was of another log, or the log was restored since; the index was made anew");
        }
        let mut after = 0;
        loop {
            let page = index.find(&filter, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.position;
            page.iter().try_for_each(|entry| listed.entry(entry))?;
        }
    })
    .await?;
    listed.end()
}

async fn verify(node: &SyncNode, url: &str, out: Output) -> Result<Done, Failure> {
    let index = open_index(url, node.store().identity().log).await?;
    let found = audit::verify(&**node.store(), &*index).await?;
    let kind = |kind: DifferenceKind| match kind {
        DifferenceKind::Missing => "missing",
        DifferenceKind::Extra => "extra",
        DifferenceKind::Different => "different",
        _ => "wrong",
    };
    if out.json {
        let first: Vec<_> =
            found.first.iter().map(|d| json!({"position": d.position, "kind": kind(d.kind)})).collect();
        Output::object(
            &json!({"decisions": found.decisions, "differences": found.differences, "first": first}),
        )?;
    } else {
        let mut text = format!(
            "{} in the log, {} in the index",
            counted(usize::try_from(found.decisions).unwrap_or(usize::MAX), "decision"),
            counted(usize::try_from(found.differences).unwrap_or(usize::MAX), "difference")
        );
        for difference in &found.first {
            text += &format!("\n  the decision at {} is {}", difference.position, kind(difference.kind));
        }
        Output::text(text)?;
    }
    Ok(if found.is_clean() { Done::Clean } else { Done::Refused })
}

/// Decisions on standard output, one after the other.
struct Listed {
    stdout: BufWriter<StdoutLock<'static>>,
    out: Output,
    found: usize,
}

impl Listed {
    fn entry(&mut self, entry: &AuditEntry) -> Result<(), Failure> {
        self.found += 1;
        if self.out.json {
            write_object(&mut self.stdout, &shown(entry))?;
        } else {
            writeln!(self.stdout, "{}", for_people(self.out, entry))?;
        }
        Ok(())
    }

    fn end(mut self) -> Result<Done, Failure> {
        if !self.out.json {
            writeln!(self.stdout, "{}", counted(self.found, "decision"))?;
        }
        self.stdout.flush()?;
        Ok(Done::Clean)
    }
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
        (Some(user), true) => plain(user),
        (None, true) => "somebody".to_owned(),
        (Some(user), false) => format!("{} on behalf of {}", plain(&decision.resolver), plain(user)),
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
