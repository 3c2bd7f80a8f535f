//! Vocabulary of `micro`: services, messages, errors, and the traits behind which every backend stands.
//!
//! No IO and no WebAssembly here. A backend is a plugin in `micro-wasm`, a native type in `micro`, or a type of yours;
//! callers see the traits only.
//!
//! | module | holds |
//! |---|---|
//! | [`registry`] | [`Service`], [`Node`], [`Endpoint`], [`Value`]; the [`Registry`] trait |
//! | [`record`] | the JSON that Go Micro keeps in registries, read leniently and written in one form |
//! | [`message`] | [`Message`] and its [`Headers`]: what a transport moves |
//! | [`broker`] | [`Broker`] and [`Subscription`](broker::Subscription): events and who gets them |
//! | [`selector`] | [`Selector`]: which node gets the next call |
//! | [`codec`] | [`Codec`]: envelopes around values |
//! | [`filter`] | [`Filter`]: looks at the head of each HTTP request |
//! | [`code`] | [`Code`]: the kinds of failures, and the page about each |
//! | [`error`] | [`Error`], the `{id, code, detail, status}` that travels on the wire |
#![warn(missing_docs)]

pub mod broker;
pub mod code;
pub mod codec;
pub mod error;
pub mod filter;
pub mod message;
pub mod record;
pub mod registry;
pub mod selector;

pub use broker::{Broker, BrokerError};
pub use code::{Code, Coded};
pub use codec::Codec;
pub use error::Error;
pub use filter::Filter;
pub use message::{Headers, Message};
pub use registry::{
    Batch, Endpoint, Entry, Node, NodeStatus, Registry, RegistryError, Service, Snapshot, Value, WatchScope,
};
pub use selector::Selector;
