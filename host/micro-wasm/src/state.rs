//! What one instance sees of the world: the data of its store, and the imports over it.

use crate::http::{Egress, Outgoing};
use crate::limits::{self, Limiter, Usage};
use crate::log::GuestLog;
use micro_bindings::micro::plugin::log::{Host as LogHost, Level};
use micro_plugin::Grant;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use wasmtime::component::{HasSelf, Linker, ResourceTable};
use wasmtime::{Engine, Store, UpdateDeadline};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// A guest that computes for so long without a pause while nobody needs it any more is not tidying up, it is stuck.
const STUCK: Duration = Duration::from_millis(500);
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
    /// Whether anybody still needs the instance.
    pub(crate) need: Arc<Need>,
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
    let mut stretch = None;
    store.epoch_deadline_callback(move |_| {
        // A guest that computes gives the thread back at every tick; only a deadline ends it. One that nobody needs is
        // stopped from here: its store is dropped only after the grace period, and would burn a processor until then.
        if seed.need.is_over() {
            let now = Instant::now();
            if stretch.get_or_insert_with(|| Stretch::new(now)).tick(now) > STUCK {
                return Ok(UpdateDeadline::Interrupt);
            }
        }
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
    });
    Ok((store, usage))
}

/// Who needs an instance: whoever hands it calls, until it is retired, and the callers that still wait for an answer.
#[derive(Default)]
pub(crate) struct Need {
    retired: AtomicBool,
    waiting: AtomicUsize,
}

/// A caller that waits.
pub(crate) struct Waiting(Arc<Need>);

impl Need {
    /// It gets no more calls.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    /// Counts a caller until it goes away.
    pub(crate) fn join(self: &Arc<Self>) -> Waiting {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(self.clone())
    }

    fn is_over(&self) -> bool {
        self.retired.load(Ordering::Relaxed) && self.waiting.load(Ordering::Relaxed) == 0
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How long a guest has been computing without a pause.
struct Stretch {
    since: Instant,
    last: Instant,
}

impl Stretch {
    fn new(now: Instant) -> Self {
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
    use crate::engine::TICK;

    #[test]
    fn only_computing_without_a_pause_counts_as_one_stretch() {
        let start = Instant::now();
        let mut stretch = Stretch::new(start);
        let ticks = (STUCK.as_nanos() / TICK.as_nanos()) as u32;
        for tick in 1..=ticks {
            assert!(stretch.tick(start + TICK * tick) <= STUCK);
        }
        let over = start + TICK * (ticks + 1);
        assert!(stretch.tick(over) > STUCK);
        assert_eq!(stretch.tick(over + PAUSE + TICK), Duration::ZERO);
    }

    #[test]
    fn an_instance_is_needed_until_it_is_retired_and_the_last_caller_is_gone() {
        let need = Arc::new(Need::default());
        let callers = [need.join(), need.join()];
        assert!(!need.is_over());
        need.retire();
        assert!(!need.is_over());
        let [first, last] = callers;
        drop(first);
        assert!(!need.is_over());
        drop(last);
        assert!(need.is_over());
    }
}
