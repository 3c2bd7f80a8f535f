//! The accept loop that all servers share.

use crate::listen::{Accepted, Listener};
use crate::stop::{Stop, drain};
use std::time::Duration;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// Runs `connection` for every connection, each in a task of its own, until `stop.soon`; then shuts down in the order
/// below. Returns when the last task has ended.
///
/// The connections get a [`Stop`] that follows `stop` and whose `now` also comes when the grace period is over.
pub(crate) async fn serve<F, C>(mut listener: Listener, stop: Stop, grace: Duration, connection: F)
where
    F: Fn(Accepted, Stop) -> C,
    C: Future<Output = ()> + Send + 'static,
{
    let address = listener.local_addr();
    let stop = stop.child();
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.soon.cancelled() => break,
            () = stop.now.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let span = tracing::debug_span!("connection", client.addr = %accepted.peer);
        tasks.spawn(connection(accepted, stop.clone()).instrument(span));
    }
    // 1. Free the port: a successor may bind it from here on.
    drop(listener);
    // 2. Idle connections close, requests in flight get their time. 3. What is left is cancelled.
    let cancelled = drain(&tasks, &stop, grace).await;
    if cancelled > 0 {
        tracing::warn!(%address, cancelled, "connections were still busy when the grace period ended");
    }
}
