//! The system interface that standard libraries import even when a plugin does not need it: WASI 0.2 without anything
//! behind it. wasmtime's own blocks, and so panics on a runtime's threads.
//!
//! What is here is what a Rust, C or C++ program touches on the way to saying why it panicked: environment, standard
//! error, clocks, random numbers. Everything else of WASI 0.2 is there as a trap.

use super::state::State;
use micro_bindings::hot::micro::hot::log;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use wasmtime::component::{
    Component, ComponentNamedList, ComponentType, HasSelf, Lift, Linker, LinkerInstance, Lower, Resource,
    ResourceType,
};
use wasmtime::{Engine, StoreContextMut, bail};

type Cx<'a> = StoreContextMut<'a, State>;

/// The line of versions that is defined.
const LINE: &str = "0.2.";

/// What a guest is told about the room in its standard error.
const ROOM: u64 = 8 << 10;

// Resources of which there is one each, under a number that means nothing. All are of the type that wasmtime gives to those
// of interfaces that are there as traps: these use ours, and have to mean the same.
type Pollable = ();
type OutputStream = ();
type InputStream = ();
type IoError = ();
type Terminal = ();
type Descriptor = ();

#[derive(ComponentType, Lower)]
#[component(variant)]
enum StreamError {
    #[component(name = "last-operation-failed")]
    #[expect(dead_code, reason = "a part of the type; nothing fails here")]
    Failed(Resource<IoError>),
    #[component(name = "closed")]
    Closed,
}

#[derive(ComponentType, Lower)]
#[component(record)]
struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

/// Everything that `component` may import.
///
/// # Errors
/// It imports something that is not WASI 0.2 and not ours.
pub(super) fn linker(engine: &Engine, component: &Component) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    log::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    // Under the very versions that are asked for: where another one of the line is defined, defining the rest as traps
    // would put a trap before it.
    for version in versions(engine, component) {
        let mut shim = Shim { linker: &mut linker, version };
        cli(&mut shim)?;
        io(&mut shim)?;
        clocks(&mut shim)?;
        filesystem(&mut shim)?;
        random(&mut shim)?;
    }
    linker.define_unknown_imports_as_traps(component)?;
    Ok(linker)
}

/// The versions of WASI that a component imports; its parts may have been made by different tools.
fn versions(engine: &Engine, component: &Component) -> BTreeSet<String> {
    let ty = component.component_type();
    let wasi = ty.imports(engine).filter_map(|(name, _)| {
        let version = name.strip_prefix("wasi:")?.split_once('@')?.1;
        version.starts_with(LINE).then(|| version.to_owned())
    });
    wasi.collect()
}

/// What is defined under one version.
struct Shim<'a> {
    linker: &'a mut Linker<State>,
    version: String,
}

/// One interface. Its functions say that they were called, to an author who looks on.
struct Interface<'a> {
    linker: LinkerInstance<'a, State>,
    name: Arc<str>,
}

fn instance<'a>(shim: &'a mut Shim<'_>, interface: &str) -> wasmtime::Result<Interface<'a>> {
    let name = format!("{interface}@{}", shim.version);
    Ok(Interface { linker: shim.linker.instance(&name)?, name: interface.into() })
}

impl Interface<'_> {
    fn func_wrap<F, Params, Return>(&mut self, name: &str, work: F) -> wasmtime::Result<()>
    where
        F: Fn(Cx<'_>, Params) -> wasmtime::Result<Return> + Send + Sync + 'static,
        Params: ComponentNamedList + Lift + 'static,
        Return: ComponentNamedList + Lower + 'static,
    {
        let (interface, function) = (self.name.clone(), name.to_owned());
        self.linker.func_wrap(name, move |cx: Cx<'_>, parameters: Params| {
            cx.data().log.imported(&interface, &function);
            work(cx, parameters)
        })
    }

    fn resource(
        &mut self,
        name: &str,
        of: ResourceType,
        drop: impl Fn(Cx<'_>, u32) -> wasmtime::Result<()> + Send + Sync + 'static,
    ) -> wasmtime::Result<()> {
        self.linker.resource(name, of, drop)
    }
}

fn cli(shim: &mut Shim<'_>) -> wasmtime::Result<()> {
    let mut environment = instance(shim, "wasi:cli/environment")?;
    environment.func_wrap("get-environment", |_: Cx<'_>, (): ()| Ok((Vec::<(String, String)>::new(),)))?;
    environment.func_wrap("get-arguments", |_: Cx<'_>, (): ()| Ok((Vec::<String>::new(),)))?;
    environment.func_wrap("initial-cwd", |_: Cx<'_>, (): ()| Ok((None::<String>,)))?;
    let mut exit = instance(shim, "wasi:cli/exit")?;
    exit.func_wrap("exit", |_: Cx<'_>, (_,): (Result<(), ()>,)| -> wasmtime::Result<()> {
        bail!("the plugin called exit")
    })?;
    for (name, get) in [("stdout", "get-stdout"), ("stderr", "get-stderr")] {
        let mut stream = instance(shim, &format!("wasi:cli/{name}"))?;
        stream.resource("output-stream", ResourceType::host::<OutputStream>(), |_, _| Ok(()))?;
        stream.func_wrap(get, |_: Cx<'_>, (): ()| Ok((Resource::<OutputStream>::new_own(0),)))?;
    }
    let mut stdin = instance(shim, "wasi:cli/stdin")?;
    stdin.resource("input-stream", ResourceType::host::<InputStream>(), |_, _| Ok(()))?;
    stdin.func_wrap("get-stdin", |_: Cx<'_>, (): ()| Ok((Resource::<InputStream>::new_own(0),)))?;
    for direction in ["input", "output"] {
        let name = format!("terminal-{direction}");
        instance(shim, &format!("wasi:cli/{name}"))?.resource(
            &name,
            ResourceType::host::<Terminal>(),
            |_, _| Ok(()),
        )?;
    }
    for (stream, direction) in [("stdin", "input"), ("stdout", "output"), ("stderr", "output")] {
        let mut terminal = instance(shim, &format!("wasi:cli/terminal-{stream}"))?;
        let name = format!("terminal-{direction}");
        terminal.resource(&name, ResourceType::host::<Terminal>(), |_, _| Ok(()))?;
        let get = format!("get-terminal-{stream}");
        terminal.func_wrap(&get, |_: Cx<'_>, (): ()| Ok((None::<Resource<Terminal>>,)))?;
    }
    Ok(())
}

fn io(shim: &mut Shim<'_>) -> wasmtime::Result<()> {
    let mut error = instance(shim, "wasi:io/error")?;
    error.resource("error", ResourceType::host::<IoError>(), |_, _| Ok(()))?;
    error.func_wrap("[method]error.to-debug-string", |_: Cx<'_>, (_,): (Resource<IoError>,)| {
        Ok((String::new(),))
    })?;

    let mut poll = instance(shim, "wasi:io/poll")?;
    poll.resource("pollable", ResourceType::host::<Pollable>(), |_, _| Ok(()))?;
    // Nothing here is worth waiting for: everything is ready.
    poll.func_wrap("[method]pollable.ready", |_: Cx<'_>, (_,): (Resource<Pollable>,)| Ok((true,)))?;
    poll.func_wrap("[method]pollable.block", |_: Cx<'_>, (_,): (Resource<Pollable>,)| Ok(()))?;
    poll.func_wrap("poll", |_: Cx<'_>, (all,): (Vec<Resource<Pollable>>,)| {
        Ok(((0..all.len() as u32).collect::<Vec<u32>>(),))
    })?;

    let mut streams = instance(shim, "wasi:io/streams")?;
    streams.resource("pollable", ResourceType::host::<Pollable>(), |_, _| Ok(()))?;
    streams.resource("error", ResourceType::host::<IoError>(), |_, _| Ok(()))?;
    streams.resource("input-stream", ResourceType::host::<InputStream>(), |_, _| Ok(()))?;
    streams.resource("output-stream", ResourceType::host::<OutputStream>(), |_, _| Ok(()))?;
    for name in ["read", "blocking-read"] {
        let method = format!("[method]input-stream.{name}");
        streams.func_wrap(&method, |_: Cx<'_>, (_, _): (Resource<InputStream>, u64)| {
            Ok((Err::<Vec<u8>, _>(StreamError::Closed),))
        })?;
    }
    streams.func_wrap("[method]input-stream.subscribe", |_: Cx<'_>, (_,): (Resource<InputStream>,)| {
        Ok((Resource::<Pollable>::new_own(0),))
    })?;
    streams.func_wrap("[method]output-stream.subscribe", |_: Cx<'_>, (_,): (Resource<OutputStream>,)| {
        Ok((Resource::<Pollable>::new_own(0),))
    })?;
    streams
        .func_wrap("[method]output-stream.check-write", |_: Cx<'_>, (_,): (Resource<OutputStream>,)| {
            Ok((Ok::<_, StreamError>(ROOM),))
        })?;
    for name in ["flush", "blocking-flush"] {
        let method = format!("[method]output-stream.{name}");
        streams.func_wrap(&method, |_: Cx<'_>, (_,): (Resource<OutputStream>,)| {
            Ok((Ok::<(), StreamError>(()),))
        })?;
    }
    for name in ["write", "blocking-write-and-flush"] {
        let method = format!("[method]output-stream.{name}");
        streams.func_wrap(&method, |cx: Cx<'_>, (_, bytes): (Resource<OutputStream>, Vec<u8>)| {
            cx.data().stderr.append(&bytes);
            Ok((Ok::<(), StreamError>(()),))
        })?;
    }
    Ok(())
}

fn clocks(shim: &mut Shim<'_>) -> wasmtime::Result<()> {
    let mut monotonic = instance(shim, "wasi:clocks/monotonic-clock")?;
    monotonic.resource("pollable", ResourceType::host::<Pollable>(), |_, _| Ok(()))?;
    monotonic.func_wrap("now", |_: Cx<'_>, (): ()| {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        Ok((now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs(),))
    })?;
    monotonic.func_wrap("resolution", |_: Cx<'_>, (): ()| Ok((1u64,)))?;
    for name in ["subscribe-instant", "subscribe-duration"] {
        monotonic.func_wrap(name, |_: Cx<'_>, (_,): (u64,)| Ok((Resource::<Pollable>::new_own(0),)))?;
    }
    let mut wall = instance(shim, "wasi:clocks/wall-clock")?;
    wall.func_wrap("now", |_: Cx<'_>, (): ()| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok((Datetime { seconds: now.as_secs(), nanoseconds: now.subsec_nanos() },))
    })?;
    wall.func_wrap("resolution", |_: Cx<'_>, (): ()| Ok((Datetime { seconds: 0, nanoseconds: 1 },)))
}

/// No folder is granted to anybody. Languages ask before their first line.
fn filesystem(shim: &mut Shim<'_>) -> wasmtime::Result<()> {
    instance(shim, "wasi:filesystem/types")?.resource(
        "descriptor",
        ResourceType::host::<Descriptor>(),
        |_, _| Ok(()),
    )?;
    let mut preopens = instance(shim, "wasi:filesystem/preopens")?;
    preopens.resource("descriptor", ResourceType::host::<Descriptor>(), |_, _| Ok(()))?;
    preopens
        .func_wrap("get-directories", |_: Cx<'_>, (): ()| Ok((Vec::<(Resource<Descriptor>, String)>::new(),)))
}

fn random(shim: &mut Shim<'_>) -> wasmtime::Result<()> {
    let mut random = instance(shim, "wasi:random/random")?;
    random.func_wrap("get-random-u64", |_: Cx<'_>, (): ()| Ok((fill::<8>().map(u64::from_le_bytes)?,)))?;
    random.func_wrap("get-random-bytes", |_: Cx<'_>, (length,): (u64,)| {
        if length > ROOM {
            bail!("the plugin asked for {length} random bytes at once");
        }
        let mut bytes = vec![0; length as usize];
        getrandom(&mut bytes)?;
        Ok((bytes,))
    })?;
    let mut insecure = instance(shim, "wasi:random/insecure")?;
    insecure.func_wrap("get-insecure-random-u64", |_: Cx<'_>, (): ()| {
        Ok((fill::<8>().map(u64::from_le_bytes)?,))
    })?;
    let mut seed = instance(shim, "wasi:random/insecure-seed")?;
    seed.func_wrap("insecure-seed", |_: Cx<'_>, (): ()| {
        let seed = [fill::<8>().map(u64::from_le_bytes)?, fill::<8>().map(u64::from_le_bytes)?];
        Ok(((seed[0], seed[1]),))
    })
}

fn fill<const N: usize>() -> wasmtime::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom(&mut bytes)?;
    Ok(bytes)
}

fn getrandom(bytes: &mut [u8]) -> wasmtime::Result<()> {
    let got = rustix::rand::getrandom(&mut *bytes, rustix::rand::GetRandomFlags::empty())?;
    if got < bytes.len() {
        bail!("the system gave {got} of {} random bytes", bytes.len());
    }
    Ok(())
}
