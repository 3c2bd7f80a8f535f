//! Connections that are nothing but bytes, and the messages on them.

use futures::FutureExt;
use http1_core::MAX_FIELDS;
use micro_core::Message;
use micro_net::wire::{Incoming, Limits, NativeWire, ReceiveError, Role, SendError, Socket, Start};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What the encoder may add to a head that it writes again.
const ADDED_FIELDS: usize = 4;

/// Gives bytes in pieces whose lengths take turns, then ends; takes whatever is written.
struct Connection<'a> {
    rest: &'a [u8],
    pieces: [usize; 2],
    turn: usize,
    written: &'a mut Vec<u8>,
}

impl AsyncRead for Connection<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let piece = self.pieces[self.turn % 2].min(buf.remaining()).min(self.rest.len());
        let (now, later) = self.rest.split_at(piece);
        buf.put_slice(now);
        self.rest = later;
        self.turn += 1;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection<'_> {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.written.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What arrived on a connection.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) messages: Vec<Incoming>,
    /// How it ended, if not between two messages.
    pub(crate) error: Option<String>,
}

/// All messages of a role in the bytes of a connection.
pub(crate) fn receive(role: Role, bytes: &[u8], pieces: [usize; 2], limit: usize) -> Arrived {
    let mut written = Vec::new();
    let connection = Connection { rest: bytes, pieces, turn: 0, written: &mut written };
    let mut socket = Socket::new(connection, role, Limits::untimed(limit), NativeWire);
    let mut messages = Vec::new();
    loop {
        let received: Result<Option<Incoming>, ReceiveError> =
            socket.receive().now_or_never().expect("there is nothing to wait for");
        match received {
            Ok(Some(incoming)) => messages.push(incoming),
            Ok(None) => return Arrived { messages, error: None },
            Err(error) => return Arrived { messages, error: Some(micro_net::error_chain(&error)) },
        }
    }
}

/// The first message in the bytes of a connection.
pub(crate) fn first(role: Role, bytes: &[u8]) -> Option<Incoming> {
    receive(role, bytes, [usize::MAX; 2], usize::MAX).messages.into_iter().next()
}

/// The bytes of a message. None if it cannot be sent, of which nothing was sent then.
pub(crate) fn send(start: Start<'_>, message: &Message) -> Option<Vec<u8>> {
    let mut written = Vec::new();
    let role = match start {
        Start::Request { .. } => Role::Response,
        Start::Response { .. } => Role::Request,
    };
    let connection = Connection { rest: &[], pieces: [1, 1], turn: 0, written: &mut written };
    let mut socket = Socket::new(connection, role, Limits::untimed(0), NativeWire);
    match socket.send(start, message, false).now_or_never().expect("there is nothing to wait for") {
        Ok(()) => Some(written),
        Err(SendError::Head(_)) => {
            assert!(written.is_empty(), "half a message was sent");
            None
        }
        Err(error) => panic!("this connection takes everything: {error}"),
    }
}

/// A connection behind four bytes: role, limit, and two lengths of pieces. However the bytes are cut, the same messages
/// come out; and each of them can be sent, and comes out again.
pub(crate) fn messages(data: &[u8]) {
    let [role, limit, first, second, input @ ..] = data else { return };
    let role = if role % 2 == 0 { Role::Request } else { Role::Response };
    let limit = usize::from(*limit) * 8;
    let whole = receive(role, input, [usize::MAX; 2], limit);
    let pieces = [usize::from(*first).max(1), usize::from(*second).max(1)];
    for pieces in [[1, 1], pieces] {
        let Arrived { messages, error } = receive(role, input, pieces, limit);
        assert_eq!(messages, whole.messages, "in pieces of {pieces:?}");
        // What is wrong with the start of a head may have been seen or not when it breaks off.
        assert_eq!(error.is_some(), whole.error.is_some(), "{error:?}, {:?}", whole.error);
    }
    assert!(whole.messages.iter().all(|it| it.message.body.len() <= limit), "a body is too long");

    for incoming in &whole.messages {
        // What is no UTF-8 was replaced, and is no path any more.
        if incoming.path.contains('\u{fffd}') || incoming.reason.contains('\u{fffd}') {
            continue;
        }
        let start = match role {
            Role::Request => {
                Start::Request { method: &incoming.method, path: incoming.path.as_bytes(), host: b"a" }
            }
            Role::Response => Start::Response { status: incoming.status, reason: incoming.reason.as_bytes() },
        };
        let Some(bytes) = send(start, &incoming.message) else {
            let fields = incoming.message.headers.len() + ADDED_FIELDS;
            assert!(fields > MAX_FIELDS, "a message that arrived cannot be sent: {incoming:?}");
            continue;
        };
        let Arrived { messages, error } = receive(role, &bytes, pieces, limit);
        assert_eq!((messages.len(), &error), (1, &None), "one message was sent: {incoming:?}");
        let mut again = messages.into_iter().next().expect("one");
        let mut sent = incoming.clone();
        // Ours instead of another's, and whether the connection goes on is not said here.
        for it in [&mut again, &mut sent] {
            it.message.headers.remove("User-Agent");
            it.keep_alive = true;
        }
        assert_eq!(again, sent);
    }
}
