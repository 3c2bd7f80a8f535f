//! From names and flags to the backends and the plugin host of a process.

mod broker;
mod error;
#[cfg(feature = "plugins")]
mod hot;
#[cfg(not(feature = "plugins"))]
mod native;
mod opener;
mod plugin;
#[cfg(feature = "plugins")]
mod plugins;
mod registry;
mod selector;
mod settings;
mod tls;

pub use broker::BrokerSource;
pub use error::BackendError;
pub use plugin::Plugin;
#[cfg(feature = "plugins")]
pub(crate) use plugins::Plugins;
pub use registry::RegistrySource;
pub use selector::SelectorSource;
pub use settings::BackendSettings;
pub use tls::PluginTls;

use crate::broker::HttpBroker;
use crate::codec::Codecs;
use crate::registry::Cache;
use crate::wire::AnyWire;
use micro_core::{Broker, Filter, Registry, RegistryError, Selector};
use opener::Opener;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The registry when nothing was said.
pub const DEFAULT_REGISTRY: &str = "local";
/// The wire when nothing was said.
const DEFAULT_WIRE: &str = "http";
/// The selector when nothing was said.
const DEFAULT_SELECTOR: &str = "random";
/// The codecs that are always there.
const CODECS: [&str; 2] = ["jsonrpc", "protorpc"];

/// What a process calls and registers through. Opened once, at start.
#[derive(Clone)]
pub struct Backends {
    /// Where this process registers.
    pub registry: Arc<dyn Registry>,
    /// Where it looks services up.
    pub cache: Arc<Cache>,
    /// How it reads and writes heads of messages.
    pub wire: AnyWire,
    /// How it chooses nodes.
    pub selector: Arc<dyn Selector>,
    /// Its envelopes, by content type.
    pub codecs: Codecs,
    /// What it publishes and subscribes with.
    pub broker: Arc<dyn Broker>,
    /// The same where deliveries arrive at the ports of services.
    pub(crate) http_broker: Option<HttpBroker>,
    /// What looks at each HTTP request of a gateway, in this order.
    pub filters: Vec<Arc<dyn Filter>>,
    #[cfg(feature = "plugins")]
    natives: Vec<(micro_plugin::Kind, String)>,
    #[cfg(feature = "plugins")]
    plugins: Plugins,
}

impl fmt::Debug for Backends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backends").field("registry", &self.registry).finish_non_exhaustive()
    }
}

impl Backends {
    /// Opens everything. A registry whose backend is down is no error: it heals by itself.
    ///
    /// # Errors
    /// Configuration that cannot work: unknown names, missing files, wrong options, missing grants.
    pub async fn open(settings: BackendSettings) -> Result<Self, BackendError> {
        let mut opener = Opener::new(&settings);
        let registry = match settings.registry.unwrap_or_else(|| Plugin::named(DEFAULT_REGISTRY).into()) {
            RegistrySource::Instance(registry) => registry,
            RegistrySource::Plugin(plugin) => opener.registries(plugin).await?,
        };
        let (cache, wire) = (Arc::new(Cache::new(registry.clone())), opener.wire(settings.transport).await?);
        let (broker, http_broker) = broker::open(settings.broker, &registry, &cache, &wire, settings.memory)?;
        Ok(Self {
            cache,
            registry,
            wire,
            broker,
            http_broker,
            selector: opener.selector(settings.selector).await?,
            codecs: opener.codecs(settings.codecs).await?,
            filters: opener.filters(settings.filters).await?,
            #[cfg(feature = "plugins")]
            natives: opener.natives,
            #[cfg(feature = "plugins")]
            plugins: opener.plugins,
        })
    }

    /// Whether the registry answers; for programs that should end at once if it does not.
    ///
    /// # Errors
    /// The registry's own.
    pub async fn require_healthy(&self, limit: Duration) -> Result<(), RegistryError> {
        let late = |_| RegistryError::Timeout { registry: self.registry.name().to_owned(), after: limit };
        tokio::time::timeout(limit, self.registry.health()).await.map_err(late)?
    }

    /// The plugins of this process, and the parts of the program that serve in place of one.
    #[cfg(feature = "plugins")]
    pub fn plugins(&self) -> Vec<micro_wasm::PluginStatus> {
        let plugins = self.plugins.host.as_ref().map(|host| host.plugins()).unwrap_or_default();
        let native =
            |(kind, name): &(_, String)| micro_wasm::PluginStatus::native(*kind, name, crate::VERSION);
        plugins.into_iter().chain(self.natives.iter().map(native)).collect()
    }

    /// What the admin pages need to look after the plugins.
    #[cfg(feature = "plugins")]
    pub(crate) fn plugin_host(&self) -> &Plugins {
        &self.plugins
    }

    /// Ends the plugins; each gets `limit` to say goodbye to its backend.
    pub async fn shutdown(&self, limit: Duration) {
        // It may have something to say to the registry.
        if tokio::time::timeout(limit, self.broker.shutdown()).await.is_err() {
            tracing::warn!(broker = self.broker.name(), "the broker did not end in time");
        }
        self.cache.stop();
        #[cfg(feature = "plugins")]
        if let Some(host) = &self.plugins.host {
            host.shutdown(limit).await;
        }
        #[cfg(not(feature = "plugins"))]
        let _: Duration = limit;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::Flags;

    #[tokio::test]
    async fn native_registries_take_no_options() {
        let settings = BackendSettings {
            registry: Some(Plugin::named("memory").address("a:1").into()),
            ..Default::default()
        };
        let error = Backends::open(settings).await.expect_err("no address");
        assert!(error.to_string().contains("registry memory"), "{error}");
        let bad = Flags { selector: Some("fastest".to_owned()), ..Flags::default() };
        let settings = BackendSettings::default().with_flags(&bad).expect("a name");
        let error = Backends::open(settings).await.expect_err("unknown");
        assert!(error.to_string().contains("fastest"), "{error}");
    }
}
