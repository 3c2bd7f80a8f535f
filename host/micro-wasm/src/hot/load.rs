//! Putting hot plugins into service.

use super::codec::{self, CodecKind};
use super::filter::FilterKind;
use super::generation::{Generation, HotKind, Lineage};
use super::selector::SelectorKind;
use super::slot::Slot;
use super::wire::WireKind;
use super::{PluginCodec, PluginFilter, PluginSelector, PluginWire};
use crate::convert::millis;
use crate::error::{LoadError, Step};
use crate::host::Host;
use crate::request::PluginRequest;
use micro_core::{Codec, Selector};
use std::sync::Arc;
use tokio::time::Instant;

impl Host {
    /// Puts a wire plugin into service. The wire that is part of the program serves while the plugin cannot.
    ///
    /// # Errors
    /// See [`LoadError`]. Nothing of the plugin stays.
    pub async fn load_wire(&self, request: PluginRequest) -> Result<PluginWire, LoadError> {
        Ok(PluginWire { slot: self.load_hot::<WireKind>(request).await? })
    }

    /// Puts a selector plugin into service. `twin` gets the plugin's name and makes the strategy that picks while the
    /// plugin cannot.
    ///
    /// # Errors
    /// See [`LoadError`]. Nothing of the plugin stays.
    pub async fn load_selector(
        &self,
        request: PluginRequest,
        twin: impl FnOnce(&str) -> Arc<dyn Selector>,
    ) -> Result<PluginSelector, LoadError> {
        let slot = self.load_hot::<SelectorKind>(request).await?;
        let name = name(&slot);
        Ok(PluginSelector { twin: twin(&name), slot, name })
    }

    /// Puts a codec plugin into service. `twin` gets the plugin's name and makes the codec that serves while the plugin
    /// cannot, where there is one.
    ///
    /// # Errors
    /// See [`LoadError`]. Nothing of the plugin stays.
    pub async fn load_codec(
        &self,
        request: PluginRequest,
        twin: impl FnOnce(&str) -> Option<Arc<dyn Codec>>,
    ) -> Result<PluginCodec, LoadError> {
        let locator = request.locator.clone();
        let slot = self.load_hot::<CodecKind>(request).await?;
        let formats = codec::served(&slot.current())
            .map_err(|reason| LoadError::new(&locator, Step::Smoke, reason, "report this to its author"))?;
        let name = name(&slot);
        Ok(PluginCodec { twin: twin(&name), slot, name, formats })
    }

    /// Puts a filter plugin into service. While it cannot serve, every request is refused.
    ///
    /// # Errors
    /// See [`LoadError`]. Nothing of the plugin stays.
    pub async fn load_filter(&self, request: PluginRequest) -> Result<PluginFilter, LoadError> {
        let slot = self.load_hot::<FilterKind>(request).await?;
        Ok(PluginFilter { name: name(&slot), slot })
    }

    async fn load_hot<K: HotKind>(&self, request: PluginRequest) -> Result<Arc<Slot<K>>, LoadError> {
        let started = Instant::now();
        let lineage = Lineage::new(&self.factory.version);
        let first: Generation<K> = self.factory.loader.load_hot(&request, &lineage, 1).await?;
        tracing::info!(
            plugin.name = first.manifest.name, version = first.manifest.version, kind = %K::KIND,
            took_ms = millis(started.elapsed()), "plugin in service"
        );
        let slot = Arc::new(Slot::new(request, first, lineage, self.factory.clone()));
        self.seat_of(slot.clone());
        Ok(slot)
    }
}

/// The plugin's name without what says its kind: `roundrobin` of `roundrobin-selector`.
fn name<K: HotKind>(slot: &Slot<K>) -> String {
    let name = slot.current().manifest.name.clone();
    name.strip_suffix(&format!("-{}", K::KIND.suffix())).map(str::to_owned).unwrap_or(name)
}
