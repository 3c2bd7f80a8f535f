//! What can go wrong with a call.

use super::status::Status;
use crate::dial::{DialError, TargetError};
use std::sync::Arc;

/// A call without a usable answer. What a caller may do next depends on how far the call got.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError {
    /// The address is none.
    #[error(transparent)]
    Address(#[from] TargetError),
    /// There was no connection. Callers that waited for the same one have the same error.
    #[error(transparent)]
    Dial(Arc<DialError>),
    /// The other side does not speak HTTP/2, or not this one.
    #[error("no HTTP/2 connection to {address}")]
    Handshake {
        /// Where it was called.
        address: String,
        /// Why.
        #[source]
        source: Arc<h2::Error>,
    },
    /// The call cannot be written down; no other peer would get it either.
    #[error("unsendable call: {0}")]
    Unsendable(String),
    /// The connection ended before the call, or the peer says that it has not looked at it.
    #[error("call not taken")]
    NotTaken(#[source] Arc<h2::Error>),
    /// The call was sent, at least in part, and the connection or the stream ended. Whether it was executed is unknown.
    #[error("connection lost during the call")]
    Broken(#[source] Arc<h2::Error>),
    /// The same before the peer ever answered anything on this connection: perhaps it speaks another protocol.
    #[error("connection lost before the first answer in HTTP/2")]
    Mute(#[source] Arc<h2::Error>),
    /// The answer is not gRPC.
    #[error("malformed answer: {0}")]
    Malformed(String),
    /// The peer answered, and the answer is an error.
    #[error(transparent)]
    Status(#[from] Status),
}

impl CallError {
    /// Whether nothing of the call can have been executed.
    pub fn nothing_executed(&self) -> bool {
        matches!(
            self,
            Self::Address(_)
                | Self::Dial(_)
                | Self::Handshake { .. }
                | Self::Unsendable(_)
                | Self::NotTaken(_)
        )
    }

    /// Whether the peer gave up on the call.
    pub fn is_cancelled(&self) -> bool {
        match self {
            Self::Broken(error) => error.is_remote() && error.reason() == Some(h2::Reason::CANCEL),
            _ => false,
        }
    }

    /// Whether the call itself is at fault, and would fail with any peer.
    pub fn is_unsendable(&self) -> bool {
        matches!(self, Self::Unsendable(_))
    }

    /// An error of a stream whose head was handed over. The peer has not looked at it if it said so: by refusing the
    /// stream, or by going away with a last stream before this one (RFC 9113 §§6.8, 8.7).
    pub(super) fn of_stream(error: h2::Error) -> Self {
        let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
        let unseen = error.is_go_away();
        match error.is_remote() && (refused || unseen) {
            true => Self::NotTaken(Arc::new(error)),
            false => Self::Broken(Arc::new(error)),
        }
    }
}
