//! What every registry must do, whoever wrote it: the contract of [`Registry`] as cases that run.
//!
//! ```
//! use micro::registry::MemoryRegistry;
//! use micro_core::Registry;
//! use std::sync::Arc;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let new = async || Arc::new(MemoryRegistry::new()) as Arc<dyn Registry>;
//! micro_test::registry::run(new, &Default::default(), Some("lookups::steps")).await.assert();
//! # });
//! ```
//!
//! Every case uses service names of its own, so all of them may share one server that also holds other things. Whatever
//! a backend may do later than at once is waited for, up to what [`Expect`] allows.

mod case;
mod lookups;
mod model;
mod records;
mod replica;
mod watching;

pub use case::{CaseReport, Expect, Failure, Report};
pub use replica::Replica;

use micro_core::Registry;
use std::sync::Arc;

/// Runs the suite with the default expectations. `new` gives a registry for each case; it may be the same one.
///
/// # Panics
/// A case failed; the message lists all that did.
pub async fn contract(new: impl AsyncFn() -> Arc<dyn Registry>) {
    run(new, &Expect::default(), None).await.assert();
}

/// Runs the suite, or the cases whose name contains `filter`.
pub async fn run(new: impl AsyncFn() -> Arc<dyn Registry>, expect: &Expect, filter: Option<&str>) -> Report {
    let mut report = Report::default();
    macro_rules! cases {
        ($($module:ident :: $case:ident),* $(,)?) => {$(
            let name = concat!(stringify!($module), "::", stringify!($case));
            if filter.is_none_or(|filter| name.contains(filter)) {
                report.run(name, new().await, expect, $module::$case).await;
            }
        )*};
    }
    cases! {
        lookups::steps_lead_to_the_expected_nodes,
        lookups::an_unknown_name_is_an_empty_answer,
        lookups::entries_end_with_their_ttl,
        lookups::heartbeats_extend_the_ttl,
        lookups::without_a_ttl_entries_stay,
        lookups::the_list_is_sorted_and_has_each_name_once,
        lookups::many_may_register_at_once,
        lookups::it_is_healthy,
        records::unusual_names_are_told_apart,
        records::endpoints_come_back_as_they_were,
        records::metadata_comes_back_as_it_was,
        records::large_records_come_back_whole,
        watching::the_first_answer_is_everything,
        watching::changes_are_told_in_turn,
        watching::a_cursor_can_be_used_again,
        watching::a_bad_cursor_leads_to_a_resync,
        watching::a_snapshot_can_be_watched_on,
        watching::silence_ends_with_the_wait,
        watching::a_name_hears_of_itself_only,
        watching::a_change_ends_the_wait,
        watching::an_abandoned_wait_loses_nothing,
        watching::an_expiry_is_told,
        watching::many_may_watch_at_once,
        model::random_steps_agree_with_the_model,
    }
    report
}
