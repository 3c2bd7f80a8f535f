//! The client: select a node, send, receive, and try another node when that is safe.

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
use crate::registry::{Cache, CachedService};
use crate::rpc::{
    self, Body, Extensions, Layers, RpcHead, RpcLayer, RpcRequest, RpcResponse, RpcService, stack,
};
use crate::selector::Random;
use crate::wire::AnyWire;
use bytes::Bytes;
use lines::Lines;
use micro_core::{Broker, Error, Headers, Message, Registry, Selector};
use micro_net::tls::{ClientTls, TlsError, client_config};
use micro_net::wire::{ExchangeError, PoolConfig};
use nodes::NodeTable;
use select::{Candidates, Said};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
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

/// Settings of a client.
pub struct ClientBuilder {
    registry: Arc<Cache>,
    selector: Arc<dyn Selector>,
    pool: PoolConfig,
    wire: AnyWire,
    codecs: Codecs,
    broker: Option<Arc<dyn Broker>>,
    layers: Layers,
    call_layers: Layers,
    rules: Said,
    tls: ClientTls,
    settings: Settings,
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl ClientBuilder {
    /// How a node is chosen. Default: [`Random`].
    #[must_use]
    pub fn selector(mut self, selector: Arc<dyn Selector>) -> Self {
        self.selector = selector;
        self
    }

    /// How heads of messages are read and written. Default: HTTP/1.1, by the part of the program.
    #[must_use]
    pub fn wire(mut self, wire: AnyWire) -> Self {
        self.wire = wire;
        self
    }

    /// The time for a whole call, all attempts together. Default 5 s.
    #[must_use]
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout;
        self
    }

    /// The time for connecting to one node. Default 1 s.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = timeout;
        self
    }

    /// Attempts after the first one, where there is a reason for them. Default 1.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.settings.retries = retries;
        self
    }

    /// Decides about each retry, in place of the built-in rule.
    #[must_use]
    pub fn retry(mut self, decide: impl Fn(&Failure) -> bool + Send + Sync + 'static) -> Self {
        self.settings.retry.decide = Some(Arc::new(decide));
        self
    }

    /// How long to wait after a failed attempt before the next one. Default: nothing before the first retry, which goes
    /// to another node, then 100 ms, doubling up to 2 s.
    #[must_use]
    pub fn backoff(mut self, pause: impl Fn(&Failure) -> Duration + Send + Sync + 'static) -> Self {
        self.settings.retry.backoff = Some(Arc::new(pause));
        self
    }

    /// The format of calls that do not say otherwise. Default JSON, as in Go Micro since v4.6.
    #[must_use]
    pub fn format(mut self, format: Format) -> Self {
        self.settings.format = format;
        self
    }

    /// Idle connections kept for each address, and how long. Default 100 and one minute; size 0 keeps none.
    #[must_use]
    pub fn pool(mut self, size: usize, ttl: Duration) -> Self {
        self.pool.size = size;
        self.pool.ttl = ttl;
        self
    }

    /// The envelopes that it knows. Default: [`Codecs::default`].
    #[must_use]
    pub fn codecs(mut self, codecs: Codecs) -> Self {
        self.codecs = codecs;
        self
    }

    /// What it publishes events with. Default: nothing, and then it cannot.
    #[must_use]
    pub fn broker(mut self, broker: Arc<dyn Broker>) -> Self {
        self.broker = Some(broker);
        self
    }

    /// What nodes are called in whose records do not say it. Default: no rules, and then they are taken for services of
    /// Go Micro before 1.0.
    #[must_use]
    pub fn protocols(mut self, rules: ProtocolRules) -> Self {
        self.rules.protocols = rules;
        self
    }

    /// How nodes that are called over TLS are checked, and what they are shown. Default: certificates of authorities
    /// that the operating system trusts, for the host that is called; nothing is shown.
    ///
    /// # Errors
    /// A file cannot be used.
    pub fn tls(self, tls: ClientTls) -> Result<Self, TlsError> {
        client_config(&tls, &[])?;
        Ok(self.tls_unchecked(tls))
    }

    /// Settings that were looked at before.
    #[must_use]
    pub(crate) fn tls_unchecked(mut self, tls: ClientTls) -> Self {
        self.tls = tls;
        self
    }

    /// Which services are called over TLS, whatever their records say. Default: no rules, and then the nodes whose
    /// metadata has `secure=true`.
    #[must_use]
    pub fn security(mut self, rules: SecurityRules) -> Self {
        self.rules.security = rules;
        self
    }

    /// Sends every call through a proxy. Default: none.
    #[must_use]
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.settings.proxy = proxy;
        self
    }

    /// The name under which this client calls; servers see it as `Micro-From-Service`.
    #[must_use]
    pub fn from_service(mut self, name: impl Into<String>) -> Self {
        self.settings.from = Some(name.into());
        self
    }

    /// Wraps each call, with all its attempts; the first layer given is the outermost.
    #[must_use]
    pub fn layer(mut self, layer: impl RpcLayer) -> Self {
        self.layers.push(Arc::new(layer));
        self
    }

    /// Wraps each attempt on one node, which is in the head's extensions as `Arc<NodeState>`.
    #[must_use]
    pub fn call_layer(mut self, layer: impl RpcLayer) -> Self {
        self.call_layers.push(Arc::new(layer));
        self
    }

    pub(crate) fn boxed_layers(mut self, layers: Layers, call_layers: Layers) -> Self {
        self.layers.extend(layers);
        self.call_layers.extend(call_layers);
        self
    }

    /// The client. It connects to nothing before the first call.
    pub fn build(self) -> Client {
        // The innermost attempt needs the core, and the core the attempt: the former holds the latter weakly.
        let core = Arc::new_cyclic(|weak: &std::sync::Weak<Core>| {
            let weak = weak.clone();
            let innermost = RpcService::new(tower::service_fn(move |request: RpcRequest| {
                let core = weak.upgrade();
                async move {
                    let core = core.ok_or_else(|| Error::internal(ID, "the client is gone"))?;
                    core.exchange_in_layers(request).await
                }
            }));
            let attempt = (!self.call_layers.is_empty()).then(|| stack(&self.call_layers, innermost.clone()));
            Core {
                registry: self.registry,
                selector: self.selector,
                candidates: Candidates::new(self.rules),
                nodes: NodeTable::default(),
                lines: Lines::new(self.pool, self.wire, self.tls),
                codecs: self.codecs,
                broker: self.broker,
                next_id: AtomicU64::new(0),
                innermost,
                attempt,
                call_layers: self.call_layers,
                settings: self.settings,
            }
        });
        let layered = (!self.layers.is_empty()).then(|| {
            let core = core.clone();
            let innermost = tower::service_fn(move |request: RpcRequest| {
                let core = core.clone();
                async move {
                    let options = request.head.extensions.get::<CallOptions>().cloned().unwrap_or_default();
                    match request.head.stream {
                        true => core.open(request, &options).await,
                        false => core.route(request, &options).await,
                    }
                }
            });
            stack(&self.layers, RpcService::new(innermost))
        });
        Client { core, layered }
    }
}

impl Client {
    /// A client that finds services in `registry`, through a cache of its own.
    pub fn builder(registry: Arc<dyn Registry>) -> ClientBuilder {
        Self::with_cache(Arc::new(Cache::new(registry)))
    }

    /// A client that shares a registry cache with others.
    pub fn with_cache(registry: Arc<Cache>) -> ClientBuilder {
        ClientBuilder {
            registry,
            selector: Arc::new(Random),
            pool: PoolConfig::default(),
            wire: AnyWire::default(),
            codecs: Codecs::default(),
            broker: None,
            layers: Vec::new(),
            call_layers: Vec::new(),
            rules: Said::default(),
            tls: ClientTls::default(),
            settings: Settings {
                timeout: Duration::from_secs(5),
                connect_timeout: Duration::from_secs(1),
                retries: 1,
                retry: Retry::default(),
                format: Format::Json,
                from: None,
                proxy: Proxy::default(),
            },
        }
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

impl Core {
    /// All attempts of a call, against the clock.
    async fn route(&self, mut request: RpcRequest, options: &CallOptions) -> Result<RpcResponse, Error> {
        let limit = Instant::now() + options.timeout.unwrap_or(self.settings.timeout);
        let deadlines = [options.deadline, request.head.deadline].into_iter().flatten();
        let deadline = deadlines.fold(limit, Instant::min);
        request.head.deadline = Some(deadline);
        let mut chosen = None;
        match timeout_at(deadline, self.attempts(request, options, &mut chosen)).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => {
                let node: Option<Arc<NodeState>> = chosen;
                let mut detail = "call timeout: context deadline exceeded".to_owned();
                if let Some(node) = node {
                    note_ejection(&node, node.failed(), "it did not answer in time");
                    detail = format!("{detail} (waiting for {} at {})", node.name, node.address);
                }
                Err(Error::timeout(ID, detail))
            }
        }
    }

    /// `chosen` tells the caller which node an attempt waits for when the time is over.
    async fn attempts(
        &self,
        request: RpcRequest,
        options: &CallOptions,
        chosen: &mut Option<Arc<NodeState>>,
    ) -> Result<RpcResponse, Error> {
        let RpcRequest { head, body } = request;
        // A stream is consumed by its first attempt; a message can be sent again.
        let message = body.into_unary().await?;
        let retries = self.retries(options);
        let mut tried = Vec::new();
        let mut pause = Duration::ZERO;
        for attempt in 0.. {
            if !pause.is_zero() {
                // tokio rounds a sleep of nothing up to a millisecond.
                tokio::time::sleep(pause).await;
            }
            let node = self.pick(&head, options, &tried).await?;
            *chosen = Some(node.clone());
            let failure = match self.attempt(&node, &head, &message, options).await {
                Ok(response) => return Ok(response),
                Err((error, reached)) => Failure { error, reached, attempt },
            };
            options.tell_failure(&failure.error, failure.reached);
            *chosen = None;
            if !self.again(options, &failure) || attempt >= retries {
                return Err(failure.error);
            }
            tracing::debug!(service = head.service, endpoint = head.endpoint, node = node.name, error = %failure.error, "another attempt");
            pause = self.pause_after(options, &failure);
            options.tell(|| explain::retry(attempt + 1, pause));
            tried.push(node.id);
        }
        unreachable!("the loop ends by returning")
    }

    async fn attempt(
        &self,
        node: &Arc<NodeState>,
        head: &RpcHead,
        message: &Bytes,
        options: &CallOptions,
    ) -> Result<RpcResponse, (Error, Reached)> {
        let Some(layered) = self.attempt_layers(options) else {
            return self.exchange(node, head, message, options).await;
        };
        let (head, reached) = Self::packed(node, head, options);
        let outcome = rpc::call(&layered, RpcRequest { head, body: Body::Unary(message.clone()) }).await;
        let reached = *reached.lock();
        outcome.map_err(|error| (error, reached))
    }

    /// The head for the call layers, with what the innermost service needs.
    fn packed(
        node: &Arc<NodeState>,
        head: &RpcHead,
        options: &CallOptions,
    ) -> (RpcHead, Arc<parking_lot::Mutex<Reached>>) {
        let mut head = head.clone();
        head.extensions.insert(node.clone());
        head.extensions.insert(options.clone());
        let reached = Arc::new(parking_lot::Mutex::new(Reached::Unknown));
        head.extensions.insert(reached.clone());
        (head, reached)
    }

    /// The innermost service of the call layers: unpacks what [`Core::packed`] packed.
    async fn exchange_in_layers(&self, request: RpcRequest) -> Result<RpcResponse, Error> {
        let RpcRequest { mut head, body } = request;
        let node = head.extensions.remove::<Arc<NodeState>>();
        let node =
            node.ok_or_else(|| Error::internal(ID, "a call layer removed the node from the extensions"))?;
        let options = head.extensions.remove::<CallOptions>().unwrap_or_default();
        let reached = head.extensions.remove::<Arc<parking_lot::Mutex<Reached>>>();
        let outcome = if head.stream {
            self.open_on(&node, &head, body, &options).await
        } else {
            let message = body.into_unary().await?;
            self.exchange(&node, &head, &message, &options).await
        };
        outcome.map_err(|(error, how)| {
            if let Some(reached) = reached {
                *reached.lock() = how;
            }
            error
        })
    }

    /// One request to one node, one answer.
    async fn exchange(
        &self,
        node: &Arc<NodeState>,
        head: &RpcHead,
        message: &Bytes,
        options: &CallOptions,
    ) -> Result<RpcResponse, (Error, Reached)> {
        if node.protocol.is_grpc() {
            // Boxed, so that other calls need no room for it.
            return Box::pin(self.exchange_grpc(node, head, message, options)).await;
        }
        let id = self.next_id.fetch_add(1, Relaxed);
        // For each attempt: the next node may be of the other kind.
        let outbound = envelope::wrap(&self.codecs, node, head, id, message)
            .map_err(|error| (error, Reached::Handler))?;
        let from = self.settings.from.as_deref();
        let headers = protocol::request(head, outbound.content_type, id, from, &options.metadata);
        let request = Message { headers, body: outbound.body };
        options.tell(|| explain::request(node, &request, outbound.content_type));
        let connect_timeout = options.connect_timeout.unwrap_or(self.settings.connect_timeout);
        let line = self.lines.of(node.security).map_err(|error| (error, Reached::Handler))?;
        let running = node.start();
        let exchanged = match node.protocol {
            Protocol::MucpOverGrpc => {
                // Boxed, so that other calls need no room for it.
                let exchange = transport::exchange(&line.channels, node, request, connect_timeout);
                match Box::pin(exchange).await {
                    Ok(answer) => Ok(answer),
                    Err(error) => return Err(grpc::failed(node, &error)),
                }
            }
            _ => line.pool.exchange(&node.address, &request, connect_timeout).await,
        };
        match exchanged {
            Ok(answer) => {
                running.answered();
                options.tell(|| explain::answer(&answer));
                let answer = protocol::response(answer, outbound.content_type);
                let answer = match &outbound.sealer {
                    None => answer,
                    Some(sealer) => answer.and_then(|answer| envelope::unwrap(sealer, answer, node)),
                };
                answer.map_err(|error| (error, Reached::Handler))
            }
            Err(error) => Err(self.failed(node, &error)),
        }
    }

    fn failed(&self, node: &NodeState, error: &ExchangeError) -> (Error, Reached) {
        let mut cause = micro_net::error_chain(error);
        if let Some(advice) = security::advice_on(node.security, error, &cause) {
            cause = format!("{cause}; {advice}");
        }
        if error.is_unsendable() {
            // The caller's metadata cannot be a header. The node has done nothing wrong, and another would not help.
            return (Error::bad_request(ID, cause), Reached::Handler);
        }
        if error.nothing_sent() {
            note_ejection(node, node.refused(), &cause);
            return (Error::internal(ID, format!("connection error: {cause}")), Reached::Nothing);
        }
        note_ejection(node, node.failed(), &cause);
        let other = matches!(error, ExchangeError::Malformed(error) if error.status() == Some(505));
        let hint = match (other, node.security) {
            (false, _) => "",
            // An alert of TLS looks like this too.
            (true, Security::Plain) => {
                "; if it speaks gRPC or TLS, say so: --service_protocol NAME=grpc or --service_tls NAME=verify"
            }
            (true, _) => "; if it speaks gRPC, say so: --service_protocol NAME=grpc",
        };
        (Error::internal("go.micro.client.transport", format!("{cause}{hint}")), Reached::Unknown)
    }

    async fn look_up(&self, service: &str) -> Result<Arc<CachedService>, Error> {
        if let Some(service) = self.registry.cached(service) {
            return Ok(service);
        }
        self.registry.get(service).await.map_err(|error| {
            Error::internal(ID, format!("error selecting {service} node: {}", micro_net::error_chain(&error)))
        })
    }

    async fn pick(
        &self,
        head: &RpcHead,
        options: &CallOptions,
        tried: &[u32],
    ) -> Result<Arc<NodeState>, Error> {
        let (name, addresses) = self.settings.proxy.route(&head.service, &options.addresses);
        let wanted = options.wanted();
        let set = if addresses.is_empty() {
            let known = options.trace.is_some() && self.registry.cached(name).is_some();
            let service = self.look_up(name).await?;
            options.tell(|| explain::registry(&self.registry, name, &head.endpoint, &service, known));
            options.tell(|| explain::candidates(&self.candidates, name, &service, wanted));
            self.candidates.of_service(name, &service, wanted, &self.nodes)
        } else {
            options.tell(|| explain::addresses(&self.candidates, name, addresses, wanted));
            self.candidates.of_addresses(name, addresses, wanted, &self.nodes)
        };
        let selector = options.selector.as_ref().unwrap_or(&self.selector);
        let picked = set.pick(&**selector, options.key, tried);
        if let Some(node) = &picked {
            options.tell(|| explain::pick(&**selector, node, &set, tried.len()));
        }
        picked.ok_or_else(|| set.nobody(name, self.registry.registry().location()))
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
