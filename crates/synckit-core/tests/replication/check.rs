//! What must hold once the faults have stopped.

use std::collections::{BTreeMap, BTreeSet};

use synckit_core::{
    AggregateId, CanonicalKey, EventId, VertexId,
    graph::Head,
    store::{QuarantineSide, Quarantined},
};

use super::{support::Replica, world::World};

impl World {
    pub(crate) fn check(&self, before: &BTreeSet<EventId>) {
        let first = &self.nodes[0].replica;
        let ids = |r: &Replica| r.counting.keys().cloned().collect::<BTreeSet<_>>();
        let stamps = |r: &Replica| -> BTreeMap<_, _> {
            r.counting
                .iter()
                .map(|(id, i)| (id.clone(), (r.log[*i].content, r.log[*i].stamp.clone())))
                .collect()
        };
        for site in self.sites() {
            let replica = &site.replica;
            let missing: Vec<_> = before.difference(&ids(replica)).cloned().collect();
            assert!(missing.is_empty(), "{missing:?} never reach {}", site.address);
            assert_eq!(ids(replica), ids(first), "an event never reaches some replica");
            assert_eq!(stamps(replica), stamps(first), "an event has different stamps on {}", site.address);
            replica.check_heads();
            let heads = |r: &Replica| -> BTreeMap<AggregateId, Vec<Head>> {
                r.heads.iter().filter(|(_, h)| !h.is_empty()).map(|(a, h)| (a.clone(), h.clone())).collect()
            };
            assert_eq!(heads(replica), heads(first), "the heads differ on {}", site.address);
            let met = |q: &Quarantined| {
                q.side == QuarantineSide::Held || self.hubs.iter().any(|h| h.replica.node.log == q.peer)
            };
            let stuck = replica.quarantine.values().filter(|q| q.refusal.code.may_pass() && met(q));
            let stuck: Vec<&Quarantined> = stuck.collect();
            assert!(stuck.is_empty(), "{} keeps in quarantine: {stuck:#?}", site.address);
        }
        self.check_order(first);
    }

    /// The canonical order extends causality.
    fn check_order(&self, replica: &Replica) {
        let keys: BTreeMap<VertexId, CanonicalKey> = replica
            .aggregates()
            .iter()
            .flat_map(|a| replica.graph(a).vertices().to_vec())
            .map(|v| (v.id, v.key))
            .collect();
        for aggregate in replica.aggregates() {
            for vertex in replica.graph(&aggregate).vertices() {
                for parent in &vertex.parents {
                    assert!(keys[parent] < vertex.key, "{} comes before its parent {parent}", vertex.id);
                }
            }
        }
    }
}
