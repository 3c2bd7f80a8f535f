//! What runs per request: wire, selector, filters. Each is the component that ships with the program, unless a flag names
//! another one; where no component is found, the part of the program that does the same.

use super::{BackendError, DEFAULT_SELECTOR, DEFAULT_WIRE, Opener, Plugin, SelectorSource};
use crate::selector::{Random, native};
use crate::wire::AnyWire;
use micro_core::{Filter, Selector};
use micro_plugin::locator::Target;
use micro_plugin::{Kind, Locator};
use std::sync::Arc;

impl Opener {
    pub(super) async fn wire(&mut self, wanted: Option<Plugin>) -> Result<AnyWire, BackendError> {
        let plugin = wanted.clone().unwrap_or_else(|| Plugin::named(DEFAULT_WIRE));
        if self.serves_natively(Kind::Wire, &plugin, wanted.is_some(), plugin.locator == DEFAULT_WIRE)? {
            return Ok(AnyWire::default());
        }
        self.wire_plugin(plugin).await
    }

    pub(super) async fn selector(
        &mut self,
        wanted: Option<SelectorSource>,
    ) -> Result<Arc<dyn Selector>, BackendError> {
        let plugin = match &wanted {
            Some(SelectorSource::Instance(selector)) => return Ok(selector.clone()),
            Some(SelectorSource::Plugin(plugin)) => plugin.clone(),
            None => Plugin::named(DEFAULT_SELECTOR),
        };
        let part = native(&plugin.locator);
        match part {
            Some(part) if self.serves_natively(Kind::Selector, &plugin, wanted.is_some(), true)? => Ok(part),
            _ => self.selector_plugin(plugin).await,
        }
    }

    pub(super) async fn filters(
        &mut self,
        wanted: Vec<Plugin>,
    ) -> Result<Vec<Arc<dyn Filter>>, BackendError> {
        let mut filters = Vec::with_capacity(wanted.len());
        for plugin in wanted {
            let filter = self.host()?.load_filter(plugin.request(Kind::Filter)?).await?;
            filters.push(Arc::new(filter) as Arc<dyn Filter>);
        }
        Ok(filters)
    }

    /// Whether the part of the program has to do: there is no component of that name, or nobody asked for one and this
    /// process is over before it would pay.
    fn serves_natively(
        &mut self,
        kind: Kind,
        plugin: &Plugin,
        asked: bool,
        part_exists: bool,
    ) -> Result<bool, BackendError> {
        let locator: Locator = plugin.parse(kind)?;
        let found = self.finds(&locator, kind);
        if !part_exists || (found && (asked || !self.detached)) {
            return Ok(false);
        }
        if plugin.has_settings() {
            let problem = format!(
                "--{0}={1} is a part of this program and takes no options; its component was not found in any plugin folder",
                kind.suffix(),
                plugin.locator
            );
            return Err(BackendError::Flag(problem));
        }
        if !self.detached {
            tracing::info!(%kind, name = plugin.locator, "no component in a plugin folder: the part of this program serves");
        }
        self.natives.push((kind, plugin.locator.clone()));
        Ok(true)
    }

    fn finds(&self, locator: &Locator, kind: Kind) -> bool {
        // Anything but a name says that it is to be found, or that it is an error.
        !matches!(locator.target, Target::Name(_)) || self.config.places.find(locator, kind).is_ok()
    }

    async fn wire_plugin(&mut self, plugin: Plugin) -> Result<AnyWire, BackendError> {
        let request = plugin.request(Kind::Wire)?;
        Ok(AnyWire::Plugin(self.host()?.load_wire(request).await?))
    }

    async fn selector_plugin(&mut self, plugin: Plugin) -> Result<Arc<dyn Selector>, BackendError> {
        let request = plugin.request(Kind::Selector)?;
        let twin = |name: &str| native(name).unwrap_or_else(|| Arc::new(Random));
        Ok(Arc::new(self.host()?.load_selector(request, twin).await?))
    }
}
