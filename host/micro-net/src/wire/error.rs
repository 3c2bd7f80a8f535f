//! What can go wrong with a message on the wire.

use super::chunk::ChunkError;
use super::receive::MAX_INTERIM;
use crate::dial::{DialError, TargetError};
use std::io;

/// A head that could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum HeadError {
    /// It is not what the protocol allows.
    #[error(transparent)]
    Protocol(#[from] http1_core::Error),
    /// The plugin that reads heads failed, or answered nonsense.
    #[error("the wire plugin failed")]
    Plugin(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A message that did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// The connection broke.
    #[error("connection broken")]
    Io(#[source] io::Error),
    /// The connection ended in the middle of a message.
    #[error("connection closed in the middle of a message")]
    Truncated,
    /// The head is bad.
    #[error("bad head")]
    Head(#[from] HeadError),
    /// The body is badly coded, or too large.
    #[error("bad body")]
    Chunk(#[source] ChunkError),
    /// The body is longer than the limit, in bytes.
    #[error("body larger than {0} bytes")]
    TooLarge(usize),
    /// Interim answers (1xx), and no end to them.
    #[error("more than {MAX_INTERIM} interim answers")]
    Interim,
    /// The message took too long.
    #[error("timed out waiting for {0}")]
    Timeout(Waiting),
}

/// What was being waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The first byte of a message. Nothing is lost by closing the connection.
    Message,
    /// The rest of a head.
    Head,
    /// The rest of a body.
    Body,
}

impl std::fmt::Display for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Message => "a message",
            Self::Head => "the rest of a head",
            Self::Body => "the rest of a body",
        })
    }
}

impl ReceiveError {
    /// The status that tells the sender of a bad request what was wrong; `None` if there is nobody to tell, or it is
    /// not the sender's fault that we cannot go on.
    pub fn status(&self) -> Option<u16> {
        use http1_core::Error;
        Some(match self {
            Self::Head(HeadError::Protocol(Error::Malformed)) => 400,
            Self::Head(HeadError::Protocol(Error::TooLarge)) => 431,
            Self::Head(HeadError::Protocol(Error::Version)) => 505,
            Self::Head(HeadError::Protocol(Error::Unsupported)) => 501,
            Self::Head(HeadError::Plugin(_)) => 500,
            Self::Chunk(ChunkError::TooLarge) | Self::TooLarge(_) => 413,
            Self::Chunk(_) => 400,
            Self::Timeout(Waiting::Head | Waiting::Body) => 408,
            Self::Timeout(Waiting::Message) | Self::Io(_) | Self::Truncated | Self::Interim => return None,
        })
    }
}

/// A message that was not sent, or only in part.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// It cannot be written down: a header has a forbidden character, or there are too many. The connection is as
    /// good as before.
    #[error("unsendable message")]
    Head(#[from] HeadError),
    /// The connection broke.
    #[error("connection broken after {written} bytes")]
    Io {
        /// How much had been handed to the operating system.
        written: usize,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The other side did not take it in time.
    #[error("timed out sending")]
    Timeout,
}

/// A request without a usable answer. What a caller may do next depends on how far the request got.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The address is none.
    #[error(transparent)]
    Address(#[from] TargetError),
    /// There was no connection.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The request cannot be written down; nothing was sent, and no other peer would get it either.
    #[error("unsendable request")]
    Unsendable(#[source] HeadError),
    /// The connection was dead before the first byte was written.
    #[error("connection lost before the request was sent")]
    NotSent(#[source] io::Error),
    /// The request was written, at least in part, and the connection ended before the first byte of an answer. Whether
    /// it was executed is unknown. On a connection that had been used before (`reused`), it is likely that the peer
    /// closed it while the request was on its way.
    #[error("connection closed without an answer")]
    NoAnswer {
        /// Whether the connection had carried an exchange before.
        reused: bool,
        /// Why, if there was an error.
        #[source]
        source: Option<io::Error>,
    },
    /// The answer began and did not end.
    #[error("broken answer")]
    Broken(#[source] ReceiveError),
    /// The answer is not HTTP, or larger than the limit.
    #[error("malformed answer")]
    Malformed(#[source] ReceiveError),
    /// The answer's status is not 200. The text is that of Go Micro: status line, then body.
    #[error("{text}")]
    Status {
        /// The code.
        status: u16,
        /// `<code> <reason>: <body>`.
        text: String,
    },
}

impl ExchangeError {
    /// Whether not a single byte of the request left, so that it cannot have been executed.
    pub fn nothing_sent(&self) -> bool {
        matches!(self, Self::Address(_) | Self::Dial(_) | Self::Unsendable(_) | Self::NotSent(_))
    }

    /// Whether the request itself is at fault, and would fail with any peer.
    pub fn is_unsendable(&self) -> bool {
        matches!(self, Self::Unsendable(_))
    }

    /// Whether the connection did not come about in time.
    pub fn is_connect_timeout(&self) -> bool {
        matches!(self, Self::Dial(error) if error.is_timeout())
    }
}
