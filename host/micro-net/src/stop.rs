//! Asking tasks to stop, and waiting until they have.

use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Two requests to stop, one polite and one not. Clones are the same request.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// Take no new work and finish what you have.
    pub soon: CancellationToken,
    /// Let go now.
    pub now: CancellationToken,
}

impl Stop {
    /// Nobody has asked yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops with its parent, or alone.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { soon: self.soon.child_token(), now: self.now.child_token() }
    }
}

/// Waits until all tasks of `tasks` have ended: politely for `grace`, then with `now` cancelled. Returns how many had
/// to be told.
pub async fn drain(tasks: &TaskTracker, stop: &Stop, grace: Duration) -> usize {
    tasks.close();
    stop.soon.cancel();
    tokio::select! {
        () = tasks.wait() => return 0,
        () = tokio::time::sleep(grace) => {}
        // A second signal skips the wait.
        () = stop.now.cancelled() => {}
    }
    let remaining = tasks.len();
    stop.now.cancel();
    tasks.wait().await;
    remaining
}
