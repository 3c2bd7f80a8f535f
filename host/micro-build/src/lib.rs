//! Protobuf code generation for the build scripts of `micro` services. No `protoc` is needed.
//!
//! For each message it writes the prost struct, its JSON form (`micro::proto_json`) and its `micro::Payload`; for each
//! service a trait to implement, a function that makes a `micro::Handler` of the implementation, and a typed client.
//! The code refers to the crate `micro` only: a service needs neither prost nor serde among its dependencies.
//!
//! ```no_run
//! // build.rs
//! fn main() -> Result<(), micro_build::Error> {
//!     micro_build::compile_protos(&["proto/greeter.proto"], &["proto"])
//! }
//! ```
//!
//! ```text
//! // src/main.rs
//! mod greeter {
//!     include!(concat!(env!("OUT_DIR"), "/go.micro.srv.greeter.rs"));
//! }
//!
//! struct Greeter;
//!
//! impl greeter::Say for Greeter {
//!     async fn hello(&self, _cx: micro::Context, request: greeter::Request) -> Result<greeter::Response, micro::Error> {
//!         Ok(greeter::Response { msg: format!("Hello {}", request.name) })
//!     }
//! }
//! // server: service.handle(greeter::say_handler(Greeter))
//! // client: greeter::SayClient::new("go.micro.srv.greeter", client).hello(request).await
//! ```
//!
//! There is one output file per package, named after it. Packages that import each other find each other through
//! `super::`, so they are nested by name: [`Builder::include_file`] writes that nesting.
//!
//! | what | how |
//! |---|---|
//! | maps | `HashMap`; JSON has them sorted by key |
//! | `google.protobuf` | `Timestamp`, `Duration`, `Struct`, `Value`, `ListValue`, `Empty`, `FieldMask` and the wrappers; others are refused |
//! | proto2 | yes, without extensions |
//! | streams | of all three kinds: `Requests` and `Responses` for the service, `StreamReceiver` and `ClientStream` for its callers |
#![warn(missing_docs)]

mod annotations;
mod builder;
mod error;
mod json;
mod names;
mod package;
pub mod plugin;
mod service;
mod shape;
mod sources;

pub use builder::{Builder, Generated};
pub use error::Error;

use std::path::Path;

/// Compiles proto files and what they import into `OUT_DIR`, with the defaults of [`Builder`].
///
/// `includes` are the folders where imports are looked up; every proto file lies in one of them.
///
/// # Errors
/// See [`Builder::compile_protos`].
pub fn compile_protos(protos: &[impl AsRef<Path>], includes: &[impl AsRef<Path>]) -> Result<(), Error> {
    Builder::new().compile_protos(protos, includes)
}
