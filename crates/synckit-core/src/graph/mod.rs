//! The history of one aggregate: heads, conflicts and views, as pure functions of the set of its events.

mod bits;
mod brought;
mod conflict;
mod views;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use self::{bits::Bits, brought::Brought, views::Verdicts};
pub use self::{
    brought::{BroughtEvent, DecisionAge},
    conflict::{ConflictOutline, SideOutline},
    views::ViewEvent,
};
use crate::{
    binary::{Reader, Writer},
    decision::Decision,
    error::{Error, ErrorKind, Result},
    ids::{AggregateId, EventId, NodeId, VertexId},
    plant::{Plant, planted},
    stamp::{CanonicalKey, Timestamp},
    version::VectorClock,
};

/// What a vertex is.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum VertexBody {
    /// A domain event held whole.
    Domain,
    /// A domain event of which only id, type, stamp and parents are held.
    Stub,
    /// A domain event that its owner withdrew.
    Withdrawn,
    /// A decision.
    Decision(Arc<Decision>),
}

/// One point in an aggregate's history, as a store keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct Vertex {
    /// What identifies it: an event id, or a machine's decision id.
    pub id: VertexId,
    /// What it is built on.
    pub parents: Vec<VertexId>,
    /// Its event's place in the canonical order; for copies of one decision, each comes with its own.
    pub key: CanonicalKey,
    /// What it is.
    pub body: VertexBody,
}

/// A head of an aggregate: nothing is built on it yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The vertex.
    pub vertex: VertexId,
    /// The timestamp of its event.
    pub timestamp: Timestamp,
    /// Whether it is a decision.
    pub is_decision: bool,
    /// The newest domain event of its view.
    pub newest: Option<CanonicalKey>,
    /// The other heads that settle it. A conflict is more than one head that no other head settles.
    pub settled_by: Vec<VertexId>,
}

impl Head {
    /// Whether no other head settles it.
    #[must_use]
    pub fn is_unsettled(&self) -> bool {
        self.settled_by.is_empty()
    }
}

/// The leading head: the unsettled one whose view has the newest domain event.
#[must_use]
pub fn leading(heads: &[Head]) -> Option<&Head> {
    heads
        .iter()
        .filter(|h| h.is_unsettled())
        .max_by(|a, b| (&a.newest, &a.vertex).cmp(&(&b.newest, &b.vertex)))
}

/// The parents of a new event on top of these heads: the leading head, and the decisions that it settles.
#[must_use]
pub fn parents_for_append(heads: &[Head]) -> Vec<VertexId> {
    let lead = if planted(Plant::UpdateOnSupersededBase) { heads.last() } else { leading(heads) };
    let Some(lead) = lead else { return Vec::new() };
    let mut parents: Vec<VertexId> = heads
        .iter()
        .filter(|h| h.vertex == lead.vertex || h.settled_by.contains(&lead.vertex))
        .map(|h| h.vertex.clone())
        .collect();
    parents.sort_unstable();
    parents
}

/// The unsettled heads, sorted, if there are at least two: a conflict.
#[must_use]
pub fn conflicting(heads: &[Head]) -> Option<Vec<VertexId>> {
    if heads.len() < 2 {
        return None;
    }
    let mut active: Vec<VertexId> =
        heads.iter().filter(|h| h.is_unsettled()).map(|h| h.vertex.clone()).collect();
    active.sort_unstable();
    (active.len() > 1).then_some(active)
}

/// Heads as stores keep them.
#[must_use]
pub fn encode_heads(heads: &[Head]) -> Vec<u8> {
    let mut w = Writer::default();
    for head in heads {
        w.text(head.vertex.as_str()).u64(head.timestamp.as_micros()).u8(u8::from(head.is_decision));
        match &head.newest {
            None => w.u8(0),
            Some(key) => w
                .u8(1)
                .u64(key.timestamp.as_micros())
                .u128(key.origin.as_u128())
                .u64(key.counter)
                .text(if key.id.as_str() == head.vertex.as_str() { "" } else { key.id.as_str() }),
        };
        w.u64(head.settled_by.len() as u64);
        for other in &head.settled_by {
            w.text(other.as_str());
        }
    }
    w.0
}

fn damaged(what: &str, cause: Error) -> Error {
    Error::new(ErrorKind::Corrupt, "decode", format!("{what} is damaged")).with_source(cause)
}

/// Reads what [`encode_heads`] wrote.
///
/// # Errors
/// [`ErrorKind::Corrupt`] if the bytes are something else.
pub fn decode_heads(bytes: &[u8]) -> Result<Vec<Head>> {
    let mut r = Reader(bytes);
    let mut heads = Vec::new();
    while !r.is_empty() {
        let vertex: VertexId = r.name()?;
        let timestamp = Timestamp::from_micros(r.u64()?);
        let is_decision = r.u8()? != 0;
        let newest = if r.u8()? == 0 {
            None
        } else {
            let (timestamp, origin, counter) =
                (Timestamp::from_micros(r.u64()?), NodeId::from_u128(r.u128()?), r.u64()?);
            let id = r.text()?;
            let own = id.is_empty().then(|| EventId::from(&vertex));
            let id = own.map_or_else(|| id.parse().map_err(|e| damaged("a stored id", e)), Ok)?;
            Some(CanonicalKey { timestamp, origin, counter, id })
        };
        let count = r.u64()?;
        let mut settled_by = Vec::new();
        for _ in 0..count {
            settled_by.push(r.name()?);
        }
        heads.push(Head { vertex, timestamp, is_decision, newest, settled_by });
    }
    Ok(heads)
}

/// The whole history of one aggregate, without data.
///
/// Everything it answers is a function of the set of its vertices: order, repetition and place never matter.
#[derive(Debug)]
pub struct AggregateGraph {
    aggregate: AggregateId,
    vertices: Vec<Vertex>,
    index: HashMap<VertexId, usize>,
    parents: Vec<Vec<usize>>,
    has_child: Vec<bool>,
    brought: Brought,
    /// Per vertex, the newest fact in its past and how many decisions are built one on the other there, itself included.
    ages: Vec<(Option<usize>, usize)>,
    /// Per vertex, the parent whose view it continues.
    base: Vec<Option<usize>>,
    newest: Vec<Option<CanonicalKey>>,
    verdicts: Vec<Arc<Verdicts>>,
    decision_views: HashMap<usize, Bits>,
}

impl AggregateGraph {
    /// The history made of these vertices. Copies of one vertex count once, under the smallest key.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if the vertices are built on each other in a circle.
    pub fn new(aggregate: AggregateId, vertices: impl IntoIterator<Item = Vertex>) -> Result<Self> {
        let (vertices, index, parents) = topological(vertices)?;
        let mut has_child = vec![false; vertices.len()];
        for p in parents.iter().flatten() {
            has_child[*p] = true;
        }
        let n = vertices.len();
        let mut graph = Self {
            aggregate,
            vertices,
            index,
            parents,
            has_child,
            brought: Brought::default(),
            ages: Vec::with_capacity(n),
            base: Vec::with_capacity(n),
            newest: Vec::with_capacity(n),
            verdicts: Vec::with_capacity(n),
            decision_views: HashMap::new(),
        };
        graph.compute_views();
        Ok(graph)
    }

    /// The aggregate.
    #[must_use]
    pub const fn aggregate(&self) -> &AggregateId {
        &self.aggregate
    }

    /// The vertices; parents come before their children.
    #[must_use]
    pub fn vertices(&self) -> &[Vertex] {
        &self.vertices
    }

    /// Whether some domain event is held as a stub only; no decision is taken over stubs.
    #[must_use]
    pub fn has_stubs(&self) -> bool {
        self.vertices.iter().any(|v| v.body == VertexBody::Stub)
    }

    /// Whether the vertex is known.
    #[must_use]
    pub fn contains(&self, vertex: &VertexId) -> bool {
        self.index.contains_key(vertex)
    }

    /// The heads, sorted by id.
    #[must_use]
    pub fn heads(&self) -> Vec<Head> {
        let heads: Vec<usize> = (0..self.vertices.len()).filter(|i| !self.has_child[*i]).collect();
        let mut out: Vec<Head> = heads
            .iter()
            .map(|&e| {
                let mut settled_by: Vec<VertexId> = heads
                    .iter()
                    .filter(|&&f| f != e && self.settles(f, e))
                    .map(|&f| self.vertices[f].id.clone())
                    .collect();
                settled_by.sort_unstable();
                Head {
                    vertex: self.vertices[e].id.clone(),
                    timestamp: self.vertices[e].key.timestamp,
                    is_decision: self.decision(e).is_some(),
                    newest: self.newest[e].clone(),
                    settled_by,
                }
            })
            .collect();
        out.sort_unstable_by(|a, b| a.vertex.cmp(&b.vertex));
        out
    }

    /// The events that lie in the past of a vertex, itself included, by vertex id.
    #[must_use]
    pub fn past(&self, vertex: &VertexId) -> HashSet<VertexId> {
        let Some(&i) = self.index.get(vertex) else { return HashSet::new() };
        self.ancestors(&[i]).iter().map(|v| self.vertices[v].id.clone()).collect()
    }

    /// The vector clock of each vertex: its own stamp and everything in its past.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if a clock would have too many entries.
    pub fn clocks(&self) -> Result<HashMap<VertexId, VectorClock>> {
        let mut clocks: Vec<VectorClock> = Vec::with_capacity(self.vertices.len());
        for (i, vertex) in self.vertices.iter().enumerate() {
            let mut clock = VectorClock::new();
            for p in &self.parents[i] {
                clock.merge(&clocks[*p])?;
            }
            clock.witness(vertex.key.origin, vertex.key.counter)?;
            clocks.push(clock);
        }
        Ok(self.vertices.iter().map(|v| v.id.clone()).zip(clocks).collect())
    }

    fn decision(&self, i: usize) -> Option<&Decision> {
        match &self.vertices[i].body {
            VertexBody::Decision(d) => Some(d),
            _ => None,
        }
    }

    fn ancestors(&self, from: &[usize]) -> Bits {
        let mut seen = Bits::default();
        let mut stack: Vec<usize> = from.to_vec();
        while let Some(i) = stack.pop() {
            if !seen.contains(i) {
                seen.insert(i);
                stack.extend(&self.parents[i]);
            }
        }
        seen
    }

    /// The domain events and people's decisions in the past of a vertex.
    fn facts(&self, i: usize) -> Bits {
        let mut facts = self.ancestors(&[i]);
        let machines: Vec<usize> =
            facts.iter().filter(|v| self.decision(*v).is_some_and(|d| !d.is_person())).collect();
        machines.into_iter().for_each(|m| facts.remove(m));
        facts
    }

    /// Whether decision `f` settles decision `e`.
    fn settles(&self, f: usize, e: usize) -> bool {
        let (Some(df), Some(de)) = (self.decision(f), self.decision(e)) else { return false };
        let rivals =
            de.conflict.is_some() && de.conflict == df.conflict && self.parents_of(e) == self.parents_of(f);
        if rivals {
            return self.outranks(f, e);
        }
        let (facts_e, facts_f) = (self.facts(e), self.facts(f));
        if !facts_e.is_subset(&facts_f) {
            return false;
        }
        !facts_f.is_subset(&facts_e) || self.outranks(f, e)
    }

    fn parents_of(&self, i: usize) -> BTreeSet<&VertexId> {
        self.vertices[i].parents.iter().collect()
    }

    /// A person before a machine; of two persons the later; of two machines the greater id.
    fn outranks(&self, f: usize, e: usize) -> bool {
        let person = |i: usize| self.decision(i).is_some_and(Decision::is_person);
        match (person(f), person(e)) {
            (true, false) => true,
            (false, true) => false,
            (true, true) => self.vertices[f].key > self.vertices[e].key,
            (false, false) => self.vertices[f].id > self.vertices[e].id,
        }
    }

    fn unsettled(&self, of: &[usize]) -> Vec<usize> {
        if of.len() < 2 {
            return of.to_vec();
        }
        of.iter().copied().filter(|&e| !of.iter().any(|&f| f != e && self.settles(f, e))).collect()
    }

    fn lead(&self, of: &[usize]) -> Option<usize> {
        self.unsettled(of).into_iter().max_by(|a, b| {
            (&self.newest[*a], &self.vertices[*a].id).cmp(&(&self.newest[*b], &self.vertices[*b].id))
        })
    }

    fn head_indices(&self) -> Vec<usize> {
        (0..self.vertices.len()).filter(|i| !self.has_child[*i]).collect()
    }
}

type Sorted = (Vec<Vertex>, HashMap<VertexId, usize>, Vec<Vec<usize>>);

/// Parents before children, otherwise by key; parents that are not there are passed over.
fn topological(vertices: impl IntoIterator<Item = Vertex>) -> Result<Sorted> {
    let mut unique: HashMap<VertexId, Vertex> = HashMap::new();
    for vertex in vertices {
        match unique.entry(vertex.id.clone()) {
            std::collections::hash_map::Entry::Vacant(slot) => {
                slot.insert(vertex);
            }
            std::collections::hash_map::Entry::Occupied(mut slot) => {
                if vertex.key < slot.get().key {
                    slot.insert(vertex);
                }
            }
        }
    }
    let mut pool: Vec<Vertex> = unique.into_values().collect();
    pool.sort_unstable_by(|a, b| (&a.key, &a.id).cmp(&(&b.key, &b.id)));
    let by_id: HashMap<VertexId, usize> = pool.iter().enumerate().map(|(i, v)| (v.id.clone(), i)).collect();
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); pool.len()];
    let mut waits: Vec<usize> = vec![0; pool.len()];
    for (i, vertex) in pool.iter().enumerate() {
        for parent in vertex.parents.iter().filter_map(|p| by_id.get(p)) {
            children[*parent].push(i);
            waits[i] += 1;
        }
    }
    let mut ready: BTreeSet<usize> = (0..pool.len()).filter(|i| waits[*i] == 0).collect();
    let mut order = Vec::with_capacity(pool.len());
    while let Some(i) = ready.pop_first() {
        order.push(i);
        for &child in &children[i] {
            waits[child] -= 1;
            if waits[child] == 0 {
                ready.insert(child);
            }
        }
    }
    if order.len() != pool.len() {
        return Err(Error::new(
            ErrorKind::Corrupt,
            "read history",
            "events are built on each other in a circle",
        ));
    }
    let mut slots: Vec<Option<Vertex>> = pool.into_iter().map(Some).collect();
    let sorted: Vec<Vertex> = order.into_iter().filter_map(|i| slots[i].take()).collect();
    let index: HashMap<VertexId, usize> = sorted.iter().enumerate().map(|(i, v)| (v.id.clone(), i)).collect();
    let parents =
        sorted.iter().map(|v| v.parents.iter().filter_map(|p| index.get(p).copied()).collect()).collect();
    Ok((sorted, index, parents))
}
