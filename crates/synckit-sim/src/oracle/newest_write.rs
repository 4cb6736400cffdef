//! C4: where the last write wins, it does.

use super::{History, Violation, expect};

/// The newest domain event counts, so does all that counted when it was written, and no two events that count are
/// concurrent.
///
/// It holds where all nodes let the last write win. There is nothing to check while a conflict is open, once a person
/// decided or something was withdrawn, nor where an event came to have another stamp after it was decided on.
///
/// # Errors
/// What does not hold.
pub fn check(history: &History) -> Result<(), Violation> {
    let active = history.active(&history.head_indices());
    let [head] = active[..] else { return Ok(()) };
    if history.people_decided() || history.has_withdrawals() || history.has_replaced() {
        return Ok(());
    }
    let aggregate = history.aggregate();
    let view = &history.points[head].view;
    let Some(newest) = (0..history.len()).rfind(|i| history.decision(*i).is_none()) else { return Ok(()) };
    expect("C4", view.contains(newest), || {
        format!("{aggregate}: the newest write, {}, does not count", history.name(newest))
    })?;
    let dropped = history.points[newest].view.iter().find(|e| !view.contains(*e));
    expect("C4", dropped.is_none(), || {
        let base = dropped.map(|e| history.name(e));
        format!("{aggregate}: the newest write, {}, was built on {base:?}", history.name(newest))
    })?;
    let written: Vec<usize> = view.iter().take_while(|e| *e < history.len()).collect();
    let apart = written.windows(2).find(|pair| !history.points[pair[1]].past.contains(pair[0]));
    expect("C4", apart.is_none(), || {
        let names: Vec<&str> = apart.into_iter().flatten().map(|e| history.name(*e)).collect();
        format!("{aggregate}: the concurrent writes {names:?} both count")
    })
}
