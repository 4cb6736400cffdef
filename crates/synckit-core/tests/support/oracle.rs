//! What the history of an aggregate means, worked out the plain way: whole sets at every vertex.

use std::collections::{BTreeMap, BTreeSet};

use synckit_core::{
    AggregateId, CanonicalKey, EventId,
    decision::{Decision, RESOLUTION},
};

use super::Replica;

type Set = BTreeSet<String>;

#[derive(Debug)]
struct Point {
    parents: Set,
    key: CanonicalKey,
    decision: Option<Decision>,
    /// Facts in the past: domain events and people's decisions.
    facts: Set,
    past: Set,
    view: Set,
    /// Per event, the latest person's verdict and its place in the canonical order.
    verdicts: BTreeMap<String, (bool, CanonicalKey)>,
}

impl Point {
    fn brings(&self, id: &str) -> bool {
        self.decision.iter().flat_map(|d| &d.merged).any(|m| m.id.as_str() == id)
    }
}

/// The history of one aggregate.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    points: BTreeMap<String, Point>,
}

impl Oracle {
    /// Reads the entries that count in a replica.
    pub(crate) fn of(replica: &Replica, aggregate: &AggregateId) -> Self {
        let mut waiting: BTreeMap<String, (Set, CanonicalKey, Option<Decision>)> = BTreeMap::new();
        for entry in replica.counting.values().map(|i| &replica.log[*i]) {
            let kind = entry.event.event_type.as_str();
            let ours = entry.event.aggregate_id == *aggregate;
            if !ours || (entry.event.event_type.is_reserved() && kind != RESOLUTION) {
                continue;
            }
            let decision: Option<Decision> =
                (kind == RESOLUTION).then(|| serde_json::from_slice(entry.event.data.bytes()).unwrap());
            let id = match decision.as_ref().and_then(|d| d.decision.as_ref()) {
                Some(machine) => machine.to_string(),
                None => entry.event.id.to_string(),
            };
            let parents = entry.stamp.parents.iter().map(ToString::to_string).collect();
            let key = entry.stamp.key(&entry.event.id);
            if waiting.get(&id).is_none_or(|(_, held, _)| key < *held) {
                waiting.insert(id, (parents, key, decision));
            }
        }
        let mut oracle = Self::default();
        while !waiting.is_empty() {
            let ready: Vec<String> = waiting
                .iter()
                .filter(|(_, (parents, ..))| parents.iter().all(|p| oracle.points.contains_key(p)))
                .map(|(id, _)| id.clone())
                .collect();
            assert!(!ready.is_empty(), "something is built on what is not there");
            for id in ready {
                let (parents, key, decision) = waiting.remove(&id).unwrap();
                oracle.add(id, parents, key, decision);
            }
        }
        oracle
    }

    fn add(&mut self, id: String, parents: Set, key: CanonicalKey, decision: Option<Decision>) {
        let union = |of: fn(&Point) -> &Set| -> Set {
            parents.iter().flat_map(|p| of(&self.points[p]).iter().cloned()).collect()
        };
        let (mut facts, mut past) = (union(|p| &p.facts), union(|p| &p.past));
        past.insert(id.clone());
        let (view, verdicts) = match &decision {
            None => {
                facts.insert(id.clone());
                let lead = self.lead(&parents).map(|l| &self.points[&l]);
                let mut view = lead.map(|l| l.view.clone()).unwrap_or_default();
                view.insert(id.clone());
                (view, lead.map(|l| l.verdicts.clone()).unwrap_or_default())
            }
            Some(d) => {
                if d.is_person() {
                    facts.insert(id.clone());
                }
                self.decided(d, &parents, &key)
            }
        };
        self.points.insert(id, Point { parents, key, decision, facts, past, view, verdicts });
    }

    fn decided(
        &self,
        d: &Decision,
        parents: &Set,
        key: &CanonicalKey,
    ) -> (Set, BTreeMap<String, (bool, CanonicalKey)>) {
        let mut view: Set =
            d.adopts.iter().flat_map(|a| self.points[a.as_str()].view.iter().cloned()).collect();
        view.extend(d.merged.iter().map(|m| m.id.to_string()));
        let named = |ids: &[EventId]| -> Set { ids.iter().map(ToString::to_string).collect() };
        let (hidden, restored) = (named(&d.hidden), named(&d.restored));
        view.retain(|e| !hidden.contains(e));
        view.extend(restored.iter().cloned());
        let mut verdicts: BTreeMap<String, (bool, CanonicalKey)> = BTreeMap::new();
        for (event, verdict) in parents.iter().flat_map(|p| &self.points[p].verdicts) {
            if verdicts.get(event).is_none_or(|held| verdict.1 > held.1) {
                verdicts.insert(event.clone(), verdict.clone());
            }
        }
        if d.is_person() {
            let spoken = self.disagreement(&self.active(parents));
            for event in spoken.union(&hidden.union(&restored).cloned().collect()) {
                verdicts.insert(event.clone(), (view.contains(event), key.clone()));
            }
        }
        for (event, (counts, _)) in &verdicts {
            if *counts {
                view.insert(event.clone());
            } else {
                view.remove(event);
            }
        }
        (view, verdicts)
    }

    fn disagreement(&self, sides: &Set) -> Set {
        let all: Set = sides.iter().flat_map(|s| self.points[s].view.iter().cloned()).collect();
        all.into_iter().filter(|e| sides.iter().any(|s| !self.points[s].view.contains(e))).collect()
    }

    /// Whether decision `f` makes decision `e` a head no more.
    fn settles(&self, f: &str, e: &str) -> bool {
        let (pf, pe) = (&self.points[f], &self.points[e]);
        let (Some(df), Some(de)) = (&pf.decision, &pe.decision) else { return false };
        let ranks_higher = match (df.is_person(), de.is_person()) {
            (true, true) => pf.key > pe.key,
            (false, false) => f > e,
            (f_person, _) => f_person,
        };
        if df.conflict.is_some() && df.conflict == de.conflict && pf.parents == pe.parents {
            return ranks_higher;
        }
        if pf.facts == pe.facts { ranks_higher } else { pe.facts.is_subset(&pf.facts) }
    }

    fn active(&self, of: &Set) -> Set {
        of.iter().filter(|e| !of.iter().any(|f| f != *e && self.settles(f, e))).cloned().collect()
    }

    fn newest(&self, id: &str) -> Option<&CanonicalKey> {
        let view = &self.points[id].view;
        view.iter().filter_map(|e| self.points.get(e)).filter(|p| p.decision.is_none()).map(|p| &p.key).max()
    }

    fn lead(&self, of: &Set) -> Option<String> {
        self.active(of).into_iter().max_by(|a, b| (self.newest(a), a).cmp(&(self.newest(b), b)))
    }

    pub(crate) fn heads(&self) -> Set {
        let parents: Set = self.points.values().flat_map(|p| p.parents.iter().cloned()).collect();
        self.points.keys().filter(|id| !parents.contains(*id)).cloned().collect()
    }

    pub(crate) fn active_heads(&self) -> Set {
        self.active(&self.heads())
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.points.keys().map(String::as_str)
    }

    /// The view at a vertex, oldest first; what decisions brought along comes after the newest fact that the first of them
    /// knew.
    pub(crate) fn view_at(&self, id: &str) -> Vec<String> {
        let past = || self.points[id].past.iter().map(|p| &self.points[p]);
        let known = |d: &Point| d.facts.iter().map(|f| self.points[f].key.clone()).max();
        let age = |e: &String| match self.points.get(e) {
            Some(point) => (Some(point.key.clone()), 0),
            None => past().filter(|d| d.brings(e)).map(|d| (known(d), self.depth(d))).min().unwrap(),
        };
        let mut view: Vec<_> = self.points[id].view.iter().map(|e| (age(e), e)).collect();
        view.sort_unstable();
        view.into_iter().map(|(_, e)| e.clone()).collect()
    }

    /// How many decisions are built one on the other up to a point.
    fn depth(&self, point: &Point) -> usize {
        let before = point.parents.iter().map(|p| self.depth(&self.points[p])).max().unwrap_or_default();
        before + usize::from(point.decision.is_some())
    }

    pub(crate) fn view(&self) -> Vec<String> {
        self.lead(&self.heads()).map_or_else(Vec::new, |lead| self.view_at(&lead))
    }

    pub(crate) fn newest_of(&self, id: &str) -> Option<CanonicalKey> {
        self.newest(id).cloned()
    }

    pub(crate) fn past(&self, id: &str) -> &Set {
        &self.points[id].past
    }

    /// What people said of events, as far as a vertex knows.
    pub(crate) fn verdicts(&self, id: &str) -> BTreeMap<String, bool> {
        self.points[id].verdicts.iter().map(|(e, (counts, _))| (e.clone(), *counts)).collect()
    }
}
