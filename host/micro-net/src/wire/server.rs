//! The server behind an RPC port.

use super::conversations::{Answer, MOST_STREAMS, Opening, StreamId};
use super::error::{ReceiveError, SendError};
use super::prefixed::Prefixed;
use super::receive::Incoming;
use super::socket::Socket;
use super::streams::{self, Left, Setting};
use super::{Limits, NativeWire, Wire};
use crate::grpc;
use crate::listen::{Accepted, Listener, Slot};
use crate::stop::Stop;
use crate::stream::Stream;
use futures::future::BoxFuture;
use http1_core::{Role, Start};
use micro_core::{Message, error::reason};
use std::borrow::Cow;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How long, and for how many bytes, a connection is read after its last answer. Closing it at once would make the
/// kernel throw away the answer together with what the client still sends (RFC 9112 §9.6).
const LINGER: (Duration, u64) = (Duration::from_secs(1), 4 << 20);

/// What every HTTP/2 connection starts with (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// What clients are told that want a tunnel.
const NO_PROXY: &str = "this port is no proxy: CONNECT is the one method that is no message";

/// A message that arrived on a port.
#[derive(Clone, Debug)]
pub struct Request {
    /// Headers and body.
    pub message: Message,
    /// The method; `POST` from every Go Micro client.
    pub method: Cow<'static, str>,
    /// The target as it was sent; `/` from every Go Micro client.
    pub path: Cow<'static, str>,
    /// Who sent it.
    pub peer: SocketAddr,
    /// The address of ours that it was sent to.
    pub local: SocketAddr,
}

/// An answer with a status of its own.
#[derive(Clone, Debug)]
pub struct Plain {
    /// The status code.
    pub status: u16,
    /// Headers and body.
    pub message: Message,
}

/// Answers messages. A clone serves each connection.
pub trait Handler: Clone + Send + Sync + 'static {
    /// The answer to one message. The future is dropped if the client resets the connection, or when the grace period
    /// of a shutdown ends; a client that merely finished sending still gets its answer. A panic costs the connection.
    fn handle(&self, request: Request) -> impl Future<Output = Message> + Send;

    /// What becomes of a message, for handlers that know streams; called in place of [`handle`](Self::handle), whose
    /// answer it is unless it says otherwise. That a message opens a stream is said without waiting for anything.
    fn receive(&self, request: Request) -> impl Future<Output = Answer> + Send {
        let answer = self.handle(request);
        async move { Answer::Message(answer.await) }
    }

    /// Which stream a message is of. Only asked on connections on which a stream runs.
    fn stream_of<'m>(&self, _: &'m Message) -> StreamId<'m> {
        StreamId::default()
    }

    /// The answer to a message for which there is no room: [`MOST_STREAMS`] streams and calls run on its connection.
    fn busy(&self, _: &Message) -> Message {
        let body = format!("{MOST_STREAMS} streams and calls run on this connection already\n");
        Message { body: body.into(), ..Message::default() }
    }

    /// The answer to a request that is no message of RPC, such as a delivery of an event; `None` leaves it to
    /// [`Handler::handle`]. Asked before every message, so it has to be quick about requests that are not its own. It may
    /// take what it needs out of those that are.
    fn divert(&self, request: &mut Request) -> Option<BoxFuture<'static, Plain>> {
        let _ = request;
        None
    }

    /// The answer to a call over gRPC. The future is dropped if the caller resets the call, or when the grace period of
    /// a shutdown ends. A panic costs the call.
    fn call(
        &self,
        call: grpc::Incoming,
    ) -> impl Future<Output = Result<grpc::Outgoing, grpc::Status>> + Send {
        let detail = format!("{} is not served: this port has no gRPC methods", call.path);
        std::future::ready(Err(grpc::Status::new(grpc::Code::UNIMPLEMENTED, detail)))
    }
}

/// Answers the requests of a port until `stop.soon`, then in this order: frees the port, closes idle connections,
/// gives requests in flight `grace` to finish, cancels the rest. Returns when the last connection is closed.
///
/// Requests of one connection are answered one after the other, but for those that meet streams. Streams are told of the
/// end of the grace period shortly before it comes.
pub async fn serve_rpc<H: Handler>(
    listener: Listener,
    handler: H,
    limits: Limits,
    stop: Stop,
    grace: Duration,
) {
    serve_rpc_with(NativeWire, listener, handler, limits, stop, grace).await;
}

/// [`serve_rpc`] with another reader and writer of heads.
pub async fn serve_rpc_with<H: Handler, W: Wire>(
    wire: W,
    listener: Listener,
    handler: H,
    limits: Limits,
    stop: Stop,
    grace: Duration,
) {
    let connection = |accepted: Accepted, stop: Stop| {
        // Tokens of its own, so that connections do not meet at one lock for every request.
        let stop = stop.child();
        let (handler, wire) = (handler.clone(), wire.clone());
        let served = Served { handler, limits, wire, stop: stop.clone(), grace };
        async move {
            let origin = grpc::Origin { peer: accepted.peer, local: accepted.local };
            // The handler and the limits outlive the loop, for what may come after it.
            let upgraded = tokio::select! {
                upgraded = served.connection(accepted) => upgraded,
                () = stop.now.cancelled() => None,
            };
            if let Some((stream, _slot)) = upgraded {
                // It heeds `stop.now` itself, and tells callers.
                grpc::serve(stream, origin, served.handler, served.limits, &stop).await;
            }
        }
    };
    crate::serve::serve(listener, stop, grace, connection).await;
}

/// What one connection needs.
struct Served<H, W> {
    handler: H,
    limits: Limits,
    wire: W,
    stop: Stop,
    grace: Duration,
}

/// What becomes of a connection.
enum Next {
    /// Another request may come.
    Continue,
    /// Nothing more to say.
    Close,
    /// Refused, or asked to close: the client may still be sending.
    Linger,
    /// It opened a stream; the client may send more if `keeps`.
    Stream { first: Box<Opening>, keeps: bool },
}

impl<H: Handler, W: Wire> Served<H, W> {
    /// Serves messages until the connection ends, or turns out to speak HTTP/2: then it is given back, with its slot.
    async fn connection(&self, accepted: Accepted) -> Option<(Prefixed<Stream>, Slot)> {
        let (peer, local) = (accepted.peer, accepted.local);
        // The slot is held as long as the connection.
        let (stream, slot) = match accepted.establish(HANDSHAKE).await {
            Ok(established) => established,
            Err(error) => {
                tracing::debug!(%error, "TLS handshake failed");
                return None;
            }
        };
        if stream.alpn() == Some(b"h2") {
            return Some((Prefixed::new(stream, Vec::new()), slot));
        }
        let mut socket = Socket::new(stream, Role::Request, self.limits, self.wire.clone());
        let mut stopping = pin!(self.stop.soon.cancelled());
        let mut first = true;
        loop {
            let received = tokio::select! {
                biased;
                received = socket.receive() => received,
                // A request that has begun to arrive is in flight.
                () = &mut stopping => {
                    if !socket.has_started() {
                        close(socket.io_mut(), false).await;
                        return None;
                    }
                    socket.receive().await
                }
            };
            let next = match received {
                Ok(None) => return None,
                Ok(Some(incoming)) if incoming.method == "CONNECT" => {
                    send_status(&mut socket, 501, NO_PROXY).await;
                    Next::Linger
                }
                Ok(Some(incoming)) => self.answer(&mut socket, incoming, peer, local).await,
                Err(_) if first && is_http2(socket.unread()) => {
                    let (stream, read) = socket.into_parts();
                    return Some((Prefixed::new(stream, read), slot));
                }
                Err(error) => refuse(&mut socket, &error).await,
            };
            first = false;
            let linger = match next {
                Next::Continue if self.stop.soon.is_cancelled() && !socket.has_started() => false,
                Next::Continue => continue,
                Next::Stream { first, keeps } => {
                    // Boxed, so that other connections need no room for it.
                    let setting = self.setting(peer, local);
                    let left = Box::pin(streams::serve(setting, socket, first, keeps)).await;
                    socket = match left {
                        Left::Quiet(socket) => socket,
                        Left::Finished(mut socket) => {
                            close(socket.io_mut(), true).await;
                            return None;
                        }
                        Left::Malformed(mut socket, error) => {
                            refuse(&mut socket, &error).await;
                            close(socket.io_mut(), true).await;
                            return None;
                        }
                        Left::Misplaced(mut socket) => {
                            send_status(&mut socket, 501, NO_PROXY).await;
                            close(socket.io_mut(), true).await;
                            return None;
                        }
                        Left::Gone => return None,
                    };
                    if !self.stop.soon.is_cancelled() || socket.has_started() {
                        continue;
                    }
                    true
                }
                Next::Close => false,
                Next::Linger => true,
            };
            close(socket.io_mut(), linger).await;
            return None;
        }
    }

    fn setting(&self, peer: SocketAddr, local: SocketAddr) -> Setting<'_, H> {
        let Self { handler, limits, stop, grace, .. } = self;
        Setting { handler, limits: *limits, stop, grace: *grace, peer, local }
    }

    async fn answer(
        &self,
        socket: &mut Socket<Stream, W>,
        incoming: Incoming,
        peer: SocketAddr,
        local: SocketAddr,
    ) -> Next {
        let Incoming { method, path, keep_alive, message, .. } = incoming;
        let head_only = method == "HEAD";
        let mut request = Request { message, method, path, peer, local };
        let answered = match self.handler.divert(&mut request) {
            None => match watching(self.handler.receive(request), socket).await {
                Some(Answer::Message(message)) => Some(Plain { status: 200, message }),
                Some(Answer::Stream(first)) => return Next::Stream { first, keeps: keep_alive },
                Some(Answer::Nothing) => return if keep_alive { Next::Continue } else { Next::Linger },
                None => None,
            },
            Some(diverted) => watching(diverted, socket).await,
        };
        let Some(Plain { status, message: answer }) = answered else {
            tracing::debug!("client gone before the answer");
            return Next::Close;
        };
        let close = !keep_alive || self.stop.soon.is_cancelled();
        let start = Start::Response { status, reason: reason(status).as_bytes() };
        let sent = match head_only {
            true => socket.send_head(start, &answer, close).await,
            false => socket.send(start, &answer, close).await,
        };
        match sent {
            // It was asked for, so the client closes too, perhaps after more that it has to say.
            Ok(()) if !keep_alive => Next::Linger,
            Ok(()) if close => Next::Close,
            Ok(()) => Next::Continue,
            Err(SendError::Head(error)) => {
                let error = crate::error_chain(&error);
                tracing::warn!(error, "the answer cannot be sent");
                send_status(socket, 500, &format!("unsendable answer: {error}")).await;
                Next::Linger
            }
            Err(error) => {
                tracing::debug!(error = crate::error_chain(&error), "answer not sent");
                Next::Close
            }
        }
    }
}

/// Runs the handler while watching the connection; `None` if the client reset it.
async fn watching<T, W: Wire>(
    handling: impl Future<Output = T>,
    socket: &mut Socket<Stream, W>,
) -> Option<T> {
    let mut handling = pin!(handling);
    let mut watching = true;
    poll_fn(|cx| {
        if let Poll::Ready(answer) = handling.as_mut().poll(cx) {
            return Poll::Ready(Some(answer));
        }
        if watching && let Poll::Ready(read) = socket.poll_ahead(cx) {
            watching = false;
            if read.is_err() {
                return Poll::Ready(None);
            }
        }
        Poll::Pending
    })
    .await
}

fn is_http2(unread: &[u8]) -> bool {
    // The version in the preface's first line is what no HTTP/1 reader takes, so at least that line is here.
    unread.len() >= b"PRI * HTTP/2".len() && PREFACE.starts_with(&unread[..unread.len().min(PREFACE.len())])
}

/// Tells the client what was wrong with its request, if there is a client to tell.
async fn refuse<W: Wire>(socket: &mut Socket<Stream, W>, error: &ReceiveError) -> Next {
    let text = crate::error_chain(error);
    tracing::debug!(error = text, "request refused");
    match error.status() {
        Some(status) => {
            send_status(socket, status, &text).await;
            Next::Linger
        }
        None => Next::Close,
    }
}

async fn send_status<W: Wire>(socket: &mut Socket<Stream, W>, status: u16, text: &str) {
    let mut message = Message { body: format!("{text}\n").into(), ..Message::default() };
    message.headers.append("Content-Type", "text/plain; charset=utf-8");
    let start = Start::Response { status, reason: reason(status).as_bytes() };
    // The connection ends either way.
    let _ = socket.send(start, &message, true).await;
}

/// Ends the sending direction, then perhaps reads on. A client that takes nothing, not even the end of a TLS session,
/// does not keep the connection.
async fn close(stream: &mut Stream, linger: bool) {
    let (time, bytes) = LINGER;
    let closing = async {
        if stream.shutdown().await.is_ok() && linger {
            let mut rest = stream.take(bytes);
            let _ = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await;
        }
    };
    let _ = tokio::time::timeout(time, closing).await;
}
