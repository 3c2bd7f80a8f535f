//! The ends of a stream that a caller holds.

use super::{AHEAD, Decoder};
use crate::payload::{Format, Payload};
use crate::rpc::Body;
use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt};
use micro_core::Error;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// The id of errors that arise here.
const ID: &str = "go.micro.client";
/// The id of errors about what messages hold.
const CODEC: &str = "go.micro.client.codec";

/// Where a caller's messages go. Dropping it, as [`close`](Self::close) does, tells the handler that there are no more.
pub struct StreamSender<T> {
    messages: mpsc::Sender<Bytes>,
    format: Format,
    value: PhantomData<fn(T)>,
}

impl<T: Payload> StreamSender<T> {
    /// Sends a message, once there is room: when the handler does not read, this waits.
    ///
    /// Cancel safe: a dropped future has sent the message or not.
    ///
    /// # Errors
    /// Id `go.micro.client`, code 500, when the stream has ended; its receiver says why. Id `go.micro.client.codec` for
    /// a value that cannot be encoded.
    pub async fn send(&self, message: &T) -> Result<(), Error> {
        let message = message.to_bytes(self.format).map_err(codec)?;
        let sent = self.messages.send(message).await;
        sent.map_err(|_| Error::internal(ID, "the stream has ended: its responses say why"))
    }

    /// Says that there are no more messages.
    pub fn close(self) {}
}

impl<T> fmt::Debug for StreamSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamSender").field("open", &!self.messages.is_closed()).finish_non_exhaustive()
    }
}

/// The handler's messages, for its caller. A [`Stream`] too. Dropping it ends the call.
pub struct StreamReceiver<T> {
    decoder: Decoder<T>,
}

impl<T: Payload> StreamReceiver<T> {
    /// The next message; none after a handler that ended well. Cancel safe.
    ///
    /// After an error there is nothing more. It is the handler's, or one of [`Client::call`](crate::Client::call)'s.
    pub async fn next(&mut self) -> Option<Result<T, Error>> {
        std::future::poll_fn(|cx| self.decoder.poll_next(cx)).await
    }
}

impl<T: Payload> Stream for StreamReceiver<T> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.decoder.poll_next(cx)
    }
}

impl<T> fmt::Debug for StreamReceiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamReceiver").field("ended", &self.decoder.ended).finish_non_exhaustive()
    }
}

/// Both ends that a caller holds.
#[derive(Debug)]
pub struct ClientStream<Req, Res> {
    requests: Option<StreamSender<Req>>,
    responses: StreamReceiver<Res>,
}

impl<Req: Payload, Res: Payload> ClientStream<Req, Res> {
    /// As [`StreamSender::send`].
    ///
    /// # Errors
    /// As there; also after [`close_send`](Self::close_send).
    pub async fn send(&mut self, request: &Req) -> Result<(), Error> {
        match &self.requests {
            Some(requests) => requests.send(request).await,
            None => Err(Error::internal(ID, "the stream's requests have been closed already")),
        }
    }

    /// As [`StreamReceiver::next`].
    pub async fn next(&mut self) -> Option<Result<Res, Error>> {
        self.responses.next().await
    }

    /// Says that there are no more requests. Responses go on.
    pub fn close_send(&mut self) {
        self.requests = None;
    }

    /// Says that there are no more requests, and waits for the one response to all of them.
    ///
    /// # Errors
    /// The handler's; id `go.micro.client`, code 500, if it ended without a response.
    pub async fn finish(mut self) -> Result<Res, Error> {
        self.close_send();
        match self.next().await {
            Some(response) => response,
            None => Err(Error::internal(ID, "the stream ended without a response")),
        }
    }

    /// The two ends, for two tasks.
    pub fn split(self) -> (StreamSender<Req>, StreamReceiver<Res>) {
        let Self { requests, responses } = self;
        // A sender into nothing, for one that has been closed.
        let closed =
            || StreamSender { messages: mpsc::channel(1).0, format: Format::Json, value: PhantomData };
        (requests.unwrap_or_else(closed), responses)
    }
}

fn codec(error: Error) -> Error {
    Error { id: CODEC.to_owned(), ..error }
}

/// A caller's requests: where they are put in, and where they come out.
pub(crate) fn requests<T>(format: Format) -> (StreamSender<T>, Body) {
    let (messages, mut receiver) = mpsc::channel(AHEAD);
    let body = stream::poll_fn(move |cx| receiver.poll_recv(cx).map(|message| message.map(Ok)));
    (StreamSender { messages, format, value: PhantomData }, Body::Stream(body.boxed()))
}

/// The responses in `body`.
pub(crate) fn responses<T: Payload>(body: Body, format: Format) -> StreamReceiver<T> {
    StreamReceiver { decoder: Decoder::new(body, format, (CODEC, Some(500))) }
}

pub(crate) fn client_stream<Req, Res>(
    requests: StreamSender<Req>,
    responses: StreamReceiver<Res>,
) -> ClientStream<Req, Res> {
    ClientStream { requests: Some(requests), responses }
}
