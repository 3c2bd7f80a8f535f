//! Opening what was named, one backend after the other.

#[cfg(feature = "plugins")]
use super::settings::plugin_host_config;
use super::settings::{BackendSettings, environment};
#[cfg(feature = "plugins")]
use super::{BackendError, Plugin, Plugins};
use crate::registry::Environment;
#[cfg(feature = "plugins")]
use crate::swap::Kept;
#[cfg(feature = "plugins")]
use std::sync::Arc;

pub(super) struct Opener {
    pub(super) environment: Environment,
    pub(super) detached: bool,
    #[cfg(feature = "plugins")]
    pub(super) natives: Vec<(micro_plugin::Kind, String)>,
    #[cfg(feature = "plugins")]
    pub(super) plugins: Plugins,
    #[cfg(feature = "plugins")]
    pub(super) config: micro_wasm::HostConfig,
}

impl Opener {
    pub(super) fn new(settings: &BackendSettings) -> Self {
        let environment = environment(settings.home.clone());
        Self {
            #[cfg(feature = "plugins")]
            natives: Vec::new(),
            #[cfg(feature = "plugins")]
            plugins: Plugins {
                kept: settings.service.as_deref().and_then(|service| Kept::new(&environment, service)),
                ..Plugins::default()
            },
            #[cfg(feature = "plugins")]
            config: plugin_host_config(settings, &environment),
            environment,
            detached: settings.detached,
        }
    }

    /// Loads a plugin, or what a swap put in its place and wrote down.
    #[cfg(feature = "plugins")]
    pub(super) async fn load<T>(
        &mut self,
        kind: micro_plugin::Kind,
        plugin: Plugin,
        load: impl AsyncFn(Arc<micro_wasm::Host>, micro_wasm::PluginRequest) -> Result<T, micro_wasm::LoadError>,
    ) -> Result<T, BackendError> {
        let request = plugin.request(kind)?;
        let host = match &self.plugins.host {
            Some(host) => host.clone(),
            None => self.plugins.host.insert(Arc::new(micro_wasm::Host::new(self.config.clone())?)).clone(),
        };
        let configured = request.locator.clone();
        if let Some(kept) = &self.plugins.kept
            && let Some(entry) = kept.find(kind, &configured.to_string())
            && let Ok(locator) = entry.locator.parse()
        {
            let (file, instead) = (kept.file().display(), entry.locator.as_str());
            let request = micro_wasm::PluginRequest {
                locator,
                configured: Some(configured.clone()),
                ..request.clone()
            };
            match load(host.clone(), request).await {
                Ok(loaded) => {
                    tracing::info!(
                        %file, %kind, %configured, locator = instead,
                        "a swap that was written down is repeated; swap back with --persist to end that"
                    );
                    return Ok(loaded);
                }
                Err(error) => tracing::error!(
                    %file, %kind, locator = instead, %error,
                    "a swap that was written down cannot be repeated; using what the configuration names"
                ),
            }
        }
        Ok(load(host, request).await?)
    }
}
