//! Where a selector comes from.

use super::Plugin;
use micro_core::Selector;
use std::sync::Arc;

/// Where a selector comes from.
#[derive(Clone, Debug)]
pub enum SelectorSource {
    /// A name or a file, with options.
    Plugin(Plugin),
    /// A value of yours.
    Instance(Arc<dyn Selector>),
}

impl From<Plugin> for SelectorSource {
    fn from(plugin: Plugin) -> Self {
        Self::Plugin(plugin)
    }
}
