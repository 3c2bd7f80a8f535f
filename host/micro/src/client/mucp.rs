//! Streams of messages to one node (`go-micro-wire` §3).
//!
//! A connection for each stream, of HTTP or of the gRPC transport (`link`). Two sides work on it: a task that sends what the caller has to say, and the caller
//! itself, who receives by asking for the next message. So nothing is read before it is wanted.
//!
//! **How a stream ends.** Its last message is the handler's outcome: `EOS`, or an error. The caller's own end is said
//! with `EOS` too, after which Go's callers close the connection, and Go's servers (v1 and later) say nothing more when
//! the handler returns without an error: the connection stays open and silent. So once the caller has ended its side and
//! nothing has come for [`QUIET`], a message asks: of the same stream, to an endpoint that nobody has. While the handler
//! runs it waits in the handler's queue, marked as an error, in case that is read after its end. Once the handler has
//! returned it opens a stream of its own, which is refused, and that refusal means that all has been said. The v2 mucp
//! server, which cannot say `EOS` in protobuf at all, is understood by the same means. A connection that is closed after
//! the caller's end is an end as well; before, it is an error.

use super::link::{Ended, LinkReceiver, LinkSender, Unsent};
use super::nodes::{NodeState, Running};
use super::protocol::{self, NumberText};
use super::{Core, ID, envelope, explain, note_ejection, transport};
use crate::client::{CallOptions, Protocol, Reached};
use crate::codec::{Envelope, Role, Sealer};
use crate::payload::Format;
use crate::rpc::{Body, RpcHead, RpcResponse};
use crate::stream::Messages;
use bytes::Bytes;
use futures::future::FutureExt;
use futures::stream::{Stream, StreamExt};
use micro_core::{Error, Headers, Message};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::task::JoinHandle;
use tracing::Instrument;

/// The id of errors of the connection.
const TRANSPORT: &str = "go.micro.client.transport";
/// What ends either side of a stream.
const EOS: &str = "EOS";
/// An endpoint that nobody has. Whoever is asked for it repeats its name.
const NOBODY: &str = "EndOfStream.Asked";
/// The part of [`NOBODY`] that answers repeat: `rpc: can't find service EndOfStream`.
const NOBODY_ECHO: &str = "EndOfStream";
/// Silence after which a server is asked whether the stream has ended; it doubles each time, up to [`LONGEST_QUIET`].
const QUIET: Duration = Duration::from_millis(250);
const LONGEST_QUIET: Duration = Duration::from_secs(30);
/// So often a server is asked. Its queue for one stream holds 128 messages.
const MOST_ASKED: u32 = 64;

/// What both sides of a stream know.
#[derive(Debug, Default)]
struct Shared {
    /// The caller has ended its side.
    ended: AtomicBool,
    /// How many messages have come.
    heard: AtomicU64,
}

/// What the messages to a node have in common.
struct Outbound {
    headers: Headers,
    endpoint: String,
    /// Seals what is sent. None: it is bare.
    sealer: Option<Sealer>,
    /// The number of the next envelope, which grows in a stream.
    sequence: u64,
}

impl Core {
    /// Opens a stream on a connection of its own.
    pub(super) async fn open_mucp(
        &self,
        node: &Arc<NodeState>,
        head: &RpcHead,
        body: Body,
        options: &CallOptions,
    ) -> Result<RpcResponse, (Error, Reached)> {
        let id = self.next_id.fetch_add(1, Relaxed);
        let first = opening(&head.content_type);
        // What Go's callers send to begin with: an empty value.
        let outbound = envelope::wrap(&self.codecs, node, head, id, &first)
            .map_err(|error| (error, Reached::Handler))?;
        let from = self.settings.from.as_deref();
        let mut headers = protocol::request(head, outbound.content_type, id, from, &options.metadata);
        headers.append("Micro-Stream", NumberText::default().of(id));
        if node.protocol == Protocol::MucpOverGrpc {
            transport::spell(&mut headers);
        }
        let message = Message { headers, body: outbound.body };
        options.tell(|| explain::request(node, &message, outbound.content_type));
        let connect_timeout = options.connect_timeout.unwrap_or(self.settings.connect_timeout);
        let running = node.start();
        let (sender, receiver) = self.link(node, &message, connect_timeout).await?;

        let content_type = outbound.content_type.to_owned();
        let outbound = Outbound {
            headers: message.headers,
            endpoint: head.endpoint.clone(),
            sealer: outbound.sealer,
            sequence: id.wrapping_add(1),
        };
        let sealer = outbound.sealer.clone();
        let shared = Arc::<Shared>::default();
        let sending = send(sender, outbound, body.into_messages(), shared.clone());
        let sending = tokio::spawn(sending.in_current_span());
        let content_type = sealer.as_ref().map_or(content_type, |sealer| sealer.format().value.clone());
        let incoming = Incoming {
            receiver: Some(receiver),
            sealer,
            node: node.clone(),
            content_type: content_type.clone(),
            shared,
            sending,
            sent: false,
            running: Some(running),
        };
        Ok(RpcResponse { content_type, body: Body::Stream(incoming.boxed()), ..RpcResponse::default() })
    }
}

/// An empty value of a content type; of unknown ones, nothing.
fn opening(content_type: &str) -> Bytes {
    match Format::of(content_type) {
        Some(Format::Json) => Bytes::from_static(b"{}\n"),
        _ if content_type.eq_ignore_ascii_case("application/json-rpc") => Bytes::from_static(b"{}"),
        _ => Bytes::new(),
    }
}

/// Sends the caller's messages, then its end, then asks for the other side's.
async fn send(
    mut sender: LinkSender,
    mut outbound: Outbound,
    mut messages: Messages,
    shared: Arc<Shared>,
) -> Result<(), Error> {
    while let Some(message) = messages.next().await {
        let message = outbound.message(&message?)?;
        match sender.send(&message).await {
            Ok(()) => {}
            Err(Unsent::Unsendable(why)) => return Err(Error::bad_request(ID, why)),
            // Whoever receives learns more: what the other side had said before, or how the connection ended.
            Err(Unsent::Gone) => return Ok(()),
        }
    }
    shared.ended.store(true, Release);
    if sender.send(&outbound.end(EOS)).await.is_err() {
        return Ok(());
    }
    let mut quiet = QUIET;
    for _ in 0..MOST_ASKED {
        let heard = shared.heard.load(Acquire);
        tokio::time::sleep(quiet).await;
        if shared.heard.load(Acquire) != heard {
            quiet = QUIET;
            continue;
        }
        if sender.send(&outbound.question()).await.is_err() {
            return Ok(());
        }
        quiet = (quiet * 2).min(LONGEST_QUIET);
    }
    // The connection belongs to both sides: this one holds it until the other is dropped.
    std::future::pending().await
}

impl Outbound {
    fn message(&mut self, value: &Bytes) -> Result<Message, Error> {
        let body = match &self.sealer {
            None => value.clone(),
            Some(sealer) => {
                let mut number = NumberText::default();
                let id = number.of(self.sequence).as_bytes();
                self.sequence = self.sequence.wrapping_add(1);
                let around = Envelope { id, endpoint: &self.endpoint, error: "" };
                let sealed = sealer.seal(Role::Request, around, value);
                sealed.map_err(|error| {
                    Error::bad_request("go.micro.client.codec", format!("cannot send a message: {error}"))
                })?
            }
        };
        Ok(Message { headers: self.headers.clone(), body })
    }

    /// The end of this side. Without a body, which servers that look at no header take for an end as well.
    fn end(&self, error: &str) -> Message {
        let mut headers = self.headers.clone();
        headers.append("Micro-Error", error);
        Message { headers, body: Bytes::new() }
    }

    /// Is anybody there? In JSON, the one format in which every server can refuse.
    fn question(&self) -> Message {
        let mut message = self.end(NOBODY);
        message.headers.insert("Micro-Endpoint", NOBODY);
        message.headers.insert("Micro-Method", NOBODY);
        let json = if self.sealer.is_some() { "application/json-rpc" } else { "application/json" };
        message.headers.insert("Content-Type", json);
        message.body = match self.sealer {
            Some(_) => {
                format!("{{\"method\":\"{NOBODY}\",\"params\":[{{}}],\"id\":{}}}\n", self.sequence).into()
            }
            None => Bytes::from_static(b"{}\n"),
        };
        message
    }
}

/// The handler's messages. Dropping it closes the connection.
struct Incoming {
    /// None: the stream has ended.
    receiver: Option<LinkReceiver>,
    sealer: Option<Sealer>,
    node: Arc<NodeState>,
    content_type: String,
    shared: Arc<Shared>,
    sending: JoinHandle<Result<(), Error>>,
    /// The sending side has come to its own end.
    sent: bool,
    /// Counts as long as the stream runs.
    running: Option<Running>,
}

impl Stream for Incoming {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(receiver) = &mut this.receiver else { return Poll::Ready(None) };
        if !this.sent
            && let Poll::Ready(outcome) = this.sending.poll_unpin(cx)
        {
            this.sent = true;
            if let Ok(Err(error)) = outcome {
                this.end();
                return Poll::Ready(Some(Err(error)));
            }
        }
        // Receiving is cancel safe, so this can be asked anew each time.
        let received = ready!(pin!(receiver.receive()).poll(cx));
        let item = match received {
            Ok(message) => {
                if this.shared.heard.fetch_add(1, Release) == 0
                    && let Some(running) = &this.running
                {
                    running.is_well();
                }
                this.read(message)
            }
            // Whoever has ended its own side expects nothing else.
            Err(Ended::Between(_)) if this.has_ended() => None,
            Err(Ended::Between(cause) | Ended::Within(cause)) => Some(Err(this.broken(&cause))),
        };
        if !matches!(item, Some(Ok(_))) {
            this.end();
        }
        Poll::Ready(item)
    }
}

impl Incoming {
    /// Closes the connection; the node has one call less.
    fn end(&mut self) {
        self.receiver = None;
        self.running = None;
        self.sending.abort();
    }

    /// The value in a message; none in the last one.
    fn read(&self, message: Message) -> Option<Result<Bytes, Error>> {
        let answer = protocol::response(message, &self.content_type);
        let answer = match &self.sealer {
            None => answer,
            Some(sealer) => answer.and_then(|answer| envelope::unwrap(sealer, answer, &self.node)),
        };
        match answer {
            Ok(RpcResponse { body: Body::Unary(value), .. }) => Some(Ok(value)),
            Ok(_) => Some(Ok(Bytes::new())),
            Err(error) if error.detail == EOS => None,
            Err(error) if self.has_ended() && error.detail.contains(NOBODY_ECHO) => None,
            Err(error) => Some(Err(error)),
        }
    }

    fn broken(&self, cause: &str) -> Error {
        note_ejection(&self.node, self.node.failed(), cause);
        Error::internal(TRANSPORT, cause)
    }

    fn has_ended(&self) -> bool {
        self.shared.ended.load(Acquire)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.sending.abort();
    }
}
