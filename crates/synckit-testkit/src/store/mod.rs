//! The conformance suite of stores.

mod check;

pub(crate) use self::check::check;
#[doc(hidden)]
pub use crate::stores::Fresh;
use crate::suite::suite;

pub(crate) use self::{
    bytes::fragile,
    names::{ALIKE, ODD},
};

suite! {
    /// Makes one test of each case of the conformance suite of stores.
    ///
    /// `fresh` is an `async fn(`[`Setup`](crate::Setup)`) -> `[`Fixture`](crate::Fixture) that makes an empty store. Each
    /// case runs twice: in integer mode on a runtime with one thread, and in vector mode on one with several. Whatever a
    /// case did, at its end the log is checked against everything that the store says of it.
    store event_store_conformance ($fresh:expr) => (crate::store::Fresh) = ($crate::store::Fresh::new($fresh));

    l1 {
        l1_an_empty_store_is_empty,
        l1_positions_are_dense_from_one,
        l1_concurrent_writers_leave_nothing_out_for_a_tailing_reader,
        l1_concurrent_writers_of_one_aggregate_build_one_chain,
        l1_own_counters_are_dense,
        l1_an_event_is_built_on_the_one_before,
    }
    l2 {
        l2_appending_again_is_a_duplicate,
        l2_applying_again_is_a_duplicate,
        l2_an_id_twice_in_one_write,
        l2_another_content_under_an_id_is_refused,
        l2_every_part_of_the_content_counts,
        l2_the_smaller_stamp_counts_in_either_order,
        l2_the_smaller_stamp_brings_its_parents,
        l2_the_smaller_stamp_of_two_in_one_page,
        l2_an_own_event_under_a_smaller_stamp,
    }
    l2_contested {
        l2_the_smaller_stamp_takes_over_an_id,
        l2_the_larger_stamp_does_not,
        l2_an_id_moves_to_another_aggregate,
        l2_an_id_moves_between_aggregates_in_one_page,
        l2_a_contested_id_ends_alike_in_every_order,
        l2_a_withdrawn_id_is_not_free_again,
        l2_a_withdrawn_id_goes_to_an_older_event,
        l2_an_event_counts_under_a_stamp_that_is_not_withdrawn,
        l2_what_is_built_on_contested_ids_makes_no_circle,
    }
    l3 {
        l3_an_event_waits_for_its_parent,
        l3_parents_may_come_in_the_same_page,
        l3_a_stamp_not_after_its_parents_waits,
        l3_a_stub_is_a_parent,
        l3_a_stub_is_filled,
        l3_a_stub_takes_no_other_content,
        l3_a_stub_never_replaces_data,
        l3_many_parents,
    }
    l3_fork {
        l3_an_own_event_that_is_not_held_forks_the_node,
        l3_an_own_event_beyond_the_counter_forks_the_node,
        l3_own_events_that_come_back_do_not_fork,
        l3_an_own_event_that_waits_forks_the_node_too,
        l3_a_former_nodes_events_do_not_fork_again,
        l3_a_page_of_own_events_forks_once,
    }
    l4 {
        l4_a_dropped_apply_is_all_or_nothing,
        l4_a_dropped_append_is_all_or_nothing,
        l4_a_dropped_acknowledgement_is_all_or_nothing,
        l4_a_dropped_decision_is_all_or_nothing,
        l4_dropped_reads_do_no_harm,
        l4_readers_never_see_half_a_page,
        l4_a_failed_write_changes_nothing,
    }
    l5 {
        l5_hashes_follow_from_the_entries,
        l5_hashes_at_positions,
        l5_the_log_is_never_rewritten,
        l5_equal_writes_make_equal_hashes,
    }
    l6 {
        l6_entries_record_the_log_they_came_from,
        l6_what_came_from_a_peer_is_left_out_beyond_the_floor,
        l6_a_checkpoint_comes_back_as_it_was,
        l6_checkpoints_are_kept_per_peer,
        l6_a_peer_is_forgotten,
    }
    l7 {
        l7_pages_of_every_size,
        l7_pages_keep_to_the_bytes,
        l7_the_default_page_is_bounded,
        l7_reading_at_and_beyond_the_end,
        l7_only_what_counts,
        l7_a_large_write_and_a_large_load,
    }
    l7_filter {
        l7_filter_by_aggregate,
        l7_filter_by_type,
        l7_filter_by_origin,
        l7_filter_by_metadata,
        l7_filters_are_anded,
        l7_filters_in_pages_of_every_size,
        l7_the_cursor_passes_what_a_filter_leaves_out,
        l7_the_kits_own_events_pass_whole,
        l7_many_names_in_a_filter,
    }
    l7_vector {
        l7_progress_counts_gaps,
        l7_progress_counts_stamps_that_are_only_known,
        l7_progress_tells_two_events_of_one_counter_apart,
        l7_progress_tells_two_stamps_of_one_counter_apart,
        l7_progress_tells_two_contents_of_one_stamp_apart,
        l7_missing_from_in_pages_of_every_size,
        l7_missing_from_nothing_and_from_everything,
        l7_missing_from_gives_both_events_of_one_counter,
        l7_missing_from_with_a_filter_and_not_from,
        l7_greatest_counters,
    }
    l7_stubs {
        l7_progress_names_stubs,
        l7_only_the_entry_that_counts_is_a_stub,
        l7_a_withdrawn_stub_waits_for_no_data,
        l7_the_data_of_stubs_is_given,
        l7_no_stub_is_given_for_a_stub,
        l7_data_is_given_under_a_counter_of_which_something_else_is_a_stub,
        l7_the_data_of_many_stubs_is_given,
        l7_stubs_of_an_origin_that_is_not_here,
        l2_a_stub_with_a_smaller_stamp_keeps_the_data,
        l2_a_stub_that_waited_keeps_the_data,
    }
    l8 {
        l8_one_outcome_for_each_event_in_order,
        l8_a_write_of_nothing,
        l8_too_much_data_is_refused,
        l8_ten_mebibytes_are_too_much,
        l8_reserved_names_are_refused,
        l8_an_unknown_kind_of_the_kits_events_is_refused,
        l8_an_event_without_stamp_becomes_the_hubs_own,
        l8_a_log_without_stamps_is_stamped_alike_everywhere,
    }
    l9 {
        l9_what_cannot_be_taken_is_held,
        l9_nothing_is_held_unless_asked,
        l9_what_is_held_is_taken_once_it_can_be,
        l9_a_chain_that_waited_is_taken_in_one_write,
        l9_what_is_refused_for_good_stays_held,
        l9_one_row_can_be_tried_alone,
        l9_what_is_refused_blocks_only_its_descendants,
        l9_an_event_without_stamp_is_held,
    }
    l9_refused {
        l9_a_peers_refusals_are_kept_until_released,
        l9_a_refusal_is_released,
        l9_a_refusal_of_an_entry_that_no_longer_counts_is_not_kept,
        l9_a_refused_event_is_withdrawn,
        l9_what_cannot_be_withdrawn,
        l9_a_withdrawal_stands_in_for_its_event_elsewhere,
        l9_an_owner_withdraws_what_it_wrote_before_it_forked,
    }
    c0 {
        c0_two_branches_are_a_conflict,
        c0_a_conflict_grows_and_is_one,
        c0_conflicts_in_pages,
        c0_no_ordinary_event_closes_a_conflict,
        c0_the_order_of_arrival_does_not_matter,
        c0_histories_of_many_aggregates,
    }
    c2 {
        c2_a_decision_closes_its_conflict,
        c2_a_persons_decision_keeps_what_was_named,
        c2_a_decision_on_what_changed_is_stale,
        c2_a_decision_on_what_is_not_there_fails,
        c2_a_machines_decision_is_one_however_often_it_is_taken,
        c2_a_decision_of_another_replica_counts,
        c2_a_merged_event_comes_out_byte_for_byte,
        c2_disputed_aggregates_in_pages,
        c2_a_person_outranks_a_machine,
    }
    c6 {
        c6_a_conflict_is_opened_for_review,
        c6_a_review_is_neither_head_nor_parent,
        c6_a_review_comes_from_a_peer,
        c6_reviews_belong_to_one_conflict,
        c7_an_undo_is_taken_back,
    }
    bytes {
        bytes_of_json_come_out_as_they_went_in,
        bytes_of_other_codecs_come_out_as_they_went_in,
        bytes_of_metadata_come_out_as_they_went_in,
        bytes_in_quarantine_come_out_as_they_went_in,
        bytes_of_large_events_come_out_as_they_went_in,
        bytes_of_numbers_beyond_every_type,
        bytes_of_ten_mebibytes_come_out_where_they_are_allowed,
    }
    names {
        names_of_255_bytes,
        names_are_compared_bytewise,
        names_with_quotes_and_the_like,
        names_of_aggregates_in_pages,
    }
    clock {
        clock_stamps_increase,
        clock_follows_what_it_sees,
        clock_does_not_follow_the_future,
        clock_skew_is_refused_to_its_author_only,
        clock_skew_is_none_if_the_parents_are_ahead_too,
        clock_set_right_events_are_stamped_again,
    }
    moved {
        moved_with_everything,
        moved_logs_are_sealed,
        moved_as_a_new_node,
        moved_by_half_is_no_store,
        moved_while_it_is_written_to,
        moved_tables_in_pages_of_every_size,
    }
    life {
        life_a_store_says_who_it_is,
        life_a_closed_store_says_so,
        life_closing_waits_for_what_is_running,
        life_closing_wakes_who_waits,
        life_a_store_keeps_everything,
        life_turns_to_sync_exclude_each_other,
        life_a_dropped_wait_for_a_turn_loses_nothing,
        life_an_append_wakes_who_waits,
        life_no_wait_for_what_is_there,
    }
}
