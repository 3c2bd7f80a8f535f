//! Websockets: two connections that are one.

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use micro_net::{Stop, drain};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// How much is copied at a time, in bytes.
const BUFFER: usize = 16 << 10;

/// The websockets of a gateway.
#[derive(Debug)]
pub(crate) struct Tunnels {
    tasks: TaskTracker,
    stop: Stop,
    idle: Duration,
}

impl Tunnels {
    /// A websocket without a byte in either direction for `idle` is cut.
    pub(crate) fn new(idle: Duration) -> Self {
        Self { tasks: TaskTracker::new(), stop: Stop::new(), idle }
    }

    /// Copies bytes both ways once both sides have changed the protocol.
    pub(super) fn open(&self, client: OnUpgrade, service: OnUpgrade) {
        let (stop, idle) = (self.stop.clone(), self.idle);
        let copying = async move {
            let (client, service) = tokio::try_join!(client, service).map_err(io::Error::other)?;
            connect(TokioIo::new(client), TokioIo::new(service), idle).await
        };
        let tunnel = async move {
            let ended = tokio::select! {
                ended = copying => ended,
                () = stop.now.cancelled() => Err(io::Error::other("the gateway is stopping")),
            };
            match ended {
                Ok(()) => tracing::debug!("websocket closed"),
                Err(error) => tracing::debug!(%error, "websocket cut"),
            }
        };
        self.tasks.spawn(tunnel.instrument(tracing::debug_span!("websocket")));
    }

    /// Looks after a websocket that is served here. It ends at `now` of what it is given, and is told how long its
    /// client may be silent.
    pub(in crate::api) fn spawn<F>(&self, work: impl FnOnce(Stop, Duration) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let work = work(self.stop.clone(), self.idle);
        self.tasks.spawn(work.instrument(tracing::debug_span!("websocket")));
    }

    /// Waits until `stop.soon`, gives websockets `grace` to end, cuts the rest.
    pub(crate) async fn close(&self, stop: Stop, grace: Duration) {
        tokio::select! {
            () = stop.soon.cancelled() => {}
            () = stop.now.cancelled() => {}
        }
        let mut draining = std::pin::pin!(drain(&self.tasks, &self.stop, grace));
        let cut = tokio::select! {
            cut = &mut draining => cut,
            () = stop.now.cancelled() => {
                self.stop.now.cancel();
                draining.await
            }
        };
        if cut > 0 {
            tracing::warn!(cut, "websockets were still open when the grace period ended");
        }
    }
}

/// Both directions until each has ended. The end of one is passed on, and the other goes on.
async fn connect<A, B>(a: A, b: B, idle: Duration) -> io::Result<()>
where
    A: AsyncRead + AsyncWrite,
    B: AsyncRead + AsyncWrite,
{
    let ((mut a_read, mut a_write), (mut b_read, mut b_write)) = (tokio::io::split(a), tokio::io::split(b));
    let clock = Clock::start();
    tokio::select! {
        ended = async {
            tokio::try_join!(pump(&mut a_read, &mut b_write, &clock), pump(&mut b_read, &mut a_write, &clock))
        } => ended.map(|_| ()),
        () = clock.silent(idle) => Err(io::Error::new(io::ErrorKind::TimedOut, "nothing was sent for too long")),
    }
}

async fn pump<R, W>(from: &mut R, to: &mut W, clock: &Clock) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = from.read(&mut buffer).await?;
        clock.tick();
        if count == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..count]).await?;
        to.flush().await?;
        clock.tick();
    }
}

/// When something happened last.
#[derive(Debug)]
pub(in crate::api) struct Clock {
    start: Instant,
    /// Milliseconds after `start`.
    last: AtomicU64,
}

impl Clock {
    pub(in crate::api) fn start() -> Self {
        Self { start: Instant::now(), last: AtomicU64::new(0) }
    }

    pub(in crate::api) fn tick(&self) {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Relaxed);
    }

    /// Returns when nothing has happened for `idle`.
    pub(in crate::api) async fn silent(&self, idle: Duration) {
        loop {
            let end = self.start + Duration::from_millis(self.last.load(Relaxed)) + idle;
            if Instant::now() >= end {
                return;
            }
            tokio::time::sleep_until(end).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::duplex;

    #[tokio::test]
    async fn one_direction_ends_and_the_other_goes_on() {
        let ((mut client, a), (mut service, b)) = (duplex(64), duplex(64));
        let tunnel = tokio::spawn(connect(a, b, Duration::from_secs(60)));
        client.write_all(b"question").await.expect("written");
        client.shutdown().await.expect("closed");
        let mut text = String::new();
        service.read_to_string(&mut text).await.expect("read");
        assert_eq!(text, "question");
        service.write_all(b"answer").await.expect("written");
        drop(service);
        text.clear();
        client.read_to_string(&mut text).await.expect("read");
        assert_eq!(text, "answer");
        tunnel.await.expect("no panic").expect("both sides ended well");
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_it() {
        let ((mut client, a), (_service, b)) = (duplex(64), duplex(64));
        let tunnel = tokio::spawn(connect(a, b, Duration::from_secs(60)));
        let start = Instant::now();
        tokio::time::sleep(Duration::from_secs(50)).await;
        client.write_all(b"still here").await.expect("written");
        let error = tunnel.await.expect("no panic").expect_err("silent");
        assert_eq!((error.kind(), start.elapsed().as_secs()), (io::ErrorKind::TimedOut, 110));
    }
}
