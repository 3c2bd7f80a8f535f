//! The registries that need no plugin, and the cache that stands in front of every registry.
//!
//! | type | is |
//! |---|---|
//! | [`MemoryRegistry`] | a map in this process; the reference of the conformance suite |
//! | [`LocalRegistry`] | files that the processes of one machine share; the default |
//! | [`MultiRegistry`] | several registries seen as one: `--registry local,mdns` |
//! | [`Cache`] | what callers read: answers from memory, fed by [`Registry::changes`] |
//!
//! None of them keeps a registration alive: whoever registered calls [`Registry::register`] again before the TTL ends.
//!
//! [`Registry`]: micro_core::Registry
//! [`Registry::changes`]: micro_core::Registry::changes
//! [`Registry::register`]: micro_core::Registry::register

mod cache;
mod follow;
mod local;
mod memory;
mod multi;
mod view;

pub(crate) use follow::Follower;

pub use cache::{Cache, CacheOptions, CachedService};
pub use local::{Environment, LocalRegistry};
pub use memory::MemoryRegistry;
pub use multi::MultiRegistry;

use micro_core::{RegistryError, Service};

/// Refuses what no registry could store.
fn check(registry: &str, service: &Service) -> Result<(), RegistryError> {
    let problem = if service.name.is_empty() {
        "a service needs a name"
    } else if service.nodes.is_empty() {
        "a service needs a node to be registered"
    } else if service.nodes.iter().any(|node| node.id.is_empty()) {
        "a node needs an id"
    } else {
        return Ok(());
    };
    Err(RegistryError::Invalid { registry: registry.to_owned(), reason: problem.to_owned() })
}
