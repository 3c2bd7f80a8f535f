//! One consumer of [`Registry::changes`]: keeps the cursor, and a sane pace with registries that misbehave.

use super::view::says_nothing;
use micro_core::{Batch, Registry, RegistryError};
use micro_net::Backoff;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long the registry may wait for a change; the contract allows no more.
const WAIT: Duration = Duration::from_secs(5);
/// How much longer it may take to answer.
const SLACK: Duration = Duration::from_secs(5);
/// Pauses before a registry that failed, or answers too soon, is asked again. Never nearly nothing: those who lost a
/// registry together must not come back together.
const PAUSES: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5)).at_least_half();

/// Follows a registry, or one name in it.
#[derive(Debug)]
pub(crate) struct Follower {
    registry: Arc<dyn Registry>,
    name: Option<String>,
    cursor: Option<String>,
    failures: Backoff,
    /// Answers in a row that should have waited.
    hasty: Backoff,
    resynced: bool,
    not_before: Instant,
}

impl Follower {
    /// Starts at `cursor`; without one the first batch is everything.
    pub(crate) fn new(registry: Arc<dyn Registry>, name: Option<String>, cursor: Option<String>) -> Self {
        Self {
            registry,
            name,
            cursor,
            failures: PAUSES,
            hasty: PAUSES,
            resynced: false,
            not_before: Instant::now(),
        }
    }

    /// The next batch. An empty one says that nothing changed for a while, and that the registry is there. Errors are
    /// not final: the next call goes on from the same cursor after a delay.
    ///
    /// Cancel safe.
    pub(crate) async fn next(&mut self) -> Result<Batch, RegistryError> {
        tokio::time::sleep_until(self.not_before).await;
        let asked = Instant::now();
        let changes = self.registry.changes(self.name.as_deref(), self.cursor.as_deref(), WAIT);
        let answer = tokio::time::timeout(WAIT + SLACK, changes).await;
        let timeout =
            || RegistryError::Timeout { registry: self.registry.name().to_owned(), after: WAIT + SLACK };
        match answer.map_err(|_| timeout()).flatten() {
            Ok(batch) => {
                self.failures.reset();
                // Two resyncs in a row, or nothing to say before the time is over: asking again at once would spin.
                let hasty =
                    batch.resync && self.resynced || says_nothing(&batch) && asked.elapsed() < WAIT / 4;
                if hasty {
                    self.not_before = Instant::now() + self.hasty.next_wait();
                } else {
                    self.hasty.reset();
                }
                self.resynced = batch.resync;
                self.cursor = Some(batch.cursor.clone());
                Ok(batch)
            }
            Err(error) => {
                self.not_before = Instant::now() + self.failures.next_wait();
                Err(error)
            }
        }
    }
}
