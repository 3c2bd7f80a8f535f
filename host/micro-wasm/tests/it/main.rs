//! The host against real components: what loading refuses, what faults do, plugins that run per request, swaps, calls by
//! name, and etcd.
//!
//! The components are those of `plugins/`; `cargo xtask plugins` builds them.

mod cache;
mod etcd;
mod faults;
mod grants;
mod hot;
mod level;
mod loading;
mod net;
mod probe;
mod support;
mod swap;
mod twins;
