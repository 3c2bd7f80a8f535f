//! Why a backend cannot be used.

/// A backend that cannot be used as configured.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// A flag whose value is wrong.
    #[error("{0}")]
    Flag(String),
    /// A native registry that was given options.
    #[error(
        "registry {registry} is part of the program and takes no {what}; \
         did you mean another one, for instance --registry=etcd?"
    )]
    NoOptions {
        /// `local` or `memory`.
        registry: String,
        /// `address` and so on.
        what: &'static str,
    },
    /// A list of registries with an option that could belong to any of them.
    #[error("with several registries, say whose {what} it is: --registry_opt={first}.{example}")]
    Ambiguous {
        /// `address` and so on.
        what: &'static str,
        /// The first plugin of the list.
        first: String,
        /// How to write it.
        example: String,
    },
    /// A broker that is not part of the program.
    #[error(
        "{0} is no broker of this program, and there is no plugin kind for brokers yet: use --broker=http, or memory"
    )]
    NoBroker(String),
    /// A plugin in a program without the plugin host.
    #[error(
        "{0} is a plugin, and this program was built without plugin support (cargo feature `plugins` of `micro`)"
    )]
    NoPlugins(String),
    /// The plugin host.
    #[cfg(feature = "plugins")]
    #[error(transparent)]
    Host(#[from] micro_wasm::HostError),
    /// A plugin.
    #[cfg(feature = "plugins")]
    #[error(transparent)]
    Plugin(#[from] micro_wasm::LoadError),
}
