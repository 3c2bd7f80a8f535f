//! Runs plugins: finds, checks and compiles components, keeps instances of them alive, and shows each as an ordinary
//! Rust trait of `micro-core`.
//!
//! No WebAssembly type appears in its public signatures, and no socket is opened here: connections are `micro-net`'s.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use micro_wasm::{Host, HostConfig, PluginRequest};
//!
//! let places = micro_plugin::SearchPlaces { working: ".".into(), folders: vec!["plugins".into()] };
//! let host = Host::new(HostConfig::new(places))?;
//! let etcd = PluginRequest::new("registry", "etcd".parse()?).address("127.0.0.1:2379");
//! let registry = host.load_registry(etcd).await?;
//! println!("{:?}", registry.list_services().await?);
//! host.shutdown(std::time::Duration::from_secs(5)).await;
//! # Ok(())
//! # }
//! ```
//!
//! How the parts fit, in the order of a plugin's life:
//!
//! | module | does |
//! |---|---|
//! | `loader`, `imports`, `cache`, `engine` | a file becomes a component that can be instantiated, or a [`LoadError`] |
//! | `launch`, `state`, `limits`, `log` | a component becomes a configured instance with its own store |
//! | `actor` | the instance's task: one event loop, fed by channels; deadlines outside of it |
//! | `supervisor`, `fault`, `health` | failed instances are replaced, failing plugins quarantined, backends watched |
//! | `http`, `net`, `denials` | the plugin's way out, and what it missed |
//! | `registry`, `convert`, `exports` | one adapter per kind, which checks what guests answer |
//! | `hot` | the same for plugins that run per request: an instance per thread, no channel, no waiting |
//! | `swap`, `generation`, `registrations` | replacing a plugin under the requests that use it |
//! | [`probe`] | any export called by its name, for authors |
//! | `host`, `factory`, `plugin`, `status` | all of it together, and what operators see |
//!
//! A plugin that waits is never called from inside another plugin's event loop (wasmtime would panic): every call crosses a
//! channel into the task of the instance.
#![warn(missing_docs)]

mod actor;
mod cache;
mod convert;
mod denials;
mod engine;
mod error;
mod exports;
mod factory;
mod fault;
mod generation;
mod health;
mod host;
mod hot;
mod http;
mod imports;
mod launch;
mod limits;
mod loader;
mod log;
mod net;
mod plugin;
pub mod probe;
mod registrations;
mod registry;
mod request;
mod settings;
mod state;
mod stats;
mod status;
mod supervisor;
mod swap;

pub use error::{LoadError, Step};
pub use fault::FaultKind;
pub use host::{Host, HostConfig, HostError, Unhealthy, cache_folder};
pub use hot::{PluginCodec, PluginFilter, PluginSelector, PluginWire};
pub use imports::unknown as unknown_imports;
pub use loader::contract_of;
pub use request::{GrantPrompt, PluginRequest};
pub use settings::Settings;
pub use stats::Times;
pub use status::{LastError, LastSwap, PluginState, PluginStatus};
pub use swap::{SwapError, Swapped, Target, TargetError, Version};
