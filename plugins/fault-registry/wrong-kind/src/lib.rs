//! A component whose manifest promises a registry, and which has only a life cycle: a fixture for the host's tests.

#[allow(
    unsafe_code,
    unreachable_pub,
    missing_debug_implementations,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]
mod bindings {
    wit_bindgen::generate!({
        path: ["../../../wit/plugin"],
        inline: "
            package micro:fault@0.1.0;
            world wrong-kind {
                export micro:plugin/lifecycle@0.1.0;
            }
        ",
        world: "micro:fault/wrong-kind",
        generate_all,
        pub_export_macro: true,
    });
}

use bindings::exports::micro::plugin::lifecycle::{Call, Context, Error, Guest};

struct WrongKind;

impl Guest for WrongKind {
    async fn configure(_: Call, _: Context, _: String) -> Result<(), Error> {
        Ok(())
    }

    async fn health(_: Call) -> Result<(), Error> {
        Ok(())
    }

    async fn drain(_: String, _: u64) {}
}

#[cfg(target_arch = "wasm32")]
#[allow(unsafe_code, unreachable_pub, reason = "generated code")]
mod exports {
    use super::{WrongKind, bindings};
    bindings::export!(WrongKind with_types_in bindings);
}
