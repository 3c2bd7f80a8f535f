//! The one call abstraction: a head, and a stream of encoded messages in each direction. A unary call is the special
//! case of one message each way.
//!
//! Layers are [`tower::Layer`]s over [`RpcService`]; typed values exist only inside handlers and stubs.

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use micro_core::{Error, Headers};
use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tower::Service as _;
use tower::util::BoxCloneSyncService;

pub use http::Extensions;

/// What a client layer wraps and what a server layer wraps.
pub type RpcService = BoxCloneSyncService<RpcRequest, RpcResponse, Error>;

/// Everything about a call but its messages.
#[derive(Clone, Debug, Default)]
pub struct RpcHead {
    /// The target service.
    pub service: String,
    /// `Struct.Method`.
    pub endpoint: String,
    /// Of every message of the call.
    pub content_type: String,
    /// User metadata. On the server: all headers of the request.
    pub metadata: Headers,
    /// When the caller stops waiting.
    pub deadline: Option<Instant>,
    /// The caller's address; none on the client side.
    pub peer: Option<SocketAddr>,
    /// Whether more than one message may come in either direction. Set by whoever opens a stream: a client then gets
    /// its response as soon as the stream is open, and `deadline` is the stream's, not the opening's.
    pub stream: bool,
    /// Whatever layers want to tell each other. On the client: [`CallOptions`](crate::CallOptions), and for call layers
    /// the chosen [`NodeState`](crate::client::NodeState).
    pub extensions: Extensions,
}

impl RpcHead {
    /// The time left until the deadline; none without one. Zero when it has passed.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }
}

/// A call on its way to a handler.
#[derive(Debug)]
pub struct RpcRequest {
    /// Who calls what.
    pub head: RpcHead,
    /// The caller's messages.
    pub body: Body,
}

/// A handler's answer. An error is the `Err` of the service, or of a stream's last item.
#[derive(Debug, Default)]
pub struct RpcResponse {
    /// Headers of the answer. Do not rely on those that a Go server echoes (`go-micro-wire` §1.2).
    pub metadata: Headers,
    /// Of every message of the answer; empty: as the request.
    pub content_type: String,
    /// The handler's messages.
    pub body: Body,
}

/// The encoded messages of one direction.
pub enum Body {
    /// Exactly one.
    Unary(Bytes),
    /// Any number; ends after the first error.
    Stream(BoxStream<'static, Result<Bytes, Error>>),
}

impl Body {
    /// The only message.
    ///
    /// # Errors
    /// The stream's own error, or code 400 when it holds no message or more than one.
    pub async fn into_unary(self) -> Result<Bytes, Error> {
        let mut stream = match self {
            Self::Unary(message) => return Ok(message),
            Self::Stream(stream) => stream,
        };
        let first = stream
            .next()
            .await
            .unwrap_or_else(|| Err(Error::bad_request("", "the stream has no message")))?;
        match stream.next().await {
            None => Ok(first),
            Some(_) => Err(Error::bad_request("", "a stream of messages where one was expected")),
        }
    }
}

impl Body {
    /// All messages, be it one.
    pub fn into_messages(self) -> BoxStream<'static, Result<Bytes, Error>> {
        match self {
            Self::Unary(message) => stream::iter([Ok(message)]).boxed(),
            Self::Stream(messages) => messages,
        }
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::Unary(Bytes::new())
    }
}

impl From<Bytes> for Body {
    fn from(message: Bytes) -> Self {
        Self::Unary(message)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unary(message) => write!(f, "Unary({} bytes)", message.len()),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

/// A layer around calls. Every [`tower::Layer`] over [`RpcService`] is one.
pub trait RpcLayer: Send + Sync + 'static {
    /// Puts the layer around `inner`.
    fn wrap(&self, inner: RpcService) -> RpcService;
}

impl<L> RpcLayer for L
where
    L: tower::Layer<RpcService> + Send + Sync + 'static,
    L::Service:
        tower::Service<RpcRequest, Response = RpcResponse, Error = Error> + Clone + Send + Sync + 'static,
    <L::Service as tower::Service<RpcRequest>>::Future: Send + 'static,
{
    fn wrap(&self, inner: RpcService) -> RpcService {
        BoxCloneSyncService::new(self.layer(inner))
    }
}

/// Layers in the order in which they were given.
pub(crate) type Layers = Vec<Arc<dyn RpcLayer>>;

/// Wraps `inner` in `layers`; the first one given is the outermost.
pub(crate) fn stack(layers: &Layers, inner: RpcService) -> RpcService {
    layers.iter().rev().fold(inner, |service, layer| layer.wrap(service))
}

/// Calls a layered service, once it has room.
pub(crate) async fn call(layered: &RpcService, request: RpcRequest) -> Result<RpcResponse, Error> {
    let mut service = layered.clone();
    poll_fn(|cx| service.poll_ready(cx)).await?;
    service.call(request).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;

    #[tokio::test]
    async fn a_stream_of_one_message_is_unary() {
        let stream = |items: Vec<Result<Bytes, Error>>| Body::Stream(stream::iter(items).boxed());
        let one = Bytes::from_static(b"x");
        assert_eq!(stream(vec![Ok(one.clone())]).into_unary().await, Ok(one.clone()));
        assert_eq!(stream(vec![]).into_unary().await.expect_err("empty").code, 400);
        assert_eq!(stream(vec![Ok(one.clone()), Ok(one)]).into_unary().await.expect_err("two").code, 400);
    }
}
