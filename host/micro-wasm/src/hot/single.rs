//! One instance outside of service, with the options and the limits that it would have there.

use super::codec::CodecKind;
use super::filter::FilterKind;
use super::generation::{HotKind, MEMORY};
use super::selector::SelectorKind;
use super::state::{self, BUDGET, STARTING, State, new_store};
use super::wire::WireKind;
use crate::error::{LoadError, Step};
use crate::fault::Fault;
use crate::limits::Usage;
use crate::loader::{Checked, unlinkable};
use crate::log::GuestLog;
use crate::request::PluginRequest;
use micro_bindings::hot::exports::micro::hot::lifecycle;
use micro_plugin::Kind;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wasmtime::component::{Component, Instance};
use wasmtime::{Engine, Store};

/// Instantiates and configures. The time is that of instantiating.
///
/// # Errors
/// At the steps from linking on.
pub(crate) fn single(
    engine: &Engine,
    component: &Component,
    request: &PluginRequest,
    checked: &Checked,
    log: &Arc<GuestLog>,
    host_version: &str,
) -> Result<(Store<State>, Instance, Arc<Usage>, Duration), LoadError> {
    let linked = super::shim::linker(engine, component).and_then(|linker| linker.instantiate_pre(component));
    let linked = linked.and_then(|pre| Ok((lifecycle::GuestIndices::new(&pre)?, pre)));
    let (lifecycle, pre) = linked.map_err(|error| unlinkable(request, &error))?;
    let limit = request.memory(&checked.manifest, MEMORY);
    let (mut store, usage) = new_store(engine, log.clone(), limit, copied(checked.manifest.kind));
    let trapped = |error: wasmtime::Error| {
        let reason = Fault::hot(&error, &usage, log).summary();
        LoadError::new(&request.locator, Step::Start, reason, "--trace shows what it did until then")
    };
    let begun = Instant::now();
    let instance = pre.instantiate(&mut store).map_err(trapped)?;
    let instantiated = begun.elapsed();
    let lifecycle = lifecycle.load(&mut store, &instance).map_err(trapped)?;
    let context = lifecycle::Context {
        plugin: &checked.manifest.name,
        instance: 1,
        generation: 1,
        host_version,
        names: &http1_core::names::NAMES,
    };
    state::arm(&mut store, STARTING);
    let configured = lifecycle.call_configure(&mut store, context, &checked.options.config_json());
    configured.map_err(trapped)?.map_err(|why| {
        LoadError::new(&request.locator, Step::Configure, why, format!("correct {}", request.flag_for("opt")))
    })?;
    Ok((store, instance, usage, instantiated))
}

/// Starts the clock of a call: processor time, as in service unless somebody says otherwise.
pub(crate) fn arm(store: &mut Store<State>, limit: Option<Duration>) {
    state::arm(store, limit.unwrap_or(BUDGET));
}

/// How many bytes one call may hand to the host.
fn copied(kind: Kind) -> usize {
    match kind {
        Kind::Selector => SelectorKind::COPIED,
        Kind::Codec => CodecKind::COPIED,
        Kind::Filter => FilterKind::COPIED,
        _ => WireKind::COPIED,
    }
}
