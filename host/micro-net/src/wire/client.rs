//! Requests and their answers.

use super::error::{ExchangeError, ReceiveError, SendError};
use super::receive::Incoming;
use super::socket::Socket;
use super::{Limits, NativeWire, Wire};
use crate::dial::{DialError, Dialer, Target};
use crate::stream::Stream;
use http1_core::{Role, Start};
use micro_core::Message;
use rustls::ClientConfig;
use socket2::SockRef;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::task::Poll;
use tokio::io::{AsyncRead, AsyncWrite};

/// How much of the body of a refusal becomes part of an error's text, in bytes.
const REFUSAL_TEXT: usize = 4 << 10;

/// A connection to a server, with one exchange at a time. It has no deadlines of its own: put one around
/// [`exchange`](Self::exchange).
#[derive(Debug)]
pub struct Connection<S = Stream, W = NativeWire> {
    socket: Socket<S, W>,
    host: String,
    reusable: bool,
    used: bool,
}

impl<W: Wire> Connection<Stream, W> {
    /// Connects to `target`. The largest answer that will be taken has `max_body` bytes.
    ///
    /// # Errors
    /// See [`DialError`].
    pub async fn dial(
        dialer: &Dialer,
        target: &Target,
        tls: Option<&Arc<ClientConfig>>,
        max_body: usize,
        wire: W,
    ) -> Result<Self, DialError> {
        Ok(Self::new(dialer.dial(target, tls).await?, target.to_string(), max_body, wire))
    }

    /// Whether an exchange has a chance. Does not wait, and cannot be certain: the other side may close at any time.
    pub async fn is_alive(&mut self) -> bool {
        // The runtime may know less than the kernel, and what it knows may be in a buffer of TLS: ask both.
        self.reusable
            && poll_fn(|cx| Poll::Ready(self.socket.poll_quiet(cx))).await
            && is_open(self.socket.io())
    }
}

/// Asks the kernel whether anything has come in since the last exchange: an end, or bytes that nobody asked for.
fn is_open(stream: &Stream) -> bool {
    // Without a kernel in between, the runtime knows everything.
    let Some(tcp) = stream.tcp() else { return true };
    let mut byte = [MaybeUninit::uninit()];
    match SockRef::from(tcp).peek(&mut byte) {
        Ok(0) => false,
        // TLS has messages of its own, such as session tickets.
        Ok(_) => stream.is_secure(),
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, W: Wire> Connection<S, W> {
    /// A connection over a stream that exists. `host` goes into the header of that name.
    pub fn new(stream: S, host: String, max_body: usize, wire: W) -> Self {
        let socket = Socket::new(stream, Role::Response, Limits::untimed(max_body), wire);
        Self { socket, host, reusable: true, used: false }
    }

    /// Sends a request and waits for its answer.
    ///
    /// Not cancel safe: after a dropped future the connection is not [reusable](Self::is_reusable).
    ///
    /// # Errors
    /// See [`ExchangeError`].
    pub async fn exchange(&mut self, request: &Message) -> Result<Message, ExchangeError> {
        self.exchange_at("/", request).await
    }

    /// [`Self::exchange`] with another request target than `/`.
    ///
    /// # Errors
    /// See [`ExchangeError`].
    pub async fn exchange_at(&mut self, path: &str, request: &Message) -> Result<Message, ExchangeError> {
        // Until the answer is complete, which may be never if this future is dropped.
        self.reusable = false;
        let reused = std::mem::replace(&mut self.used, true);
        let start = Start::Request { method: "POST", path: path.as_bytes(), host: self.host.as_bytes() };
        let unsent = match self.socket.send(start, request, false).await {
            Ok(()) => None,
            Err(SendError::Head(error)) => {
                self.reusable = true;
                return Err(ExchangeError::Unsendable(error));
            }
            Err(SendError::Io { written: 0, source }) => return Err(ExchangeError::NotSent(source)),
            // There may still be an answer, such as a refusal of a body that is too large.
            Err(SendError::Io { source, .. }) => Some(source),
            Err(SendError::Timeout) => Some(io::ErrorKind::TimedOut.into()),
        };
        match self.socket.receive().await {
            Ok(Some(incoming)) => {
                // After 101 the server speaks another protocol, which nobody asked it to.
                let ended_well = unsent.is_none() && incoming.status != 101;
                self.reusable = ended_well && incoming.keep_alive && !self.socket.has_started();
                answer(incoming)
            }
            Ok(None) => Err(ExchangeError::NoAnswer { reused, source: unsent }),
            Err(ReceiveError::Io(error)) if !self.socket.has_started() => {
                Err(ExchangeError::NoAnswer { reused, source: unsent.or(Some(error)) })
            }
            Err(error @ (ReceiveError::Io(_) | ReceiveError::Truncated | ReceiveError::Timeout(_))) => {
                Err(ExchangeError::Broken(error))
            }
            Err(error) => Err(ExchangeError::Malformed(error)),
        }
    }

    /// Whether another exchange is possible: the last one ended well, and the server keeps the connection open.
    pub fn is_reusable(&self) -> bool {
        self.reusable
    }
}

pub(super) fn answer(incoming: Incoming) -> Result<Message, ExchangeError> {
    let Incoming { status, reason, message, .. } = incoming;
    if status == 200 {
        return Ok(message);
    }
    let body = &message.body[..message.body.len().min(REFUSAL_TEXT)];
    let text = format!("{status} {reason}: {}", String::from_utf8_lossy(body));
    Err(ExchangeError::Status { status, text })
}
