//! What can be said about a plugin without running it: its manifest, its options, what it may reach, where it is.
//!
//! A plugin is a WebAssembly component with one custom section, `micro:plugin`, that holds its [`Manifest`] as JSON.
//! `cargo xtask plugins` and `micro plugin build` write that section with [`finish`]; hosts read it before they
//! compile anything. No wasmtime, no network and no tokio here, so that tools can depend on this crate cheaply.
//!
//! | module | holds |
//! |---|---|
//! | [`manifest`] | [`Manifest`], written by authors as `plugin.toml` |
//! | [`section`] | the custom section: [`finish`] and [`section::read`] |
//! | [`inspect()`] | [`Report`]: what a file is, for people |
//! | [`options`] | what the operator typed, checked against the manifest |
//! | [`grant`] | what a plugin asks to reach and what an operator allows |
//! | [`locator`] | `etcd`, `./etcd.wasm@sha256:…` |
//! | [`places`] | where a locator is looked up |
//!
//! ```
//! let source = "name = 'etcd-registry'\nkind = 'registry'\ncontract = 'micro:registry@0.1.0'\nversion = '1.2.3'";
//! let manifest = micro_plugin::Manifest::from_toml(source, None)?;
//! // A component with nothing in it: the header only.
//! let plugin = micro_plugin::finish(b"\0asm\x0d\0\x01\0", &manifest)?;
//! assert_eq!(micro_plugin::section::read(&plugin)?, manifest);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![warn(missing_docs)]

pub mod address;
pub mod digest;
pub mod grant;
pub mod inspect;
pub mod locator;
pub mod manifest;
pub mod options;
pub mod places;
pub mod section;
mod value;

pub use address::Address;
pub use digest::Digest;
pub use grant::Grant;
pub use inspect::{Report, inspect};
pub use locator::Locator;
pub use manifest::{Kind, Manifest};
pub use options::{OptionErrors, Resolved};
pub use places::SearchPlaces;
pub use section::finish;
