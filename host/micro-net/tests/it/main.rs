//! Everything over loopback sockets.

mod client;
mod dial;
mod drain;
mod http;
mod server;
mod support;
mod tls;
