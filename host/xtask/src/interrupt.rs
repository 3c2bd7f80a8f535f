//! Ctrl-C and SIGTERM end a verb by its ordinary way out, on which servers are stopped and temporary folders removed.
//!
//! Programs that run in the foreground get the terminal's Ctrl-C themselves.

use anyhow::{Context, Result, ensure};
use std::sync::atomic::{AtomicBool, Ordering};

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// From now on the signals only make [`check`] fail. A verb that is a part of another one may ask again.
pub(crate) fn catch() -> Result<()> {
    static CAUGHT: AtomicBool = AtomicBool::new(false);
    if CAUGHT.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    ctrlc::set_handler(|| REQUESTED.store(true, Ordering::Relaxed)).context("cannot listen for Ctrl-C")
}

/// # Errors
/// Somebody wants to stop.
pub(crate) fn check() -> Result<()> {
    ensure!(!REQUESTED.load(Ordering::Relaxed), "interrupted");
    Ok(())
}
