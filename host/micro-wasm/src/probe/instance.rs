//! One instance on the engine of its kind: made, configured, and called by name.

use super::Call;
use super::error::CallError;
use super::surface::Function;
use super::trace::{Imports, Trace};
use crate::actor::header;
use crate::convert::millis;
use crate::denials::Denials;
use crate::error::LoadError;
use crate::factory::{self, Factory};
use crate::fault::Fault;
use crate::hot::{self, HotState};
use crate::http::Outgoing;
use crate::launch::{self, CONFIGURE_TIMEOUT, LaunchError};
use crate::limits::{self, SLACK, Usage};
use crate::loader::{Checked, is_hot};
use crate::log::{GuestLog, Rate};
use crate::request::PluginRequest;
use crate::state::{self, Seed, State};
use micro_bindings::exports::micro::plugin::lifecycle;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout;
use tracing::instrument::WithSubscriber;
use wasmtime::Store;
use wasmtime::component::{Component, Func, Linker, Val};

/// How long a call that waits may take when nobody says otherwise.
const PATIENCE: Duration = Duration::from_secs(5);

/// A living instance.
pub(super) struct Instance {
    body: Body,
    usage: Arc<Usage>,
    log: Arc<GuestLog>,
    trace: Option<Arc<Trace>>,
}

enum Body {
    Waiting { store: Box<Store<State>>, instance: wasmtime::component::Instance },
    Hot { store: Box<Store<HotState>>, instance: wasmtime::component::Instance },
}

/// Instantiates and configures; how long each of the two took.
///
/// # Errors
/// At the steps from linking on.
pub(super) async fn start(
    factory: &Factory,
    request: &PluginRequest,
    checked: Checked,
    component: &Component,
    trace: Option<Arc<Trace>>,
) -> Result<(Instance, (Duration, Duration)), LoadError> {
    let log = GuestLog::watched(&checked.manifest.name, 1, Rate::new(), trace.clone());
    if is_hot(checked.manifest.kind) {
        return start_hot(factory, request, checked, component, log, trace);
    }
    let imports = trace.clone();
    let starting = start_waiting(factory, request, checked, component, log, trace);
    match imports {
        Some(trace) => starting.with_subscriber(Imports(trace)).await,
        None => starting.await,
    }
}

async fn start_waiting(
    factory: &Factory,
    request: &PluginRequest,
    checked: Checked,
    component: &Component,
    log: Arc<GuestLog>,
    trace: Option<Arc<Trace>>,
) -> Result<(Instance, (Duration, Duration)), LoadError> {
    let engine = &factory.loader.engines.waiting;
    let denials = Arc::new(Denials::new(&checked.manifest.name, request.flag_for("allow")));
    let egress = factory.egress(request, &checked.options, &checked.grants, denials, trace.clone())?;
    let mut linker = Linker::new(engine);
    let linked = state::add_to_linker(&mut linker).and_then(|()| linker.instantiate_pre(component));
    let linked = linked.and_then(|pre| Ok((lifecycle::GuestIndices::new(&pre)?, pre)));
    let (lifecycle, pre) = linked.map_err(|error| crate::loader::unlinkable(request, &error))?;
    let seed = Seed {
        outgoing: Outgoing(egress),
        log: log.clone(),
        grants: &checked.grants,
        memory_limit: request.memory(&checked.manifest, limits::MEMORY),
        need: Arc::default(),
    };
    let refused = |error| factory::refused(request, error);
    let made = state::new_store(engine, seed);
    let (mut store, usage) = made.map_err(|error| refused(LaunchError::Invalid(format!("{error:#}"))))?;

    let trapped = |error: wasmtime::Error| refused(LaunchError::Fault(Fault::trap(&error, &usage, &log)));
    let late = |what| refused(LaunchError::Fault(Fault::deadline(what, CONFIGURE_TIMEOUT + SLACK, &log)));
    let begun = Instant::now();
    let instantiate = timeout(CONFIGURE_TIMEOUT, pre.instantiate_async(&mut store));
    let instance = instantiate.await.map_err(|_| late("starting"))?.map_err(trapped)?;
    let instantiated = begun.elapsed();
    let lifecycle = lifecycle.load(&mut store, &instance).map_err(trapped)?;
    let context = lifecycle::Context {
        plugin: checked.manifest.name.clone(),
        instance: 1,
        generation: 1,
        host_version: factory.version.clone(),
    };
    let config = checked.options.config_json();
    let configure = launch::configure(&mut store, &lifecycle, context, config);
    let answer = timeout(CONFIGURE_TIMEOUT + SLACK, configure).await.map_err(|_| late("configure"))?;
    answer.map_err(trapped)?.map_err(refused)?;
    let configured = begun.elapsed() - instantiated;
    let body = Body::Waiting { store: Box::new(store), instance };
    Ok((Instance { body, usage, log, trace }, (instantiated, configured)))
}

fn start_hot(
    factory: &Factory,
    request: &PluginRequest,
    checked: Checked,
    component: &Component,
    log: Arc<GuestLog>,
    trace: Option<Arc<Trace>>,
) -> Result<(Instance, (Duration, Duration)), LoadError> {
    let begun = Instant::now();
    let started =
        hot::single(&factory.loader.engines.hot, component, request, &checked, &log, &factory.version);
    let (store, instance, usage, instantiated) = started?;
    let configured = begun.elapsed() - instantiated;
    let body = Body::Hot { store: Box::new(store), instance };
    Ok((Instance { body, usage, log, trace }, (instantiated, configured)))
}

impl Instance {
    pub(super) fn memory(&self) -> usize {
        self.usage.memory()
    }

    /// One call.
    ///
    /// # Errors
    /// A trap or a missed deadline: the instance is of no use any more.
    pub(super) async fn call(
        &mut self,
        function: &Function,
        call: &Call,
        limit: Option<Duration>,
    ) -> Result<Option<Val>, CallError> {
        let mut results = vec![Val::Bool(false); function.ty.results().len()];
        let Self { body, usage, log, trace } = self;
        let missing = || wasmtime::format_err!("the export is not there");
        match body {
            Body::Hot { store, instance } => {
                let store = &mut **store;
                hot::arm(store, limit);
                let called = instance.get_func(&mut *store, function.index).ok_or_else(missing);
                let called =
                    called.and_then(|func: Func| func.call(&mut *store, &call.arguments, &mut results));
                called.map_err(|error| trapped(call, Fault::hot(&error, usage, log)))?;
            }
            Body::Waiting { store, instance } => {
                let store = &mut **store;
                let limit = limit.unwrap_or(PATIENCE);
                let header = call.needs_header.then(|| call_record(limit));
                let arguments: Vec<Val> = header.into_iter().chain(call.arguments.iter().cloned()).collect();
                let called = async {
                    let func = instance.get_func(&mut *store, function.index).ok_or_else(missing)?;
                    func.call_async(&mut *store, &arguments, &mut results).await
                };
                let called = timeout(limit + SLACK, called);
                let called = match trace {
                    Some(trace) => called.with_subscriber(Imports(trace.clone())).await,
                    None => called.await,
                };
                let late = |_| CallError::Late {
                    export: call.export.clone(),
                    after: limit + SLACK,
                    stderr: log.tail(),
                };
                called.map_err(late)?.map_err(|error| trapped(call, Fault::trap(&error, usage, log)))?;
            }
        }
        Ok(results.pop())
    }
}

/// The first parameter of each call that may wait.
fn call_record(limit: Duration) -> Val {
    let header = header(limit);
    Val::Record(vec![
        ("timeout-ms".to_owned(), Val::U64(millis(limit))),
        ("traceparent".to_owned(), Val::Option(None)),
        ("request-id".to_owned(), Val::U64(header.request_id)),
    ])
}

fn trapped(call: &Call, fault: Fault) -> CallError {
    CallError::Trapped {
        export: call.export.clone(),
        reason: fault.summary(),
        backtrace: fault.backtrace,
        stderr: fault.stderr,
    }
}
