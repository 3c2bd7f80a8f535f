//! What plugins of the hot kinds share: [wire](crate::wire), [selector](crate::selector), [codec](crate::codec) and
//! [filter](crate::filter).
//!
//! They run for each request, on the thread that serves it, so nothing in them waits and nothing in them is reached over
//! a network: bytes and integers in, bytes and integers out, and 10 ms of processor time at most. Each thread of the
//! host has an instance of its own, made when it is first needed and thrown away without notice.

pub(crate) mod arena;
#[doc(hidden)]
pub mod export;
mod head;
mod names;

pub use arena::Arena;
pub use head::{Field, Fields, PackedHead};
pub use names::Names;

use serde::Deserialize;

/// Who this instance is, and what it has agreed on with its host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// The plugin's name, from its manifest.
    pub plugin: String,
    /// Counts the instances of this plugin in this process, from 1, over all threads.
    pub instance: u64,
    /// Counts the versions that operators put into service in this process, from 1. A swap is a new generation.
    pub generation: u64,
    /// For instance `0.1.0`.
    pub host_version: String,
    /// The well-known names of fields.
    pub names: Names,
}

/// Which half of an exchange a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Client to server.
    Request,
    /// Server to client.
    Response,
}

/// Options with which a plugin cannot work. It ends the attempt to put the plugin into service; the text is for the
/// operator and names the option and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(String);

impl Invalid {
    /// For instance `Invalid::new("ip_whitelist: \"10.0.0\" is neither an address nor a network")`, or any error.
    pub fn new(reason: impl ToString) -> Self {
        Self(reason.to_string())
    }
}

/// For plugins whose manifest has no options.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct NoOptions {}
