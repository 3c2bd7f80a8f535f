//! Which broker a name means.

use super::{BackendError, Plugin, PluginTls};
use crate::broker::{HttpBroker, HttpBrokerSettings, MemoryBroker};
use crate::registry::Cache;
use crate::wire::AnyWire;
use micro_core::{Broker, Registry};
use micro_net::MemoryTransport;
use micro_net::tls::{ClientTls, Identity};
use std::fmt;
use std::sync::Arc;

/// The broker when nothing was said.
pub(super) const DEFAULT: &str = "http";

/// Where a broker comes from.
#[derive(Clone)]
pub enum BrokerSource {
    /// `http` or `memory`, with options.
    Plugin(Plugin),
    /// The HTTP broker, as it was set up.
    Http(HttpBroker),
    /// A value of yours.
    Instance(Arc<dyn Broker>),
}

impl From<Plugin> for BrokerSource {
    fn from(plugin: Plugin) -> Self {
        Self::Plugin(plugin)
    }
}

impl From<HttpBroker> for BrokerSource {
    fn from(broker: HttpBroker) -> Self {
        Self::Http(broker)
    }
}

impl From<MemoryBroker> for BrokerSource {
    fn from(broker: MemoryBroker) -> Self {
        Self::Instance(Arc::new(broker))
    }
}

impl From<Arc<dyn Broker>> for BrokerSource {
    fn from(broker: Arc<dyn Broker>) -> Self {
        Self::Instance(broker)
    }
}

impl fmt::Debug for BrokerSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plugin(plugin) => plugin.fmt(f),
            Self::Http(broker) => broker.fmt(f),
            Self::Instance(broker) => broker.fmt(f),
        }
    }
}

fn client_tls(tls: PluginTls) -> ClientTls {
    let PluginTls { ca_file, cert_file, key_file, skip_verify } = tls;
    let identity = cert_file.zip(key_file).map(|(certificate, key)| Identity { certificate, key });
    ClientTls { roots: ca_file, identity, insecure_skip_verify: skip_verify, ..ClientTls::default() }
}

/// A broker, and the same once more where it takes deliveries at the ports of services.
pub(super) type Opened = (Arc<dyn Broker>, Option<HttpBroker>);

/// Opens a broker. It connects to nothing yet.
pub(super) fn open(
    source: Option<BrokerSource>,
    registry: &Arc<dyn Registry>,
    cache: &Arc<Cache>,
    wire: &AnyWire,
    memory: Option<MemoryTransport>,
) -> Result<Opened, BackendError> {
    let shared = |broker: HttpBroker| -> Opened { (Arc::new(broker.clone()), Some(broker)) };
    let plugin = match source.unwrap_or_else(|| Plugin::named(DEFAULT).into()) {
        BrokerSource::Instance(broker) => return Ok((broker, None)),
        BrokerSource::Http(broker) => return Ok(shared(broker)),
        BrokerSource::Plugin(plugin) => plugin,
    };
    match plugin.locator.as_str() {
        DEFAULT => {
            let Plugin { address, tls, .. } = plugin;
            // Go's flag takes a list, of which its http broker uses the first.
            let address = address.as_deref().and_then(|list| list.split(',').next()).map(str::to_owned);
            let tls = client_tls(tls);
            let settings = HttpBrokerSettings { address, tls, memory, ..HttpBrokerSettings::default() };
            let (registry, cache) = (registry.clone(), cache.clone());
            Ok(shared(HttpBroker::with_wire(registry, cache, settings, wire.clone())))
        }
        "memory" if plugin != Plugin::named("memory") => {
            let problem = "--broker=memory is in this process: it takes no address and no TLS files";
            Err(BackendError::Flag(problem.to_owned()))
        }
        "memory" => Ok((Arc::new(MemoryBroker::new()), None)),
        _ => Err(BackendError::NoBroker(plugin.locator)),
    }
}
