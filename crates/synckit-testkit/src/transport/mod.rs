//! The conformance suite of transports.

mod ends;

pub use self::ends::TransportFixture;
#[doc(hidden)]
pub use self::ends::Ways;
use crate::suite::suite;

suite! {
    /// Makes one test of each case of the conformance suite of transports.
    ///
    /// `store` is an `async fn(`[`Setup`](crate::Setup)`) -> `[`Fixture`](crate::Fixture) that makes an empty store, which
    /// has to pass [`event_store_conformance!`](crate::event_store_conformance). `connect` is an
    /// `async fn(Arc<dyn EventStore>) -> `[`TransportFixture`](crate::transport::TransportFixture) that exposes such a
    /// store, and connects to it. Each case runs twice: in integer mode on a runtime with one thread, and in vector mode on
    /// one with several.
    transport transport_conformance (connect = $connect:expr, store = $store:expr)
        => (crate::transport::Ways) = ($crate::transport::Ways::new($connect, $store));

    greet {
        greet_an_empty_log,
        greet_says_who_is_there,
        greet_verifies_marks,
        greet_notices_another_log,
        greet_gives_what_the_peer_holds,
        greet_sees_what_was_written_meanwhile,
    }
    pull {
        pull_from_an_empty_log,
        pull_pages_of_every_size,
        pull_goes_on_as_the_log_grows,
        pull_without_a_limit_reaches_the_head,
        pull_large_pages,
        pull_with_a_wrong_cursor_fails,
        pull_what_the_cursor_lacks,
    }
    filter {
        filter_leaves_stubs,
        filter_by_every_kind,
        filter_with_odd_names,
        filter_passes_what_it_leaves_out,
    }
    push {
        push_says_what_became_of_each_event,
        push_again_is_a_duplicate,
        push_to_another_log_fails,
        push_nothing,
        push_proves_nothing_about_the_pushers_log,
        push_is_checked_against_its_author,
        push_without_stamps,
        push_stubs,
        push_large_batches,
        push_the_same_from_many_at_once,
    }
    fidelity {
        bytes_survive_a_push_and_a_pull,
        bytes_of_decisions_survive,
        names_survive,
        stamps_survive,
        texts_of_refusals_survive,
    }
    life {
        life_a_dropped_greeting_does_no_harm,
        life_a_dropped_pull_does_no_harm,
        life_a_dropped_push_does_no_harm,
        life_requests_at_once,
        life_a_closed_transport_says_so,
        life_closing_leaves_the_store_open,
        life_an_address_shows,
    }
}
