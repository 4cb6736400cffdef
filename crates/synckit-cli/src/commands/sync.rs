//! `synckit sync`

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};
use synckit::{
    Backends, SyncReport,
    core::store::Notice,
    node::{ConflictCounts, RefusedEvent},
    resolve::ConflictResolver,
    rules::RuleLoader,
};

use crate::{
    args::Sync,
    failure::{Done, Failure},
    output::Output,
    progress::spinning,
    stores,
};

#[derive(Serialize)]
struct Report<'a> {
    pushed: usize,
    pulled: usize,
    duplicates: usize,
    refused: &'a [RefusedEvent],
    conflicts: ConflictCounts,
    notices: Vec<Value>,
    started_over: bool,
}

pub(super) async fn run(args: Sync, out: Output) -> Result<Done, Failure> {
    let Sync { at, remote, resolver, rules, push_only, pull_only, timeout } = args;
    let transport = Backends::new().connect(remote.as_str())?;
    let rules = match rules {
        Some(file) => {
            let loaded = RuleLoader::new().load(&file);
            let rules = loaded.map_err(|e| Failure::told(super::rules::first_problem(&e)))?;
            Some(Arc::clone(rules.resolver()) as Arc<dyn ConflictResolver>)
        }
        None => None,
    };
    let settle = |builder: synckit::SyncNodeBuilder| {
        let builder = builder.transport(transport);
        let mut builder = match rules {
            Some(rules) => builder.resolver(rules),
            None => builder.resolver_kind(resolver.into()),
        };
        if push_only {
            builder = builder.push_only();
        }
        if pull_only {
            builder = builder.pull_only();
        }
        match timeout {
            Some(timeout) => builder.timeout(timeout),
            None => builder,
        }
    };
    let report =
        stores::with_node(&at.store, settle, async |node| Ok(spinning(out, "syncing", node.sync()).await?))
            .await?;
    report.notices.iter().for_each(|notice| out.warn(told(notice)));
    if out.json {
        Output::object(&Report {
            pushed: report.pushed,
            pulled: report.pulled,
            duplicates: report.duplicates,
            refused: &report.refused,
            conflicts: report.conflicts,
            notices: report.notices.iter().map(as_json).collect(),
            started_over: report.started_over,
        })?;
    } else {
        say(out, &report)?;
    }
    Ok(Done::refused_if(!report.refused.is_empty()))
}

fn say(out: Output, report: &SyncReport) -> Result<(), Failure> {
    if report.started_over {
        out.warn("the peer's log is not the one that was met before; everything was exchanged anew");
    }
    for refused in &report.refused {
        out.refused(&refused.id, &refused.reason);
    }
    let conflicts = report.conflicts;
    let mut text = format!(
        "pushed {}, pulled {}, {} already there",
        out.strong(report.pushed),
        out.strong(report.pulled),
        report.duplicates
    );
    if conflicts.found > 0 || conflicts.review > 0 {
        text += &format!("\nconflicts: {} found, {} resolved", conflicts.found, conflicts.resolved);
        if conflicts.review > 0 {
            text +=
                &out.alert(format!(", {} waiting for a person (synckit conflicts list)", conflicts.review));
        }
        if conflicts.overdue > 0 {
            text += &out.alert(format!(", {} of them overdue", conflicts.overdue));
        }
    }
    if !report.refused.is_empty() {
        text += &out.alert(format!("\nrefused: {} (synckit refused list)", report.refused.len()));
    }
    Output::text(text)
}

/// What sync has to tell, for people.
pub(super) fn told(notice: &Notice) -> String {
    match notice {
        Notice::ForkedOrigin { former, now, met, held } => {
            let held =
                held.as_ref().map_or_else(String::new, |held| format!(" and holds {held} in its place"));
            format!(
                "this store was copied or restored: its node {former} wrote {met} elsewhere, which this store did not \
                 have{held}; both are kept, and this store goes on as the node {now}"
            )
        }
        Notice::Displaced { id } => {
            format!(
                "another event has the id {id} everywhere now; the one that had it here is in quarantine (synckit refused list)"
            )
        }
        other => format!("{other:?}"),
    }
}

fn as_json(notice: &Notice) -> Value {
    match notice {
        Notice::ForkedOrigin { former, now, met, held } => {
            json!({"kind": "forked_origin", "former": former, "now": now, "met": met, "held": held})
        }
        Notice::Displaced { id } => json!({"kind": "displaced", "id": id}),
        other => json!({"kind": "other", "text": format!("{other:?}")}),
    }
}
