//! One websocket, and the call that it is.

use super::close::Ended;
use super::{AHEAD, LARGEST_MESSAGE};
use crate::answer;
use crate::api::ID;
use crate::api::proxy::Clock;
use crate::api::rest::Codec;
use bytes::Bytes;
use futures::stream::{self, BoxStream, SplitSink, SplitStream, StreamExt};
use futures::{Sink, SinkExt};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use micro::{Body, CallOptions, Client, RpcHead, RpcRequest};
use micro_core::Error;
use micro_net::Stop;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error as SocketError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocketConfig};

/// How long the last frames may take.
const CLOSING: Duration = Duration::from_secs(2);
/// A client that does not answer so many questions in its time is gone.
const QUESTIONS: u32 = 3;

type Socket = WebSocketStream<TokioIo<Upgraded>>;
type Requests = mpsc::Sender<Result<Bytes, Error>>;

/// What a websocket is opened for.
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) head: RpcHead,
    pub(super) options: CallOptions,
    pub(super) codec: Codec,
    /// The message that is there already.
    pub(super) first: Option<Bytes>,
    /// Whether answers are binary until the client sends something else.
    pub(super) binary: bool,
}

impl Session {
    /// Serves the websocket until one side ends it, `stop.now`, or the client was not heard of for `idle`.
    pub(super) async fn run(self, upgrade: OnUpgrade, stop: Stop, idle: Duration) {
        let upgraded = tokio::select! {
            upgraded = upgrade => upgraded,
            () = stop.now.cancelled() => return,
        };
        let upgraded = match upgraded {
            Ok(upgraded) => upgraded,
            Err(error) => return tracing::debug!(%error, "no websocket"),
        };
        let config = WebSocketConfig::default()
            .max_message_size(Some(LARGEST_MESSAGE))
            .max_frame_size(Some(LARGEST_MESSAGE));
        let socket =
            WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
        let (mut sink, mut frames) = socket.split();
        let ended = self.converse(&mut sink, &mut frames, stop, idle).await;
        tracing::debug!(?ended, "websocket ended");
        // A client that does not want to hear it has its connection closed.
        _ = tokio::time::timeout(CLOSING, close(&mut sink, &mut frames, &ended)).await;
    }

    /// Both directions, until one ends the call.
    async fn converse(
        self,
        sink: &mut SplitSink<Socket, Message>,
        frames: &mut SplitStream<Socket>,
        stop: Stop,
        idle: Duration,
    ) -> Ended {
        let Self { client, head, options, codec, first, binary } = self;
        let (service, endpoint) = (head.service.clone(), head.endpoint.clone());
        let (requests, waiting) = mpsc::channel(AHEAD);
        let waiting = stream::unfold(waiting, async |mut waiting| {
            let message = waiting.recv().await?;
            Some((message, waiting))
        });
        let messages = stream::iter(first.map(Ok)).chain(waiting).boxed();
        let call = RpcRequest { head, body: Body::Stream(messages) };
        let (clock, binary) = (Clock::start(), AtomicBool::new(binary));
        let inbound = read(frames, requests, &codec, &binary, &clock, idle);
        let outbound = async {
            let outcome = async {
                let replies = open(&client, call, &options, sink, idle).await?;
                write(sink, replies, &codec, &binary, idle).await
            };
            outcome.await.unwrap_or_else(|ended| match ended {
                Ended::Failed(error) => Ended::Failed(answer::of_call(error, ID, &service, &endpoint)),
                other => other,
            })
        };
        tokio::select! {
            ended = inbound => ended,
            ended = outbound => ended,
            () = clock.silent(idle) => {
                Ended::Refused(CloseCode::Away, "nothing was heard of the client for too long".to_owned())
            }
            () = stop.now.cancelled() => Ended::Refused(CloseCode::Away, "the gateway is stopping".to_owned()),
        }
    }
}

/// Frames become messages. It ends with the client only.
async fn read(
    frames: &mut SplitStream<Socket>,
    requests: Requests,
    codec: &Codec,
    binary: &AtomicBool,
    clock: &Clock,
    idle: Duration,
) -> Ended {
    let mut requests = Some(requests);
    while let Some(frame) = frames.next().await {
        clock.tick();
        let message = match frame {
            Ok(Message::Text(text)) if text.is_empty() => {
                requests = None;
                continue;
            }
            Ok(Message::Text(text)) => {
                if binary.swap(false, Relaxed) && !codec.converts() {
                    return unsupported("this call was opened for binary messages");
                }
                match codec.request_text(text.as_bytes()) {
                    Ok(message) => message,
                    Err(error) => return Ended::Failed(error),
                }
            }
            Ok(Message::Binary(bytes)) => {
                if !binary.swap(true, Relaxed) && !codec.converts() {
                    return unsupported("this service is called in JSON: ask for the subprotocol binary");
                }
                bytes
            }
            Ok(Message::Close(_)) => return Ended::ByClient,
            Ok(_) => continue,
            Err(error) => return Ended::of_socket(&error),
        };
        let Some(open) = &requests else {
            return Ended::Refused(CloseCode::Protocol, "a message behind the last one".to_owned());
        };
        if !hand_on(open, message, clock, idle).await {
            // The service wants no more; what it has to say is still on its way.
            requests = None;
        }
    }
    Ended::ByClient
}

/// Waits until the service takes the message. Meanwhile nothing is read of the client, which does not make it silent.
async fn hand_on(requests: &Requests, message: Bytes, clock: &Clock, idle: Duration) -> bool {
    let mut sending = std::pin::pin!(requests.send(Ok(message)));
    loop {
        tokio::select! {
            sent = &mut sending => return sent.is_ok(),
            () = tokio::time::sleep(idle / (QUESTIONS + 1)) => clock.tick(),
        }
    }
}

/// Opens the call, which may have to wait for the client's first message, and asks meanwhile whether it is there.
async fn open(
    client: &Client,
    call: RpcRequest,
    options: &CallOptions,
    sink: &mut SplitSink<Socket, Message>,
    idle: Duration,
) -> Result<BoxStream<'static, Result<Bytes, Error>>, Ended> {
    let mut opening = std::pin::pin!(client.send(call, options));
    loop {
        tokio::select! {
            opened = &mut opening => {
                return opened.map(|response| response.body.into_messages()).map_err(Ended::Failed);
            }
            () = tokio::time::sleep(idle / (QUESTIONS + 1)) => ask(sink).await?,
        }
    }
}

/// Answers become frames, until the last.
async fn write(
    sink: &mut SplitSink<Socket, Message>,
    mut replies: BoxStream<'static, Result<Bytes, Error>>,
    codec: &Codec,
    binary: &AtomicBool,
    idle: Duration,
) -> Result<Ended, Ended> {
    loop {
        let reply = tokio::select! {
            reply = replies.next() => reply,
            () = tokio::time::sleep(idle / (QUESTIONS + 1)) => {
                ask(sink).await?;
                continue;
            }
        };
        let Some(reply) = reply else {
            return Ok(Ended::Normally);
        };
        let reply = reply.map_err(Ended::Failed)?;
        let frame = if binary.load(Relaxed) {
            Message::Binary(reply)
        } else {
            let json = codec.reply(&reply, None).map_err(Ended::Failed)?;
            let text = String::from_utf8(json.trim_ascii().to_vec());
            let text = text.map_err(|_| Ended::Failed(Error::internal(ID, "the answer is not UTF-8")))?;
            Message::text(text)
        };
        send(sink, frame).await?;
    }
}

async fn ask(sink: &mut SplitSink<Socket, Message>) -> Result<(), Ended> {
    send(sink, Message::Ping(Bytes::new())).await
}

async fn send(
    sink: &mut (impl Sink<Message, Error = SocketError> + Unpin),
    frame: Message,
) -> Result<(), Ended> {
    sink.send(frame).await.map_err(|error| Ended::of_socket(&error))
}

fn unsupported(why: &str) -> Ended {
    Ended::Refused(CloseCode::Unsupported, why.to_owned())
}

/// Says how it ended, and waits for the client to agree.
async fn close(sink: &mut SplitSink<Socket, Message>, frames: &mut SplitStream<Socket>, ended: &Ended) {
    if let Some(message) = ended.message() {
        _ = sink.send(Message::text(message)).await;
    }
    if let Some(frame) = ended.frame() {
        _ = sink.send(Message::Close(Some(frame))).await;
    }
    while let Some(Ok(_)) = frames.next().await {}
}
