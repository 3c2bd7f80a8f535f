//! The cache's tasks: following the registry, fetching again what got old, forgetting what nobody needs.

use super::Inner;
use crate::registry::follow::Follower;
use micro_core::{Batch, RegistryError, WatchScope};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};

/// How often the table is looked through.
const TICK: Duration = Duration::from_secs(1);

/// The connection to the registry, as far as people are told about it.
#[derive(Debug, Default)]
pub(super) struct Link(Mutex<LinkState>);

#[derive(Debug, Default)]
struct LinkState {
    /// Watches that failed last time.
    failing: HashSet<Option<String>>,
    since: Option<Instant>,
}

/// Starts the tasks. They end with the cache's token.
pub(super) fn start(inner: &Arc<Inner>) {
    spawn(inner, keep(inner.clone()));
    if inner.scope() == WatchScope::All {
        spawn(inner, follow_all(inner.clone()));
    }
}

/// Follows `name` until it is dropped from the table.
pub(super) fn watch_name(inner: &Arc<Inner>, name: &str, cursor: Option<String>) {
    spawn(inner, follow_name(inner.clone(), name.to_owned(), cursor));
}

fn spawn(inner: &Arc<Inner>, task: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(inner.stop.clone().run_until_cancelled_owned(task));
}

async fn follow_all(inner: Arc<Inner>) {
    let mut follower = Follower::new(inner.registry.clone(), None, None);
    loop {
        let said = follower.next().await;
        inner.heard(None, said);
    }
}

async fn follow_name(inner: Arc<Inner>, name: String, cursor: Option<String>) {
    let mut follower = Follower::new(inner.registry.clone(), Some(name.clone()), cursor);
    loop {
        let said = follower.next().await;
        inner.heard(Some(&name), said);
        if inner.update(|table| table.end_watch(&name)) {
            inner.link.forget(&name);
            return;
        }
    }
}

/// Looks through the table from time to time.
async fn keep(inner: Arc<Inner>) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut period = Instant::now();
    loop {
        tick.tick().await;
        inner.update(|table| table.sweep_unknown());
        let due = inner.table.lock().due();
        for name in due {
            // Runs on its own; the one who waits for it is the table.
            drop(Inner::fetch(&inner, &name));
        }
        // What the registry cannot tell again is not dropped.
        if period.elapsed() >= inner.options.idle && !inner.link.is_lost() {
            period = Instant::now();
            inner.update(|table| table.sweep_idle());
        }
    }
}

impl Inner {
    fn heard(&self, scope: Option<&str>, said: Result<Batch, RegistryError>) {
        let registry = self.registry.name();
        match said {
            Ok(batch) => {
                self.update(|table| table.told(scope, batch));
                if let Some(away) = self.link.succeeded(scope) {
                    tracing::info!(registry, ?away, "the registry is back");
                }
            }
            Err(error) => {
                self.update(|table| table.lost(scope));
                if self.link.failed(scope) {
                    let location = self.registry.location();
                    tracing::warn!(registry, %location, %error, "the registry is lost, going on with what is known");
                }
            }
        }
    }
}

impl Link {
    /// Whether no watch failed before this one.
    fn failed(&self, scope: Option<&str>) -> bool {
        let mut state = self.0.lock();
        let first = state.failing.is_empty();
        state.failing.insert(scope.map(str::to_owned));
        state.since.get_or_insert_with(Instant::now);
        first
    }

    /// How long the registry was away, if this was the last watch that failed.
    fn succeeded(&self, scope: Option<&str>) -> Option<Duration> {
        let mut state = self.0.lock();
        if state.failing.is_empty() {
            return None;
        }
        state.failing.remove(&scope.map(str::to_owned));
        if !state.failing.is_empty() {
            return None;
        }
        state.since.take().map(|since| since.elapsed())
    }

    fn is_lost(&self) -> bool {
        !self.0.lock().failing.is_empty()
    }

    fn forget(&self, name: &str) {
        let mut state = self.0.lock();
        state.failing.remove(&Some(name.to_owned()));
        if state.failing.is_empty() {
            state.since = None;
        }
    }
}
