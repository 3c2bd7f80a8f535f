//! The native registries, their cache, the rules of the other kinds against their native parts, and the helpers themselves.

mod brokers;
mod cache;
mod conformance;
mod local;
mod multi;
mod process;
mod proxy;
mod registries;
