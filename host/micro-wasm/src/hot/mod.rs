//! Plugins that run per request: wire, selector, codec, filter.
//!
//! Each thread has an instance of its own, in a store of its own, so that a call takes no lock and never waits. An
//! instance is made when a thread first needs it, or when a swap or a fault left it without one.
//!
//! | module | does |
//! |---|---|
//! | `slot` | the way in: the thread's instance, its generation, deadline, costs |
//! | `load` | putting a plugin into service |
//! | `generation` | a component that can be instantiated, with its options; its first instance and its smoke test |
//! | `single` | one instance outside of service |
//! | `faults` | how often a plugin may fail before its native twin takes over |
//! | `state`, `shim` | what an instance sees of the world, which is next to nothing |
//! | `wire`, `selector`, `codec`, `filter` | one adapter per kind, which checks what guests answer |

mod codec;
mod faults;
mod filter;
mod generation;
mod load;
mod selector;
mod shim;
mod single;
mod slot;
mod state;
mod wire;

pub use codec::PluginCodec;
pub use filter::PluginFilter;
pub use selector::PluginSelector;
pub use wire::PluginWire;

pub(crate) use generation::{Generation, HotKind, Lineage, find};
pub(crate) use single::{arm, single};
pub(crate) use state::State as HotState;
