//! What must hold for any input: functions that take bytes from anybody and panic when a promise is broken.
//!
//! Three programs call them: the tests of this crate with the committed seeds, in every `cargo test`; the driver in
//! `fuzz/`, which lets libFuzzer make up inputs (`cargo xtask fuzz`); and `cargo xtask fuzz` itself, which reads the
//! table.
//!
//! A new target is a function, a line in [`TARGETS`], and a file of [`seeds`].

mod chunked;
mod codec;
mod plugin;
pub mod seeds;
mod wire;

/// One function that takes anything.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// How it is asked for, and how its file of seeds is called.
    pub name: &'static str,
    /// Panics when a promise is broken.
    pub check: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 11] = [
    Target { name: "wire_request", check: wire::request },
    Target { name: "wire_response", check: wire::response },
    Target { name: "head_words", check: wire::words },
    Target { name: "packed_head", check: wire::packed },
    Target { name: "chunked", check: chunked::chunked },
    Target { name: "jsonrpc", check: codec::jsonrpc },
    Target { name: "protorpc", check: codec::protorpc },
    Target { name: "manifest", check: plugin::manifest },
    Target { name: "locator", check: plugin::locator },
    Target { name: "address", check: plugin::address },
    Target { name: "options", check: plugin::options },
];

impl Target {
    /// The target of that name.
    pub fn named(name: &str) -> Option<Self> {
        TARGETS.into_iter().find(|target| target.name == name)
    }
}
