//! The conformance suite of indexes: a function for each point of their contract.

#![allow(dead_code, reason = "each test uses its part of it")]

pub(crate) mod contract;
pub(crate) mod keeping;
pub(crate) mod random;
pub(crate) mod sample;

use std::{any::Any, future::Future, pin::Pin, sync::Arc};

use synckit_audit::AuditIndex;
use synckit_core::LogId;

type Opening = Pin<Box<dyn Future<Output = Arc<dyn AuditIndex>> + Send>>;

/// Where an index is that can be opened again and again.
pub(crate) struct Place {
    open: Box<dyn Fn(LogId) -> Opening + Send + Sync>,
    _guard: Box<dyn Any + Send + Sync>,
}

impl Place {
    pub(crate) fn new<F>(
        guard: impl Any + Send + Sync,
        open: impl Fn(LogId) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Arc<dyn AuditIndex>> + Send + 'static,
    {
        Self { open: Box::new(move |log| Box::pin(open(log))), _guard: Box::new(guard) }
    }

    pub(crate) async fn open(&self, log: LogId) -> Arc<dyn AuditIndex> {
        (self.open)(log).await
    }
}

/// Makes one test of each case; `place` is an `async fn() -> Place` with a new index.
macro_rules! index_conformance {
    ($place:path) => {
        index_conformance! { $place;
            contract::a_new_index_has_read_nothing,
            contract::what_is_recorded_is_found_in_pages,
            contract::recording_again_changes_nothing,
            contract::an_entry_replaces_what_has_its_event_or_position,
            contract::the_last_of_a_batch_counts,
            contract::a_record_from_elsewhere_changes_nothing,
            contract::a_record_is_all_or_nothing,
            contract::what_is_cleared_is_gone,
            contract::what_was_recorded_is_there_when_it_is_opened_again,
            contract::groups_hold_what_is_within_them,
            contract::long_text_and_nul_are_told_apart,
            contract::many_entries_are_recorded_at_once,
            keeping::an_update_reads_what_is_new,
            keeping::an_update_passes_what_is_no_decision,
            keeping::a_decision_under_a_smaller_stamp_replaces_the_first,
            keeping::another_log_is_read_anew_or_refused,
            keeping::a_restored_log_is_read_anew,
            keeping::what_is_wrong_is_found_and_mended,
            keeping::what_was_replaced_since_is_no_difference,
            keeping::several_who_update_at_once_miss_and_double_nothing,
            random::filters_mean_what_they_say,
        }
    };
    ($place:path; $($group:ident::$case:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                support::$group::$case($place().await).await;
            }
        )*
    };
}
pub(crate) use index_conformance;
