//! A connection to a server, and calls on it.

use super::call::{Call, Opening, Reply};
use super::error::CallError;
use super::frame::Framed;
use super::messages::{Budget, Messages, ReceiveError};
use super::send::send_all;
use super::status::{Code, Status};
use super::stream::{Receiving, Sending};
use super::turn::Turn;
use super::{is_grpc, metadata, timeout};
use crate::stream::Stream;
use bytes::Bytes;
use futures::FutureExt;
use h2::SendStream;
use h2::client::{ResponseFuture, SendRequest};
use http::header::{CONTENT_TYPE, HeaderValue, TE, USER_AGENT};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio_util::task::AbortOnDropHandle;

/// Calls on one connection, whatever the peer would take.
const MAX_STREAMS: u32 = 256;
/// Windows of a stream and of a connection: how much the peer may send before it is read. The connection has room for
/// all its streams, or those that nobody reads would hold up the others.
const WINDOWS: (u32, u32) = (64 << 10, (64 << 10) * MAX_STREAMS);
/// The longest header fields of an answer, all together. A status with its details has to fit.
const MAX_HEADERS: u32 = 64 << 10;
/// Streams that may be opened before the peer has said how many it takes.
const FIRST_STREAMS: usize = 100;
/// How many calls that nobody waits for any more are remembered, and how long: what the peer still says on others counts
/// as its fault, and too much of that ends the connection.
const ABANDONED: (usize, Duration) = (1024, Duration::from_secs(10));
/// How much of the body of an answer that is not gRPC's becomes part of an error's text, in bytes.
const REFUSAL_TEXT: usize = 512;

/// How long calls may be without any answer before one that nobody waits for any more closes the connection to others.
const SILENCE: Duration = Duration::from_secs(1);

/// The largest frame that is taken, in bytes: servers that know it send a message of 64 KiB in one. What a server takes
/// stays at the usual 16 KiB, for which tests of HTTP/2 are made.
const MAX_FRAME: u32 = 64 << 10;

/// Fields of every call.
const OWN_FIELDS: usize = 4;

const AGENT: HeaderValue = HeaderValue::from_static(concat!("micro/", env!("CARGO_PKG_VERSION")));
const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");

/// A connection that calls share.
#[derive(Debug)]
pub(super) struct Channel {
    requests: SendRequest<Bytes>,
    authority: Authority,
    scheme: Scheme,
    max_message: usize,
    budget: Arc<Budget>,
    opened: Instant,
    in_flight: AtomicUsize,
    /// The peer has answered a call.
    answered: AtomicBool,
    /// Milliseconds from `opened`, plus 1, to the first call since the peer answered last; 0 without one.
    silent_since: AtomicU64,
    /// Milliseconds from `opened` to the end of the last call.
    used: AtomicU64,
    /// The connection is over, or seems to lead nowhere.
    closed: Arc<AtomicBool>,
    /// Reads and writes; ends with the connection, or with this.
    _driver: AbortOnDropHandle<()>,
}

impl Channel {
    /// Speaks HTTP/2 on a stream. `authority` is `host:port`.
    pub(super) async fn open(stream: Stream, authority: &str, max_message: usize) -> Result<Self, CallError> {
        let scheme = if stream.is_secure() { Scheme::HTTPS } else { Scheme::HTTP };
        let name = Authority::try_from(authority)
            .map_err(|error| CallError::Unsendable(format!("{authority:?} is no authority: {error}")))?;
        let mut builder = h2::client::Builder::new();
        builder
            .initial_window_size(WINDOWS.0)
            .initial_connection_window_size(WINDOWS.1)
            .max_frame_size(MAX_FRAME)
            .initial_max_send_streams(FIRST_STREAMS)
            .max_header_list_size(MAX_HEADERS)
            .max_send_buffer_size(64 << 10)
            .max_concurrent_reset_streams(ABANDONED.0)
            .reset_stream_duration(ABANDONED.1)
            .enable_push(false);
        let (requests, mut connection) = builder.handshake(stream).await.map_err(|source| {
            CallError::Handshake { address: authority.to_owned(), source: Arc::new(source) }
        })?;
        let closed = Arc::new(AtomicBool::new(false));
        let over = closed.clone();
        let driver = tokio::spawn(async move {
            let mut turn = Turn::default();
            if let Err(error) = poll_fn(|cx| turn.poll(cx, |cx| connection.poll_unpin(cx))).await {
                tracing::debug!(error = crate::error_chain(&error), "gRPC connection ended");
            }
            over.store(true, Relaxed);
        });
        Ok(Self {
            requests,
            authority: name,
            scheme,
            max_message,
            // Answers are read by the tasks that wait for them, of which there are only so many.
            budget: Budget::new(usize::MAX),
            opened: Instant::now(),
            in_flight: AtomicUsize::new(0),
            answered: AtomicBool::new(false),
            silent_since: AtomicU64::new(0),
            used: AtomicU64::new(0),
            closed,
            _driver: AbortOnDropHandle::new(driver),
        })
    }

    /// Whether new calls have a chance here.
    pub(super) fn is_open(&self) -> bool {
        !self.closed.load(Relaxed)
    }

    /// Calls that are running.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Relaxed)
    }

    /// How many calls fit at a time.
    pub(super) fn capacity(&self) -> usize {
        self.requests.current_max_send_streams().min(MAX_STREAMS as usize)
    }

    /// How long nobody has used it.
    pub(super) fn idle(&self) -> Duration {
        match self.in_flight() {
            0 => self.opened.elapsed().saturating_sub(Duration::from_millis(self.used.load(Relaxed))),
            _ => Duration::ZERO,
        }
    }

    fn age_ms(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Counts a call; the guard ends it.
    pub(super) fn enter(self: &Arc<Self>) -> Entered {
        self.in_flight.fetch_add(1, Relaxed);
        Entered { channel: self.clone(), ended: false }
    }

    /// Somebody waits for an answer from now on.
    fn listen(&self) {
        // One of several that begin a silence is as good as another.
        _ = self.silent_since.compare_exchange(0, self.age_ms() + 1, Relaxed, Relaxed);
    }

    pub(super) fn heard(&self) {
        self.answered.store(true, Relaxed);
        self.silent_since.store(0, Relaxed);
    }

    /// Whether there were calls and no answers for so long that the connection may lead nowhere, which the kernel finds
    /// out much later.
    fn is_silent(&self) -> bool {
        let (since, now) = (self.silent_since.load(Relaxed), self.age_ms() + 1);
        since != 0 && u128::from(now.saturating_sub(since)) >= SILENCE.as_millis()
    }
}

/// A call that runs on a channel.
#[derive(Debug)]
pub(super) struct Entered {
    channel: Arc<Channel>,
    /// It came to an end of some kind; else somebody gave up waiting.
    ended: bool,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let channel = &self.channel;
        if !self.ended && channel.is_silent() {
            // The next call gets another one.
            channel.closed.store(true, Relaxed);
        }
        channel.used.store(channel.age_ms(), Relaxed);
        channel.in_flight.fetch_sub(1, Relaxed);
    }
}

impl Entered {
    /// Sends a call and waits for its answer. Dropping the future resets the stream, which tells the callee.
    pub(super) async fn call(mut self, call: &Call<'_>) -> Result<Reply, CallError> {
        self.channel.listen();
        let outcome = self.exchange(call).await;
        self.ended = true;
        outcome.map_err(|error| self.channel.conclude(error))
    }

    /// Opens a stream. Waits for its turn where the peer takes no more at the moment.
    pub(super) async fn open(mut self, opening: &Opening<'_>) -> Result<(Sending, Receiving), CallError> {
        // Who waits for a stream's first message need not hear anything for long.
        self.ended = true;
        match self.channel.begin(opening).await {
            Ok((mut requests, answer, stream)) => {
                let opened = poll_fn(|cx| requests.poll_ready(cx)).await;
                opened.map_err(|error| self.channel.conclude(CallError::NotTaken(Arc::new(error))))?;
                Ok((Sending::new(stream), Receiving::new(self, answer)))
            }
            Err(error) => Err(self.channel.conclude(error)),
        }
    }

    pub(super) fn channel(&self) -> &Channel {
        &self.channel
    }

    async fn exchange(&self, call: &Call<'_>) -> Result<Reply, CallError> {
        let channel = &self.channel;
        let message = Framed::new(call.message).map_err(|error| CallError::Unsendable(error.to_string()))?;
        let (_, answer, mut stream) = channel.begin(&call.opening()).await?;
        // The answer may come while the request is still being sent, as a refusal does.
        let mut answer = std::pin::pin!(answer);
        let mut sending = std::pin::pin!(send_all(&mut stream, message, true));
        let mut sent = false;
        let response = tokio::select! {
            biased;
            response = &mut answer => response,
            _outcome = &mut sending => {
                // If that failed, the answer says why.
                sent = true;
                answer.await
            }
        };
        let response = response.map_err(CallError::of_stream)?;
        channel.heard();
        let mut reading = std::pin::pin!(channel.read(response));
        // A method that streams may answer with its head before it has read anything, and then waits for the request.
        tokio::select! {
            biased;
            outcome = &mut reading => outcome,
            _outcome = &mut sending, if !sent => reading.await,
        }
    }
}

impl Channel {
    /// What an error means for the connection, and what the connection's past makes of it.
    pub(super) fn conclude(&self, error: CallError) -> CallError {
        match error {
            // A stream that the peer ended alone says nothing of the connection.
            CallError::Broken(error) if !error.is_reset() => {
                self.closed.store(true, Relaxed);
                match self.answered.load(Relaxed) {
                    true => CallError::Broken(error),
                    false => CallError::Mute(error),
                }
            }
            CallError::NotTaken(error) if !error.is_reset() => {
                self.closed.store(true, Relaxed);
                CallError::NotTaken(error)
            }
            error => error,
        }
    }

    /// Sends the head of a call.
    async fn begin(
        &self,
        opening: &Opening<'_>,
    ) -> Result<(SendRequest<Bytes>, ResponseFuture, SendStream<Bytes>), CallError> {
        let head = self.head(opening)?;
        let not_taken = |error| CallError::NotTaken(Arc::new(error));
        let mut requests = self.requests.clone().ready().await.map_err(not_taken)?;
        let (answer, stream) = requests.send_request(head, false).map_err(not_taken)?;
        Ok((requests, answer, stream))
    }

    /// The messages of an answer.
    pub(super) fn messages(&self, body: h2::RecvStream) -> Messages {
        Messages::new(body, self.max_message, self.budget.clone(), None)
    }

    fn head(&self, call: &Opening<'_>) -> Result<Request<()>, CallError> {
        let path = PathAndQuery::try_from(call.path)
            .ok()
            .filter(|path| path.as_str().starts_with('/') && path.query().is_none())
            .ok_or_else(|| CallError::Unsendable(format!("{:?} is no path of a method", call.path)))?;
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path);
        let uri = Uri::from_parts(parts).map_err(|error| CallError::Unsendable(error.to_string()))?;
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        let fields = request.headers_mut();
        fields.reserve(OWN_FIELDS + call.metadata.len());
        fields.insert(TE, TRAILERS);
        fields.insert(CONTENT_TYPE, HeaderValue::from_static(call.codec.content_type()));
        fields.insert(USER_AGENT, AGENT);
        if let Some(left) = call.timeout
            && let Ok(value) = HeaderValue::from_str(&timeout::format(left))
        {
            fields.insert("grpc-timeout", value);
        }
        metadata::write(call.metadata, fields)
            .map_err(|name| CallError::Unsendable(format!("the metadata {name:?} is no header field")))?;
        Ok(request)
    }

    async fn read(&self, response: Response<h2::RecvStream>) -> Result<Reply, CallError> {
        let (head, body) = response.into_parts();
        let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or_default().to_owned();
        // A head with a status is the whole answer.
        if let Some(outcome) = Status::read(&head.headers) {
            outcome?;
            return Err(CallError::Malformed("a success without a message".to_owned()));
        }
        if head.status != StatusCode::OK || !is_grpc(&content_type) {
            return Err(refusal(head.status, &content_type, body).await);
        }
        let mut reply = Reply { content_type, ..Reply::default() };
        metadata::read(&head.headers, &mut reply.metadata);
        let mut messages = self.messages(body);
        let mut first = None;
        while let Some(message) = messages.receive().await.map_err(of_answer)? {
            if first.replace(message).is_some() {
                return Err(CallError::Malformed("more than one message".to_owned()));
            }
        }
        let trailers = messages.trailers().await.map_err(CallError::of_stream)?.unwrap_or_default();
        self.finish(&trailers, first, reply)
    }

    fn finish(
        &self,
        trailers: &HeaderMap,
        message: Option<Bytes>,
        mut reply: Reply,
    ) -> Result<Reply, CallError> {
        let status = Status::read(trailers)
            .ok_or_else(|| CallError::Malformed("it ends without a grpc-status".to_owned()))?;
        status?;
        metadata::read(trailers, &mut reply.metadata);
        reply.message =
            message.ok_or_else(|| CallError::Malformed("a success without a message".to_owned()))?;
        Ok(reply)
    }
}

pub(super) fn of_answer(error: ReceiveError) -> CallError {
    match error {
        ReceiveError::Stream(error) => CallError::of_stream(error),
        other => CallError::Malformed(crate::error_chain(&other)),
    }
}

/// Something that is no gRPC server answered: a proxy, or another kind of server.
async fn refusal(status: StatusCode, content_type: &str, mut body: h2::RecvStream) -> CallError {
    match body.data().await {
        Some(Ok(text)) => refused(status, content_type, &text),
        _ => refused(status, content_type, b""),
    }
}

/// `text` is the beginning of its body.
pub(super) fn refused(status: StatusCode, content_type: &str, text: &[u8]) -> CallError {
    if status == StatusCode::OK {
        let what = if content_type.is_empty() { "no content type" } else { content_type };
        return CallError::Malformed(format!("{what} in place of application/grpc"));
    }
    let text = String::from_utf8_lossy(&text[..text.len().min(REFUSAL_TEXT)]);
    let status = status.as_u16();
    let text = format!("HTTP status {status} {}", text.trim());
    Status::new(Code::of_http(status), text.trim_end()).into()
}
