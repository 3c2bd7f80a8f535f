//! Between the generated exports and a plugin's trait: the one instance, its options, and the deadline of each call.

use crate::bindings::exports::micro::plugin::lifecycle;
use crate::bindings::exports::micro::registry::registry as wit;
use crate::bindings::micro::plugin::types;
use crate::{Call, DrainReason, Error, Registry, log, time};
use std::any::Any;
use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// What the register macros export in place of the plugin itself.
#[derive(Debug)]
pub struct Exported<T>(PhantomData<T>);

thread_local! {
    // A component is one plugin, so one slot is enough; `Any` spares a generic static. Each call takes its own `Rc`:
    // `configure` and `drain` may change the slot while calls run.
    static INSTANCE: RefCell<Option<Rc<dyn Any>>> = const { RefCell::new(None) };
}

fn instance<T: 'static>() -> Result<Rc<T>, Error> {
    INSTANCE
        .with_borrow(Clone::clone)
        .and_then(|instance| instance.downcast().ok())
        .ok_or_else(|| Error::unavailable("the plugin is not configured, or drained"))
}

/// Runs one call until it is done or its time is over.
async fn answer<T, W>(call: &Call, work: impl Future<Output = Result<T, Error>>) -> Result<W, types::Error>
where
    W: From<T>,
{
    let result = time::within(call.deadline, work).await.map_err(Error::from).flatten();
    result.map(W::from).map_err(types::Error::from)
}

impl<R: Registry> lifecycle::Guest for Exported<R> {
    async fn configure(
        _call: types::Call,
        context: lifecycle::Context,
        config_json: String,
    ) -> Result<(), types::Error> {
        log::use_plugin();
        let options =
            serde_json::from_str(&config_json).map_err(|e| Error::invalid(format!("options: {e}")))?;
        let plugin = R::configure(context.into(), options)?;
        INSTANCE.set(Some(Rc::new(plugin)));
        Ok(())
    }

    async fn health(call: types::Call) -> Result<(), types::Error> {
        let (plugin, call) = (instance::<R>()?, Call::new(call, Vec::new()));
        answer(&call, plugin.health(&call)).await
    }

    async fn drain(reason: String, deadline_ms: u64) {
        let Ok(plugin) = instance::<R>() else { return };
        let limit = Duration::from_millis(deadline_ms);
        let deadline = Instant::now().checked_add(limit).unwrap_or_else(Instant::now);
        // Running out of time is no news to the host: it ends the instance either way.
        let _ = time::within(deadline, plugin.drain(DrainReason::new(reason), limit)).await;
        INSTANCE.set(None);
    }
}

impl<R: Registry> wit::Guest for Exported<R> {
    async fn register(
        call: types::Call,
        service: wit::Service,
        ttl_ms: u64,
        options: types::Options,
    ) -> Result<(), types::Error> {
        let (plugin, call) = (instance::<R>()?, Call::new(call, options));
        let ttl = (ttl_ms > 0).then(|| Duration::from_millis(ttl_ms));
        answer(&call, plugin.register(&call, service.into(), ttl)).await
    }

    async fn deregister(
        call: types::Call,
        service: wit::Service,
        options: types::Options,
    ) -> Result<(), types::Error> {
        let (plugin, call) = (instance::<R>()?, Call::new(call, options));
        answer(&call, plugin.deregister(&call, service.into())).await
    }

    async fn get_service(
        call: types::Call,
        name: String,
        options: types::Options,
    ) -> Result<wit::Snapshot, types::Error> {
        let (plugin, call) = (instance::<R>()?, Call::new(call, options));
        answer(&call, plugin.get_service(&call, &name)).await
    }

    async fn list_services(call: types::Call, options: types::Options) -> Result<Vec<String>, types::Error> {
        let (plugin, call) = (instance::<R>()?, Call::new(call, options));
        answer(&call, plugin.list_services(&call)).await
    }

    async fn changes(
        call: types::Call,
        name: Option<String>,
        after: Option<String>,
        wait_ms: u64,
        options: types::Options,
    ) -> Result<wit::Batch, types::Error> {
        let (plugin, call) = (instance::<R>()?, Call::new(call, options));
        let wait = Duration::from_millis(wait_ms);
        answer(&call, plugin.changes(&call, name.as_deref(), after.as_deref(), wait)).await
    }
}

/// Makes a type that implements [`Registry`] the plugin: `micro_sdk::register_registry!(MyRegistry);`, once, in the root
/// of a `cdylib` crate. Natively it exports nothing, so that the crate's tests link.
#[macro_export]
macro_rules! register_registry {
    ($plugin:ty) => {
        #[cfg(not(target_arch = "wasm32"))]
        const _: () = {
            const fn check<T: $crate::Registry>() {}
            check::<$plugin>()
        };

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type MicroExported = $crate::export::Exported<$plugin>;
    $crate::bindings::export!(MicroExported with_types_in $crate::bindings);
        };
    };
}
