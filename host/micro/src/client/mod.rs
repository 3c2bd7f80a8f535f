//! The client: select a node, send, receive, and try another node when that is safe.

mod builder;
mod calling;
mod envelope;
mod explain;
mod grpc;
mod lines;
mod link;
mod mucp;
mod nodes;
mod options;
mod pick;
pub(crate) mod protocol;
pub(crate) mod proxy;
mod publish;
mod retry;
mod rules;
pub(crate) mod security;
mod select;
mod speaks;
mod stream;
mod transport;

pub use builder::ClientBuilder;
pub use explain::{NodeSeen, Stage, Step, Trace, TracedStep, VersionSeen};
pub use nodes::{NodeFigures, NodeState};
pub use options::{CallOptions, Filter, NodeFilter};
pub use pick::PickedNode;
pub use proxy::Proxy;
pub use publish::PublishOptions;
pub use retry::{Failure, Reached};
pub use rules::{RuleValue, Rules};
pub use security::{Security, SecurityRules};
pub use select::wants_envelopes;
pub use speaks::{Protocol, ProtocolRules};

use crate::codec::Codecs;
use crate::grpc::Descriptors;
use crate::payload::{Format, Payload};
use crate::registry::Cache;
use crate::rpc::{self, Body, Extensions, Layers, RpcHead, RpcRequest, RpcResponse, RpcService};
use lines::Lines;
use micro_core::{Broker, Error, Headers, Registry, Selector};
use nodes::NodeTable;
use select::Candidates;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The id of errors that arise here (`go-micro-wire` §4.2).
const ID: &str = "go.micro.client";

/// Calls services by name. Cheap to clone; clones share connections, the node table and the registry cache.
///
/// ```no_run
/// # async fn example(client: micro::Client) -> Result<(), micro::Error> {
/// use micro::{CallOptions, Json};
/// use std::time::Duration;
///
/// let answer: Json<serde_json::Value> =
///     client.call("go.micro.srv.greeter", "Say.Hello", &Json(serde_json::json!({ "name": "John" }))).await?;
///
/// let options = CallOptions::new().timeout(Duration::from_secs(1)).idempotent();
/// let again: Json<serde_json::Value> = client.call_with("go.micro.srv.greeter", "Say.Hello", &answer, &options).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Client {
    core: Arc<Core>,
    /// Present when there are layers; without them the core is called directly.
    layered: Option<RpcService>,
}

struct Core {
    registry: Arc<Cache>,
    selector: Arc<dyn Selector>,
    candidates: Candidates,
    nodes: NodeTable,
    lines: Lines,
    codecs: Codecs,
    broker: Option<Arc<dyn Broker>>,
    next_id: AtomicU64,
    /// One attempt as call layers see it.
    innermost: RpcService,
    /// Present when there are call layers, which see each attempt.
    attempt: Option<RpcService>,
    call_layers: Layers,
    settings: Settings,
}

#[derive(Clone, Debug)]
struct Settings {
    timeout: Duration,
    connect_timeout: Duration,
    retries: u32,
    retry: Retry,
    format: Format,
    from: Option<String>,
    proxy: Proxy,
}

/// The decisions about retries that the client's builder was given.
#[derive(Clone, Default)]
struct Retry {
    decide: Option<retry::RetryFn>,
    backoff: Option<retry::BackoffFn>,
}

impl fmt::Debug for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.decide.is_some() { "custom" } else { "built in" })
    }
}

impl Client {
    /// A client that finds services in `registry`, through a cache of its own.
    pub fn builder(registry: Arc<dyn Registry>) -> ClientBuilder {
        Self::with_cache(Arc::new(Cache::new(registry)))
    }

    /// A client that shares a registry cache with others.
    pub fn with_cache(registry: Arc<Cache>) -> ClientBuilder {
        ClientBuilder::new(registry)
    }

    /// Calls `endpoint` (`Struct.Method`) of `service`.
    ///
    /// # Errors
    /// The handler's error as it was sent; errors with the id `go.micro.client` arose here: 404 for a service that
    /// nobody registered, 408 when the time was over, 500 when no node could be reached.
    pub async fn call<Req: Payload, Res: Payload>(
        &self,
        service: &str,
        endpoint: &str,
        request: &Req,
    ) -> Result<Res, Error> {
        self.call_with(service, endpoint, request, &CallOptions::default()).await
    }

    /// [`Client::call`] with options.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn call_with<Req: Payload, Res: Payload>(
        &self,
        service: &str,
        endpoint: &str,
        request: &Req,
        options: &CallOptions,
    ) -> Result<Res, Error> {
        let codec = |error: Error| Error { id: "go.micro.client.codec".to_owned(), ..error };
        let format = options.format.unwrap_or(self.core.settings.format);
        let head = RpcHead {
            service: service.to_owned(),
            endpoint: endpoint.to_owned(),
            content_type: format.content_type().to_owned(),
            ..RpcHead::default()
        };
        let body = Body::Unary(request.to_bytes(format).map_err(codec)?);
        let response = self.send(RpcRequest { head, body }, options).await?;
        Res::from_bytes(format, &response.body.into_unary().await?)
            .map_err(|error| codec(Error { code: 500, ..error }))
    }

    /// Sends a call whose messages are encoded already, in the content type of its head. Where that is one of
    /// envelopes (`application/json-rpc`), and for nodes that want them, the message is the value inside, and so is the
    /// answer's, whose content type is the value's.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn send(&self, request: RpcRequest, options: &CallOptions) -> Result<RpcResponse, Error> {
        let Some(trace) = &options.trace else {
            return self.dispatch(request, options).await;
        };
        let outcome = Box::pin(trace.watch(self.dispatch(request, options))).await;
        outcome.inspect_err(|error| trace.ended(error))
    }

    async fn dispatch(&self, mut request: RpcRequest, options: &CallOptions) -> Result<RpcResponse, Error> {
        match &self.layered {
            None if request.head.stream => self.core.open(request, options).await,
            None => self.core.route(request, options).await,
            Some(layered) => {
                request.head.extensions.insert(options.clone());
                rpc::call(layered, request).await
            }
        }
    }

    /// What gRPC methods a service has, as one of its nodes says by reflection.
    ///
    /// # Errors
    /// Code 501 for nodes that are not called in gRPC, or offer no reflection; otherwise as [`Client::call`].
    pub async fn describe(&self, service: &str, options: &CallOptions) -> Result<Descriptors, Error> {
        let head = RpcHead::new(service, "", "");
        let deadline = Instant::now() + options.timeout.unwrap_or(self.core.settings.timeout);
        let asking = async {
            let node = self.core.pick(&head, options, &[]).await?;
            if !node.protocol.is_grpc() {
                let detail =
                    format!("{} at {} is called in {}, not in gRPC", node.name, node.address, node.protocol);
                return Err(Error::new(ID, 501, detail));
            }
            let connect_timeout = options.connect_timeout.unwrap_or(self.core.settings.connect_timeout);
            self.core.reflect(&node, connect_timeout).await.map_err(|(error, _)| error)
        };
        let asked = timeout_at(deadline, asking).await;
        asked.unwrap_or_else(|_| Err(Error::timeout(ID, "the node did not say in time what it serves")))
    }

    /// What this client calls a node of a service in; none where its record names a protocol that is not spoken here.
    pub fn protocol_of(&self, service: &str, node: &micro_core::Node) -> Option<Protocol> {
        self.core.candidates.protocol_of(service, node)
    }

    /// What this client secures its connections to a node of a service with.
    pub fn security_of(&self, service: &str, node: &micro_core::Node) -> Security {
        self.core.candidates.security_of(service, node, None)
    }

    /// The registry behind this client.
    pub fn registry(&self) -> &Arc<Cache> {
        &self.core.registry
    }

    /// What this client knows about the nodes that it has called, by name.
    pub fn nodes(&self) -> Vec<NodeFigures> {
        self.core.nodes.figures()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("settings", &self.core.settings).finish_non_exhaustive()
    }
}

fn note_ejection(node: &NodeState, ejected: bool, why: &str) {
    if ejected {
        tracing::warn!(
            node = node.name,
            address = node.address,
            error = why,
            "node is left alone for a while"
        );
    }
}

/// The head of a call whose body is encoded already: for gateways and proxies.
impl RpcHead {
    /// A head for a call to `endpoint` of `service` in `content_type`.
    pub fn new(
        service: impl Into<String>,
        endpoint: impl Into<String>,
        content_type: impl Into<String>,
    ) -> Self {
        Self {
            service: service.into(),
            endpoint: endpoint.into(),
            content_type: content_type.into(),
            metadata: Headers::new(),
            extensions: Extensions::new(),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests;
