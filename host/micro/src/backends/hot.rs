//! What runs per request: wire, selector, codecs, filters. Each is the component that ships with the program, unless a flag names
//! another one; where no component is found, the part of the program that does the same.

use super::opener::Opener;
use super::plugin::short_name;
use super::{BackendError, CODECS, DEFAULT_SELECTOR, DEFAULT_WIRE, Plugin, SelectorSource};
use crate::codec::{self, Codecs};
use crate::selector::{Random, native};
use crate::wire::AnyWire;
use micro_core::{Filter, Selector};
use micro_plugin::locator::Target;
use micro_plugin::{Kind, Locator};
use micro_wasm::Host;
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

    /// The envelopes that are always there, and those that were asked for, which take the place of others of the same
    /// content types.
    pub(super) async fn codecs(&mut self, wanted: Vec<Plugin>) -> Result<Codecs, BackendError> {
        let codecs = Codecs::default();
        let named = |name: &str| wanted.iter().any(|plugin| short_name(&plugin.locator) == name);
        let usual: Vec<Plugin> = CODECS.into_iter().filter(|name| !named(name)).map(Plugin::named).collect();
        for (plugin, asked) in
            usual.into_iter().map(|it| (it, false)).chain(wanted.into_iter().map(|it| (it, true)))
        {
            let part_exists = CODECS.contains(&plugin.locator.as_str());
            if !self.serves_natively(Kind::Codec, &plugin, asked, part_exists)? {
                let load = async |host: Arc<Host>, request| host.load_codec(request, codec::native).await;
                codecs.insert(Arc::new(self.load(Kind::Codec, plugin, load).await?));
            }
        }
        Ok(codecs)
    }

    pub(super) async fn filters(
        &mut self,
        wanted: Vec<Plugin>,
    ) -> Result<Vec<Arc<dyn Filter>>, BackendError> {
        let mut filters = Vec::with_capacity(wanted.len());
        for plugin in wanted {
            let load = async |host: Arc<Host>, request| host.load_filter(request).await;
            filters.push(Arc::new(self.load(Kind::Filter, plugin, load).await?) as Arc<dyn Filter>);
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
        let load = async |host: Arc<Host>, request| host.load_wire(request).await;
        Ok(AnyWire::Plugin(self.load(Kind::Wire, plugin, load).await?))
    }

    async fn selector_plugin(&mut self, plugin: Plugin) -> Result<Arc<dyn Selector>, BackendError> {
        let twin = |name: &str| native(name).unwrap_or_else(|| Arc::new(Random));
        let load = async |host: Arc<Host>, request| host.load_selector(request, twin).await;
        Ok(Arc::new(self.load(Kind::Selector, plugin, load).await?))
    }
}
