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

pub(crate) mod case;
mod lookups;
mod model;
mod records;
pub(crate) mod replica;
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

/// Runs the suite, or the cases whose name or rule contains `filter`.
pub async fn run(new: impl AsyncFn() -> Arc<dyn Registry>, expect: &Expect, filter: Option<&str>) -> Report {
    let mut report = Report::default();
    for (rule, name) in CASES {
        if filter.is_none_or(|filter| name.contains(filter) || rule.contains(filter)) {
            run_one(&mut report, rule, new().await, expect).await;
        }
    }
    report
}

/// Each case with the rule of `micro plugin test` that it checks.
macro_rules! cases {
    ($($rule:literal => $module:ident :: $case:ident),* $(,)?) => {
        /// The rules of [`crate::conformance`] that the cases check, and the names of the cases.
        pub(crate) const CASES: &[(&str, &str)] =
            &[$(($rule, concat!(stringify!($module), "::", stringify!($case)))),*];

        async fn run_one(report: &mut Report, rule: &str, registry: Arc<dyn Registry>, expect: &Expect) {
            $(if rule == $rule {
                let name = concat!(stringify!($module), "::", stringify!($case));
                return report.run(name, registry, expect, $module::$case).await;
            })*
        }
    };
}

cases! {
    "registry.lookup.exact" => lookups::steps_lead_to_the_expected_nodes,
    "registry.lookup.unknown" => lookups::an_unknown_name_is_an_empty_answer,
    "registry.ttl.expires" => lookups::entries_end_with_their_ttl,
    "registry.ttl.extended" => lookups::heartbeats_extend_the_ttl,
    "registry.ttl.zero" => lookups::without_a_ttl_entries_stay,
    "registry.list.complete" => lookups::the_list_is_sorted_and_has_each_name_once,
    "registry.register.concurrent" => lookups::many_may_register_at_once,
    "registry.health.answers" => lookups::it_is_healthy,
    "registry.record.names" => records::unusual_names_are_told_apart,
    "registry.record.endpoints" => records::endpoints_come_back_as_they_were,
    "registry.record.metadata" => records::metadata_comes_back_as_it_was,
    "registry.record.large" => records::large_records_come_back_whole,
    "registry.watch.first" => watching::the_first_answer_is_everything,
    "registry.watch.changes" => watching::changes_are_told_in_turn,
    "registry.watch.cursor-reused" => watching::a_cursor_can_be_used_again,
    "registry.watch.cursor-bad" => watching::a_bad_cursor_leads_to_a_resync,
    "registry.watch.snapshot" => watching::a_snapshot_can_be_watched_on,
    "registry.watch.silence" => watching::silence_ends_with_the_wait,
    "registry.watch.scope" => watching::a_name_hears_of_itself_only,
    "registry.watch.wakes" => watching::a_change_ends_the_wait,
    "registry.watch.abandoned" => watching::an_abandoned_wait_loses_nothing,
    "registry.watch.expiry" => watching::an_expiry_is_told,
    "registry.watch.many" => watching::many_may_watch_at_once,
    "registry.model.walk" => model::random_steps_agree_with_the_model,
}
