//! Connections with streams: messages of many conversations in both directions, none of them paired.
//!
//! Three things go on at once, in the task of the connection: the streams and calls that run, reading, and writing.
//! Whoever writes waits for its turn, and reading pauses while the stream that a message is for has no room for it. So a
//! caller that does not read holds up the handlers that write to it, and a handler that does not read holds up its
//! caller, along with whatever else is on the same connection; clients use one for each stream.
//!
//! There is no limit on how long a stream may be silent, or its reader slow: what dead peers leave behind is found by
//! the keepalive of TCP. Only what has begun to arrive has to end in time.

use super::conversations::{Conversations, End, Ends, Opening, wait};
use super::receive::Incoming;
use super::server::Handler;
use super::socket::{SendHalf, Socket};
use super::{Limits, ReceiveError, SendError, Wire};
use crate::stop::Stop;
use http1_core::Start;
use micro_core::Message;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// A peer that has finished sending and takes nothing for so long is gone.
const HALF_OPEN: Duration = Duration::from_secs(60);
/// So long before the end of the grace period streams are told that it ends, or a tenth of the period if that is less.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What is left of a connection when its streams have ended.
pub(super) enum Left<S, W> {
    /// It may carry plain requests again.
    Quiet(Socket<S, W>),
    /// The other side has finished.
    Finished(Socket<S, W>),
    /// What came was no message.
    Malformed(Socket<S, W>, ReceiveError),
    /// What came was a request that is none of a stream.
    Misplaced(Socket<S, W>),
    /// Nothing can be said any more.
    Gone,
}

/// What streams need of their server.
pub(super) struct Setting<'s, H> {
    pub(super) handler: &'s H,
    pub(super) limits: Limits,
    pub(super) stop: &'s Stop,
    pub(super) grace: Duration,
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
}

/// Serves a connection from the message that opened its first stream on, until no stream and no call runs on it.
/// `keeps` says whether more may come after that message.
pub(super) async fn serve<H, S, W>(
    setting: Setting<'_, H>,
    socket: Socket<S, W>,
    first: Box<Opening>,
    keeps: bool,
) -> Left<S, W>
where
    H: Handler,
    S: AsyncRead + AsyncWrite + Unpin,
    W: Wire,
{
    let (mut receiving, mut sending) = socket.split();
    receiving.wait_for_messages(None);
    sending.write_timeout(None);
    let (out, outgoing) = mpsc::channel(1);
    let written = AtomicU64::new(0);
    let mut writing = pin!(write(sending, outgoing, &written));
    let Setting { handler, peer, local, .. } = setting;
    let mut running = Conversations::new(Ends { handler, peer, local }, out);
    running.open(*first);
    let mut last_words = pin!(last_words(&setting));
    let mut half_open = pin!(tokio::time::sleep(HALF_OPEN));
    let mut written_before = 0;
    let (mut reading, mut finished) = (keeps, false);
    let (mut pending, mut misplaced, mut failure) = (None, false, None);
    while !running.is_quiet() || pending.is_some() {
        if !reading && !finished && pending.is_none() {
            finished = true;
            running.ended(End::Finished);
            written_before = written.load(Relaxed);
            half_open.as_mut().reset(Instant::now() + HALF_OPEN);
        }
        tokio::select! {
            error = &mut writing => {
                if let Err(error) = error {
                    tracing::debug!(error = crate::error_chain(&error), "the caller of a stream is gone");
                }
                return Left::Gone;
            }
            () = running.run() => {}
            () = wait(&mut pending) => {}
            received = receiving.receive(), if reading && pending.is_none() => match received {
                Ok(Some(incoming)) if incoming.method == "CONNECT" || incoming.method == "HEAD" => {
                    misplaced = true;
                    break;
                }
                Ok(Some(Incoming { method, path, keep_alive, message, .. })) => {
                    reading = keep_alive;
                    pending = running.take(message, method, path).await;
                }
                Ok(None) => reading = false,
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            },
            () = &mut last_words, if !running.stopping().is_cancelled() => running.stopping().cancel(),
            () = &mut half_open, if finished => {
                let count = written.load(Relaxed);
                if count == written_before {
                    tracing::debug!("the caller of a stream has left");
                    return Left::Gone;
                }
                written_before = count;
                half_open.as_mut().reset(Instant::now() + HALF_OPEN);
            }
        }
    }
    running.ended(End::Lost);
    if failure.as_ref().is_some_and(|error| error.status().is_none()) {
        return Left::Gone;
    }
    // Whatever still runs was misled by what came; what it has said goes out.
    drop(running);
    let time = setting.limits.write_timeout.unwrap_or(HALF_OPEN);
    let Ok(Ok(mut sending)) = tokio::time::timeout(time, writing).await else { return Left::Gone };
    receiving.wait_for_messages(setting.limits.idle_timeout);
    sending.write_timeout(setting.limits.write_timeout);
    let socket = receiving.unite(sending);
    match failure {
        Some(error) => Left::Malformed(socket, error),
        None if misplaced => Left::Misplaced(socket),
        None if reading => Left::Quiet(socket),
        None => Left::Finished(socket),
    }
}

/// Ends when streams should come to their end because the server does.
async fn last_words<H>(setting: &Setting<'_, H>) {
    setting.stop.soon.cancelled().await;
    let time = setting.grace.saturating_sub(LAST_WORDS.min(setting.grace / 10));
    tokio::time::sleep(time).await;
}

/// Writes messages until there are none.
async fn write<S: AsyncWrite, W: Wire>(
    mut sending: SendHalf<S, W>,
    mut outgoing: mpsc::Receiver<Message>,
    written: &AtomicU64,
) -> Result<SendHalf<S, W>, SendError> {
    let start = Start::Response { status: 200, reason: b"OK" };
    while let Some(message) = outgoing.recv().await {
        match sending.send(start, &message, false).await {
            Ok(()) => _ = written.fetch_add(1, Relaxed),
            // Without one of its messages a stream is not what was said.
            Err(error) => return Err(error),
        }
    }
    Ok(sending)
}
