//! From a locator to a plugin that can be instantiated, on the engine of its kind. Each step either passes or says what
//! to do; nothing half-loaded stays.

use crate::cache::Cache;
use crate::engine::Engines;
use crate::error::{LoadError, Step};
use crate::exports::Indices;
use crate::hot::{self, Generation, HotKind, Lineage};
use crate::imports;
use crate::request::{GrantPrompt, PluginRequest};
use crate::state::{self, State};
use micro_plugin::grant::{self, Request};
use micro_plugin::locator::Target;
use micro_plugin::manifest::Contract;
use micro_plugin::places::NotFound;
use micro_plugin::section::{self, SectionError};
use micro_plugin::{Digest, Grant, Kind, Locator, Manifest, Resolved, SearchPlaces};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::oneshot;
use wasmtime::Engine;
use wasmtime::component::{Component, InstancePre, Linker};

/// No plugin is larger; one in Python has 20 MB.
const MAX_FILE: u64 = 256 << 20;
/// The contracts that this host speaks.
const CONTRACTS: [(Kind, &str); 5] = [
    (Kind::Registry, "micro:registry@0.1.0"),
    (Kind::Wire, "micro:wire@0.1.0"),
    (Kind::Selector, "micro:selector@0.1.0"),
    (Kind::Codec, "micro:codec@0.1.0"),
    (Kind::Filter, "micro:filter@0.1.0"),
];

/// Loads plugins.
pub(crate) struct Loader {
    pub(crate) engines: Engines,
    pub(crate) cache: Cache,
    pub(crate) places: SearchPlaces,
    pub(crate) ask: Option<Arc<dyn GrantPrompt>>,
}

/// A plugin file that may be compiled: right kind, right contract, right options, nothing asked for but what was granted.
pub(crate) struct Checked {
    pub(crate) manifest: Manifest,
    pub(crate) file: PathBuf,
    pub(crate) digest: Digest,
    pub(crate) options: Resolved,
    pub(crate) grants: Vec<Grant>,
    wasm: Vec<u8>,
}

/// A plugin of an asynchronous kind that passed all checks that need no instance.
pub(crate) struct Loaded {
    pub(crate) manifest: Manifest,
    pub(crate) file: PathBuf,
    pub(crate) digest: Digest,
    pub(crate) options: Resolved,
    pub(crate) grants: Vec<Grant>,
    pub(crate) pre: InstancePre<State>,
    pub(crate) indices: Indices,
}

impl Loader {
    /// Loads a plugin of an asynchronous kind.
    pub(crate) async fn load(&self, request: &PluginRequest, kind: Kind) -> Result<Loaded, LoadError> {
        let mut checked = self.check(request, kind).await?;
        let engine = &self.engines.waiting;
        let component = self.compile(request, engine, &mut checked).await?;
        let (pre, indices) = link(engine, &component, kind).map_err(|error| unlinkable(request, &error))?;
        let Checked { manifest, file, digest, options, grants, .. } = checked;
        Ok(Loaded { manifest, file, digest, options, grants, pre, indices })
    }

    /// Loads a plugin of a hot kind and tries it out; `number` counts its versions.
    pub(crate) async fn load_hot<K: HotKind>(
        &self,
        request: &PluginRequest,
        lineage: &Lineage,
        number: u64,
    ) -> Result<Generation<K>, LoadError> {
        let mut checked = self.check(request, K::KIND).await?;
        let engine = &self.engines.hot;
        let component = self.compile(request, engine, &mut checked).await?;
        let found = hot::find::<K>(engine, &component).map_err(|error| unlinkable(request, &error))?;
        Generation::new(request, checked, found, lineage, number)
    }

    /// The file that a locator means, and its content.
    pub(crate) async fn fetch(&self, locator: &Locator, kind: Kind) -> Result<(PathBuf, Vec<u8>), LoadError> {
        let fail = |step, reason: String, remedy: &str| LoadError::new(locator, step, reason, remedy);
        let located = self.locate(locator, kind).await;
        let file = located
            .map_err(|error| fail(Step::Locate, error.to_string(), "install it there or name its file"))?;
        match read(&file).await {
            Ok(wasm) => Ok((file, wasm)),
            Err(error) => Err(fail(Step::Read, format!("{}: {error}", file.display()), "make it readable")),
        }
    }

    /// Every step before compiling.
    pub(crate) async fn check(&self, request: &PluginRequest, kind: Kind) -> Result<Checked, LoadError> {
        let fail = |step, reason: &dyn ToString, remedy: &str| {
            LoadError::new(&request.locator, step, reason.to_string(), remedy)
        };
        let (file, wasm) = self.fetch(&request.locator, kind).await?;
        let digest = Digest::of(&wasm);
        if let Some(wanted) = request.locator.digest.filter(|wanted| *wanted != digest) {
            let reason = format!("{} is {digest}, not {wanted}", file.display());
            return Err(fail(Step::Digest, &reason, "fetch the right file or change the digest"));
        }
        let manifest = section::read(&wasm).map_err(|error| {
            fail(Step::Manifest, &format!("{} is {error}", file.display()), remedy_of(&error))
        })?;
        if manifest.kind != kind {
            let reason = format!("it is a {} plugin, and --{} wants a {kind}", manifest.kind, request.flag);
            return Err(fail(Step::Kind, &reason, &format!("use it with --{}", manifest.kind)));
        }
        check_contract(&manifest).map_err(|(reason, remedy)| fail(Step::Contract, &reason, remedy))?;

        let options =
            manifest.resolve_options(&request.options, request.address.as_deref()).map_err(|errors| {
                let (address, opt) = (request.flag_for("address"), request.flag_for("opt"));
                fail(Step::Options, &errors, &format!("correct {address} and {opt}"))
            })?;
        let grants = self.grants(request, &manifest, &options).await?;
        let report = micro_plugin::inspect(&wasm);
        let unknown = imports::unknown(kind, &report.imports);
        if !unknown.is_empty() {
            let reason = format!("it imports what this host does not offer: {}", unknown.join(", "));
            return Err(fail(Step::Imports, &reason, "use a plugin for this version, or a newer host"));
        }
        Ok(Checked { manifest, file, digest, options, grants, wasm })
    }

    /// The file of a plugin, by its name or else by a name that its manifest says it is known under.
    async fn locate(&self, locator: &Locator, kind: Kind) -> Result<PathBuf, NotFound> {
        let missing = match (self.places.find(locator, kind), &locator.target) {
            (Err(missing), Target::Name(_)) => missing,
            (found, _) => return found,
        };
        for file in self.places.installed(kind) {
            let Ok(wasm) = read(&file).await else { continue };
            let known = section::read(&wasm).is_ok_and(|manifest| manifest.aliases.contains(&missing.wanted));
            if known {
                return Ok(file);
            }
        }
        Err(missing)
    }

    /// What the operator allowed, after asking about the rest when there is somebody to ask.
    async fn grants(
        &self,
        request: &PluginRequest,
        manifest: &Manifest,
        options: &Resolved,
    ) -> Result<Vec<Grant>, LoadError> {
        let name = || request.locator.to_string();
        let foreign = options.foreign_defaults().into_iter().map(|address| Request {
            grant: Grant::Net(address),
            why: "it is the address that the plugin uses when none is given".to_owned(),
        });
        let requested: Vec<Request> = manifest.grants.iter().cloned().chain(foreign).collect();
        if is_hot(manifest.kind)
            && let Some(asked) = requested.first().map(|it| &it.grant).or(request.allow.first())
        {
            let reason =
                format!("{} plugins run per request and can be granted nothing: {asked}", manifest.kind);
            let remedy = format!("use it without {}, or another plugin", request.flag_for("allow"));
            return Err(LoadError::new(name(), Step::Grants, reason, remedy));
        }
        let unsupported = requested.iter().find(|it| !is_supported(&it.grant));
        if let Some(unsupported) = unsupported {
            let reason = format!("it asks for {}, which this version cannot give", unsupported.grant);
            return Err(LoadError::new(name(), Step::Grants, reason, "use a newer host"));
        }
        let mut grants = request.allow.clone();
        let folders = grants.iter().filter_map(|grant| match grant {
            Grant::Fs { path, .. } => Some(path),
            _ => None,
        });
        if let Some(path) = folders.into_iter().find(|path| !path.is_dir()) {
            let reason = format!("it was granted {}, which is no folder", path.display());
            return Err(LoadError::new(
                name(),
                Step::Grants,
                reason,
                "make the folder or correct the permission",
            ));
        }
        let missing: Vec<Request> = grant::missing(&requested, &grants).into_iter().cloned().collect();
        if missing.is_empty() {
            return Ok(grants);
        }
        if let Some(ask) = self.ask.clone() {
            let (plugin, wanted) = (manifest.name.clone(), missing.clone());
            let answer = tokio::task::spawn_blocking(move || ask.ask(&plugin, &wanted));
            if answer.await.unwrap_or(false) {
                grants.extend(missing.into_iter().map(|it| it.grant));
                return Ok(grants);
            }
        }
        let flags: Vec<String> =
            missing.iter().map(|it| format!("{}={}", request.flag_for("allow"), it.grant)).collect();
        let remedy = format!("to allow it, add {}", flags.join(" "));
        Err(LoadError::new(name(), Step::Grants, screen(&requested, &missing), remedy))
    }

    async fn compile(
        &self,
        request: &PluginRequest,
        engine: &Engine,
        checked: &mut Checked,
    ) -> Result<Component, LoadError> {
        let wasm = std::mem::take(&mut checked.wasm);
        self.compile_bytes(&request.locator, engine, wasm, checked.digest).await
    }

    /// Compiling takes all the processor there is, so it happens on a thread of low priority; so do the compiler's
    /// own threads, which are started from it and inherit that.
    pub(crate) async fn compile_bytes(
        &self,
        locator: &Locator,
        engine: &Engine,
        wasm: Vec<u8>,
        digest: Digest,
    ) -> Result<Component, LoadError> {
        let (engine, cache) = (engine.clone(), self.cache.clone());
        let (done, compiled) = oneshot::channel();
        let compiling = std::thread::Builder::new().name("micro-compile".to_owned()).spawn(move || {
            // On Linux this is the thread's own; where it fails, compiling is merely less polite.
            let _ = rustix::process::nice(10);
            // Nobody waits any more: the result is in the cache.
            let _ = done.send(cache.component(&engine, &wasm, digest));
        });
        let compiled = match compiling {
            Ok(_) => compiled.await.unwrap_or_else(|_| Err(wasmtime::format_err!("the compiler panicked"))),
            Err(error) => Err(error.into()),
        };
        compiled.map_err(|error| {
            let remedy = "build it again; its code is damaged or too new";
            LoadError::new(locator, Step::Compile, format!("{error:#}"), remedy)
        })
    }
}

pub(crate) fn unlinkable(request: &PluginRequest, error: &wasmtime::Error) -> LoadError {
    let remedy = "build it against the WIT of this version";
    LoadError::new(&request.locator, Step::Link, format!("{error:#}"), remedy)
}

/// A plugin file, whole.
pub(crate) async fn read(file: &Path) -> io::Result<Vec<u8>> {
    let file = file.to_owned();
    let reading = tokio::task::spawn_blocking(move || {
        let opened = File::open(file)?;
        if opened.metadata()?.len() > MAX_FILE {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        let mut wasm = Vec::new();
        opened.take(MAX_FILE).read_to_end(&mut wasm)?;
        Ok(wasm)
    });
    reading.await.map_err(io::Error::other)?
}

fn remedy_of(error: &SectionError) -> &'static str {
    match error {
        SectionError::NotWasm => "name a .wasm file",
        SectionError::CoreModule => "plugins are components",
        SectionError::Malformed(_) => "fetch or build it again",
        SectionError::Absent | SectionError::Duplicate(_) => "only finished components are loaded",
        SectionError::Oversized(_) | SectionError::Json(_) | SectionError::Invalid(_) => "finish it again",
    }
}

fn check_contract(manifest: &Manifest) -> Result<(), (String, &'static str)> {
    let Some(ours) = contract_of(manifest.kind) else {
        return Err((
            format!("{} plugins are not supported by this version", manifest.kind),
            "use a newer host",
        ));
    };
    let accepted = match (Contract::parse(ours), Contract::parse(&manifest.contract)) {
        (Some(ours), Some(theirs)) => ours.accepts(&theirs),
        _ => false,
    };
    match accepted {
        true => Ok(()),
        false => Err((
            format!("it is built for {}, and this host speaks {ours}", manifest.contract),
            "use a plugin for this version",
        )),
    }
}

/// The contract that this host speaks with plugins of a kind: `micro:registry@0.1.0`. None: it runs no such plugins.
pub fn contract_of(kind: Kind) -> Option<&'static str> {
    CONTRACTS.iter().find(|(known, _)| *known == kind).map(|(_, contract)| *contract)
}

/// Kinds whose plugins run per request.
pub(crate) fn is_hot(kind: Kind) -> bool {
    matches!(kind, Kind::Wire | Kind::Selector | Kind::Codec | Kind::Filter)
}

/// Permissions that some part of the host knows how to give.
fn is_supported(grant: &Grant) -> bool {
    match grant {
        Grant::Net(_) | Grant::NetConfigured | Grant::Fs { .. } | Grant::Env(_) | Grant::Sockets => true,
        Grant::NetPeers | Grant::Multicast | Grant::Listen(_) => false,
    }
}

/// Requested, granted, and what breaks, one permission per line.
fn screen(requested: &[Request], missing: &[Request]) -> String {
    let line = |request: &Request| {
        let answer = if missing.contains(request) { "missing" } else { "granted" };
        let why = if request.why.is_empty() { String::new() } else { format!(" ({})", request.why) };
        format!("\n  {answer}  {}{why}", request.grant)
    };
    format!("it asks for more than it was granted:{}\n", requested.iter().map(line).collect::<String>())
}

fn link(
    engine: &Engine,
    component: &Component,
    kind: Kind,
) -> wasmtime::Result<(InstancePre<State>, Indices)> {
    let mut linker = Linker::new(engine);
    state::add_to_linker(&mut linker)?;
    let pre = linker.instantiate_pre(component)?;
    let indices = Indices::find(&pre, kind)?;
    Ok((pre, indices))
}
