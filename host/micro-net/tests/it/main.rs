//! Everything over loopback sockets.

mod client;
mod corpus;
mod dial;
mod drain;
mod flood;
mod grpc;
mod grpc_streams;
mod h2_conformance;
mod h2_frames;
mod hostile_clients;
mod hostile_grpc_clients;
mod hostile_grpc_servers;
mod hostile_servers;
mod http;
mod interop;
mod listen;
mod reload;
mod server;
mod support;
mod tls;
mod tls_problems;
mod tonic;
