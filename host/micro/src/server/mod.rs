//! The server: from messages to handlers and back.

mod counted;
pub mod debug;
mod event;
mod grpc;
mod protocol;
mod stats;
mod streams;
mod transport;

pub use stats::Stats;
pub(crate) use streams::stream_of;

use crate::codec::Codecs;
use crate::handler::{Handler, Kind, MethodFn};
use crate::rpc::{self, Body, Layers, RpcLayer, RpcRequest, RpcResponse, RpcService, stack};
use crate::stream;
use crate::subscriber::Subscriber;
use bytes::Bytes;
use event::Events;
use futures::FutureExt;
use micro_core::{Endpoint, Error, Message};
use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// A request without a `Timeout` header may run this long.
const LONGEST_CALL: Duration = Duration::from_secs(60 * 60);

/// Routes calls to handlers. It owns no socket: [`Service`](crate::Service) serves it on one, and a test can call
/// [`Server::call`] without one.
#[derive(Clone)]
pub struct Server {
    inner: Arc<Inner>,
}

struct Inner {
    methods: HashMap<String, MethodFn>,
    /// Those of them that take or give more than one message.
    streams: HashMap<String, Kind>,
    endpoints: Vec<Endpoint>,
    /// Present when there are layers; without them the method is called directly.
    layered: Option<RpcService>,
    codecs: Codecs,
    stats: Arc<Stats>,
    events: Arc<Events>,
}

/// Collects handlers and layers.
#[derive(Default)]
pub struct ServerBuilder {
    handlers: Vec<Handler>,
    subscribers: Vec<Subscriber>,
    layers: Layers,
    codecs: Codecs,
}

impl ServerBuilder {
    /// Adds a handler. Of two endpoints with one name the later wins.
    #[must_use]
    pub fn handler(mut self, handler: Handler) -> Self {
        self.handlers.push(handler);
        self
    }

    /// Adds a subscriber. It hears of events that are sent here; for those of a broker a [`Service`](crate::Service)
    /// subscribes.
    #[must_use]
    pub fn subscriber(mut self, subscriber: Subscriber) -> Self {
        self.subscribers.push(subscriber);
        self
    }

    /// Wraps all handlers and subscribers; the first layer given is the outermost. Layers see the head and the encoded
    /// messages.
    #[must_use]
    pub fn layer(mut self, layer: impl RpcLayer) -> Self {
        self.layers.push(Arc::new(layer));
        self
    }

    /// The envelopes that it understands. Default: [`Codecs::default`].
    #[must_use]
    pub fn codecs(mut self, codecs: Codecs) -> Self {
        self.codecs = codecs;
        self
    }

    /// A server that also answers `Debug.Health` and `Debug.Stats`, and over gRPC
    /// `grpc.health.v1.Health/Check` and, for what its handlers know of themselves, reflection.
    pub fn build(self) -> Server {
        let stats = Arc::new(Stats::new());
        let mut handlers = self.handlers;
        handlers.sort_by(|a, b| a.name().cmp(b.name()));
        let events = Arc::new(Events::new(self.subscribers, &self.layers));
        let endpoints = handlers.iter().flat_map(Handler::endpoints).chain(events.endpoints()).collect();
        let debug = debug::handler(stats.clone());
        let health =
            crate::grpc::health_handler(handlers.iter().map(|handler| handler.name().to_owned()).collect());
        let reflection = crate::grpc::reflection_handlers(handlers.iter().chain([&health]));
        // The service's own handler may answer `Debug` in its way.
        let methods =
            [debug, health].into_iter().chain(reflection).chain(handlers).flat_map(Handler::into_methods);
        let (mut runs, mut streams) = (HashMap::new(), HashMap::new());
        for (name, method) in methods {
            streams.remove(&name);
            if method.kind.is_stream() {
                streams.insert(name.clone(), method.kind);
            }
            runs.insert(name, method.run);
        }
        let (methods, codecs) = (runs, self.codecs);
        let inner = Inner { methods, streams, endpoints, layered: None, codecs, stats, events };
        let bare = Server { inner: Arc::new(inner) };
        if self.layers.is_empty() {
            return bare;
        }
        let innermost = bare.clone();
        let innermost = tower::service_fn(move |request| {
            let server = innermost.clone();
            async move { server.route(request).await }
        });
        let layered = stack(&self.layers, RpcService::new(innermost));
        let Inner { methods, streams, endpoints, codecs, stats, events, .. } = &*bare.inner;
        let (methods, streams, endpoints) = (methods.clone(), streams.clone(), endpoints.clone());
        let (codecs, stats, layered) = (codecs.clone(), stats.clone(), Some(layered));
        let events = events.clone();
        Server { inner: Arc::new(Inner { methods, streams, endpoints, layered, codecs, stats, events }) }
    }
}

impl fmt::Debug for ServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerBuilder").field("handlers", &self.handlers).finish_non_exhaustive()
    }
}

impl Server {
    /// A server without handlers.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    /// What the registry shows: handlers by name, each with its methods by name.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.inner.endpoints
    }

    /// Counters of this server.
    pub fn stats(&self) -> &Stats {
        &self.inner.stats
    }

    /// How many messages the method behind an endpoint takes and gives; none if there is no such method.
    pub fn kind_of(&self, endpoint: &str) -> Option<Kind> {
        match self.inner.streams.get(endpoint) {
            Some(kind) => Some(*kind),
            None => self.inner.methods.contains_key(endpoint).then_some(Kind::Unary),
        }
    }

    /// Answers a call: layers, then the handler. A panic becomes an error with code 500, a passed deadline one with 408.
    ///
    /// Methods with streams answer with a [`Body::Stream`] at once, which runs until the handler returns: its error,
    /// and the deadline's, are the last item. Dropping it drops the handler.
    ///
    /// # Errors
    /// The handler's error; 404 for an endpoint that is not there.
    pub async fn call(&self, request: RpcRequest) -> Result<RpcResponse, Error> {
        let own_deadline = request.head.deadline;
        let deadline = own_deadline.unwrap_or_else(|| Instant::now() + LONGEST_CALL);
        let work = async {
            match &self.inner.layered {
                None => self.route(request).await,
                Some(layered) => rpc::call(layered, request).await,
            }
        };
        let outcome = match timeout_at(deadline, AssertUnwindSafe(work).catch_unwind()).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(panic)) => Err(panicked(&*panic)),
            Err(_elapsed) => Err(late()),
        };
        if let Ok(RpcResponse { metadata, content_type, body: Body::Stream(messages) }) = outcome {
            let messages = stream::until(messages, own_deadline, late());
            let body = Body::Stream(counted::counted(messages, self.inner.stats.clone()));
            return Ok(RpcResponse { metadata, content_type, body });
        }
        self.inner.stats.count(outcome.is_ok());
        outcome
    }

    /// Answers a message of a transport; whatever is wrong with it goes into the answer.
    pub async fn message(&self, message: Message, peer: Option<SocketAddr>) -> Message {
        let protocol::Inbound { request, reply } = protocol::read(message, peer, &self.inner.codecs);
        let request = request.and_then(|request| match request.head.stream {
            true => Err(Error::new(protocol::ID, 501, "there is no connection here for a stream")),
            false => Ok(request),
        });
        match request {
            Ok(request) => self.answer_to(request, reply).await,
            Err(error) => self.refuse(reply, error),
        }
    }

    /// Answers a message that is a whole request.
    async fn answer_to(&self, request: RpcRequest, reply: protocol::Reply) -> Message {
        // Only events are read without an endpoint.
        if request.head.endpoint.is_empty() {
            let topic = protocol::topic(&request.head.metadata).unwrap_or_default().to_owned();
            let handled = self.event(&topic, request).await;
            return reply.answer(handled.map(|()| (RpcResponse::default(), Bytes::new())));
        }
        let content_type = request.head.content_type.clone();
        let outcome = match self.call(request).await {
            Ok(mut response) => {
                if response.content_type.is_empty() {
                    response.content_type = content_type;
                }
                unary(response).await
            }
            Err(error) => Err(error),
        };
        reply.answer(outcome)
    }

    fn refuse(&self, reply: protocol::Reply, error: Error) -> Message {
        self.inner.stats.count(false);
        reply.answer(Err(error))
    }

    async fn route(&self, request: RpcRequest) -> Result<RpcResponse, Error> {
        match self.inner.methods.get(&request.head.endpoint) {
            Some(method) => method(request).await,
            None => Err(self.unknown(&request.head.endpoint)),
        }
    }

    /// In Go's words, so that people find them.
    fn unknown(&self, endpoint: &str) -> Error {
        let Some((handler, method)) = endpoint.rsplit_once('.') else {
            let detail = format!("rpc: service/method request ill-formed: {endpoint} (want Struct.Method)");
            return Error::bad_request("go.micro.server", detail);
        };
        let same = |name: &&String| name.rsplit_once('.').is_some_and(|(known, _)| known == handler);
        let mut known: Vec<_> = self.inner.methods.keys().filter(same).map(String::as_str).collect();
        let detail = if known.is_empty() {
            format!("rpc: can't find service {handler}")
        } else {
            known.sort_unstable();
            format!("rpc: can't find method {method} (known: {})", known.join(", "))
        };
        Error::not_found("go.micro.server", detail)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("endpoints", &self.inner.endpoints.len()).finish_non_exhaustive()
    }
}

async fn unary(mut response: RpcResponse) -> Result<(RpcResponse, Bytes), Error> {
    let body = match std::mem::take(&mut response.body) {
        Body::Unary(body) => body,
        stream @ Body::Stream(_) => stream.into_unary().await?,
    };
    Ok((response, body))
}

fn late() -> Error {
    Error::timeout("go.micro.server", "the caller's deadline passed before the handler answered")
}

pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Error {
    let text =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let text = text.unwrap_or("no message");
    tracing::error!(panic = text, "a handler panicked");
    Error::internal("go.micro.server", format!("panic recovered: {text}"))
}

#[cfg(test)]
mod tests;
