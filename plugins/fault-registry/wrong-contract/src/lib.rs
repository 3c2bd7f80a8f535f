//! A registry by a version of the contract that this host does not know: a fixture for the host's tests.

#[allow(
    unsafe_code,
    unreachable_pub,
    missing_debug_implementations,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]
mod bindings {
    wit_bindgen::generate!({
        path: ["../../../wit/plugin", "wit"],
        world: "micro:registry/registry-plugin",
        generate_all,
        pub_export_macro: true,
    });
}

use bindings::exports::micro::plugin::lifecycle::{self, Call, Context, Error};
use bindings::exports::micro::registry::registry;

struct WrongContract;

impl lifecycle::Guest for WrongContract {
    async fn configure(_: Call, _: Context, _: String) -> Result<(), Error> {
        Ok(())
    }

    async fn health(_: Call) -> Result<(), Error> {
        Ok(())
    }

    async fn drain(_: String, _: u64) {}
}

impl registry::Guest for WrongContract {
    async fn list_services(_: Call) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }
}

#[cfg(target_arch = "wasm32")]
#[allow(unsafe_code, unreachable_pub, reason = "generated code")]
mod exports {
    use super::{WrongContract, bindings};
    bindings::export!(WrongContract with_types_in bindings);
}
