//! Host side of the contracts in `wit/`: one `bindgen!` for each of the two engines, the only ones of the project.
//!
//! Generated types stay between this crate and `micro-wasm`; they appear in no public signature of another crate.
#![allow(missing_docs, missing_debug_implementations, unreachable_pub, reason = "generated code")]

wasmtime::component::bindgen!({
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
        "../../wit/hot",
        "../../wit/wire",
        "../../wit/selector",
        "../../wit/codec",
        "../../wit/filter",
        "../../wit/host",
    ],
    world: "micro:host/host",
    with: {
        "wasi:http": wasmtime_wasi_http::p3::bindings::http,
        "wasi:clocks": wasmtime_wasi::p3::bindings::clocks,
    },
    // They make a future in the store; a store that is out of handles ends the instance.
    imports: {
        "micro:net/promises.send": store | trappable,
        "micro:net/promises.wait": store | trappable,
    },
    // wasmtime's own `wasi:http` asks for it.
    require_store_data_send: true,
});

/// Plugins of the hot kinds: nothing here is async.
pub mod hot {
    wasmtime::component::bindgen!({
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
            "../../wit/hot",
            "../../wit/wire",
            "../../wit/selector",
            "../../wit/codec",
            "../../wit/filter",
            "../../wit/host",
        ],
        world: "micro:host/hot-host",
        // Arguments are lent, not copied first: these calls run for every request.
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}
