//! Messages over HTTP/1.1: the loop behind every RPC port, and the client of it.
//!
//! The task that calls owns the socket: it takes a connection from the [`Pool`], writes, and reads, without a task in
//! between. Heads are read and written by a [`Wire`]; sockets, buffers, bodies and the chunked coding stay here.
//!
//! | part | does |
//! |---|---|
//! | [`Socket`] | receives and sends whole messages on a connection, in either role |
//! | [`serve_rpc`] | answers the requests of a port with a [`Handler`] |
//! | [`Connection`], [`Pool`] | send requests and wait for their answers |
//! | [`LinkSender`], [`LinkReceiver`] | send and receive messages that are not paired, on a connection of their own |
//! | [`Answer::Stream`], [`Inbox`] | the same on the side of the server, many of them on one connection |
//! | [`carried()`] | the same for messages that something else than HTTP/1.1 carries |
//!
//! A connection that begins as HTTP/2 does, or agreed to it with TLS, is [`grpc`](crate::grpc)'s.
//!
//! Any method and path is a message, and every answer has status 200, as Go Micro has it (`go-micro-wire` §1.2), unless the
//! handler diverts the request ([`Handler::divert`]). Other statuses mean that the *protocol* failed. The one exception is `CONNECT`: a proxy in front would take status 200 for
//! a tunnel, and hand on whatever comes through it.

mod alarm;
mod carried;
mod chunk;
mod client;
mod conversations;
mod error;
mod idle;
mod link;
mod pool;
mod prefixed;
mod receive;
mod send;
mod server;
mod socket;
mod streams;

pub use carried::{Carrier, carried};
pub(crate) use chunk::ChunkDecoder;
pub use chunk::ChunkError;
pub use client::Connection;
pub use conversations::{Answer, End as StreamEnd, Inbox, MOST_STREAMS, Opening, StreamId};
pub use error::{ExchangeError, HeadError, ReceiveError, SendError};
pub use http1_core::{End, Framing, Method, Role, Start};
pub use link::{LinkReceiver, LinkSender};
pub use pool::{Pool, PoolConfig};
pub use receive::Incoming;
pub use server::{Handler, Plain, Request, serve_rpc, serve_rpc_with};
pub use socket::{ReceiveHalf, SendHalf, Socket};

use std::fmt;
use std::time::Duration;

/// Reads and writes heads. What it says about offsets is checked, so it need not be trusted.
pub trait Wire: Clone + Send + Sync + fmt::Debug + 'static {
    /// As [`http1_core::decode`].
    ///
    /// # Errors
    /// The head is bad, or the implementation failed.
    fn decode(
        &self,
        role: Role,
        method: Method,
        data: &[u8],
        words: &mut Vec<u32>,
    ) -> Result<usize, HeadError>;

    /// As [`http1_core::encode`].
    ///
    /// # Errors
    /// The head cannot be written, or the implementation failed.
    fn encode<'f>(
        &self,
        start: Start<'_>,
        fields: impl IntoIterator<Item = (&'f [u8], &'f [u8])>,
        end: End,
        out: &mut Vec<u8>,
    ) -> Result<(), HeadError>;

    /// Hears that the words of the last [`Wire::decode`] on this thread describe no head of the data that it was given.
    fn refuted(&self) -> HeadError {
        HeadError::Plugin("it described a head that is not there".into())
    }
}

/// [`http1_core`] linked into the program.
#[derive(Clone, Copy, Debug, Default)]
pub struct NativeWire;

impl Wire for NativeWire {
    fn decode(
        &self,
        role: Role,
        method: Method,
        data: &[u8],
        words: &mut Vec<u32>,
    ) -> Result<usize, HeadError> {
        Ok(http1_core::decode(role, method, data, words)?)
    }

    fn encode<'f>(
        &self,
        start: Start<'_>,
        fields: impl IntoIterator<Item = (&'f [u8], &'f [u8])>,
        end: End,
        out: &mut Vec<u8>,
    ) -> Result<(), HeadError> {
        Ok(http1_core::encode(start, fields, end, out)?)
    }
}

/// What one connection may use. `None` as a time means no limit.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The largest body in bytes. Memory is only ever taken for what has arrived.
    pub max_body: usize,
    /// From the first byte of a head to its last; also for the first request of a connection to begin.
    pub head_timeout: Option<Duration>,
    /// From the end of a head to the last byte of the body.
    pub body_timeout: Option<Duration>,
    /// Between two messages. Longer than the pools of callers keep a connection, or they meet ones just closed.
    pub idle_timeout: Option<Duration>,
    /// From the first byte of an answer until the other side has taken all of it.
    pub write_timeout: Option<Duration>,
}

impl Default for Limits {
    /// 64 MiB; 10 s for a head, 60 s for a body either way, 5 minutes in between.
    fn default() -> Self {
        Self {
            max_body: 64 << 20,
            head_timeout: Some(Duration::from_secs(10)),
            body_timeout: Some(Duration::from_secs(60)),
            idle_timeout: Some(Duration::from_secs(300)),
            write_timeout: Some(Duration::from_secs(60)),
        }
    }
}

impl Limits {
    /// No times, for whoever puts a deadline around each exchange anyway.
    pub fn untimed(max_body: usize) -> Self {
        Self { max_body, head_timeout: None, body_timeout: None, idle_timeout: None, write_timeout: None }
    }
}

#[cfg(test)]
mod tests;
