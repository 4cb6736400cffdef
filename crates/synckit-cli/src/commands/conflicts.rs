//! `synckit conflicts`

use std::io::Write as _;

use serde::Serialize;
use serde_json::json;
use synckit::{
    AggregateId, ConflictId, EventId, VertexId,
    core::{
        decision::Decision,
        store::{LogEntry, OpenConflict},
    },
    node::{ConflictView, SideView, UndoAnalysis},
    resolve::FieldDifference,
};

use crate::{
    args::{Conflict, Conflicts, ConflictsCommand, OnlyStore, Person, Resolve, Undo},
    entry::Shown,
    failure::{Done, Failure},
    output::{Output, counted, plain, time, write_object},
    stores,
};

/// Conflicts that are read together.
const PAGE: usize = 500;

pub(super) async fn run(args: Conflicts, out: Output) -> Result<Done, Failure> {
    match args.command {
        ConflictsCommand::List(args) => list(args, out).await,
        ConflictsCommand::Show(args) => show(args, out).await,
        ConflictsCommand::Resolve(args) => resolve(args, out).await,
        ConflictsCommand::Undo(args) => undo(args, out).await,
    }
}

#[derive(Serialize)]
struct Listed {
    id: ConflictId,
    aggregate: AggregateId,
    in_review: bool,
    reasons: Vec<String>,
}

async fn list(args: OnlyStore, out: Output) -> Result<Done, Failure> {
    let mut rows = Vec::new();
    let mut stdout = Output::stdout();
    stores::with_local(&args.store, async |node| {
        let mut after: Option<AggregateId> = None;
        loop {
            let page = node.conflicts(after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.aggregate.clone());
            for OpenConflict { id, aggregate, in_review } in page {
                let reviews = if in_review { node.store().reviews(&id).await? } else { Vec::new() };
                let reasons = reviews.into_iter().map(|r| r.reason).collect();
                let listed = Listed { id, aggregate, in_review, reasons };
                if out.json {
                    write_object(&mut stdout, &listed)?;
                } else {
                    rows.push(listed);
                }
            }
        }
    })
    .await?;
    stdout.flush()?;
    drop(stdout);
    if out.json {
        return Ok(Done::Clean);
    }
    if rows.is_empty() {
        Output::text("no open conflicts")?;
        return Ok(Done::Clean);
    }
    let state = |row: &Listed| {
        if row.in_review {
            format!("in review: {}", plain(&row.reasons.join("; ")))
        } else {
            "open".to_owned()
        }
    };
    let cells: Vec<_> =
        rows.iter().map(|r| vec![r.id.to_string(), r.aggregate.to_string(), state(r)]).collect();
    Output::text(out.table(&["CONFLICT", "AGGREGATE", "STATE"], &cells))?;
    Ok(Done::Clean)
}

#[derive(Serialize)]
struct ShownConflict<'a> {
    id: &'a ConflictId,
    aggregate: &'a AggregateId,
    open: bool,
    reasons: &'a [String],
    shared: usize,
    sides: Vec<ShownSide<'a>>,
    differences: &'a [FieldDifference],
    decisions: Vec<ShownDecision<'a>>,
}

#[derive(Serialize)]
struct ShownSide<'a> {
    head: &'a VertexId,
    events: Vec<Shown<'a>>,
}

#[derive(Serialize)]
struct ShownDecision<'a> {
    vertex: &'a VertexId,
    time: String,
    decision: &'a Decision,
}

async fn show(args: Conflict, out: Output) -> Result<Done, Failure> {
    let (view, differences) = stores::with_local(&args.at.store, async |node| {
        let view = node.conflict(&args.id).await?;
        let conflict = node.read_conflict(&args.id).await?;
        warn_of_stubs(out, &conflict);
        Ok((view, conflict.differences()))
    })
    .await?;
    if !out.json {
        Output::text(for_people(out, &view, &differences))?;
        return Ok(Done::Clean);
    }
    Output::object(&ShownConflict {
        id: &view.id,
        aggregate: &view.aggregate,
        open: view.open,
        reasons: &view.reasons,
        shared: view.shared,
        sides: view.sides.iter().map(shown_side).collect(),
        differences: &differences,
        decisions: view
            .decisions
            .iter()
            .map(|(vertex, decision)| ShownDecision { vertex, time: time(decision.decided_at), decision })
            .collect(),
    })?;
    Ok(Done::Clean)
}

/// What is said of a conflict over events without data is not what a node that holds them would say.
pub(super) fn warn_of_stubs(out: Output, conflict: &synckit::resolve::Conflict) {
    if conflict.outline().has_stubs {
        out.warn("some events of the aggregate are held without their data here; a node that holds them may say otherwise");
    }
}

fn shown_side(side: &SideView) -> ShownSide<'_> {
    let logged = side.events.iter().map(|entry| Shown::entry(entry, None));
    ShownSide { head: &side.head, events: logged.chain(side.merged.iter().map(Shown::event)).collect() }
}

fn for_people(out: Output, view: &ConflictView, differences: &[FieldDifference]) -> String {
    let state = match (view.open, view.reasons.is_empty()) {
        (false, _) => "decided".to_owned(),
        (true, true) => out.alert("open"),
        (true, false) => out.alert(format!("in review: {}", plain(&view.reasons.join("; ")))),
    };
    let mut text = format!(
        "{} about {}: {state}\nall sides share {}",
        out.strong(&view.id),
        out.strong(&view.aggregate),
        counted(view.shared, "event")
    );
    for (number, side) in view.sides.iter().enumerate() {
        text += &format!(
            "\n\n{} {}",
            out.strong(format!("side {}", number + 1)),
            out.faint(format!("head {}", side.head))
        );
        for LogEntry { event, stamp, stub, .. } in &side.events {
            let data =
                if *stub { "(held without its data)" } else { event.data.as_json().unwrap_or("(not JSON)") };
            text += &format!(
                "\n  {}  {}  {}\n    {}",
                out.faint(time(stamp.timestamp)),
                event.event_type,
                out.strong(&event.id),
                plain(data)
            );
        }
        for event in &side.merged {
            text += &format!(
                "\n  brought along by a decision  {}  {}\n    {}",
                event.event_type,
                out.strong(&event.id),
                plain(event.data.as_json().unwrap_or("(not JSON)"))
            );
        }
        if side.events.is_empty() && side.merged.is_empty() {
            text += "\n  no events beyond what all sides share";
        }
    }
    for FieldDifference { field, common, sides, .. } in differences {
        text += &format!("\n\n{}", out.strong(plain(field)));
        if let Some(common) = common {
            text += &format!("\n  - {}", out.taken(plain(&common.to_string())));
        }
        for (number, said) in sides.iter().enumerate().filter(|(_, said)| *said != common) {
            let said = said.as_ref().map_or("(not there)".to_owned(), |v| plain(&v.to_string()));
            text += &format!("\n  + {} {}", out.given(said), out.faint(format!("side {}", number + 1)));
        }
    }
    for (vertex, decision) in &view.decisions {
        let by = decision.user.as_deref().unwrap_or(&decision.resolver);
        text += &format!(
            "\n\n{} {}  {} by {}",
            out.strong("decision"),
            vertex,
            plain(&decision.outcome),
            plain(by)
        );
        text += &format!(" {}", out.faint(format!("at {}", time(decision.decided_at))));
        if !decision.reasons.is_empty() {
            text += &format!("\n  {}", plain(&decision.reasons.join("; ")));
        }
    }
    if view.open {
        text += &format!("\n\nDecide it with: synckit conflicts resolve {} --keep EVENT_ID…", view.id);
    }
    text
}

async fn resolve(args: Resolve, out: Output) -> Result<Done, Failure> {
    let Resolve { conflict: Conflict { id, at }, keep, person } = args;
    let (by, reason) = (who(&person), person.reason.as_deref());
    let decision = stores::with_local(&at.store, async |node| {
        Ok(node.resolve_conflict(&id, &keep, by.as_deref(), reason).await?)
    })
    .await?;
    decided(out, &id, &decision)
}

async fn undo(args: Undo, out: Output) -> Result<Done, Failure> {
    let Undo { conflict: Conflict { id, at }, dry_run, person } = args;
    if dry_run {
        let analysis = stores::with_local(&at.store, async |node| Ok(node.analyze_undo(&id).await?)).await?;
        return analyzed(out, &id, &analysis);
    }
    let (by, reason) = (who(&person), person.reason.as_deref());
    let decision =
        stores::with_local(&at.store, async |node| Ok(node.undo(&id, by.as_deref(), reason).await?)).await?;
    decided(out, &id, &decision)
}

fn analyzed(out: Output, id: &ConflictId, analysis: &UndoAnalysis) -> Result<Done, Failure> {
    if out.json {
        Output::object(&json!({
            "conflict": id, "aggregate": analysis.aggregate, "takes_back": analysis.vertex,
            "decision": analysis.decision, "restored": analysis.restored, "hidden": analysis.hidden,
            "later_events": analysis.later_events, "later_decisions": analysis.later_decisions,
            "complexity": analysis.complexity, "warnings": analysis.warnings,
        }))?;
        return Ok(Done::Clean);
    }
    let decision = &analysis.decision;
    let by = decision.user.as_deref().unwrap_or(&decision.resolver);
    let rule = decision.rule.as_ref().map(|r| format!(", rule {r}")).unwrap_or_default();
    let mut text = format!(
        "would take back {} about {}: {} by {}{}",
        out.strong(&analysis.vertex),
        out.strong(&analysis.aggregate),
        plain(&decision.outcome),
        plain(by),
        plain(&rule)
    );
    let names = |ids: &[EventId]| ids.iter().map(EventId::as_str).collect::<Vec<_>>().join(" ");
    if !analysis.restored.is_empty() {
        text += &format!("\n  counts again:      {}", names(&analysis.restored));
    }
    if !analysis.hidden.is_empty() {
        text += &format!("\n  counts no longer:  {}", names(&analysis.hidden));
    }
    let built = analysis.later_events.len() + analysis.later_decisions.len();
    let complexity = json!(analysis.complexity);
    text += &format!("\n  built on it since: {built} ({})", complexity.as_str().unwrap_or_default());
    for warning in &analysis.warnings {
        text += &format!("\n  {}", out.alert(plain(warning)));
    }
    text += "\nNothing was changed.";
    Output::text(text)?;
    Ok(Done::Clean)
}

fn decided(out: Output, conflict: &ConflictId, decision: &EventId) -> Result<Done, Failure> {
    if out.json {
        Output::object(&json!({"conflict": conflict, "decision": decision}))?;
    } else {
        Output::text(format!("decided {conflict}: {}", out.strong(decision)))?;
    }
    Ok(Done::Clean)
}

fn who(person: &Person) -> Option<String> {
    let of_the_system = || std::env::var("USER").or_else(|_| std::env::var("USERNAME")).ok();
    person.by.clone().or_else(of_the_system).filter(|name| !name.is_empty())
}
