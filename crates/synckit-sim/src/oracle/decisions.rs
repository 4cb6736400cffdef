//! C2, C5, C7: every decision in the log is one.

use std::collections::HashMap;

use synckit_core::{EventId, VertexId};

use super::{History, Violation, entries::Decided, expect};

/// Decisions decide heads and adopt some of them; copies of a machine's decision are one, under the id that follows from it;
/// an undo is a person's, and decides no conflict.
///
/// # Errors
/// The decision that is none.
pub fn check(history: &History) -> Result<(), Violation> {
    let mut copies: HashMap<&VertexId, &Decided> = HashMap::new();
    for decided in &history.entries.decisions {
        let (event, decision) = (&decided.event, &decided.decision);
        let among = |head: &VertexId| decided.parents.contains(head);
        expect("C2", !decided.parents.is_empty(), || format!("{event} decides no heads"))?;
        expect("C2", !decision.adopts.is_empty(), || format!("{event} adopts no head"))?;
        expect("C2", decision.adopts.iter().all(among), || {
            format!("{event} adopts what it does not decide")
        })?;
        if let Some(id) = &decision.decision {
            let first = copies.entry(id).or_insert(decided);
            expect("C5", says(first) == says(decided), || {
                format!("{event} and {} are both {id}, and not alike", first.event)
            })?;
            let due = decision.machine_id(history.aggregate(), &decided.parents);
            expect("C5", *id == due, || format!("{event} is the decision {id}, and should be {due}"))?;
        }
        let undo = decision.undoes.is_some();
        expect("C7", undo != decision.conflict.is_some(), || {
            format!("{event} decides {:?} and takes back {:?}", decision.conflict, decision.undoes)
        })?;
        expect("C7", !undo || decision.is_person(), || format!("{event} is an undo by a machine"))?;
    }
    Ok(())
}

type Said = (Vec<VertexId>, Vec<VertexId>, Vec<EventId>, Vec<EventId>, Vec<String>);

/// What a decision decides, and how.
fn says(decided: &Decided) -> Said {
    fn sorted<T: Ord + Clone>(list: &[T]) -> Vec<T> {
        let mut list = list.to_vec();
        list.sort_unstable();
        list
    }
    let decision = &decided.decision;
    let merged = decision.merged.iter().map(|m| {
        let metadata = m.metadata.as_ref().map_or("", |m| m.get());
        format!("{} {} {} {metadata}", m.id, m.event_type, m.data)
    });
    (
        sorted(&decided.parents),
        sorted(&decision.adopts),
        sorted(&decision.hidden),
        sorted(&decision.restored),
        merged.collect(),
    )
}
