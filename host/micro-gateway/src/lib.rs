//! Gateways: HTTP in front, calls to services behind. Routers without sockets; the `micro` command serves them.
//!
//! [`Api`] is the API gateway: `POST /greeter/say/hello` becomes a call of `Say.Hello` on `go.micro.api.greeter`.
//!
//! ```no_run
//! # fn example(client: micro::Client) -> axum::Router {
//! use micro_gateway::{Api, HandlerKind};
//!
//! Api::builder(client).namespace("go.micro.api").handler(HandlerKind::Meta).build().router()
//! # }
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`api`] | the API gateway: paths to endpoints, and its handlers |
//! | [`openapi`] | the document of its routes |
//! | [`rpc`] | `/rpc`: calls by name |
//! | [`cors`] | whose scripts may call in browsers |
//! | [`access`] | the access log |
//!
//! What comes from outside never becomes protocol: header fields that steer calls (`Micro-*`, `Timeout`, …) are dropped
//! at the door, all others become metadata of the call.
#![warn(missing_docs)]

pub mod access;
mod answer;
pub mod api;
pub mod cors;
pub mod filter;
mod health;
mod metadata;
pub mod openapi;
pub mod rpc;
mod stats;

pub use access::AccessLog;
pub use api::{Api, ApiBuilder, HandlerKind, JsonForm, Namespace};
pub use cors::Cors;
pub use health::ReadyCheck;
pub use rpc::{AllowList, RpcAccess};
