//! The gateway on real sockets, between clients and servers that are not always kind.

mod front;
mod hostile;
mod proxy;
mod rest;
mod streams;
mod support;
mod tls;
mod websocket;
