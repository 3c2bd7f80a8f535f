//! A connection that carries messages.

use super::error::{ReceiveError, SendError};
use super::receive::{Incoming, Receiver};
use super::send::Sender;
use super::{Limits, NativeWire, Wire};
use http1_core::{Method, Role, Start};
use micro_core::Message;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Receives and sends whole messages over `S`. Receiving and sending do not depend on each other: many answers may
/// follow one request, as in a stream.
#[derive(Debug)]
pub struct Socket<S, W = NativeWire> {
    io: S,
    role: Role,
    receiver: Receiver<W>,
    sender: Sender<W>,
}

/// The receiving half of a [`Socket`].
#[derive(Debug)]
pub struct ReceiveHalf<S, W = NativeWire> {
    io: ReadHalf<S>,
    role: Role,
    receiver: Receiver<W>,
}

/// The sending half of a [`Socket`].
#[derive(Debug)]
pub struct SendHalf<S, W = NativeWire> {
    io: WriteHalf<S>,
    sender: Sender<W>,
}

impl<S: AsyncRead + AsyncWrite + Unpin, W: Wire> Socket<S, W> {
    /// A socket on which messages of `role` arrive: requests for a server, responses for a client.
    pub fn new(io: S, role: Role, limits: Limits, wire: W) -> Self {
        let sender = Sender::new(wire.clone(), limits.write_timeout);
        Self { io, role, receiver: Receiver::new(wire, limits), sender }
    }

    /// The next message; `None` if the other side closed the connection between two messages. Interim answers (1xx)
    /// are skipped, and a client that waits for `100 Continue` gets it.
    ///
    /// Cancel safe: what was read is kept for the next call.
    ///
    /// # Errors
    /// See [`ReceiveError`]. Nothing more can be received afterwards.
    pub async fn receive(&mut self) -> Result<Option<Incoming>, ReceiveError> {
        loop {
            // Only ever POST is sent from here, so no answer lacks a body because of its request's method.
            if !self.receiver.head(&mut self.io, self.role, Method::POST).await? {
                return Ok(None);
            }
            if self.receiver.take_expectation() {
                let sent = self.sender.send_raw(&mut self.io, CONTINUE).await;
                sent.map_err(|_| ReceiveError::Truncated)?;
            }
            let incoming = self.receiver.body(&mut self.io).await?;
            if !incoming.is_interim() {
                return Ok(Some(incoming));
            }
        }
    }

    /// Sends a message; `close` announces that the connection ends afterwards.
    ///
    /// Not cancel safe: after a dropped future only a part may have been sent.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn send(&mut self, start: Start<'_>, message: &Message, close: bool) -> Result<(), SendError> {
        self.sender.send(&mut self.io, start, message, true, close).await
    }

    /// Sends a message without its body: the answer to `HEAD`, whose length is announced all the same
    /// (RFC 9110 §9.3.2).
    ///
    /// Not cancel safe.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn send_head(
        &mut self,
        start: Start<'_>,
        message: &Message,
        close: bool,
    ) -> Result<(), SendError> {
        self.sender.send(&mut self.io, start, message, false, close).await
    }

    /// Whether a part of the next message is here already.
    pub fn has_started(&self) -> bool {
        self.receiver.has_started()
    }

    /// Two halves for two tasks. A client that waits for `100 Continue` does not get it on a half.
    pub fn split(self) -> (ReceiveHalf<S, W>, SendHalf<S, W>) {
        let (read, write) = tokio::io::split(self.io);
        let receiving = ReceiveHalf { io: read, role: self.role, receiver: self.receiver };
        (receiving, SendHalf { io: write, sender: self.sender })
    }

    /// The connection, and what was read from it but belongs to no message.
    pub(super) fn into_parts(self) -> (S, Vec<u8>) {
        let unread = self.receiver.unread().to_vec();
        (self.io, unread)
    }

    pub(super) fn io(&self) -> &S {
        &self.io
    }

    pub(super) fn io_mut(&mut self) -> &mut S {
        &mut self.io
    }

    pub(super) fn unread(&self) -> &[u8] {
        self.receiver.unread()
    }

    /// See [`Receiver::poll_ahead`].
    pub(super) fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.receiver.poll_ahead(&mut self.io, cx)
    }

    /// See [`Receiver::poll_quiet`].
    pub(super) fn poll_quiet(&mut self, cx: &mut Context<'_>) -> bool {
        self.receiver.poll_quiet(&mut self.io, cx)
    }
}

impl<S: AsyncRead, W: Wire> ReceiveHalf<S, W> {
    /// As [`Socket::receive`]. Cancel safe.
    ///
    /// # Errors
    /// See [`ReceiveError`].
    pub async fn receive(&mut self) -> Result<Option<Incoming>, ReceiveError> {
        loop {
            if !self.receiver.head(&mut self.io, self.role, Method::POST).await? {
                return Ok(None);
            }
            let incoming = self.receiver.body(&mut self.io).await?;
            if !incoming.is_interim() {
                return Ok(Some(incoming));
            }
        }
    }

    /// Whether a part of the next message is here already.
    pub(super) fn has_started(&self) -> bool {
        self.receiver.has_started()
    }

    /// How long the next message may take to begin, from now on; none: as long as it likes.
    pub(super) fn wait_for_messages(&mut self, limit: Option<Duration>) {
        self.receiver.wait_for_messages(limit);
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, W: Wire> ReceiveHalf<S, W> {
    /// The socket that the two halves were.
    pub(super) fn unite(self, sending: SendHalf<S, W>) -> Socket<S, W> {
        let io = self.io.unsplit(sending.io);
        Socket { io, role: self.role, receiver: self.receiver, sender: sending.sender }
    }
}

impl<S: AsyncWrite, W: Wire> SendHalf<S, W> {
    /// How long each message may take from now on; none: as long as it likes.
    pub(super) fn write_timeout(&mut self, limit: Option<Duration>) {
        self.sender.set_timeout(limit);
    }

    /// As [`Socket::send`]. Not cancel safe.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn send(&mut self, start: Start<'_>, message: &Message, close: bool) -> Result<(), SendError> {
        self.sender.send(&mut self.io, start, message, true, close).await
    }

    /// Ends the sending direction; the other side sees the end after the last message.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn close(&mut self) -> io::Result<()> {
        self.io.shutdown().await
    }
}
