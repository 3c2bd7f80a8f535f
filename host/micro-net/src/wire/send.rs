//! Messages to bytes.

use super::Wire;
use super::alarm::Alarm;
use super::error::SendError;
use bytes::Bytes;
use http1_core::{End, Framing, Start};
use micro_core::Message;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::AsyncWrite;

/// Bodies up to this size are copied behind their head: one write, no vector.
const SMALL: usize = 16 << 10;

/// What goes into `User-Agent`.
const AGENT: &str = concat!("micro/", env!("CARGO_PKG_VERSION"));

/// The sending side of a connection.
#[derive(Debug)]
pub(super) struct Sender<W> {
    wire: W,
    out: Vec<u8>,
    timeout: Option<Duration>,
    alarm: Alarm,
}

impl<W: Wire> Sender<W> {
    pub(super) fn new(wire: W, timeout: Option<Duration>) -> Self {
        Self { wire, out: Vec::with_capacity(1 << 10), timeout, alarm: Alarm::default() }
    }

    /// How long each message may take from now on.
    pub(super) fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.timeout = timeout;
    }

    /// Sends a message with `Content-Length`, and its body if `body`. Not cancel safe: the connection is unusable if this is dropped half way.
    pub(super) async fn send(
        &mut self,
        io: &mut (impl AsyncWrite + Unpin),
        start: Start<'_>,
        message: &Message,
        body: bool,
        close: bool,
    ) -> Result<(), SendError> {
        self.out.clear();
        let end = End { framing: Framing::Length(message.body.len() as u64), close };
        let agent = matches!(start, Start::Request { .. }).then_some((&b"User-Agent"[..], AGENT.as_bytes()));
        // Ours instead of one that was passed on from a request of somebody else.
        let is_agent = |name: &str| agent.is_some() && name.eq_ignore_ascii_case("User-Agent");
        let fields = message.headers.iter().filter(|(name, _)| !is_agent(name));
        let fields = agent.into_iter().chain(fields.map(|(name, value)| (name.as_bytes(), value)));
        self.wire.encode(start, fields, end, &mut self.out)?;
        let mut rest = Bytes::new();
        if !body {
            // Announced and not sent.
        } else if message.body.len() <= SMALL {
            self.out.extend_from_slice(&message.body);
        } else {
            rest = message.body.clone();
        }
        self.write(io, &rest).await
    }

    /// Sends bytes as they are.
    pub(super) async fn send_raw(
        &mut self,
        io: &mut (impl AsyncWrite + Unpin),
        bytes: &[u8],
    ) -> Result<(), SendError> {
        self.out.clear();
        self.out.extend_from_slice(bytes);
        self.write(io, &[]).await
    }

    /// Writes the buffer, then `rest`.
    async fn write(&mut self, io: &mut (impl AsyncWrite + Unpin), rest: &[u8]) -> Result<(), SendError> {
        let Self { out, alarm, timeout, .. } = self;
        let mut armed = false;
        let mut written = 0;
        poll_fn(|cx| match poll_write_all(io, cx, [out, rest], &mut written) {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
            Poll::Ready(Err(source)) => Poll::Ready(Err(SendError::Io { written, source })),
            Poll::Pending => {
                // The clock is only looked at when the first attempt did not do.
                if !std::mem::replace(&mut armed, true) {
                    alarm.set(*timeout);
                }
                alarm.poll(cx).map(|()| Err(SendError::Timeout))
            }
        })
        .await
    }
}

fn poll_write_all(
    io: &mut (impl AsyncWrite + Unpin),
    cx: &mut Context<'_>,
    parts: [&[u8]; 2],
    written: &mut usize,
) -> Poll<io::Result<()>> {
    let [first, second] = parts;
    while *written < first.len() + second.len() {
        let first_left = first.get(*written..).unwrap_or_default();
        let second_left = &second[written.saturating_sub(first.len())..];
        let n = if first_left.is_empty() || second_left.is_empty() {
            let left = if first_left.is_empty() { second_left } else { first_left };
            ready!(Pin::new(&mut *io).poll_write(cx, left))?
        } else {
            let slices = [IoSlice::new(first_left), IoSlice::new(second_left)];
            ready!(Pin::new(&mut *io).poll_write_vectored(cx, &slices))?
        };
        if n == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        *written += n;
    }
    Pin::new(io).poll_flush(cx)
}
