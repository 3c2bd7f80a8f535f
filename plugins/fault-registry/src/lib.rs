//! A registry that misbehaves on request: a fixture for the host's tests, not for use.
//!
//! It keeps services in memory, forgets them with its instance, and is otherwise a correct registry until its option
//! `fault` says how one call goes wrong (see [`fault`]). It is written against the bare bindings, since the sdk prevents
//! half of these faults.

mod fault;
mod store;

#[allow(
    unsafe_code,
    unreachable_pub,
    missing_debug_implementations,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]
mod bindings {
    wit_bindgen::generate!({
        path: [
            "../../wit/deps/clocks.wit",
            "../../wit/deps/random.wit",
            "../../wit/deps/filesystem.wit",
            "../../wit/deps/sockets.wit",
            "../../wit/deps/cli.wit",
            "../../wit/deps/http.wit",
            "../../wit/plugin",
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
}

use bindings::exports::micro::plugin::lifecycle::{self, Context};
use bindings::exports::micro::registry::registry::{self, Batch, Service, Snapshot};
use bindings::micro::plugin::types::{Call, Error, Options};
use fault::{Faults, Outcome};
use serde::Deserialize;
use std::cell::RefCell;
use std::time::{Duration, Instant};
use store::Store;

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    fault: String,
}

thread_local! {
    static FAULTS: RefCell<Faults> = RefCell::default();
    static STORE: RefCell<Store> = RefCell::default();
}

/// Between two looks at the store while somebody waits for changes.
const TICK: Duration = Duration::from_millis(5);

/// Does what was asked for, if anything; otherwise the call goes on.
async fn misbehave(call: &str) -> Result<Outcome, Error> {
    let fault = FAULTS.with_borrow(|faults| faults.of(call));
    match fault {
        Some(fault) => fault.happen().await,
        None => Ok(Outcome::GoOn),
    }
}

/// For calls whose answer has no place for a large text.
fn plain(outcome: Outcome) -> Result<(), Error> {
    match outcome {
        Outcome::GoOn | Outcome::Garbage => Ok(()),
        Outcome::Huge => Err(Error::Other(fault::huge())),
    }
}

struct FaultRegistry;

impl lifecycle::Guest for FaultRegistry {
    async fn configure(_: Call, context: Context, config_json: String) -> Result<(), Error> {
        let config: Config = serde_json::from_str(&config_json).map_err(|e| Error::Invalid(e.to_string()))?;
        let faults = Faults::parse(&config.fault, context.instance).map_err(Error::Invalid)?;
        FAULTS.set(faults);
        STORE.set(Store::new(context.instance));
        plain(misbehave("configure").await?)
    }

    async fn health(_: Call) -> Result<(), Error> {
        plain(misbehave("health").await?)
    }

    async fn drain(_: String, _: u64) {
        // There is nobody to hear of an error.
        let _ = misbehave("drain").await;
    }
}

impl registry::Guest for FaultRegistry {
    async fn register(_: Call, service: Service, ttl_ms: u64, _: Options) -> Result<(), Error> {
        plain(misbehave("register").await?)?;
        STORE.with_borrow_mut(|store| store.register(service, ttl_ms));
        Ok(())
    }

    async fn deregister(_: Call, service: Service, _: Options) -> Result<(), Error> {
        plain(misbehave("deregister").await?)?;
        STORE.with_borrow_mut(|store| store.deregister(&service));
        Ok(())
    }

    async fn get_service(_: Call, name: String, _: Options) -> Result<Snapshot, Error> {
        let outcome = misbehave("get-service").await?;
        let mut snapshot = STORE.with_borrow_mut(|store| store.snapshot(&name));
        match outcome {
            Outcome::GoOn => {}
            Outcome::Huge => snapshot.services.push(fault::huge_service(&name)),
            Outcome::Garbage => snapshot.services = fault::garbage(),
        }
        Ok(snapshot)
    }

    async fn list_services(_: Call, _: Options) -> Result<Vec<String>, Error> {
        let outcome = misbehave("list-services").await?;
        let mut names = STORE.with_borrow_mut(Store::names);
        match outcome {
            Outcome::GoOn => {}
            Outcome::Huge => names.push(fault::huge()),
            Outcome::Garbage => names.extend(fault::garbage().into_iter().map(|service| service.name)),
        }
        Ok(names)
    }

    async fn changes(
        _: Call,
        name: Option<String>,
        after: Option<String>,
        wait_ms: u64,
        _: Options,
    ) -> Result<Batch, Error> {
        let outcome = misbehave("changes").await?;
        let until = Instant::now() + Duration::from_millis(wait_ms.min(60_000));
        let mut batch = loop {
            let batch = STORE.with_borrow_mut(|store| store.changes(name.as_deref(), after.as_deref()));
            if batch.resync || Instant::now() >= until {
                break batch;
            }
            fault::sleep(TICK).await;
        };
        match outcome {
            Outcome::GoOn => {}
            Outcome::Huge => batch.cursor = fault::huge(),
            Outcome::Garbage => {
                let entries = fault::garbage().into_iter();
                batch.entries = entries
                    .map(|service| registry::Entry { name: String::new(), services: vec![service] })
                    .collect();
            }
        }
        Ok(batch)
    }
}

#[cfg(target_arch = "wasm32")]
#[allow(unsafe_code, unreachable_pub, reason = "generated code")]
mod exports {
    use super::{FaultRegistry, bindings};
    bindings::export!(FaultRegistry with_types_in bindings);
}
