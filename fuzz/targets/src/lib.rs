//! What must hold for any input: functions that take bytes from anybody and panic when a promise is broken.
//!
//! Two programs call them: the tests of this crate with the committed seeds, in every `cargo test`; and the driver in
//! `fuzz/`, which lets libFuzzer make up inputs (`cargo xtask fuzz`).
//!
//! A new target is a function, a line in [`TARGETS`], and a file of seeds: `fuzz/seeds/TARGET.txt`.

mod chunked;
mod codec;
mod connection;
mod events;
mod grpc;
mod mucp;
mod plugin;
mod proto_json;
mod registry;
mod rest;
mod wire;

use std::sync::LazyLock;
use tokio::runtime::{Builder, Runtime};

/// One function that takes anything.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// How it is asked for, and how its file of seeds is called.
    pub name: &'static str,
    /// Panics when a promise is broken.
    pub check: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 25] = [
    Target { name: "wire_request", check: wire::request },
    Target { name: "wire_response", check: wire::response },
    Target { name: "head_words", check: wire::words },
    Target { name: "packed_head", check: wire::packed },
    Target { name: "chunked", check: chunked::chunked },
    Target { name: "messages", check: connection::messages },
    Target { name: "mucp_request", check: mucp::request },
    Target { name: "mucp_response", check: mucp::response },
    Target { name: "mucp_call", check: mucp::call },
    Target { name: "grpc_messages", check: grpc::messages },
    Target { name: "grpc_metadata", check: grpc::metadata },
    Target { name: "grpc_status", check: grpc::status },
    Target { name: "grpc_timeout", check: grpc::timeout },
    Target { name: "event", check: events::event },
    Target { name: "delivery", check: events::delivery },
    Target { name: "rest_template", check: rest::template },
    Target { name: "rest_rule", check: rest::rule },
    Target { name: "proto_json", check: proto_json::everything },
    Target { name: "registry_record", check: registry::record },
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

/// What runs the targets that call what is async. None of them waits for anything.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_time().build().expect("a runtime needs nothing"));

/// Texts that end in 0xff, which is in no UTF-8, up to an empty one; what is behind that.
fn parts(data: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let mut texts = Vec::new();
    let mut rest = data;
    while let Some(end) = rest.iter().position(|&byte| byte == 0xff) {
        let (text, behind) = (&rest[..end], &rest[end + 1..]);
        rest = behind;
        if text.is_empty() {
            break;
        }
        texts.push(text);
    }
    (texts, rest)
}
