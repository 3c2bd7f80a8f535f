//! Collecting what a service is made of.

use super::hooks::{HookError, Hooks};
use super::once::Once;
use super::{Registration, Service, ServiceError, ServiceTls, tls};
use crate::backends::{BackendSettings, Backends, BrokerSource, RegistrySource, SelectorSource};
use crate::client::{Client, ProtocolRules, Proxy, SecurityRules};
use crate::flags::{Flags, LogFormat, key_value};
use crate::handler::Handler;
use crate::logging;
use crate::ready::Readiness;
use crate::register::{Identity, RegisterCheck};
use crate::rpc::{Layers, RpcLayer};
use crate::server::{Server, ServerBuilder};
use crate::subscriber::Subscriber;
use micro_core::Selector;
use micro_core::registry::Metadata;
use micro_net::MemoryTransport;
use micro_net::tls::ClientTls;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

type MakeHandler = Box<dyn FnOnce(&Client) -> Handler + Send>;
type MakeSubscriber = Box<dyn FnOnce(&Client) -> Subscriber + Send>;

/// Collects everything about a service. See [`Service`].
pub struct ServiceBuilder {
    name: String,
    version: String,
    id: Option<String>,
    metadata: Metadata,
    address: String,
    advertise: Option<String>,
    pub(super) listener: Option<std::net::TcpListener>,
    pub(super) once: bool,
    pub(super) tls: Option<ServiceTls>,
    memory: Option<MemoryTransport>,
    backends: BackendSettings,
    opened: Option<Backends>,
    server: ServerBuilder,
    handlers: Vec<MakeHandler>,
    subscribers: Vec<MakeSubscriber>,
    pub(super) client: ClientSettings,
    register_ttl: Duration,
    register_interval: Duration,
    register_check: Option<RegisterCheck>,
    hooks: Hooks,
    handle_signals: bool,
    cancel: CancellationToken,
    drain_delay: Duration,
    drain_timeout: Duration,
    watch_plugins: bool,
    admin_address: Option<String>,
    logging: Option<(Option<String>, LogFormat)>,
    /// Kept until `build`, so that builder methods need not fail.
    problem: Option<ServiceError>,
}

#[derive(Default)]
pub(super) struct ClientSettings {
    timeout: Option<Duration>,
    connect_timeout: Option<Duration>,
    retries: Option<u32>,
    pool_size: Option<usize>,
    pool_ttl: Option<Duration>,
    protocols: ProtocolRules,
    pub(super) security: SecurityRules,
    pub(super) tls: Option<ClientTls>,
    pub(super) proxy: Option<Proxy>,
    layers: Layers,
    call_layers: Layers,
}

impl ServiceBuilder {
    pub(super) fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version: "latest".to_owned(),
            id: None,
            metadata: Metadata::new(),
            address: ":0".to_owned(),
            advertise: None,
            listener: None,
            once: false,
            tls: None,
            memory: None,
            backends: BackendSettings::default(),
            opened: None,
            server: Server::builder(),
            handlers: Vec::new(),
            subscribers: Vec::new(),
            client: ClientSettings::default(),
            register_ttl: Duration::from_secs(60),
            register_interval: Duration::from_secs(30),
            register_check: None,
            hooks: Hooks::default(),
            handle_signals: true,
            cancel: CancellationToken::new(),
            drain_delay: Duration::from_secs(2),
            drain_timeout: Duration::from_secs(10),
            watch_plugins: false,
            admin_address: None,
            logging: None,
            problem: None,
        }
    }

    /// Takes the values of command-line flags and variables, which win over code, and starts logging as they say.
    /// Call it last.
    #[must_use]
    pub fn flags(mut self, flags: &Flags) -> Self {
        if let Err(problem) = self.take_flags(flags) {
            self.problem.get_or_insert(problem);
        }
        self
    }

    fn take_flags(&mut self, flags: &Flags) -> Result<(), ServiceError> {
        fn over<T: Clone>(value: &mut T, flag: &Option<T>) {
            if let Some(flag) = flag {
                *value = flag.clone();
            }
        }
        over(&mut self.name, &flags.server_name);
        over(&mut self.version, &flags.server_version);
        over(&mut self.address, &flags.server_address);
        over(&mut self.register_ttl, &flags.register_ttl);
        over(&mut self.register_interval, &flags.register_interval);
        over(&mut self.drain_delay, &flags.drain_delay);
        over(&mut self.drain_timeout, &flags.drain_timeout);
        self.id = flags.server_id.clone().or(self.id.take());
        self.advertise = flags.server_advertise.clone().or(self.advertise.take());
        self.admin_address = flags.admin_address.clone().or(self.admin_address.take());
        over(&mut self.watch_plugins, &flags.watch_plugins);
        self.client.timeout = flags.client_request_timeout.or(self.client.timeout);
        self.client.connect_timeout = flags.client_connect_timeout.or(self.client.connect_timeout);
        self.client.retries = flags.client_retries.or(self.client.retries);
        self.client.pool_size = flags.client_pool_size.or(self.client.pool_size);
        self.client.pool_ttl = flags.client_pool_ttl.or(self.client.pool_ttl);
        for (service, protocol) in &flags.service_protocol {
            self.client.protocols = std::mem::take(&mut self.client.protocols).with(service, *protocol);
        }
        for (service, security) in &flags.tls.service_tls {
            self.client.security = std::mem::take(&mut self.client.security).with(service, *security);
        }
        self.client.tls = flags.tls.client().map_err(ServiceError::Flag)?.or(self.client.tls.take());
        self.client.proxy = flags.proxy.proxy().or(self.client.proxy.take());
        self.tls = match flags.tls.server().map_err(ServiceError::Flag)? {
            Some(tls) => Some(tls),
            None if flags.tls.server_tls_self_signed == Some(false) => {
                self.tls.take().filter(|tls| *tls != ServiceTls::SelfSigned)
            }
            None => self.tls.take(),
        };
        for item in &flags.server_metadata {
            let (key, value) = key_value("server_metadata", item).map_err(ServiceError::Flag)?;
            self.metadata.insert(key, value);
        }
        self.logging = Some((flags.log_level.clone(), flags.log_format.unwrap_or_default()));
        let settings = std::mem::take(&mut self.backends);
        let backend = |source| ServiceError::Backend { service: self.name.clone(), source };
        self.backends = settings.with_flags(flags).map_err(backend)?;
        Ok(())
    }

    /// The version to register. Default `latest`.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// The id of this node; the registry shows `<name>-<id>`. Default: a random UUID.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Metadata of this node.
    #[must_use]
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Where to listen: `host:port`, `:port`, `host:min-max`. Default `:0`, any free port of all interfaces.
    #[must_use]
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.address = address.into();
        self
    }

    /// Serves this process only, without a socket, and calls only services that do the same. The address is one of
    /// `memory`: `:0` is 127.0.0.1 and a port from 10000 to 29999. Events of the `http` broker take the same way, unless
    /// the backends were opened before ([`BackendSettings::memory`] says it then).
    ///
    /// Nothing can listen in, so there is no TLS.
    #[must_use]
    pub fn transport(mut self, memory: MemoryTransport) -> Self {
        self.memory = Some(memory);
        self
    }

    /// What the registry says in place of the bound address.
    #[must_use]
    pub fn advertise(mut self, address: impl Into<String>) -> Self {
        self.advertise = Some(address.into());
        self
    }

    /// The registry: a [`Plugin`](crate::Plugin), or a value of yours. Default: `local`.
    #[must_use]
    pub fn registry(mut self, registry: impl Into<RegistrySource>) -> Self {
        self.backends.registry = Some(registry.into());
        self
    }

    /// How the service's client chooses nodes. Default: random.
    #[must_use]
    pub fn selector(mut self, selector: impl Selector + 'static) -> Self {
        self.backends.selector = Some(SelectorSource::Instance(Arc::new(selector)));
        self
    }

    /// Shares backends that are open already, for several services in one process. Registry flags have no effect then.
    #[must_use]
    pub fn backends(mut self, backends: Backends) -> Self {
        self.opened = Some(backends);
        self
    }

    /// Adds a handler.
    #[must_use]
    pub fn handler(mut self, handler: Handler) -> Self {
        self.server = self.server.handler(handler);
        self
    }

    /// Adds a handler that calls other services: `make` gets the service's client.
    #[must_use]
    pub fn handler_with(mut self, make: impl FnOnce(&Client) -> Handler + Send + 'static) -> Self {
        self.handlers.push(Box::new(make));
        self
    }

    /// Adds a subscriber to events.
    #[must_use]
    pub fn subscriber(mut self, subscriber: Subscriber) -> Self {
        self.server = self.server.subscriber(subscriber);
        self
    }

    /// Adds a subscriber that calls other services or publishes: `make` gets the service's client.
    #[must_use]
    pub fn subscriber_with(mut self, make: impl FnOnce(&Client) -> Subscriber + Send + 'static) -> Self {
        self.subscribers.push(Box::new(make));
        self
    }

    /// What carries events: a [`Plugin`](crate::Plugin) by name, or a value of yours. Default: `http`.
    #[must_use]
    pub fn broker(mut self, broker: impl Into<BrokerSource>) -> Self {
        self.backends.broker = Some(broker.into());
        self
    }

    /// Wraps all handlers and subscribers; the first layer given is the outermost.
    #[must_use]
    pub fn layer(mut self, layer: impl RpcLayer) -> Self {
        self.server = self.server.layer(layer);
        self
    }

    /// Wraps each call of the service's client; the first layer given is the outermost.
    #[must_use]
    pub fn client_layer(mut self, layer: impl RpcLayer) -> Self {
        self.client.layers.push(Arc::new(layer));
        self
    }

    /// Wraps each attempt of the service's client on one node.
    #[must_use]
    pub fn call_layer(mut self, layer: impl RpcLayer) -> Self {
        self.client.call_layers.push(Arc::new(layer));
        self
    }

    /// The time for a whole call of the service's client. Default 5 s.
    #[must_use]
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.client.timeout = Some(timeout);
        self
    }

    /// Attempts of the service's client after the first one. Default 1.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.client.retries = Some(retries);
        self
    }

    /// What the nodes of other services are called in whose records do not say it. Default: no rules.
    #[must_use]
    pub fn protocols(mut self, rules: ProtocolRules) -> Self {
        self.client.protocols = rules;
        self
    }

    /// Life of the registration without a heartbeat. Default 60 s.
    #[must_use]
    pub fn register_ttl(mut self, ttl: Duration) -> Self {
        self.register_ttl = ttl;
        self
    }

    /// Time between heartbeats. Default 30 s.
    #[must_use]
    pub fn register_interval(mut self, interval: Duration) -> Self {
        self.register_interval = interval;
        self
    }

    /// Asked before each registration and heartbeat; while it fails, the node is not registered.
    #[must_use]
    pub fn register_check<F, Fut>(mut self, check: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.register_check = Some(Arc::new(move || Box::pin(check())));
        self
    }

    /// Runs before anything is opened. Its error ends the start.
    #[must_use]
    pub fn before_start<F, Fut>(mut self, hook: F) -> Self
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), HookError>> + Send + 'static,
    {
        self.hooks.before_start.push(Box::new(move || Box::pin(hook())));
        self
    }

    /// Runs when the service is serving and its first registration was tried.
    #[must_use]
    pub fn after_start<F, Fut>(mut self, hook: F) -> Self
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), HookError>> + Send + 'static,
    {
        self.hooks.after_start.push(Box::new(move || Box::pin(hook())));
        self
    }

    /// Runs before the service is deregistered. Errors are reported when everything has stopped.
    #[must_use]
    pub fn before_stop<F, Fut>(mut self, hook: F) -> Self
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), HookError>> + Send + 'static,
    {
        self.hooks.before_stop.push(Box::new(move || Box::pin(hook())));
        self
    }

    /// Runs when everything has stopped.
    #[must_use]
    pub fn after_stop<F, Fut>(mut self, hook: F) -> Self
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), HookError>> + Send + 'static,
    {
        self.hooks.after_stop.push(Box::new(move || Box::pin(hook())));
        self
    }

    /// Whether SIGINT, SIGTERM and SIGQUIT stop the service. Default true.
    #[must_use]
    pub fn handle_signals(mut self, handle: bool) -> Self {
        self.handle_signals = handle;
        self
    }

    /// Stops the service when the token is cancelled.
    #[must_use]
    pub fn stop_on(mut self, cancel: CancellationToken) -> Self {
        self.cancel = cancel;
        self
    }

    /// How long to go on serving after deregistering, while callers' caches are stale. Default 2 s.
    #[must_use]
    pub fn drain_delay(mut self, delay: Duration) -> Self {
        self.drain_delay = delay;
        self
    }

    /// How long running requests may take at shutdown. Default 10 s.
    #[must_use]
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain_timeout = timeout;
        self
    }

    /// Replaces plugins while calls run as soon as their files change. Default false: they are replaced when somebody
    /// asks for it, or sends SIGHUP to a process without a terminal.
    #[must_use]
    pub fn watch_plugins(mut self, watch: bool) -> Self {
        self.watch_plugins = watch;
        self
    }

    /// Opens the backends and puts everything together. Nothing listens yet, and nothing is registered.
    ///
    /// # Errors
    /// A wrong flag, or a backend that cannot be used as configured. A registry that is down is no error.
    pub async fn build(mut self) -> Result<Service, ServiceError> {
        if let Some((level, format)) = &self.logging {
            let wrong = |error| {
                ServiceError::Flag(format!("--log_level={}: {error}", level.as_deref().unwrap_or_default()))
            };
            logging::init(level.as_deref(), *format).map_err(wrong)?;
        }
        if let Some(problem) = self.problem.take() {
            return Err(problem);
        }
        let home = self.backends.home.clone();
        let backends = match self.opened.take() {
            Some(backends) => backends,
            None => {
                let service = self.name.clone();
                let mut settings = std::mem::take(&mut self.backends);
                settings.service.get_or_insert_with(|| service.clone());
                settings.memory = self.memory.clone().or(settings.memory);
                Backends::open(settings).await.map_err(|source| ServiceError::Backend { service, source })?
            }
        };
        tls::check(&self.name, self.client.tls.as_ref())?;
        if self.memory.is_some() && self.tls.is_some() {
            let text =
                format!("service {:?} is in memory, where there is no TLS: leave one of them out", self.name);
            return Err(ServiceError::Flag(text));
        }
        let client = self.client.build(&self.name, &backends, self.memory.clone());
        let made = self.handlers.into_iter().map(|make| make(&client));
        let server = if self.once { self.server.layer(Once(self.cancel.clone())) } else { self.server };
        let server = server.codecs(backends.codecs.clone());
        let server = made.fold(server, ServerBuilder::handler);
        let made = self.subscribers.into_iter().map(|make| make(&client));
        let server = made.fold(server, ServerBuilder::subscriber).build();
        let identity = Identity {
            id: self.id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string()),
            endpoints: server.endpoints().to_vec(),
            name: self.name,
            version: self.version,
            metadata: self.metadata,
            advertise: self.advertise,
            secure: self.tls.is_some(),
            memory: self.memory.is_some(),
        };
        let registration = Registration {
            ttl: self.register_ttl,
            interval: self.register_interval,
            check: self.register_check,
        };
        Ok(Service {
            identity,
            address: self.address,
            listener: self.listener,
            tls: self.tls,
            memory: self.memory,
            backends,
            client,
            server,
            registration,
            hooks: self.hooks,
            handle_signals: self.handle_signals,
            cancel: self.cancel,
            drain_delay: self.drain_delay,
            drain_timeout: self.drain_timeout,
            watch_plugins: self.watch_plugins,
            take_hangup: false,
            admin_address: self.admin_address,
            ready: Readiness::default(),
            home,
            companions: Vec::new(),
        })
    }
}

impl fmt::Debug for ServiceBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceBuilder").field("name", &self.name).finish_non_exhaustive()
    }
}

impl ClientSettings {
    fn build(self, name: &str, backends: &Backends, memory: Option<MemoryTransport>) -> Client {
        let mut builder =
            Client::with_cache(backends.cache.clone()).selector(backends.selector.clone()).from_service(name);
        if let Some(memory) = memory {
            builder = builder.transport(memory);
        }
        builder = builder.wire(backends.wire.clone()).codecs(backends.codecs.clone());
        builder = builder.broker(backends.broker.clone());
        if let Some(timeout) = self.timeout {
            builder = builder.request_timeout(timeout);
        }
        if let Some(timeout) = self.connect_timeout {
            builder = builder.connect_timeout(timeout);
        }
        if let Some(retries) = self.retries {
            builder = builder.retries(retries);
        }
        if self.pool_size.is_some() || self.pool_ttl.is_some() {
            builder =
                builder.pool(self.pool_size.unwrap_or(100), self.pool_ttl.unwrap_or(Duration::from_secs(60)));
        }
        if let Some(tls) = self.tls {
            builder = builder.tls_unchecked(tls);
        }
        builder
            .protocols(self.protocols)
            .security(self.security)
            .proxy(self.proxy.unwrap_or_default())
            .boxed_layers(self.layers, self.call_layers)
            .build()
    }
}

/// Puts the client's flags over a client of the backends, for programs that are no service.
///
/// # Errors
/// TLS flags that do not fit, or name files that cannot be used.
pub fn client_of(flags: &Flags, name: &str, backends: &Backends) -> Result<Client, ServiceError> {
    let secured = flags.tls.client().map_err(ServiceError::Flag)?;
    tls::check(name, secured.as_ref())?;
    let settings = ClientSettings {
        timeout: flags.client_request_timeout,
        connect_timeout: flags.client_connect_timeout,
        retries: flags.client_retries,
        pool_size: flags.client_pool_size,
        pool_ttl: flags.client_pool_ttl,
        protocols: flags.service_protocol.iter().cloned().collect(),
        security: flags.tls.service_tls.iter().cloned().collect(),
        tls: secured,
        proxy: flags.proxy.proxy(),
        ..ClientSettings::default()
    };
    Ok(settings.build(name, backends, None))
}
