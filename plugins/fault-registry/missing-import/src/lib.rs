//! A good registry that also imports an interface which no host has: a fixture for the host's tests.

#[allow(
    unsafe_code,
    unreachable_pub,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]
mod bindings {
    wit_bindgen::generate!({
        inline: "
            package micro:test@0.1.0;
            interface absent {
                ask: func() -> string;
            }
            world missing-import {
                import absent;
            }
        ",
        generate_all,
    });
}

use micro_sdk::registry::{Batch, Service, Snapshot};
use micro_sdk::{Call, Context, Error, Registry};
use std::time::Duration;

#[derive(Debug)]
struct MissingImport;

#[derive(Debug, serde::Deserialize)]
struct Options {}

impl Registry for MissingImport {
    type Options = Options;

    fn configure(_: Context, _: Options) -> Result<Self, Error> {
        // Without a use, the linker would drop the import.
        micro_sdk::info!("configured", answer = bindings::micro::test::absent::ask());
        Ok(Self)
    }

    async fn register(&self, _: &Call, _: Service, _: Option<Duration>) -> Result<(), Error> {
        Ok(())
    }

    async fn deregister(&self, _: &Call, _: Service) -> Result<(), Error> {
        Ok(())
    }

    async fn get_service(&self, _: &Call, _: &str) -> Result<Snapshot, Error> {
        Ok(Snapshot::default())
    }

    async fn list_services(&self, _: &Call) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }

    async fn changes(
        &self,
        _: &Call,
        _: Option<&str>,
        after: Option<&str>,
        wait: Duration,
    ) -> Result<Batch, Error> {
        micro_sdk::time::sleep(wait).await;
        Ok(Batch::unchanged(after.unwrap_or("0")))
    }
}

micro_sdk::register_registry!(MissingImport);
