//! Whether a plugin's backend answers, and telling the operator when that changes.

use crate::actor::Lane;
use crate::convert::explain;
use crate::fault::Failure;
use crate::launch::Launcher;
use crate::supervisor::{Stop, stopped};
use micro_bindings::micro::plugin::types::Error;
use micro_net::Backoff;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

/// A call that failed makes the monitor look at once, but not more often than this.
const BREATH: Duration = Duration::from_millis(100);

/// What the plugin last said about its backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// Not asked yet.
    Unknown,
    Good,
    /// With the reason.
    Bad(String),
}

pub(crate) struct Monitor {
    pub(crate) launcher: Arc<Launcher>,
    pub(crate) lane: Lane,
    pub(crate) health: watch::Sender<Health>,
    pub(crate) nudge: Arc<Notify>,
    pub(crate) stop: Stop,
}

impl Monitor {
    /// Asks `health` until the plugin is stopped: seldom while all is well, more often while it is not.
    pub(crate) async fn run(mut self) {
        let settings = self.launcher.settings.clone();
        let mut backoff = Backoff::new(settings.health_retry / 4, settings.health_retry);
        loop {
            let health = tokio::select! {
                health = ask(&self.lane, settings.health_timeout) => health,
                _ = stopped(&mut self.stop) => return,
            };
            let wait = match health {
                Health::Bad(_) => backoff.next_wait().max(BREATH),
                Health::Good | Health::Unknown => {
                    backoff.reset();
                    settings.health_every
                }
            };
            self.change(health);
            let nudged = async {
                sleep(BREATH).await;
                self.nudge.notified().await;
            };
            tokio::select! {
                () = sleep(wait) => {}
                () = nudged => {}
                _ = stopped(&mut self.stop) => return,
            }
        }
    }

    /// One line for each change, none for each try.
    fn change(&self, now: Health) {
        let before = self.health.send_replace(now.clone());
        let name = self.launcher.manifest.name.as_str();
        match (before, now) {
            (Health::Good | Health::Unknown, Health::Bad(reason)) => {
                tracing::warn!(plugin.name = name, reason, "plugin is degraded, it keeps trying");
            }
            (Health::Bad(_), Health::Good) => tracing::info!(plugin.name = name, "plugin is healthy again"),
            (Health::Unknown, Health::Good) => tracing::debug!(plugin.name = name, "plugin is healthy"),
            _ => {}
        }
    }
}

/// One `health` call, past all calls that wait.
pub(crate) async fn call(lane: &Lane, limit: Duration) -> Result<Result<(), Error>, Failure> {
    let answer = lane.call_urgently("health", limit, |accessor, exports, call| {
        Box::pin(exports.lifecycle.call_health(accessor, call))
    });
    answer.await
}

/// What one `health` call says.
pub(crate) async fn ask(lane: &Lane, limit: Duration) -> Health {
    match call(lane, limit).await {
        Ok(Ok(())) => Health::Good,
        Ok(Err(error)) => Health::Bad(explain(&error)),
        Err(failure) => Health::Bad(failure.to_string()),
    }
}
