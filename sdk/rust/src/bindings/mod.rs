//! Generated from `wit/`. Public only because the register macros expand in the plugin's crate.
#![allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unsafe_code,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]

wit_bindgen::generate!({
    path: [
        "../../wit/deps/clocks.wit",
        "../../wit/deps/random.wit",
        "../../wit/deps/filesystem.wit",
        "../../wit/deps/sockets.wit",
        "../../wit/deps/cli.wit",
        "../../wit/deps/http.wit",
        "../../wit/plugin",
        "../../wit/net",
        "../../wit/registry",
    ],
    world: "micro:registry/registry-plugin",
    with: {
        "wasi:clocks/types@0.3.2": wasip3::clocks::types,
        "wasi:http/types@0.3.2": wasip3::http::types,
        "wasi:http/client@0.3.2": wasip3::http::client,
    },
    generate_all,
    pub_export_macro: true,
});

pub mod hot;
