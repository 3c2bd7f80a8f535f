//! The broker without a server: subscribers register in the registry, and publishers post to them (`go-micro-wire` §9.2).
//!
//! | part | does |
//! |---|---|
//! | [`layout`] | how subscribers stand in the registry, in three ways |
//! | [`message`] | the JSON form of an event |
//! | [`inbound`] | deliveries that arrive: which requests are some, and their answers |
//! | [`subscription`] | the life of a subscription: its records, heartbeat and end |
//! | [`audience`] | who gets what is published under a topic |
//! | [`publish`] | delivering, to everybody or to one of a queue |
//! | [`port`] | where deliveries arrive: the port of a service, or one of its own |

mod audience;
mod inbound;
mod layout;
pub(crate) mod message;
mod port;
mod publish;
mod subscription;

use super::{Broker, BrokerError, Published, SubscribeOptions, Subscription, check_name, check_subscription};
use crate::registry::Cache;
use crate::wire::AnyWire;
use async_trait::async_trait;
use audience::Audiences;
use inbound::Subscribers;
use micro_core::{Message, Registry};
use micro_net::MemoryTransport;
use micro_net::tls::{ClientTls, TlsError, client_config};
use micro_net::wire::{Plain, Pool, PoolConfig, Request};
use port::Port;
use publish::Unreachable;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use message::{DecodeError, decode};

const NAME: &str = "http";

/// Deliveries under way at the same time, over all publishers of a process.
const AT_A_TIME: usize = 256;

/// The largest answer that is read; subscribers answer with nothing, or with an error.
const MAX_ANSWER: usize = 64 << 10;

/// How to publish and where to receive.
#[derive(Clone, Debug)]
pub struct HttpBrokerSettings {
    /// Where deliveries are received: `host:port`, `:port`, `host:min-max`. Default: the port of the service that
    /// subscribes, or any free port of all interfaces for programs that are no service.
    pub address: Option<String>,
    /// How subscribers are called that speak TLS. Default: their certificates are checked against the authorities of the
    /// operating system, which those that Go Micro makes up by itself do not pass.
    pub tls: ClientTls,
    /// The time for connecting to a subscriber. Default 1 s.
    pub connect_timeout: Duration,
    /// How long a publisher waits until its subscribers are done. Default 30 s.
    pub publish_timeout: Duration,
    /// Where subscribers and publishers of one process meet. Default: nowhere but in the network.
    pub memory: Option<MemoryTransport>,
}

impl Default for HttpBrokerSettings {
    fn default() -> Self {
        Self {
            address: None,
            tls: ClientTls::default(),
            connect_timeout: Duration::from_secs(1),
            publish_timeout: Duration::from_secs(30),
            memory: None,
        }
    }
}

/// Publishes by posting to the subscribers that the registry knows. Clones are the same broker.
///
/// Every message goes to all subscriptions without a queue and to one of each queue; a member of a queue that cannot be
/// reached is passed over. Nothing is kept: a message that nobody subscribes to is gone, and what is published waits
/// until the subscribers' handlers are done.
#[derive(Clone)]
pub struct HttpBroker {
    inner: Arc<Inner>,
}

struct Inner {
    /// Unique for this broker; part of node ids.
    id: String,
    registry: Arc<dyn Registry>,
    audiences: Audiences,
    settings: HttpBrokerSettings,
    wire: AnyWire,
    plain: Pool<AnyWire>,
    /// Made when the first subscriber wants TLS, since most installations have none.
    secure: std::sync::OnceLock<Result<Pool<AnyWire>, String>>,
    unreachable: Unreachable,
    room: Semaphore,
    subscribers: Arc<Subscribers>,
    port: Port,
    /// What keeps subscriptions registered.
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl HttpBroker {
    /// A broker that registers in `registry` and finds subscribers through `cache`.
    pub fn new(registry: Arc<dyn Registry>, cache: Arc<Cache>, settings: HttpBrokerSettings) -> Self {
        Self::with_wire(registry, cache, settings, AnyWire::default())
    }

    /// [`HttpBroker::new`] with another reader and writer of heads.
    pub fn with_wire(
        registry: Arc<dyn Registry>,
        cache: Arc<Cache>,
        settings: HttpBrokerSettings,
        wire: AnyWire,
    ) -> Self {
        let config = pool_config(&settings);
        let inner = Inner {
            id: uuid::Uuid::new_v4().to_string(),
            registry,
            audiences: Audiences::new(cache),
            plain: Pool::with_wire(config, wire.clone()),
            secure: std::sync::OnceLock::new(),
            unreachable: Unreachable::default(),
            room: Semaphore::new(AT_A_TIME),
            subscribers: Arc::default(),
            port: Port::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            settings,
            wire,
        };
        Self { inner: Arc::new(inner) }
    }

    /// The answer to a delivery, of a server that [`HttpBroker::attach`] was told of; `None` for requests that are none.
    pub(crate) fn divert(&self, request: &mut Request) -> Option<futures::future::BoxFuture<'static, Plain>> {
        self.inner.subscribers.divert(request)
    }

    /// Deliveries arrive at a server that somebody else runs, which others reach at `address` (`host:port`), and which
    /// hands them to [`HttpBroker::divert`]. The settings' own address goes before it.
    pub(crate) fn attach(&self, address: String, secure: bool) {
        self.inner.port.attach(address, secure);
    }

    /// That server is about to end.
    pub(crate) fn detach(&self, address: &str) {
        self.inner.port.detach(address);
    }
}

/// All deliveries under way may be to one address, and a connection for which there is no room is made anew each time.
fn pool_config(settings: &HttpBrokerSettings) -> PoolConfig {
    let mut config = PoolConfig { size: AT_A_TIME, max_body: MAX_ANSWER, ..PoolConfig::default() };
    if let Some(memory) = &settings.memory {
        config.dialer = config.dialer.with_memory(memory.clone());
    }
    config
}

impl Inner {
    /// The connections to subscribers with or without TLS.
    fn pool(&self, secure: bool) -> Result<&Pool<AnyWire>, String> {
        if !secure {
            return Ok(&self.plain);
        }
        let make = || -> Result<Pool<AnyWire>, TlsError> {
            let tls = Some(client_config(&self.settings.tls, &["http/1.1"])?);
            Ok(Pool::with_wire(PoolConfig { tls, ..pool_config(&self.settings) }, self.wire.clone()))
        };
        let pool = self.secure.get_or_init(|| make().map_err(|error| micro_net::error_chain(&error)));
        pool.as_ref().map_err(Clone::clone)
    }
}

#[async_trait]
impl Broker for HttpBroker {
    fn name(&self) -> &str {
        NAME
    }

    fn location(&self) -> String {
        format!("the subscribers in {}", self.inner.registry.location())
    }

    async fn publish(&self, topic: &str, batch: Vec<Message>) -> Vec<Result<Published, BrokerError>> {
        match check_name(NAME, "topic", topic) {
            Ok(()) => self.inner.publish(topic, batch).await,
            Err(error) => vec![Err(error); batch.len()],
        }
    }

    /// Ends when the first registration was tried. A registry that is down is tried on.
    async fn subscribe(
        &self,
        topic: &str,
        options: &SubscribeOptions,
    ) -> Result<Box<dyn Subscription>, BrokerError> {
        check_subscription(NAME, topic, options)?;
        let subscription = subscription::start(&self.inner, topic, options).await?;
        Ok(Box::new(subscription))
    }

    async fn health(&self) -> Result<(), BrokerError> {
        self.inner.registry.health().await.map_err(|error| from_registry(&error))
    }

    async fn shutdown(&self) {
        // 1. Subscriptions that nobody closed.
        self.inner.stop.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
        // 2. The port, if it is ours.
        self.inner.port.close().await;
        self.inner.plain.clear();
        if let Some(Ok(secure)) = self.inner.secure.get() {
            secure.clear();
        }
    }
}

/// What the registry said, as this broker's own.
fn from_registry(error: &micro_core::RegistryError) -> BrokerError {
    use micro_core::RegistryError as From;
    let (broker, reason) = (NAME.to_owned(), micro_net::error_chain(error));
    match error {
        From::Denied { .. } => BrokerError::Denied { broker, reason },
        From::Invalid { .. } => BrokerError::Invalid { broker, reason },
        From::Unavailable { retry_after, .. } => {
            BrokerError::Unavailable { broker, reason, retry_after: *retry_after }
        }
        From::Timeout { .. } => {
            BrokerError::Unavailable { broker, reason, retry_after: Duration::from_secs(1) }
        }
        From::Conflict { .. } | From::Plugin { .. } | From::Other { .. } => {
            BrokerError::Other { broker, reason }
        }
    }
}

impl fmt::Debug for HttpBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.inner;
        f.debug_struct("HttpBroker")
            .field("id", &inner.id)
            .field("settings", &inner.settings)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
