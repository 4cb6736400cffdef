//! E7: in the end, all replicas hold the same, say the same, and have nothing left to do.

use std::collections::{BTreeSet, HashMap};

use synckit_core::{
    AggregateId, ConflictId, Result, VertexId,
    decision::{Decision, RESOLUTION},
    store::{LogEntry, Quarantined, ReadRequest, RefusalCode, ReviewRow},
};
use synckit_node::{DecideScope, Digest, SyncNode};
use synckit_resolve::workflow::{WorkflowFilter, WorkflowSummary, Workflows};

use super::{
    History, Violation, decisions, heads, newest_write, nothing_lost, order, people, reviews, views,
    workflows,
};
use crate::{ledger::Ledger, net::short, store::SimStore};

/// All that one replica says.
#[derive(Debug)]
pub(crate) struct View {
    node: usize,
    pub(crate) digest: Digest,
    entries: Vec<LogEntry>,
    conflicts: Vec<(ConflictId, AggregateId, bool)>,
    quarantine: Vec<Quarantined>,
    reviews: HashMap<AggregateId, Vec<ReviewRow>>,
    graphs: HashMap<AggregateId, synckit_core::graph::AggregateGraph>,
    workflows: Vec<WorkflowSummary>,
}

impl View {
    /// Asks the real store, past everything that the simulation put around it. The workflows get a last look at it.
    pub(crate) fn of(store: &SimStore, workflows: &Workflows) -> Result<Self> {
        let inner = store.inner();
        let builder = SyncNode::builder(inner.clone()).decide(DecideScope::Nothing);
        let node = builder.workflows(workflows.clone()).build()?;
        store.now(async {
            node.sync().await?;
            let names = inner.aggregates(None, 1_000).await?;
            let mut listed = HashMap::new();
            for name in &names {
                listed.insert(name.clone(), inner.reviews_of(name).await?);
            }
            let conflicts = node.conflicts(None, 1_000).await?;
            Ok(Self {
                node: store.node,
                digest: node.digest().await?,
                entries: inner
                    .read(ReadRequest::after(0).limit(1_000_000).max_bytes(usize::MAX))
                    .await?
                    .entries,
                conflicts: conflicts.into_iter().map(|c| (c.id, c.aggregate, c.in_review)).collect(),
                quarantine: inner.quarantine().await?,
                reviews: listed,
                workflows: workflows.list(&WorkflowFilter::default()),
                graphs: inner.graphs(&names).await?.into_iter().map(|g| (g.aggregate().clone(), g)).collect(),
            })
        })
    }
}

/// Compares what all replicas say, with each other and with the model.
pub(crate) fn check(
    ledger: &Ledger,
    views: &[View],
    only_last_write_wins: bool,
) -> std::result::Result<(), Violation> {
    let Some(first) = views.first() else { return Ok(()) };
    for view in views {
        same(first, view)?;
        nothing_lost::check(ledger, &ledger.books[view.node])?;
        order::check(ledger, &ledger.books[view.node])?;
        drained(ledger, views, view)?;
        let reviews = view.reviews.values().flatten();
        let of = |row: &ReviewRow| view.graphs.get(&row.aggregate);
        workflows::check(&view.workflows, reviews.filter_map(|row| of(row).map(|graph| (graph, row))))?;
    }
    for (aggregate, graph) in &first.graphs {
        let history = History::of(aggregate, &first.entries)?;
        views::check(&history, graph)?;
        people::check(&history)?;
        decisions::check(&history)?;
        // A stamp that was replaced may have been the newest when it was decided.
        let replaced =
            |v: &View| v.entries.iter().any(|e| e.superseded && e.event.aggregate_id == *aggregate);
        if only_last_write_wins && !views.iter().any(replaced) {
            newest_write::check(&history)?;
        }
        for view in views {
            let open = view.conflicts.iter().find(|(_, a, _)| a == aggregate).map(|(id, ..)| id);
            let Some(graph) = view.graphs.get(aggregate) else {
                return Err(Violation::new("E7", format!("n{} does not know {aggregate}", view.node)));
            };
            heads::check(&history, graph, open)?;
            let listed = view.reviews.get(aggregate).map(Vec::as_slice).unwrap_or_default();
            reviews::check(&history, graph, listed)?;
        }
    }
    Ok(())
}

fn same(first: &View, view: &View) -> std::result::Result<(), Violation> {
    let differ = |what: String| Err(Violation::new("E7", what));
    let (a, b) = (first.node, view.node);
    if first.digest.ids != view.digest.ids {
        let ids =
            |v: &View| -> BTreeSet<String> { v.entries.iter().map(|e| e.event.id.to_string()).collect() };
        let (left, right) = (ids(first), ids(view));
        let only = |x: &BTreeSet<String>, y: &BTreeSet<String>| -> String {
            x.difference(y).take(3).map(|id| short(id)).collect::<Vec<_>>().join(" ")
        };
        return differ(format!(
            "n{a} and n{b} hold other events: only n{a} [{}], only n{b} [{}]",
            only(&left, &right),
            only(&right, &left)
        ));
    }
    if first.digest.log != view.digest.log {
        let stamps = |v: &View| -> BTreeSet<String> {
            let counting = v.entries.iter().filter(|e| !e.superseded);
            counting
                .map(|e| format!("{} {}:{}", short(e.event.id.as_str()), e.stamp.origin, e.stamp.counter))
                .collect()
        };
        let (left, right) = (stamps(first), stamps(view));
        let one = left.difference(&right).next().cloned().unwrap_or_default();
        return differ(format!("n{a} and n{b} hold other stamps, such as n{a} {one}"));
    }
    if first.digest.view != view.digest.view {
        return differ(format!(
            "n{a} and n{b} have other views of the same events: {}",
            in_views(first, view)
        ));
    }
    if first.conflicts != view.conflicts {
        return differ(format!(
            "n{a} and n{b} have other open conflicts: {:?} and {:?}; {}",
            first.conflicts,
            view.conflicts,
            in_views(first, view)
        ));
    }
    Ok(())
}

fn in_views(first: &View, other: &View) -> String {
    for (aggregate, graph) in &first.graphs {
        let ids = |g: &synckit_core::graph::AggregateGraph| -> Vec<String> {
            g.view().iter().map(|e| short(e.id().as_str()).to_owned()).collect()
        };
        let heads = |g: &synckit_core::graph::AggregateGraph| -> Vec<String> {
            let heads = g.heads().into_iter();
            heads
                .map(|h| format!("{}{}", short(h.vertex.as_str()), if h.is_unsettled() { "" } else { "~" }))
                .collect()
        };
        let Some(there) = other.graphs.get(aggregate) else { continue };
        if ids(graph) != ids(there) || heads(graph) != heads(there) {
            return format!(
                "{aggregate}: {:?} with heads {:?}, and {:?} with heads {:?}",
                ids(graph),
                heads(graph),
                ids(there),
                heads(there)
            );
        }
    }
    "in nothing that their histories show".into()
}

/// Nothing waits that could go on. What another event's id keeps out may wait for a person, and so may what is built on it;
/// what is built on an event that was lost with the only store that had it waits for ever.
fn drained(ledger: &Ledger, views: &[View], view: &View) -> std::result::Result<(), Violation> {
    let taken = |q: &Quarantined| q.refusal.code == RefusalCode::ContentMismatch;
    let contested = views.iter().any(|v| v.quarantine.iter().any(taken));
    let stuck = view.quarantine.iter().find(|q| {
        let waits = q.refusal.code == RefusalCode::WaitingForParent;
        !(taken(q) || waits && (contested || is_orphan(ledger, views, q)))
    });
    match stuck {
        None => Ok(()),
        Some(q) => Err(Violation::new(
            "E7",
            format!("n{} has {} in quarantine still: {}", view.node, short(q.id.as_str()), q.refusal),
        )),
    }
}

/// Whether something that a held event is built on, near or far, is in no log and in no quarantine any more.
fn is_orphan(ledger: &Ledger, views: &[View], row: &Quarantined) -> bool {
    let mut next: Vec<VertexId> = Vec::new();
    let parents_of = |q: &Quarantined| -> Vec<VertexId> {
        let stamp = q.held.as_ref().and_then(|o| o.stamp.as_ref());
        stamp.map(|s| s.parents.clone()).unwrap_or_default()
    };
    let mut seen: BTreeSet<VertexId> = BTreeSet::new();
    next.extend(parents_of(row));
    while let Some(parent) = next.pop() {
        if !seen.insert(parent.clone()) || ledger.books.iter().any(|b| b.vertices.contains_key(&parent)) {
            continue;
        }
        let rows = views.iter().flat_map(|v| &v.quarantine);
        let mut held = rows.filter(|q| q.held.is_some() && names(q, &parent)).peekable();
        if held.peek().is_none() {
            return true;
        }
        held.for_each(|q| next.extend(parents_of(q)));
    }
    false
}

/// Whether the held event is what this parent names: itself, or the decision in it.
fn names(row: &Quarantined, parent: &VertexId) -> bool {
    let decision = row.held.as_ref().and_then(|o| {
        let stamp = o.stamp.as_ref()?;
        (o.event.event_type.as_str() == RESOLUTION).then(|| Decision::read(&o.event, &stamp.parents).ok())?
    });
    row.id.as_str() == parent.as_str() || decision.is_some_and(|d| d.vertex(&row.id) == *parent)
}
