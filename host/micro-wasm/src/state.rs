//! What one instance sees of the world: the data of its store, and the imports over it.

use crate::http::{Egress, Outgoing};
use crate::limits::{self, Limiter, Usage};
use crate::log::GuestLog;
use micro_bindings::micro::plugin::log::{Host as LogHost, Level};
use micro_plugin::Grant;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use wasmtime::component::{HasSelf, Linker, ResourceTable};
use wasmtime::{Engine, Store, UpdateDeadline};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// A retired guest that computes for so long without a pause is not finishing a call, it is stuck.
const STUCK: Duration = Duration::from_millis(100);
/// Two ticks with a longer gap between them do not belong to one stretch of computing.
const PAUSE: Duration = Duration::from_millis(50);

pub(crate) struct State {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    outgoing: Outgoing,
    table: ResourceTable,
    limiter: Limiter,
    log: Arc<GuestLog>,
}

/// What an instance is made with.
pub(crate) struct Seed<'a> {
    pub(crate) outgoing: Outgoing,
    pub(crate) log: Arc<GuestLog>,
    pub(crate) grants: &'a [Grant],
    pub(crate) memory_limit: usize,
    /// Set by whoever no longer needs the instance.
    pub(crate) retired: Arc<AtomicBool>,
}

/// A fresh store. One instance per store, because a trap makes the whole store unusable.
///
/// # Errors
/// A granted folder cannot be opened.
pub(crate) fn new_store(engine: &Engine, seed: Seed<'_>) -> wasmtime::Result<(Store<State>, Arc<Usage>)> {
    let limiter = Limiter::new(seed.memory_limit);
    let usage = limiter.usage();
    let mut table = ResourceTable::new();
    table.set_max_capacity(limits::HANDLES);
    let state = State {
        wasi: wasi(seed.grants, &seed.log)?,
        http: WasiHttpCtx::new(),
        outgoing: seed.outgoing,
        table,
        limiter,
        log: seed.log,
    };
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.limiter);
    store.set_hostcall_fuel(limits::COPIED);
    store.set_max_component_handles(limits::HANDLES);
    store.set_epoch_deadline(1);
    let mut stretch = Stretch::new();
    store.epoch_deadline_callback(move |_| {
        let stuck = stretch.tick(Instant::now()) > STUCK;
        // A guest that computes gives the thread back at every tick; only a deadline ends it. A retired one is stopped
        // from here: nobody waits for it, and dropping its store has to wait until it yields.
        if stuck && seed.retired.load(Ordering::Relaxed) {
            return Ok(UpdateDeadline::Interrupt);
        }
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
    });
    Ok((store, usage))
}

/// How long a guest has been computing without a pause.
struct Stretch {
    since: Instant,
    last: Instant,
}

impl Stretch {
    fn new() -> Self {
        let now = Instant::now();
        Self { since: now, last: now }
    }

    fn tick(&mut self, now: Instant) -> Duration {
        if now.duration_since(self.last) > PAUSE {
            self.since = now;
        }
        self.last = now;
        now.duration_since(self.since)
    }
}

/// The system interface that languages need even when a plugin does not: there, but inert. No arguments, files,
/// sockets or environment beyond what was granted.
fn wasi(grants: &[Grant], log: &Arc<GuestLog>) -> wasmtime::Result<WasiCtx> {
    let mut wasi = WasiCtx::builder();
    wasi.stderr(log.stderr()).stdout(log.stderr());
    wasi.allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false);
    for grant in grants {
        match grant {
            Grant::Env(name) => {
                if let Ok(value) = std::env::var(name) {
                    wasi.env(name, value);
                }
            }
            Grant::Fs { write, path } => {
                let permissions = if *write { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
                wasi.preopened_dir(path, path.to_string_lossy(), permissions)?;
            }
            Grant::Sockets => {
                wasi.inherit_network().allow_tcp(true).allow_udp(true).allow_ip_name_lookup(true);
            }
            // Checked where connections are made; the rest has no host part yet and was refused before.
            Grant::Net(_) | Grant::NetConfigured | Grant::NetPeers | Grant::Multicast | Grant::Listen(_) => {}
        }
    }
    Ok(wasi.build())
}

/// Everything that [`crate::imports`] says is offered.
pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    // The standard libraries of most languages import 0.2, even in a component that uses 0.3 itself.
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    wasmtime_wasi::p3::clocks::add_to_linker(linker)?;
    wasmtime_wasi::p3::random::add_to_linker(linker)?;
    wasmtime_wasi::p3::cli::add_to_linker(linker)?;
    wasmtime_wasi_http::p3::add_to_linker(linker)?;
    micro_bindings::micro::plugin::log::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    micro_bindings::micro::net::http_types::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    micro_bindings::micro::net::http::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    micro_bindings::micro::net::promises::add_to_linker::<_, HasSelf<State>>(linker, |state| state)
}

impl State {
    /// The way out of this instance.
    pub(crate) fn egress(&self) -> Arc<Egress> {
        self.outgoing.0.clone()
    }
}

impl LogHost for State {
    fn write(&mut self, level: Level, message: String, fields: Vec<(String, String)>) {
        let level = match level {
            Level::Trace => tracing::Level::TRACE,
            Level::Debug => tracing::Level::DEBUG,
            Level::Info => tracing::Level::INFO,
            Level::Warn => tracing::Level::WARN,
            Level::Error => tracing::Level::ERROR,
        };
        self.log.line(level, &message, &fields);
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.outgoing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_computing_without_a_pause_counts_as_one_stretch() {
        let start = Instant::now();
        let mut stretch = Stretch { since: start, last: start };
        let at = |ms| start + Duration::from_millis(ms);
        for ms in (5..=100).step_by(5) {
            assert!(stretch.tick(at(ms)) <= STUCK);
        }
        assert!(stretch.tick(at(105)) > STUCK);
        assert_eq!(stretch.tick(at(200)), Duration::ZERO);
    }
}
