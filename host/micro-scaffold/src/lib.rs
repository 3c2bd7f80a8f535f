//! Plugins in other languages: folders to start from, and their tools.
//!
//! The program carries the contracts, an sdk for each language and a template for each kind, so that
//! [`Scaffold::write`] needs no network. [`build()`] runs the language's own tools and gives back a component; what makes
//! it a plugin, the manifest, is `micro-plugin`'s. [`diagnose`] says which tools are there. No wasmtime and no tokio here:
//! everything waits, so callers give it a thread.
//!
//! | module | holds |
//! |---|---|
//! | `language` | [`Language`]: which kinds work in which, and why not; whose a folder is |
//! | `scaffold` | [`Scaffold`]: names, templates, what goes where |
//! | `wit` | the contracts as a plugin's folder has them |
//! | `build` | [`build()`]: one file for each language |
//! | `doctor` | [`diagnose`] and [`install`] |
//! | `assets`, `tool` | what is embedded; how tools are found and run |
#![warn(missing_docs)]

mod assets;
mod build;
mod doctor;
mod error;
mod language;
mod scaffold;
mod tool;
mod wit;

pub use build::{Built, Options, build, cargo};
pub use doctor::{Diagnosis, Finding, diagnose, install};
pub use error::Error;
pub use language::{Language, UnknownLanguage};
pub use scaffold::{Made, Scaffold};
