//! A microservice framework with the programming model and the wire protocols of Go Micro, and every backend a plugin.
//!
//! A [`Service`] has handlers on a port, a record in a registry, and a [`Client`] that calls other services by name:
//!
//! ```no_run
//! use micro::{Handler, Service};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), micro::ServiceError> {
//!     let echo = Handler::new("Echo").json("Upper", |_cx, text: String| async move { Ok(text.to_uppercase()) });
//!     Service::builder("go.micro.srv.echo").handler(echo).build().await?.run().await
//! }
//! ```
//!
//! | piece | is |
//! |---|---|
//! | [`Service`], [`ServiceBuilder`] | the life of a process: start, registration, hooks, shutdown |
//! | [`Handler`], [`Context`] | what a service can be asked to do; generated from `.proto` files by `micro-build` |
//! | [`Requests`], [`Responses`], [`ClientStream`] | calls with many messages |
//! | [`Client`], [`CallOptions`] | selection, retries, timeouts, the node table |
//! | [`Subscriber`], [`broker`] | events: publishing ([`Client::publish`]), subscribing, and what carries them |
//! | [`codec`] | envelopes around values, by content type |
//! | [`rpc`] | the one call abstraction, over which layers work |
//! | [`registry`] | native registries and the cache in front of every registry |
//! | [`registry_service`] | the registry as a service, for Go programs |
//! | [`Backends`], [`Plugin`] | from names and flags to registries, native or in WebAssembly |
//! | [`flags`] | the command-line flags and `MICRO_*` variables of every program |
//!
//! Without the cargo feature `plugins` there is no WebAssembly in the program: native registries and selectors remain.
#![warn(missing_docs)]

pub mod admin;
mod backends;
pub mod broker;
pub mod client;
pub mod codec;
mod codes;
mod context;
pub mod flags;
#[doc(hidden)]
pub mod fuzzing;
pub mod grpc;
mod handler;
pub mod logging;
#[doc(hidden)]
pub mod payload;
#[doc(hidden)]
pub mod proto_json;
mod ready;
mod register;
pub mod registry;
pub mod registry_service;
pub mod rpc;
pub mod selector;
pub mod server;
mod service;
mod signals;
mod stream;
mod subscriber;
mod swap;
mod wire;

pub use backends::{
    BackendError, BackendSettings, Backends, BrokerSource, DEFAULT_REGISTRY, Plugin, PluginTls,
    RegistrySource, SelectorSource,
};
pub use client::{
    CallOptions, Client, ClientBuilder, Filter, Protocol, ProtocolRules, Proxy, PublishOptions, Security,
    SecurityRules,
};
pub use codec::Codecs;
pub use codes::code_of;
pub use context::Context;
pub use flags::Flags;
pub use handler::{Handler, Kind};
pub use micro_core::{
    Broker, BrokerError, Codec, Endpoint, Error, Headers, Message, Node, NodeStatus, Registry, RegistryError,
    Selector, Value,
};
pub use micro_net::tls::{ClientTls, Identity, ServerTls};
pub use payload::{Format, Json, Payload, Raw};
pub use ready::Readiness;
pub use rpc::{Body, RpcHead, RpcLayer, RpcRequest, RpcResponse, RpcService};
pub use server::{Server, ServerBuilder};
pub use service::{HookError, RunningService, Service, ServiceBuilder, ServiceError, ServiceTls, client_of};
pub use stream::{ClientStream, Requests, Responses, StreamReceiver, StreamSender};
pub use subscriber::Subscriber;
pub use wire::AnyWire;

// For generated code.
#[doc(hidden)]
pub use {bytes, prost, prost_reflect, prost_types, serde, serde_json};

/// The version of this crate, and of the host as plugins see it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Ends a program with its outcome: 0, or 1 after `error: ...` with all causes, and the code of the failure where it has
/// one, on standard error.
pub fn exit<E: Into<Box<dyn std::error::Error>>>(outcome: Result<(), E>) -> std::process::ExitCode {
    match outcome {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            let error: Box<dyn std::error::Error> = error.into();
            let text = micro_net::error_chain(&*error);
            let text = codes::code_of(&*error).map_or(text.clone(), |code| code.mark(&text));
            eprintln!("error: {text}");
            std::process::ExitCode::FAILURE
        }
    }
}

// The Rust of the page for people who come from Go Micro.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/from-go-micro.md")]
struct FromGoMicro;
