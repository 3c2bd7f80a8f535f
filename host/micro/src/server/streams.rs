//! Streams of messages (`go-micro-wire` §3): what opens one, what it consists of, and how it ends.
//!
//! | the caller is of | its messages belong together by | its side ends with |
//! |---|---|---|
//! | E5, v1.9 and later | `Micro-Stream` | `Micro-Error: EOS`; without that, the end of the connection is an error |
//! | E3 and E4 | `Micro-Id` | the same, or the end of the connection |
//! | E0 to E2 | being on one connection | an empty message, or the end of the connection |
//!
//! The body of the message that opens a stream is nobody's, as in Go. A handler's return is always told, with `EOS` or
//! its error: Go's servers keep silent where the caller has ended its side before, and Go's callers, who close the
//! connection then, do not notice the difference.

use super::Server;
use super::protocol::{self, Enveloped, ID, Inbound, Reply, header};
use crate::codec::{Envelope, Role, Sealer};
use crate::context::is_protocol;
use crate::rpc::{Body, RpcRequest, RpcResponse};
use crate::stream::{Messages, Opening};
use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use futures::stream::{BoxStream, Stream, StreamExt};
use micro_core::{Error, Headers, Message};
use micro_net::wire::{self, Answer, Inbox, MOST_STREAMS, StreamEnd, StreamId};
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio_util::sync::WaitForCancellationFutureOwned;

/// What ends a stream well.
const EOS: &str = "EOS";
/// The `Timeout` of every stream of a client before v2 that was not told otherwise, in nanoseconds: that of its unary
/// calls. Servers of Go let the stream go on (`go-micro-wire` §1.4), and so does this one; any other value was meant.
const OLD_TIMEOUT: &str = "5000000000";

impl Server {
    /// What becomes of a message of a connection. What opens a stream is told without waiting.
    pub(crate) async fn receive(&self, message: Message, peer: Option<SocketAddr>) -> Answer {
        let Inbound { request, reply } = protocol::read(message, peer, &self.inner.codecs);
        match request {
            Ok(request) if request.head.stream || self.is_stream(&request.head.endpoint) => {
                self.stream(request, reply)
            }
            Ok(request) => Answer::Message(self.answer_to(request, reply).await),
            Err(error) => Answer::Message(self.refuse(reply, error)),
        }
    }

    fn is_stream(&self, endpoint: &str) -> bool {
        !self.inner.streams.is_empty() && self.inner.streams.contains_key(endpoint)
    }

    fn stream(&self, mut request: RpcRequest, reply: Reply) -> Answer {
        let headers = &request.head.metadata;
        if is_end(headers) {
            return Answer::Nothing; // Of a stream that has ended here before.
        }
        let known = self.inner.methods.contains_key(&request.head.endpoint);
        if known && !self.is_stream(&request.head.endpoint) {
            let detail = format!("{} is not a stream", request.head.endpoint);
            return Answer::Message(self.refuse(reply, Error::new(ID, 501, detail)));
        }
        if headers.get("Timeout") == Some(OLD_TIMEOUT) {
            request.head.deadline = None;
        }
        let StreamId { explicit, name } = stream_of(headers);
        let name = name.to_owned();
        let server = self.clone();
        let open = Box::new(move |inbox| server.converse(request, reply, inbox, explicit));
        Answer::Stream(Box::new(wire::Opening { explicit, name, open }))
    }

    /// From the caller's messages to the handler's.
    fn converse(
        self,
        request: RpcRequest,
        reply: Reply,
        inbox: Inbox,
        explicit: bool,
    ) -> BoxStream<'static, Message> {
        let RpcRequest { mut head, body } = request;
        let answers = Answers::new(&head.metadata, &head.content_type, reply);
        head.stream = true;
        if let Body::Unary(opening) = body {
            head.extensions.insert(Opening(opening));
        }
        let stopping = Box::pin(inbox.stopping().clone().cancelled_owned());
        let sealer = answers.envelope.as_ref().map(|envelope| envelope.sealer.clone());
        let messages = Arriving { inbox: Some(inbox), explicit, sealer, id: answers.last_id.clone() };
        let request = RpcRequest { head, body: Body::Stream(messages.boxed()) };
        let calling = async move { self.call(request).await };
        Conversation { state: Some(State::Calling(calling.boxed())), answers, stopping }.boxed()
    }

    /// The answer to a message for which its connection has no room.
    pub(crate) fn busy(&self, message: &Message) -> Message {
        let stream = header(&message.headers, "X-Micro-Stream").map(str::to_owned);
        let Inbound { reply, .. } = protocol::read(message.clone(), None, &self.inner.codecs);
        let detail = format!(
            "too many requests: {MOST_STREAMS} streams and calls run on this connection already: use another one"
        );
        let mut answer = self.refuse(reply, Error::new(ID, 429, detail));
        if let Some(stream) = stream {
            answer.headers.append("Micro-Stream", stream);
        }
        answer
    }
}

/// Which stream a message is of, if it is of one.
pub(crate) fn stream_of(headers: &Headers) -> StreamId<'_> {
    match header(headers, "X-Micro-Stream") {
        Some(name) => StreamId { explicit: true, name },
        None => StreamId { explicit: false, name: header(headers, "X-Micro-Id").unwrap_or_default() },
    }
}

fn is_end(headers: &Headers) -> bool {
    header(headers, "X-Micro-Error") == Some(EOS)
}

/// The caller's messages as they come.
struct Arriving {
    /// None: nothing more is wanted.
    inbox: Option<Inbox>,
    explicit: bool,
    sealer: Option<Sealer>,
    /// That of the last message.
    id: Arc<Mutex<Bytes>>,
}

impl Stream for Arriving {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(inbox) = &mut self.inbox else { return Poll::Ready(None) };
        let item = match ready!(inbox.poll_next(cx)) {
            Some(message) => self.read(message),
            None => match inbox.end() {
                StreamEnd::Finished if !self.explicit => None,
                StreamEnd::Finished => {
                    Some(Err(lost("closed without the end of the stream (Micro-Error: EOS)")))
                }
                StreamEnd::Lost => Some(Err(lost("was lost"))),
            },
        };
        if !matches!(item, Some(Ok(_))) {
            self.inbox = None;
        }
        Poll::Ready(item)
    }
}

impl Arriving {
    fn read(&self, Message { headers, body }: Message) -> Option<Result<Bytes, Error>> {
        match header(&headers, "X-Micro-Error") {
            Some(EOS) => return None,
            Some(error) => return Some(Err(Error::parse(error))),
            None => {}
        }
        let Some(sealer) = &self.sealer else { return Some(Ok(body)) };
        if body.is_empty() {
            return None;
        }
        let opened = sealer.open(Role::Request, &body);
        let opened = opened.map_err(|error| Error::bad_request(ID, error.to_string())).map(|opened| {
            *self.id.lock() = opened.id;
            opened.value
        });
        Some(opened)
    }
}

fn lost(how: &str) -> Error {
    Error::internal(ID, format!("the caller's connection {how}"))
}

/// How the handler's messages look.
struct Answers {
    /// Of all of them.
    headers: Headers,
    /// Of the next one alone. The response's goes with the first message, where gRPC has it in the head before that.
    metadata: Headers,
    content_type: String,
    envelope: Option<Enveloped>,
    last_id: Arc<Mutex<Bytes>>,
}

impl Answers {
    fn new(request: &Headers, value_type: &str, Reply { id, envelope, .. }: Reply) -> Self {
        let mut headers = Headers::with_capacity(12, 512);
        let method = header(request, "X-Micro-Method").or_else(|| header(request, "X-Micro-Endpoint"));
        let endpoint = header(request, "X-Micro-Endpoint").or(method);
        for (name, value) in [
            ("X-Micro-Id", id.as_deref()),
            ("X-Micro-Service", header(request, "X-Micro-Service")),
            ("X-Micro-Method", method),
            ("X-Micro-Endpoint", endpoint),
        ] {
            if let Some(value) = value {
                headers.append(&name[2..], value);
                headers.append(name, value);
            }
        }
        if let Some(stream) = header(request, "X-Micro-Stream") {
            headers.append("Micro-Stream", stream);
        }
        let content_type = envelope.as_ref().map_or(value_type, |envelope| &envelope.content_type).to_owned();
        let id = envelope.as_ref().map(|envelope| envelope.id.clone()).unwrap_or_default();
        let (metadata, last_id) = (Headers::new(), Arc::new(Mutex::new(id)));
        Self { headers, metadata, content_type, envelope, last_id }
    }

    fn message(&mut self, value: Bytes) -> Result<Message, Error> {
        let body = match &self.envelope {
            None => value,
            Some(envelope) => {
                let id = self.last_id.lock().clone();
                let around = Envelope { id: &id, endpoint: &envelope.endpoint, error: "" };
                let sealed = envelope.sealer.seal(Role::Response, around, &value);
                sealed.map_err(|error| Error::internal(ID, format!("cannot send a message: {error}")))?
            }
        };
        Ok(self.with(body, None))
    }

    /// The last message: `EOS`, or what went wrong.
    fn last(&mut self, error: &str) -> Message {
        let body = self.envelope.as_ref().and_then(|envelope| {
            let around = Envelope { id: &envelope.id, endpoint: &envelope.endpoint, error };
            envelope.sealer.seal(Role::Response, around, &[]).ok()
        });
        self.with(body.unwrap_or_default(), Some(error))
    }

    fn with(&mut self, body: Bytes, error: Option<&str>) -> Message {
        let mut headers = self.headers.clone();
        if !body.is_empty() {
            headers.append("Content-Type", &self.content_type);
        }
        if let Some(error) = error {
            headers.append("Micro-Error", error);
            headers.append("X-Micro-Error", error);
        }
        let metadata = std::mem::take(&mut self.metadata);
        headers.extend(metadata.iter().filter(|(name, _)| !is_protocol(name)));
        Message { headers, body }
    }
}

/// The handler's messages as they go.
struct Conversation {
    /// None: the last message has been said.
    state: Option<State>,
    answers: Answers,
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
}

enum State {
    Calling(BoxFuture<'static, Result<RpcResponse, Error>>),
    Speaking(Messages),
}

impl Stream for Conversation {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        let this = &mut *self;
        let next = loop {
            let Some(state) = &mut this.state else { return Poll::Ready(None) };
            // First this: a handler that always has something would never let it be looked at.
            if this.stopping.as_mut().poll(cx).is_ready() {
                break Some(Err(Error::new(ID, 503, "the service is stopping: the stream has to end")));
            }
            match state {
                State::Calling(calling) => match ready!(calling.as_mut().poll(cx)) {
                    Ok(RpcResponse { metadata, body, .. }) => {
                        this.answers.metadata = metadata;
                        *state = State::Speaking(body.into_messages());
                    }
                    Err(error) => break Some(Err(error)),
                },
                State::Speaking(messages) => break ready!(messages.poll_next_unpin(cx)),
            }
        };
        let message = match next {
            Some(Ok(value)) => this.answers.message(value),
            Some(Err(error)) => Err(error),
            None => {
                this.state = None;
                return Poll::Ready(Some(this.answers.last(EOS)));
            }
        };
        Poll::Ready(Some(message.unwrap_or_else(|error| {
            this.state = None;
            this.answers.last(&error.to_string())
        })))
    }
}
