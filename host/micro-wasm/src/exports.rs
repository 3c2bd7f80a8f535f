//! What a plugin exports, found once per component and loaded once per instance.

use crate::state::State;
use micro_bindings::exports::micro::plugin::lifecycle;
use micro_bindings::exports::micro::registry::registry;
use micro_plugin::Kind;
use wasmtime::component::{Instance, InstancePre};
use wasmtime::{Store, format_err};

/// Where the exports are.
pub(crate) struct Indices {
    lifecycle: lifecycle::GuestIndices,
    registry: Option<registry::GuestIndices>,
}

/// The exports of one instance.
pub(crate) struct Exports {
    pub(crate) lifecycle: lifecycle::Guest,
    registry: Option<registry::Guest>,
}

impl Indices {
    /// Finds what a plugin of this kind must export.
    ///
    /// # Errors
    /// An interface or a function is missing.
    pub(crate) fn find(pre: &InstancePre<State>, kind: Kind) -> wasmtime::Result<Self> {
        let registry = match kind {
            Kind::Registry => Some(registry::GuestIndices::new(pre)?),
            _ => None,
        };
        Ok(Self { lifecycle: lifecycle::GuestIndices::new(pre)?, registry })
    }

    /// Loads them.
    ///
    /// # Errors
    /// A function has another type than the contract says.
    pub(crate) fn load(&self, store: &mut Store<State>, instance: &Instance) -> wasmtime::Result<Exports> {
        Ok(Exports {
            lifecycle: self.lifecycle.load(&mut *store, instance)?,
            registry: self.registry.as_ref().map(|it| it.load(&mut *store, instance)).transpose()?,
        })
    }
}

impl Exports {
    /// The functions of a registry.
    ///
    /// # Errors
    /// The plugin is of another kind; the loader sees to it that this does not happen.
    pub(crate) fn registry(&self) -> wasmtime::Result<&registry::Guest> {
        self.registry.as_ref().ok_or_else(|| format_err!("this plugin is no registry"))
    }
}
