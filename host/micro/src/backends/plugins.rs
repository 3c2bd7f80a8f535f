//! The plugins of a process, and what was written down about them.

use crate::swap::{Files, Kept};
use std::path::PathBuf;
use std::sync::Arc;

/// The plugins of a process, and what was written down about them.
#[derive(Clone, Default)]
pub(crate) struct Plugins {
    /// None while there is no plugin.
    pub(crate) host: Option<Arc<micro_wasm::Host>>,
    /// None for a program that is no service.
    pub(super) kept: Option<Kept>,
    pub(super) files: Arc<Files>,
}

impl Plugins {
    /// Replaces a plugin, and writes that down if `persist`. The answer says where.
    pub(crate) async fn swap(
        &self,
        target: &micro_wasm::Target,
        locator: micro_plugin::Locator,
        persist: bool,
    ) -> Result<(micro_wasm::Swapped, Option<Result<PathBuf, String>>), micro_wasm::SwapError> {
        let Some(host) = &self.host else {
            let wanted = target.to_string();
            return Err(micro_wasm::SwapError::NotLoaded { wanted, loaded: Vec::new() });
        };
        let swapped = host.swap(target, locator).await?;
        let written = persist.then(|| match &self.kept {
            Some(kept) => match kept.keep(&swapped) {
                Ok(()) => Ok(kept.file().to_owned()),
                Err(error) => Err(format!("{}: {error}", kept.file().display())),
            },
            None => Err("there is no folder for state; set MICRO_HOME".to_owned()),
        });
        Ok((swapped, written))
    }

    /// All plugins with their drift, as the admin pages show them.
    pub(crate) async fn pages(&self) -> Vec<serde_json::Value> {
        let mut pages = Vec::new();
        for plugin in self.host.as_ref().map(|host| host.plugins()).unwrap_or_default() {
            let drift = self.files.drift(self.kept.as_ref(), &plugin).await;
            let mut page = serde_json::to_value(&plugin).unwrap_or_default();
            page["drift"] = drift.into();
            pages.push(page);
        }
        pages
    }
}
