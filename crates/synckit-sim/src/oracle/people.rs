//! C5: no machine overturns a person.

use std::collections::BTreeMap;

use super::{History, Violation, expect};

/// Of each event that people spoke on, the latest of them in the past of the leading head has the last word.
///
/// An event is left out if its latest speaker was settled by another person on the same heads who did not speak on it: that
/// person goes before the speaker as a whole.
///
/// # Errors
/// The event that counts, or does not, against what was said.
pub fn check(history: &History) -> Result<(), Violation> {
    let Some(lead) = history.lead(&history.head_indices()) else { return Ok(()) };
    let past = &history.points[lead].past;
    let people: Vec<usize> = past
        .iter()
        .take_while(|v| *v < history.len())
        .filter(|v| history.decision(*v).is_some_and(|d| d.is_person()))
        .collect();
    let mut latest: BTreeMap<usize, usize> = BTreeMap::new();
    for &person in &people {
        latest.extend(spoken(history, person).into_iter().map(|event| (event, person)));
    }
    let overruled = |e: usize| {
        let same_heads =
            |f: usize| history.entries.vertices[f].parents == history.entries.vertices[e].parents;
        people.iter().any(|f| *f > e && same_heads(*f) && history.settles(*f, e))
    };
    for (event, person) in latest.into_iter().filter(|(_, person)| !overruled(*person)) {
        let said = history.points[person].view.contains(event);
        let counts = history.points[lead].view.contains(event);
        expect("C5", said == counts, || {
            let (event, person) = (history.name(event), history.name(person));
            let aggregate = history.aggregate();
            format!("{aggregate}: {person} said that {event} counts: {said}. It does: {counts}")
        })?;
    }
    Ok(())
}

/// What a person's decision speaks on: what its unsettled parents disagree on, and what it names of its past.
fn spoken(history: &History, person: usize) -> Vec<usize> {
    let sides = history.active(&history.parents[person]);
    let views: Vec<_> = sides.iter().map(|s| &history.points[*s].view).collect();
    let disputed = |e: usize| {
        let having = views.iter().filter(|v| v.contains(e)).count();
        having > 0 && having < views.len()
    };
    let named: Vec<usize> = history
        .decision(person)
        .into_iter()
        .flat_map(|d| d.hidden.iter().chain(&d.restored))
        .filter_map(|id| history.element(id))
        .collect();
    history.points[person].past.iter().filter(|e| disputed(*e) || named.contains(e)).collect()
}
