//! Collecting what a client is made of.

use super::lines::Lines;
use super::nodes::NodeTable;
use super::options::CallOptions;
use super::proxy::Proxy;
use super::retry::Failure;
use super::security::SecurityRules;
use super::select::{Candidates, Said};
use super::speaks::ProtocolRules;
use super::{Client, Core, ID, Retry, Settings};
use crate::codec::Codecs;
use crate::payload::Format;
use crate::registry::Cache;
use crate::rpc::{Layers, RpcLayer, RpcRequest, RpcService, stack};
use crate::selector::Random;
use crate::wire::AnyWire;
use micro_core::{Broker, Error, Selector};
use micro_net::MemoryTransport;
use micro_net::tls::{ClientTls, TlsError, client_config};
use micro_net::wire::PoolConfig;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

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
    pub(super) fn new(registry: Arc<Cache>) -> Self {
        Self {
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

    /// Calls services of this process that listen on `memory`, and no others. Default: those in the network.
    #[must_use]
    pub fn transport(mut self, memory: MemoryTransport) -> Self {
        self.pool.dialer = self.pool.dialer.with_memory(memory);
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
