//! Everything over loopback sockets.

mod client;
mod dial;
mod drain;
mod http;
mod listen;
mod reload;
mod server;
mod support;
mod tls;
