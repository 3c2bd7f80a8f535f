//! What stands in for the host in a plugin's own tests, with plain `cargo test`. Only natively.
//!
//! ```
//! use micro_sdk::{testing, time};
//! use std::time::{Duration, Instant};
//!
//! let call = testing::call(Duration::from_secs(5));
//! testing::run(time::sleep(Duration::from_millis(1)));
//! assert!(Instant::now() < call.deadline);
//! ```
//!
//! [`time`](crate::time) takes real time here, log lines go to standard error, and HTTP has nobody to ask: logic that is
//! worth testing takes a small trait in the place of [`http`](crate::http).

use crate::{Call, Context};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{self, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// Runs a call to its end. Calls that are to overlap are joined to one future.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut task::Context::from_waker(&waker)) {
            Poll::Ready(done) => return done,
            Poll::Pending => thread::park(),
        }
    }
}

/// What `configure` gets.
pub fn context() -> Context {
    Context { plugin: "under-test".to_owned(), instance: 1, generation: 1, host_version: "0.1.0".to_owned() }
}

/// A call that begins now.
pub fn call(timeout: Duration) -> Call {
    let deadline = Instant::now() + timeout;
    Call { timeout, deadline, traceparent: None, request_id: 1, options: Vec::new() }
}

/// The native side of [`time::sleep`](crate::time::sleep).
pub(crate) async fn sleep(duration: Duration) {
    Sleep { until: Instant::now() + duration, waiting: false }.await;
}

struct Sleep {
    until: Instant,
    waiting: bool,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut task::Context<'_>) -> Poll<()> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Poll::Ready(());
        }
        if !self.waiting {
            self.waiting = true;
            let waker = context.waker().clone();
            thread::spawn(move || {
                thread::sleep(left);
                waker.wake();
            });
        }
        Poll::Pending
    }
}
