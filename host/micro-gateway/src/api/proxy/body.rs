//! A request body that is lent to attempts: it streams through, and an attempt that sent nothing gives it back whole.

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use parking_lot::Mutex;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// Why a body ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BodyFault {
    #[error("the request body is larger than {0} bytes")]
    TooLarge(u64),
    #[error("nothing of the request body for {0:?}")]
    Silent(Duration),
    #[error("the request body did not arrive")]
    Broken,
}

/// The body, and what became of it.
pub(super) struct Lender {
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    body: Body,
    limit: u64,
    read: u64,
    pause: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
    fault: Option<BodyFault>,
    /// When the last of it was taken.
    progress: Instant,
}

/// The body as one attempt sends it.
pub(super) struct Lent(Arc<Mutex<Shared>>);

impl Lender {
    /// A body of at most `limit` bytes, of which something has to come every `pause`.
    pub(super) fn new(body: Body, limit: u64, pause: Duration) -> Self {
        let shared =
            Shared { body, limit, read: 0, pause, waiting: None, fault: None, progress: Instant::now() };
        Self { shared: Arc::new(Mutex::new(shared)) }
    }

    pub(super) fn lend(&self) -> Lent {
        Lent(Arc::clone(&self.shared))
    }

    /// Why it ended early, if it did.
    pub(super) fn fault(&self) -> Option<BodyFault> {
        self.shared.lock().fault
    }

    /// When the last of it was taken, or when it was lent first.
    pub(super) fn progress(&self) -> Instant {
        self.shared.lock().progress
    }
}

impl http_body::Body for Lent {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        self.0.lock().poll(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().body.size_hint()
    }
}

impl Shared {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        if let Some(fault) = self.fault {
            return Poll::Ready(Some(Err(fault)));
        }
        let frame = match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                let pause = self.pause;
                let waiting = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(pause)));
                return match waiting.as_mut().poll(cx) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(()) => self.fail(BodyFault::Silent(pause)),
                };
            }
        };
        self.waiting = None;
        self.progress = Instant::now();
        match frame {
            None => Poll::Ready(None),
            Some(Err(error)) => {
                tracing::debug!(%error, "request body");
                self.fail(BodyFault::Broken)
            }
            Some(Ok(frame)) => {
                self.read += frame.data_ref().map_or(0, |data| data.len() as u64);
                if self.read > self.limit {
                    return self.fail(BodyFault::TooLarge(self.limit));
                }
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn fail(&mut self, fault: BodyFault) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        self.fault = Some(fault);
        Poll::Ready(Some(Err(fault)))
    }
}

impl fmt::Debug for Lender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lender").field("fault", &self.fault()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lent").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    fn chunks(chunks: &[&'static str]) -> Body {
        let chunks: Vec<_> =
            chunks.iter().map(|it| Ok::<_, std::io::Error>(Bytes::from_static(it.as_bytes()))).collect();
        Body::from_stream(futures::stream::iter(chunks))
    }

    #[tokio::test]
    async fn an_attempt_that_took_nothing_leaves_it_to_the_next() {
        let lender = Lender::new(chunks(&["ab", "c"]), 3, Duration::from_secs(1));
        drop(lender.lend());
        let all = lender.lend().collect().await.expect("whole").to_bytes();
        assert_eq!((&all[..], lender.fault()), (&b"abc"[..], None));
    }

    #[tokio::test]
    async fn it_ends_at_the_limit() {
        let lender = Lender::new(chunks(&["ab", "cd"]), 3, Duration::from_secs(1));
        assert_eq!(lender.lend().collect().await.expect_err("too large"), BodyFault::TooLarge(3));
        assert_eq!(lender.fault(), Some(BodyFault::TooLarge(3)));
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_when_nothing_comes() {
        let silent = futures::stream::pending::<Result<Bytes, std::io::Error>>();
        let pause = Duration::from_secs(7);
        let lender = Lender::new(Body::from_stream(silent), 3, pause);
        assert_eq!(lender.lend().collect().await.expect_err("silent"), BodyFault::Silent(pause));
    }
}
