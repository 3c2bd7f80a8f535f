//! The typed ends of streams: what handlers read and write, and what callers hold.
//!
//! | end | held by | is |
//! |---|---|---|
//! | [`Requests`] | a handler | the caller's messages |
//! | [`Responses`] | a handler | where its messages go |
//! | [`StreamSender`] | a caller | where its messages go; dropping it ends them |
//! | [`StreamReceiver`] | a caller | the handler's messages; dropping it ends the call |
//! | [`ClientStream`] | a caller | both, for those that use them in turn |
//!
//! Nobody reads far ahead: a message that is sent waits until there is room for it, and that is for eight messages at
//! each place between the two programs.

mod called;
mod served;
mod until;

pub use called::{ClientStream, StreamReceiver, StreamSender};
pub(crate) use called::{client_stream, requests, responses};
pub(crate) use served::respond;
pub use served::{Requests, Responses};
pub(crate) use until::until;

use crate::payload::{Format, Payload};
use crate::rpc::Body;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use micro_core::Error;
use std::marker::PhantomData;
use std::task::{Context, Poll, ready};

/// Encoded messages.
pub(crate) type Messages = BoxStream<'static, Result<Bytes, Error>>;

/// So many encoded messages wait at one place on their way.
pub(crate) const AHEAD: usize = 8;

/// The message with which a client opened a stream. It belongs to no side: servers of Go Micro drop it, and their
/// clients send an empty one (`go-micro-wire` §3.1). In the extensions of the head of a stream that came as messages.
#[derive(Clone, Debug)]
pub(crate) struct Opening(pub(crate) Bytes);

/// Encoded messages as values.
struct Decoder<T> {
    messages: Messages,
    format: Format,
    /// Of errors about what messages hold, and their code.
    blame: (&'static str, Option<u16>),
    ended: bool,
    value: PhantomData<fn() -> T>,
}

impl<T: Payload> Decoder<T> {
    fn new(body: Body, format: Format, blame: (&'static str, Option<u16>)) -> Self {
        Self { messages: body.into_messages(), format, blame, ended: false, value: PhantomData }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let next = ready!(self.messages.poll_next_unpin(cx));
        let (id, code) = self.blame;
        let own = |error: Error| Error { id: id.to_owned(), code: code.unwrap_or(error.code), ..error };
        let next = next.map(|message| T::from_bytes(self.format, &message?).map_err(own));
        self.ended = !matches!(next, Some(Ok(_)));
        Poll::Ready(next)
    }
}

#[cfg(test)]
mod tests;
