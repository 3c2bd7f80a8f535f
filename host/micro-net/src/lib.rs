//! Everything of `micro` that touches the network.
//!
//! - **Out**: [`dial`] is the one way, through [`resolve`] and [`egress`], with [`tls`] if wanted; [`http_client`] pools
//!   HTTP connections on top of it.
//! - **In**: [`listen`] binds and accepts, [`tls_reload`] keeps certificates fresh; [`http_server`] runs gateways and
//!   admin pages, and [`client_addr`] says who their clients are.
//! - **Within**: [`memory`] connects the two without sockets, in one process.
//! - **RPC**: [`wire`] moves messages over HTTP/1.1 in both directions, without a task between caller and socket;
//!   [`grpc`] moves calls over HTTP/2, where many share a connection.
//! - **Life**: [`stop`] asks tasks to end and waits for them, [`backoff`] waits between attempts, [`limits`] asks the
//!   operating system for room.
//!
//! It knows nothing of services, endpoints and registries.
//!
//! ```
//! use micro_core::Message;
//! use micro_net::wire::{Handler, Limits, Pool, PoolConfig, Request, serve_rpc};
//! use micro_net::{Listener, Stop};
//! use std::time::Duration;
//!
//! #[derive(Clone)]
//! struct Echo;
//!
//! impl Handler for Echo {
//!     async fn handle(&self, request: Request) -> Message {
//!         request.message
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let listener = Listener::bind("127.0.0.1:0").await?;
//! let address = listener.local_addr().to_string();
//! let (stop, grace) = (Stop::new(), Duration::from_secs(5));
//! let server = tokio::spawn(serve_rpc(listener, Echo, Limits::default(), stop.clone(), grace));
//!
//! let pool = Pool::new(PoolConfig::default());
//! let question = Message { body: "anybody there?".into(), ..Message::default() };
//! let answer = pool.exchange(&address, &question, Duration::from_secs(1)).await?;
//! assert_eq!(answer.body, question.body);
//!
//! stop.soon.cancel();
//! server.await?;
//! # Ok(())
//! # }
//! ```
#![warn(missing_docs)]

pub mod backoff;
pub mod client_addr;
pub mod dial;
pub mod egress;
pub mod grpc;
pub mod http_client;
pub mod http_server;
pub mod limits;
pub mod listen;
pub mod memory;
pub mod observe;
mod proxy_protocol;
pub mod resolve;
mod serve;
pub mod stop;
pub mod stream;
pub mod tls;
pub mod tls_reload;
pub mod wire;

pub use backoff::Backoff;
pub use client_addr::{ClientAddr, TrustedProxies};
pub use dial::{DialError, Dialer, Target};
pub use egress::{EgressDenied, EgressPolicy, Rule};
pub use http_client::{HttpClient, HttpClientOptions, HttpError, HttpErrorKind};
pub use listen::{ListenError, Listener};
pub use memory::MemoryTransport;
pub use resolve::{Resolver, StaticResolver, SystemResolver};
pub use stop::{Stop, drain};
pub use stream::Stream;
pub use tls_reload::ReloadingTls;

/// An error and its causes on one line, outermost first. A cause whose text its parent repeats is left out.
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let level = error.to_string();
        if !text.ends_with(&level) {
            text.push_str(": ");
            text.push_str(&level);
        }
        cause = error.source();
    }
    text
}
