//! Waiting. `std::time::Instant` measures; `std::thread::sleep` must not be used: it would stop every other call.

use futures::future::{Either, select};
use std::pin::pin;
use std::time::{Duration, Instant};

/// Waits.
#[cfg(target_arch = "wasm32")]
pub async fn sleep(duration: Duration) {
    wasip3::clocks::monotonic_clock::wait_for(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)).await;
}

/// Waits.
#[cfg(not(target_arch = "wasm32"))]
pub async fn sleep(duration: Duration) {
    crate::testing::sleep(duration).await;
}

/// The time was over before the work was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("timed out")]
pub struct Elapsed;

impl From<Elapsed> for crate::Error {
    fn from(_: Elapsed) -> Self {
        Self::Timeout
    }
}

/// Runs `work` until it is done or the deadline has come. Work that is not done is dropped, which cancels the calls to
/// the host that it was waiting for.
///
/// # Errors
/// The deadline came first.
pub async fn within<T>(deadline: Instant, work: impl Future<Output = T>) -> Result<T, Elapsed> {
    let rest = deadline.saturating_duration_since(Instant::now());
    match select(pin!(work), pin!(sleep(rest))).await {
        Either::Left((done, _)) => Ok(done),
        Either::Right(_) => Err(Elapsed),
    }
}
