//! What runs per request in a program without the plugin host: the parts of the program.

use super::opener::Opener;
use super::{BackendError, CODECS, DEFAULT_SELECTOR, DEFAULT_WIRE, Plugin, SelectorSource};
use crate::codec::Codecs;
use crate::selector::native;
use crate::wire::AnyWire;
use micro_core::{Filter, Selector};
use std::sync::Arc;

impl Opener {
    pub(super) async fn wire(&mut self, wanted: Option<Plugin>) -> Result<AnyWire, BackendError> {
        match wanted {
            Some(plugin) if plugin.locator != DEFAULT_WIRE => Err(BackendError::NoPlugins(plugin.locator)),
            _ => Ok(AnyWire::default()),
        }
    }

    pub(super) async fn selector(
        &mut self,
        wanted: Option<SelectorSource>,
    ) -> Result<Arc<dyn Selector>, BackendError> {
        let name = match wanted {
            Some(SelectorSource::Instance(selector)) => return Ok(selector),
            Some(SelectorSource::Plugin(plugin)) => plugin.locator,
            None => DEFAULT_SELECTOR.to_owned(),
        };
        native(&name).ok_or(BackendError::NoPlugins(name))
    }

    pub(super) async fn codecs(&mut self, wanted: Vec<Plugin>) -> Result<Codecs, BackendError> {
        match wanted.into_iter().find(|plugin| !CODECS.contains(&plugin.locator.as_str())) {
            Some(plugin) => Err(BackendError::NoPlugins(plugin.locator)),
            None => Ok(Codecs::default()),
        }
    }

    pub(super) async fn filters(
        &mut self,
        wanted: Vec<Plugin>,
    ) -> Result<Vec<Arc<dyn Filter>>, BackendError> {
        match wanted.into_iter().next() {
            Some(plugin) => Err(BackendError::NoPlugins(plugin.locator)),
            None => Ok(Vec::new()),
        }
    }
}
