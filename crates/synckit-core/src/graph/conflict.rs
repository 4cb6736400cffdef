//! What a resolver and a person need to know of a conflict, and what they can answer.

use std::collections::BTreeSet;

use super::{
    AggregateGraph, Bits, BroughtEvent, Vertex, VertexBody, ViewEvent, conflicting, leading,
    parents_for_append,
};
use crate::{
    decision::{Decision, conflict_id},
    error::{Error, ErrorKind, Result},
    ids::{AggregateId, ConflictId, EventId, NodeId, VertexId},
    stamp::CanonicalKey,
};

/// One side of a conflict.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SideOutline {
    /// The head.
    pub head: VertexId,
    /// What the head's view has beyond the view that all sides share, oldest first.
    pub beyond: Vec<ViewEvent>,
    /// The oldest domain event beyond the shared view.
    pub oldest: Option<CanonicalKey>,
    /// The newest domain event of the head's view.
    pub newest: Option<CanonicalKey>,
}

/// A conflict, without the events' data.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ConflictOutline {
    /// What identifies the conflict.
    pub id: ConflictId,
    /// The aggregate.
    pub aggregate: AggregateId,
    /// All heads, sorted: the parents of a decision.
    pub heads: Vec<VertexId>,
    /// The sides: the heads that no other head settles, sorted.
    pub sides: Vec<SideOutline>,
    /// What all sides share, oldest first.
    pub common: Vec<ViewEvent>,
    /// The nodes that wrote what the sides do not share, decisions included.
    pub origins: BTreeSet<NodeId>,
    /// The decisions in what the sides do not share, each with the heads whose views it adopted, sorted: events may be built
    /// on them.
    pub decisions: Vec<(VertexId, Vec<VertexId>)>,
    /// What vertices in the sides' past continue, where the parents of an event that counts do not tell, sorted: a decision
    /// the heads that it adopted; an event with several parents, and one that was withdrawn or that no side counts, the
    /// parent whose view it continues.
    pub lineage: Vec<(VertexId, Vec<VertexId>)>,
    /// Events of the sides that people took out, sorted: whatever a machine decides, they do not count.
    pub ruled_out: Vec<EventId>,
    /// The events of the sides and of what they share that decisions brought along, by id: where each has its place.
    pub brought: Vec<BroughtEvent>,
    /// Whether some event of the aggregate is held as a stub only.
    pub has_stubs: bool,
}

impl AggregateGraph {
    /// The conflict of this aggregate, if it has one.
    #[must_use]
    pub fn conflict(&self) -> Option<ConflictOutline> {
        let heads = self.head_indices();
        let ids = self.heads();
        conflicting(&ids)?;
        self.outline(&heads)
    }

    /// Whether the conflict between `heads`, which was opened for review, waits for an answer still: no side has brought
    /// them together, and no person or machine decided just on them.
    #[must_use]
    pub fn in_review(&self, conflict: &ConflictId, heads: &[VertexId]) -> bool {
        let reviewed: Vec<usize> = heads.iter().filter_map(|h| self.index.get(h).copied()).collect();
        let together = |side: usize| {
            let past = self.ancestors(&[side]);
            reviewed.iter().all(|h| past.contains(*h))
        };
        let sides = self.unsettled(&self.head_indices());
        self.decisions_on(conflict).is_empty() && !sides.into_iter().any(together)
    }

    /// The conflict between these heads, whether or not they are heads still.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if one of them is not known, or they are fewer than two.
    pub fn conflict_between(&self, heads: &[VertexId]) -> Result<ConflictOutline> {
        let missing =
            |h: &VertexId| Error::new(ErrorKind::NotFound, "read conflict", format!("no event {h}"));
        let indices: Result<Vec<usize>> =
            heads.iter().map(|h| self.index.get(h).copied().ok_or_else(|| missing(h))).collect();
        self.outline(&indices?)
            .ok_or_else(|| Error::new(ErrorKind::NotFound, "read conflict", "these heads do not disagree"))
    }

    fn outline(&self, heads: &[usize]) -> Option<ConflictOutline> {
        let mut active = self.unsettled(heads);
        if active.len() < 2 {
            return None;
        }
        active.sort_unstable_by(|a, b| self.vertices[*a].id.cmp(&self.vertices[*b].id));
        let ids: Vec<VertexId> = active.iter().map(|a| self.vertices[*a].id.clone()).collect();
        let beyond = self.difference(&active);
        let mut common = self.view_of(active[0]);
        common.subtract(&beyond);
        let mut some = Bits::default();
        let mut all: Option<Bits> = None;
        for a in &active {
            let past = self.ancestors(&[*a]);
            some.union(&past);
            all = Some(match all {
                None => past,
                Some(mut held) => {
                    held.intersect(&past);
                    held
                }
            });
        }
        let mut counted = common.clone();
        counted.union(&beyond);
        let lineage = self.lineage(&some, &counted);
        let sides = active.iter().map(|&a| self.side(a, &beyond, &some)).collect();
        let (common, brought) = (self.listed(&common, &some), self.brought_in(&counted, &some));
        some.subtract(&all.unwrap_or_default());
        let mut parents: Vec<VertexId> = heads.iter().map(|h| self.vertices[*h].id.clone()).collect();
        parents.sort_unstable();
        Some(ConflictOutline {
            id: conflict_id(&self.aggregate, &ids),
            aggregate: self.aggregate.clone(),
            heads: parents,
            sides,
            common,
            brought,
            decisions: self.decisions_in(&some),
            lineage,
            ruled_out: self.ruled_out(heads, &counted),
            origins: some.iter().map(|v| self.vertices[v].key.origin).collect(),
            has_stubs: self.has_stubs(),
        })
    }

    fn decisions_in(&self, vertices: &Bits) -> Vec<(VertexId, Vec<VertexId>)> {
        let adopted = |v: usize| Some((self.vertices[v].id.clone(), self.decision(v)?.adopts.clone()));
        let mut decisions: Vec<_> = vertices.iter().filter_map(adopted).collect();
        decisions.sort_unstable();
        decisions
    }

    fn lineage(&self, past: &Bits, counted: &Bits) -> Vec<(VertexId, Vec<VertexId>)> {
        let continued = |v: usize| {
            let vertex = &self.vertices[v];
            if let Some(decision) = self.decision(v) {
                return Some((vertex.id.clone(), decision.adopts.clone()));
            }
            let told = vertex.parents.len() < 2 && vertex.body == VertexBody::Domain && counted.contains(v);
            let base = || self.base[v].map(|b| self.vertices[b].id.clone()).into_iter().collect();
            (!told).then(|| (vertex.id.clone(), base()))
        };
        let mut lineage: Vec<_> = past.iter().filter_map(continued).collect();
        lineage.sort_unstable();
        lineage
    }

    fn ruled_out(&self, heads: &[usize], counted: &Bits) -> Vec<EventId> {
        let verdicts = self.verdicts_of(heads);
        let mut out = Bits::default();
        verdicts
            .iter()
            .filter(|(e, (counts, _))| !counts && counted.contains(**e))
            .for_each(|(e, _)| out.insert(*e));
        self.names(&out)
    }

    fn side(&self, head: usize, beyond: &Bits, past: &Bits) -> SideOutline {
        let n = self.vertices.len();
        let mut own = self.view_of(head);
        own.intersect(beyond);
        SideOutline {
            head: self.vertices[head].id.clone(),
            oldest: own.iter().filter(|e| *e < n).map(|e| &self.vertices[e].key).min().cloned(),
            newest: self.newest[head].clone(),
            beyond: self.listed(&own, past),
        }
    }

    /// A person's decision on the conflict between `heads` that keeps exactly the named events of what the sides do not
    /// share. A head stands for its whole side. What all sides share stays.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if an event is not part of the conflict; [`ErrorKind::NotFound`] if a head is not known.
    pub fn keep(&self, heads: &[VertexId], keep: &[EventId]) -> Result<Decision> {
        let outline = self.conflict_between(heads)?;
        let indices: Vec<usize> =
            outline.sides.iter().filter_map(|s| self.index.get(&s.head).copied()).collect();
        let beyond = self.difference(&indices);
        let mut kept = Bits::default();
        let mut adopts: Vec<VertexId> = Vec::new();
        for id in keep {
            if let Some(side) = outline.sides.iter().find(|s| s.head.as_str() == id.as_str()) {
                adopts.push(side.head.clone());
                if let Some(i) = self.index.get(&side.head) {
                    kept.union(&self.view_of(*i));
                }
                continue;
            }
            let element = self.element(id).filter(|e| beyond.contains(*e)).ok_or_else(|| {
                Error::invalid(
                    "resolve",
                    format!("the event {id} is not part of the conflict {}", outline.id),
                )
            })?;
            kept.insert(element);
        }
        if adopts.is_empty() {
            adopts.extend(
                outline
                    .sides
                    .iter()
                    .max_by(|a, b| (&a.newest, &a.head).cmp(&(&b.newest, &b.head)))
                    .map(|s| s.head.clone()),
            );
        }
        kept.intersect(&beyond);
        let mut adopted = Bits::default();
        for i in adopts.iter().filter_map(|a| self.index.get(a)) {
            adopted.union(&self.view_of(*i));
        }
        adopted.intersect(&beyond);
        let mut hidden = adopted.clone();
        hidden.subtract(&kept);
        let mut restored = kept;
        restored.subtract(&adopted);
        let mut decision = Decision::adopting(adopts, "keep", "person");
        decision.conflict = Some(outline.id);
        decision.hidden = self.names(&hidden);
        decision.restored = self.names(&restored);
        Ok(decision)
    }

    /// A person's decision that decides a conflict anew on top of what was decided and done since, and the parents that it
    /// must name: of what the sides of the conflict did not share, exactly the named events count from now on.
    ///
    /// # Errors
    /// As [`keep`](Self::keep).
    pub fn keep_instead(&self, heads: &[VertexId], keep: &[EventId]) -> Result<(Decision, Vec<VertexId>)> {
        let first = self.keep(heads, keep)?;
        let outline = self.conflict_between(heads)?;
        let indices: Vec<usize> =
            outline.sides.iter().filter_map(|s| self.index.get(&s.head).copied()).collect();
        let beyond = self.difference(&indices);
        let mut kept = Bits::default();
        for adopted in first.adopts.iter().filter_map(|a| self.index.get(a)) {
            kept.union(&self.view_of(*adopted));
        }
        first.hidden.iter().filter_map(|id| self.element(id)).for_each(|e| kept.remove(e));
        first.restored.iter().filter_map(|id| self.element(id)).for_each(|e| kept.insert(e));
        kept.intersect(&beyond);
        let mut dropped = beyond;
        dropped.subtract(&kept);
        let now = self.heads();
        let lead = leading(&now).map(|h| h.vertex.clone());
        let mut decision = Decision::adopting(lead.into_iter().collect(), "keep", "person");
        decision.conflict = Some(outline.id);
        decision.hidden = self.names(&dropped);
        decision.restored = self.names(&kept);
        Ok((decision, parents_for_append(&now)))
    }

    /// A person's decision that takes back decision `vertex`, and the parents that it must name: what the decision
    /// took out of the view counts again, and what it brought in does not.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such decision in the current view.
    pub fn undo(&self, vertex: &VertexId) -> Result<(Decision, Vec<VertexId>)> {
        let missing = || {
            Error::new(ErrorKind::NotFound, "undo", format!("{vertex} is not a decision that counts here"))
        };
        let d =
            self.index.get(vertex).copied().filter(|i| self.decision(*i).is_some()).ok_or_else(missing)?;
        let lead = self.lead(&self.head_indices()).ok_or_else(missing)?;
        if !self.ancestors(&[lead]).contains(d) {
            return Err(missing());
        }
        let before = self.base[d].map_or_else(Bits::default, |b| self.view_of(b));
        let after = self.view_of(d);
        let mut removed = before.clone();
        removed.subtract(&after);
        let mut brought = after;
        brought.subtract(&before);
        let heads = self.heads();
        let mut decision = Decision::adopting(
            leading(&heads).map(|h| h.vertex.clone()).into_iter().collect(),
            "undo",
            "person",
        );
        decision.hidden = self.names(&brought);
        decision.restored = self.names(&removed);
        decision.undoes = Some(vertex.clone());
        Ok((decision, parents_for_append(&heads)))
    }

    fn names(&self, elements: &Bits) -> Vec<EventId> {
        let n = self.vertices.len();
        let mut names: Vec<EventId> = elements
            .iter()
            .map(|e| {
                if e < n {
                    EventId::from(&self.vertices[e].id)
                } else {
                    self.brought.events[e - n].id.clone()
                }
            })
            .collect();
        names.sort_unstable();
        names
    }

    /// The decisions on the conflict with this id, the deciding one last, by vertex id.
    #[must_use]
    pub fn decisions_on(&self, conflict: &ConflictId) -> Vec<VertexId> {
        let mut on: Vec<usize> = (0..self.vertices.len())
            .filter(|i| self.decision(*i).is_some_and(|d| d.conflict.as_ref() == Some(conflict)))
            .collect();
        on.sort_by(|a, b| {
            if self.outranks(*a, *b) { std::cmp::Ordering::Greater } else { std::cmp::Ordering::Less }
        });
        on.into_iter().map(|i| self.vertices[i].id.clone()).collect()
    }

    /// The domain events that do not count now, each with the decision that took it out; none for one that only loses
    /// while a conflict is open.
    #[must_use]
    pub fn superseded(&self) -> Vec<(EventId, Option<VertexId>)> {
        let Some(lead) = self.lead(&self.head_indices()) else { return Vec::new() };
        let view = self.view_of(lead);
        let out: Vec<usize> = (0..self.vertices.len())
            .filter(|i| !view.contains(*i) && self.vertices[*i].body == VertexBody::Domain)
            .collect();
        if out.is_empty() {
            return Vec::new();
        }
        let mut decisions: Vec<(usize, Bits)> = self
            .ancestors(&[lead])
            .iter()
            .filter(|d| self.decision(*d).is_some())
            .map(|d| (d, self.ancestors(&[d])))
            .collect();
        decisions.reverse();
        let by = |event: usize| {
            let out_of =
                |(d, past): &&(usize, Bits)| past.contains(event) && !self.decision_views[d].contains(event);
            decisions.iter().find(out_of).map(|(d, _)| self.vertices[*d].id.clone())
        };
        out.into_iter().map(|i| (EventId::from(&self.vertices[i].id), by(i))).collect()
    }

    /// What was built on a vertex: all that has it in its past.
    #[must_use]
    pub fn built_on(&self, vertex: &VertexId) -> Vec<&Vertex> {
        let Some(base) = self.index.get(vertex).copied() else { return Vec::new() };
        let mut on = Bits::default();
        on.insert(base);
        // Parents come before their children.
        for i in 0..self.vertices.len() {
            if self.parents[i].iter().any(|p| on.contains(*p)) {
                on.insert(i);
            }
        }
        on.remove(base);
        on.iter().map(|i| &self.vertices[i]).collect()
    }

    /// The decision at a vertex.
    #[must_use]
    pub fn decision_at(&self, vertex: &VertexId) -> Option<&Decision> {
        self.index.get(vertex).and_then(|i| match &self.vertices[*i].body {
            VertexBody::Decision(d) => Some(&**d),
            _ => None,
        })
    }
}
