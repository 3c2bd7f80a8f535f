//! What the commands for other languages share.

use crate::failure::with_next;
use anyhow::Context;
use std::io::Write;

/// Runs what waits for tools on a thread of its own. Where a tool failed, what it said comes first, whole.
pub(super) async fn waiting<T: Send + 'static>(
    run: impl FnOnce() -> Result<T, micro_scaffold::Error> + Send + 'static,
) -> anyhow::Result<T> {
    let done = tokio::task::spawn_blocking(run).await.context("the build was interrupted")?;
    done.map_err(failed)
}

fn failed(error: micro_scaffold::Error) -> anyhow::Error {
    if !error.output().is_empty() {
        // Nothing can be done about a closed terminal.
        _ = std::io::stderr().write_all(error.output().as_bytes());
    }
    let next = error.remedy().to_owned();
    with_next(error, next)
}
