//! Connections for messages that are not paired: the client's side of a stream.

use super::client::answer;
use super::error::{ExchangeError, ReceiveError, SendError};
use super::socket::{ReceiveHalf, SendHalf, Socket};
use super::{Limits, NativeWire, Wire};
use crate::stream::Stream;
use http1_core::{Role, Start};
use micro_core::Message;

/// Sends messages as requests, whatever comes back.
#[derive(Debug)]
pub struct LinkSender<W = NativeWire> {
    sending: SendHalf<Stream, W>,
    host: String,
}

/// Receives messages as answers, whatever was asked. Dropping both ends closes the connection.
#[derive(Debug)]
pub struct LinkReceiver<W = NativeWire> {
    receiving: ReceiveHalf<Stream, W>,
}

/// Both ends of a connection. `host` goes into the header of that name.
pub(super) fn link<W: Wire>(
    stream: Stream,
    host: String,
    max_body: usize,
    wire: W,
) -> (LinkSender<W>, LinkReceiver<W>) {
    let socket = Socket::new(stream, Role::Response, Limits::untimed(max_body), wire);
    let (receiving, sending) = socket.split();
    (LinkSender { sending, host }, LinkReceiver { receiving })
}

impl<W: Wire> LinkSender<W> {
    /// Sends a message. It has no deadline: the other side may take as long as it likes to take it.
    ///
    /// Not cancel safe: after a dropped future only a part may have been sent.
    ///
    /// # Errors
    /// [`ExchangeError::Unsendable`], after which others may still be sent; [`ExchangeError::NotSent`] when nothing of
    /// it was; [`ExchangeError::NoAnswer`] otherwise.
    pub async fn send(&mut self, message: &Message) -> Result<(), ExchangeError> {
        let start = Start::Request { method: "POST", path: b"/", host: self.host.as_bytes() };
        self.sending.send(start, message, false).await.map_err(|error| match error {
            SendError::Head(error) => ExchangeError::Unsendable(error),
            SendError::Io { written: 0, source } => ExchangeError::NotSent(source),
            SendError::Io { source, .. } => ExchangeError::NoAnswer { reused: false, source: Some(source) },
            SendError::Timeout => {
                ExchangeError::NoAnswer { reused: false, source: Some(std::io::ErrorKind::TimedOut.into()) }
            }
        })
    }
}

impl<W: Wire> LinkReceiver<W> {
    /// The next message; none when the other side closed the connection between two of them. Cancel safe.
    ///
    /// # Errors
    /// [`ExchangeError::NoAnswer`] for a connection that broke between two messages, [`ExchangeError::Broken`] within
    /// one; [`ExchangeError::Malformed`] for what is no answer, and [`ExchangeError::Status`] for one that is not 200.
    pub async fn receive(&mut self) -> Result<Option<Message>, ExchangeError> {
        match self.receiving.receive().await {
            Ok(None) => Ok(None),
            Ok(Some(incoming)) => answer(incoming).map(Some),
            Err(ReceiveError::Io(error)) if !self.receiving.has_started() => {
                Err(ExchangeError::NoAnswer { reused: false, source: Some(error) })
            }
            Err(error @ (ReceiveError::Io(_) | ReceiveError::Truncated | ReceiveError::Timeout(_))) => {
                Err(ExchangeError::Broken(error))
            }
            Err(error) => Err(ExchangeError::Malformed(error)),
        }
    }
}
