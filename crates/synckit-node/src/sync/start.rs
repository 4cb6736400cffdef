//! Where a sync begins, as a pure function of what is known of the peer.

use synckit_core::{
    Hash, LogId, Mark,
    plant::{Plant, planted},
    store::Checkpoint,
    transport::{Greeting, PeerState},
};

pub(super) struct Start {
    pub(super) checkpoint: Checkpoint,
    /// The log that answered at this address before.
    pub(super) forget: Option<LogId>,
    /// Whether the peer had been met, and everything is exchanged anew all the same.
    pub(super) over: bool,
}

/// What to ask a peer of which this checkpoint is known.
pub(super) fn greeting(checkpoint: Option<&Checkpoint>, wants_vector: bool) -> Greeting {
    let Some(known) = checkpoint else { return Greeting { wants_vector, ..Greeting::default() } };
    Greeting { log: Some(known.log), marks: known.marks(), wants_vector }
}

/// A peer whose log is another one, or is not what it was, is met from the beginning, in both directions. What is in our log
/// by then is sent to it whoever it came from.
pub(super) fn plan_start(
    known: &[Checkpoint],
    peer: &PeerState,
    address: &str,
    filter: Hash,
    head: u64,
) -> Start {
    let forget = known.iter().find(|c| c.address == address && c.log != peer.log).map(|c| c.log);
    let met = known.iter().find(|c| c.log == peer.log);
    let mut checkpoint = match met {
        Some(met) if peer.verified => {
            let mut met = met.clone();
            met.verified();
            met
        }
        _ => {
            let mut fresh = Checkpoint::start(peer.log, address, filter);
            fresh.echo_floor = head;
            if planted(Plant::LocalEventsDropped) && (met.is_some() || forget.is_some()) {
                fresh.push = head;
            }
            fresh
        }
    };
    checkpoint.address = address.to_owned();
    if planted(Plant::SharedCheckpoint) {
        checkpoint.push = known.iter().map(|c| c.push).max().unwrap_or_default();
    }
    if checkpoint.filter != filter {
        checkpoint.filter = filter;
        checkpoint.pull = Mark::START;
        checkpoint.push = 0;
    }
    let over = forget.is_some() || met.is_some_and(|_| !peer.verified);
    Start { checkpoint, forget, over }
}

#[cfg(test)]
mod tests {
    use synckit_core::{CursorMode, NodeId};

    use super::*;

    fn peer(log: u128, verified: bool) -> PeerState {
        PeerState::new(
            LogId::from_u128(log),
            NodeId::from_u128(9),
            CursorMode::Integer,
            Mark::START,
            verified,
        )
    }

    fn known(log: u128) -> Checkpoint {
        let mut checkpoint = Checkpoint::start(LogId::from_u128(log), "hub", Hash::ZERO);
        checkpoint.pull.position = 5;
        checkpoint.push = 7;
        checkpoint
    }

    #[test]
    fn goes_on_where_it_was() {
        let start = plan_start(&[known(1)], &peer(1, true), "hub", Hash::ZERO, 9);
        assert_eq!((start.checkpoint, start.forget, start.over), (known(1), None, false));
    }

    #[test]
    fn a_log_that_is_not_what_it_was_is_met_anew() {
        let start = plan_start(&[known(1)], &peer(1, false), "hub", Hash::ZERO, 9);
        assert_eq!(
            (start.checkpoint.pull, start.checkpoint.push, start.checkpoint.echo_floor),
            (Mark::START, 0, 9)
        );
        assert!(start.over);
    }

    #[test]
    fn another_log_at_the_address_replaces_the_one_before() {
        let start = plan_start(&[known(1)], &peer(2, false), "hub", Hash::ZERO, 9);
        assert_eq!((start.checkpoint.log, start.forget), (LogId::from_u128(2), Some(LogId::from_u128(1))));
        assert!(start.over);
    }

    #[test]
    fn a_log_keeps_its_checkpoint_at_another_address() {
        let start = plan_start(&[known(1)], &peer(1, true), "elsewhere", Hash::ZERO, 9);
        assert_eq!((start.checkpoint.push, start.forget, start.over), (7, None, false));
    }

    #[test]
    fn a_changed_filter_starts_a_backfill() {
        let start = plan_start(&[known(1)], &peer(1, true), "hub", Hash::of(b"other"), 9);
        assert_eq!((start.checkpoint.pull, start.checkpoint.push, start.over), (Mark::START, 0, false));
        assert_eq!(start.checkpoint.filter, Hash::of(b"other"), "once it has begun, it goes on where it was");
    }
}
