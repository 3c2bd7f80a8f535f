//! What plugins of Micro are written with.
//!
//! A plugin is a WebAssembly component that teaches Micro one backend. Its author implements one trait, here
//! [`Registry`], and names the type in one macro; everything else (bindings, conversions, deadlines) is this crate's.
//! It is not needed to write a plugin, and not meant for hosts: host and plugins meet only in `wit/`.
//!
//! A plugin crate is a `cdylib`, built with `cargo build --release --target wasm32-wasip2`:
//!
//! ```
//! use micro_sdk::registry::{Batch, Registry, Service, Snapshot};
//! use micro_sdk::{Call, Context, Error, http};
//! use std::time::Duration;
//!
//! /// One static file somewhere on the web, with a service name in each line.
//! struct Phonebook {
//!     url: String,
//! }
//!
//! #[derive(serde::Deserialize)]
//! struct Options {
//!     url: String,
//! }
//!
//! impl Registry for Phonebook {
//!     type Options = Options;
//!
//!     fn configure(_: Context, options: Options) -> Result<Self, Error> {
//!         micro_sdk::info!("reading the phone book", url = options.url);
//!         Ok(Self { url: options.url })
//!     }
//!
//!     async fn register(&self, _: &Call, service: Service, _: Option<Duration>) -> Result<(), Error> {
//!         Err(Error::denied(format!("{} cannot be registered: the phone book is read-only", service.name)))
//!     }
//!
//!     async fn deregister(&self, _: &Call, _: Service) -> Result<(), Error> {
//!         Ok(())
//!     }
//!
//!     async fn get_service(&self, call: &Call, name: &str) -> Result<Snapshot, Error> {
//!         let known = self.list_services(call).await?.iter().any(|it| it == name);
//!         let service = Service { name: name.to_owned(), ..Service::default() };
//!         Ok(Snapshot { services: known.then_some(service).into_iter().collect(), cursor: None })
//!     }
//!
//!     async fn list_services(&self, _: &Call) -> Result<Vec<String>, Error> {
//!         let response = http::Request::get(&self.url)?.header("accept", "text/plain").send().await?;
//!         let text = response.body.collect(64 << 10).await?;
//!         Ok(String::from_utf8_lossy(&text).lines().map(str::to_owned).collect())
//!     }
//!
//!     async fn changes(
//!         &self,
//!         _: &Call,
//!         _: Option<&str>,
//!         after: Option<&str>,
//!         wait: Duration,
//!     ) -> Result<Batch, Error> {
//!         micro_sdk::time::sleep(wait).await;
//!         Ok(Batch::unchanged(after.unwrap_or("0")))
//!     }
//! }
//!
//! micro_sdk::register_registry!(Phonebook);
//! # fn main() {}
//! ```
//!
//! # Kinds
//!
//! | kind | trait | macro | runs |
//! |---|---|---|---|
//! | registry | [`Registry`] | [`register_registry!`] | as a task of its own; calls may wait |
//! | wire | [`Wire`] | [`register_wire!`] | for each message |
//! | selector | [`Selector`], [`LoadSelector`] | [`register_selector!`], [`register_load_selector!`] | for each call |
//! | codec | [`Codec`] | [`register_codec!`] | for each call in an envelope |
//! | filter | [`Filter`] | [`register_filter!`] | for each request |
//!
//! All but the first are *hot*: see [`hot`], which has what they share. Their modules have an example each.
//!
//! # How the pieces fit
//!
//! - Options are checked by the host against the plugin's manifest and arrive as one JSON object; [`options`] has types
//!   for what JSON cannot say.
//! - Calls of a registry overlap on one thread. The sdk holds the instance for each call and ends the call when its time is
//!   over. Calls of hot kinds come one after the other.
//! - [`http`] goes through the host, which pools connections, does TLS and lets through only the addresses that the
//!   operator granted. [`time`] waits without stopping other calls. Neither is for hot kinds, which reach nothing.
//! - [`mod@log`] reaches the operator, from every kind.
//! - A panic ends the instance and every call in it; the host starts a fresh one. Answer an [`Error`] instead.
//!
//! # Native tests
//!
//! Natively a plugin crate compiles and links, `log` writes to standard error, and `testing` runs calls that wait. HTTP
//! needs a host and panics without one, so logic that is worth testing takes a small trait in the place of `http`.

#[doc(hidden)]
pub mod bindings;
pub mod changelog;
pub mod codec;
#[doc(hidden)]
pub mod export;
pub mod filter;
pub mod hot;
pub mod http;
pub mod log;
pub mod options;
mod plugin;
pub mod registry;
pub mod selector;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod time;
pub mod wire;

pub use changelog::ChangeLog;
pub use codec::Codec;
pub use filter::Filter;
pub use plugin::{Call, Context, DrainReason, Error};
pub use registry::Registry;
pub use selector::{LoadSelector, Selector};
pub use wire::Wire;
