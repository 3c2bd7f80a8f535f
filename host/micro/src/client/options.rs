//! Settings of one call.

use crate::client::explain::Trace;
use crate::client::retry::{BackoffFn, Failure, RetryFn};
use crate::client::security::Security;
use crate::client::select::Wanted;
use crate::client::speaks::Protocol;
use crate::grpc::Descriptors;
use crate::payload::Format;
use crate::rpc::{Layers, RpcLayer};
use micro_core::registry::Metadata;
use micro_core::{Endpoint, Headers, Node, Selector, Service};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Settings of one call; what is not set comes from the client. Cheap to clone when empty.
#[derive(Clone, Default)]
pub struct CallOptions {
    pub(crate) timeout: Option<Duration>,
    pub(crate) deadline: Option<Instant>,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) retries: Option<u32>,
    pub(crate) retry: Option<RetryFn>,
    pub(crate) backoff: Option<BackoffFn>,
    pub(crate) idempotent: bool,
    pub(crate) addresses: Vec<String>,
    pub(crate) protocol: Option<Protocol>,
    pub(crate) security: Option<Security>,
    pub(crate) descriptors: Option<Descriptors>,
    pub(crate) metadata: Headers,
    pub(crate) format: Option<Format>,
    pub(crate) key: Option<u64>,
    pub(crate) filters: Vec<Filter>,
    pub(crate) selector: Option<Arc<dyn Selector>>,
    pub(crate) call_layers: Layers,
    pub(crate) trace: Option<Trace>,
}

/// Narrows the versions and nodes that a call may go to (`go-micro-wire` §8.2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Filter {
    /// Only this version.
    Version(String),
    /// Only versions that list this endpoint.
    Endpoint(String),
    /// Only nodes whose metadata has this value under this key.
    Label(String, String),
    /// Only nodes that a function of yours takes.
    Nodes(NodeFilter),
}

/// Decides about each node of each version of a service, as [`Filter::nodes`] makes it. Clones are equal, two that were made
/// apart are not: make it once and give it to many calls, because what it said is remembered while the records stay the
/// same.
#[derive(Clone)]
pub struct NodeFilter(Arc<Decide>);

type Decide = dyn Fn(&Service, &Node) -> bool + Send + Sync;

impl PartialEq for NodeFilter {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for NodeFilter {}

impl Hash for NodeFilter {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::ptr::hash(Arc::as_ptr(&self.0), state);
    }
}

impl fmt::Debug for NodeFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeFilter").finish_non_exhaustive()
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(f, "version {version}"),
            Self::Endpoint(name) => write!(f, "endpoint {name}"),
            Self::Label(key, value) => write!(f, "label {key}={value}"),
            Self::Nodes(_) => f.write_str("a function of the program"),
        }
    }
}

impl Filter {
    /// Only nodes of which `take` says so; it sees the version that they belong to, and must decide by what it sees
    /// alone.
    pub fn nodes(take: impl Fn(&Service, &Node) -> bool + Send + Sync + 'static) -> Self {
        Self::Nodes(NodeFilter(Arc::new(take)))
    }

    /// Removes from `service` what the filter does not allow.
    pub(crate) fn apply(&self, service: &mut Service) {
        let keep = match self {
            Self::Version(version) => service.version == *version,
            Self::Endpoint(name) => {
                service.endpoints.iter().any(|endpoint: &Endpoint| endpoint.name == *name)
            }
            Self::Label(key, value) => {
                let has = |metadata: &Metadata| metadata.get(key) == Some(value);
                service.nodes.retain(|node| has(&node.metadata));
                true
            }
            Self::Nodes(NodeFilter(take)) => {
                let mut nodes = std::mem::take(&mut service.nodes);
                nodes.retain(|node| take(service, node));
                service.nodes = nodes;
                true
            }
        };
        if !keep {
            service.nodes.clear();
        }
    }
}

impl CallOptions {
    /// Nothing set.
    pub fn new() -> Self {
        Self::default()
    }

    /// The time for the whole call, all attempts together. Default 5 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// A point in time at which the call ends even if its timeout is not over.
    #[must_use]
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// The time for connecting to one node. Default 1 s.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// Attempts after the first one. Default 1. Whether there is a reason for another one is another question:
    /// [`CallOptions::idempotent`], [`CallOptions::retry`].
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = Some(retries);
        self
    }

    /// The endpoint may run twice without harm: retry also when the request may have been executed, and on answers 408
    /// and 5xx.
    #[must_use]
    pub fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// Decides about each retry, in place of the built-in rule.
    #[must_use]
    pub fn retry(mut self, decide: impl Fn(&Failure) -> bool + Send + Sync + 'static) -> Self {
        self.retry = Some(Arc::new(decide));
        self
    }

    /// How long to wait after a failed attempt before the next one, in place of the client's rule.
    #[must_use]
    pub fn backoff(mut self, pause: impl Fn(&Failure) -> Duration + Send + Sync + 'static) -> Self {
        self.backoff = Some(Arc::new(pause));
        self
    }

    /// Calls this address instead of asking the registry. Given several times, one of them is chosen for each attempt.
    #[must_use]
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.addresses.push(address.into());
        self
    }

    /// The addresses are of nodes that want values in envelopes, as nodes without `protocol` in their metadata do:
    /// [`wants_envelopes`](crate::client::wants_envelopes). Without this they are taken for nodes of Go Micro 1.0 and
    /// later.
    #[must_use]
    pub fn enveloped(mut self, enveloped: bool) -> Self {
        self.protocol = enveloped.then_some(Protocol::Envelopes);
        self
    }

    /// What the nodes are called in, whatever their records and the client's rules say.
    #[must_use]
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = Some(protocol);
        self
    }

    /// What connections to the nodes are secured with, whatever their records and the client's rules say.
    #[must_use]
    pub fn security(mut self, security: Security) -> Self {
        self.security = Some(security);
        self
    }

    /// What gRPC methods take and give, for calls with JSON to nodes that take protobuf only. Without this the nodes
    /// are asked, by reflection.
    #[must_use]
    pub fn descriptors(mut self, descriptors: Descriptors) -> Self {
        self.descriptors = Some(descriptors);
        self
    }

    /// Adds metadata, which the handler finds in its context.
    #[must_use]
    pub fn metadata(mut self, name: &str, value: &str) -> Self {
        self.metadata.insert(name, value);
        self
    }

    /// Proves who calls: metadata `Authorization: Bearer TOKEN`, as the services of Go Micro read it.
    #[must_use]
    pub fn bearer_token(self, token: &str) -> Self {
        self.metadata("Authorization", &format!("Bearer {token}"))
    }

    /// Adds many metadata fields.
    #[must_use]
    pub fn metadata_from<N: AsRef<str>, V: AsRef<[u8]>>(
        mut self,
        fields: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        self.metadata.extend(fields);
        self
    }

    /// The format of request and response. Default: the client's.
    #[must_use]
    pub fn format(mut self, format: Format) -> Self {
        self.format = Some(format);
        self
    }

    /// A shard key: selectors that know shards send equal keys to the same node. Its lower 53 bits count.
    #[must_use]
    pub fn key(mut self, key: u64) -> Self {
        self.key = Some(key);
        self
    }

    /// Narrows the choice of nodes. Given several times, all must agree.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filters.push(filter);
        self
    }

    /// How a node is chosen, in place of the client's way.
    #[must_use]
    pub fn selector(mut self, selector: Arc<dyn Selector>) -> Self {
        self.selector = Some(selector);
        self
    }

    /// Wraps each attempt of this call on one node, inside the client's own call layers. Given several times, the first is
    /// the outermost.
    #[must_use]
    pub fn call_layer(mut self, layer: impl RpcLayer) -> Self {
        self.call_layers.push(Arc::new(layer));
        self
    }

    pub(super) fn wanted(&self) -> Wanted<'_> {
        Wanted { filters: &self.filters, protocol: self.protocol, security: self.security }
    }
}

impl fmt::Debug for CallOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallOptions")
            .field("timeout", &self.timeout)
            .field("retries", &self.retries)
            .field("idempotent", &self.idempotent)
            .field("addresses", &self.addresses)
            .field("protocol", &self.protocol)
            .field("filters", &self.filters)
            .finish_non_exhaustive()
    }
}
