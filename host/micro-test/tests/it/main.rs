//! The native registries, their cache, and the helpers themselves.

mod cache;
mod local;
mod multi;
mod process;
mod proxy;
mod registries;
