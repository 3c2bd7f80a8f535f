//! Plugins outside of service, for their authors: any export called by its name, with values as text.
//!
//! A probe is one instance, made as for service: same steps of loading, same engine, options, permissions and limits.
//! It has no supervisor; an instance that traps is gone.
//!
//! | module | does |
//! |---|---|
//! | `surface` | what a component exports, in the words of its contract |
//! | `value` | texts to values and back |
//! | `instance` | one configured instance on the engine of its kind |
//! | `trace` | what it asked of the host meanwhile |

mod error;
mod instance;
mod surface;
mod trace;
mod value;

pub use error::CallError;
pub use surface::Export;
pub use trace::{Event, Traced};
pub use value::Argument;

pub(crate) use trace::Trace;

use crate::error::{LoadError, Step};
use crate::host::Host;
use crate::request::PluginRequest;
use instance::Instance;
use micro_plugin::locator::Target;
use micro_plugin::{Digest, Kind, Locator, Manifest, section};
use serde_json::Value as Json;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use surface::Function;
use wasmtime::component::{Component, Val};

/// A compiled plugin and what it exports. Nothing of it has run.
pub struct Surface {
    /// What it says about itself.
    pub manifest: Manifest,
    /// Where it is.
    pub file: PathBuf,
    /// In bytes.
    pub size: usize,
    /// How long it took to get machine code: from the cache, or by compiling.
    pub compiled_in: Duration,
    digest: Digest,
    component: Component,
    functions: Vec<Function>,
}

/// A call that can be made: an export, and arguments of the right types.
pub struct Call {
    /// Its position in the surface.
    function: usize,
    export: String,
    arguments: Vec<Val>,
    /// The host fills in the first parameter, each time anew.
    needs_header: bool,
}

/// What an export answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// In WAVE; empty where the export answers nothing.
    pub wave: String,
    /// The same as JSON.
    pub json: Json,
    /// The answer is the error case of a `result`.
    pub is_error: bool,
    /// What the call cost, with the conversion of the values between host and guest.
    pub took: Duration,
}

/// One configured instance, in the hands of its caller.
pub struct Probe {
    instance: Option<Instance>,
    trace: Option<Arc<Trace>>,
    /// How long instantiating took, and `configure`.
    pub started_in: (Duration, Duration),
}

impl Host {
    /// Finds and compiles a plugin without running it. Options and permissions do not matter yet.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub async fn examine(&self, locator: &Locator) -> Result<Surface, LoadError> {
        let loader = &self.factory.loader;
        let (file, wasm) = loader.fetch(locator, self.kind_of(locator).await).await?;
        let digest = Digest::of(&wasm);
        let manifest = section::read(&wasm).map_err(|error| {
            let reason = format!("{} is {error}", file.display());
            LoadError::new(
                locator,
                Step::Manifest,
                reason,
                "micro plugin build makes a plugin of a component",
            )
        })?;
        let (engine, size, begun) = (loader.engines.of(manifest.kind), wasm.len(), Instant::now());
        let component = loader.compile_bytes(locator, engine, wasm, digest).await?;
        let compiled_in = begun.elapsed();
        let functions = surface::functions(engine, &component);
        Ok(Surface { manifest, file, size, compiled_in, digest, component, functions })
    }

    /// Makes an instance of a plugin and hands it its options, as for service. With `watched`, what it asks of the
    /// host is remembered.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub async fn probe(
        &self,
        request: &PluginRequest,
        surface: &Surface,
        watched: bool,
    ) -> Result<Probe, LoadError> {
        let trace = watched.then(Trace::new);
        let checked = self.factory.loader.check(request, surface.manifest.kind).await?;
        if checked.digest != surface.digest {
            let reason = format!("{} changed meanwhile", checked.file.display());
            return Err(LoadError::new(&request.locator, Step::Digest, reason, "try again"));
        }
        let started = instance::start(&self.factory, request, checked, &surface.component, trace.clone());
        let (instance, started_in) = started.await?;
        Ok(Probe { instance: Some(instance), trace, started_in })
    }

    /// The kind of a plugin that is known by name only: that of the first file of this name.
    async fn kind_of(&self, locator: &Locator) -> Kind {
        let named = matches!(locator.target, Target::Name(_));
        let places = &self.factory.loader.places;
        let found = Kind::ALL.into_iter().filter(|_| named).find(|kind| places.find(locator, *kind).is_ok());
        found.unwrap_or(Kind::Registry)
    }
}

impl Surface {
    /// Everything that can be called, in the component's order.
    pub fn exports(&self) -> impl Iterator<Item = &Export> {
        self.functions.iter().map(|function| &function.export)
    }

    /// Prepares a call of `export`, which is a function's name, alone (`get-service`) or with as much of its interface
    /// as it takes (`registry#get-service`, `micro:registry/registry@0.1.0#get-service`). The leading `call` record
    /// and trailing `options` may be left out.
    ///
    /// # Errors
    /// No or more than one such export, or arguments that do not fit. See [`CallError`].
    pub fn call(&self, export: &str, arguments: &[Argument]) -> Result<Call, CallError> {
        let (position, function) = self.find(export)?;
        let (takes_call, takes_options) = (function.takes_call(), function.takes_options());
        let all = function.ty.params().len();
        let fewest = all - usize::from(takes_call) - usize::from(takes_options);
        let given = arguments.len();
        let header_missing = takes_call && given < all;
        let options_missing = takes_options && given + usize::from(header_missing) < all;
        if given > all || given < fewest {
            let wanted = match (fewest, all) {
                (1, 1) => "1 argument".to_owned(),
                (few, all) if few == all => format!("{all} arguments"),
                (few, all) => format!("{few} to {all} arguments"),
            };
            let export = function.export.name.clone();
            return Err(CallError::Count { export, wanted, given, signature: function.export.signature() });
        }
        let mut values = Vec::with_capacity(all);
        let parameters = function.ty.params().skip(usize::from(header_missing));
        for ((name, of), argument) in parameters.zip(arguments) {
            values.push(value::read(&of, argument).map_err(|why| CallError::Argument {
                export: function.export.name.clone(),
                parameter: name.to_owned(),
                of: function.names.text(&of),
                why,
                types: function.names.explain([of.clone()]),
            })?);
        }
        if options_missing {
            values.push(Val::List(Vec::new()));
        }
        Ok(Call {
            function: position,
            export: function.export.name.clone(),
            arguments: values,
            needs_header: header_missing,
        })
    }

    /// Prepares a call that is written as one text: `get-service("greeter")`, arguments in WAVE.
    ///
    /// # Errors
    /// As [`Surface::call`], or a text that is no call.
    pub fn call_text(&self, text: &str) -> Result<Call, CallError> {
        let split = value::split_call(text);
        let (export, arguments) = split.map_err(|why| CallError::Syntax { text: text.to_owned(), why })?;
        self.call(&export, &arguments)
    }

    /// The function of a call, which may have been prepared with another surface.
    fn function(&self, call: &Call) -> Result<&Function, CallError> {
        let function = self.functions.get(call.function).filter(|it| it.export.name == call.export);
        function.ok_or_else(|| self.unknown(&call.export))
    }

    fn unknown(&self, name: &str) -> CallError {
        CallError::Unknown { name: name.to_owned(), exports: self.exports().map(Export::signature).collect() }
    }

    fn find(&self, wanted: &str) -> Result<(usize, &Function), CallError> {
        let (interface, name) = wanted.rsplit_once('#').unwrap_or(("", wanted));
        let fits = |function: &Function| {
            let has = function.export.interface.as_str();
            let unversioned = has.split('@').next().unwrap_or_default();
            let alone = unversioned.rsplit('/').next().unwrap_or_default();
            function.export.name == name
                && (interface.is_empty() || [has, unversioned, alone].contains(&interface))
        };
        let found: Vec<_> = self.functions.iter().enumerate().filter(|(_, it)| fits(it)).collect();
        match found.as_slice() {
            [one] => Ok(*one),
            [] => Err(self.unknown(wanted)),
            several => Err(CallError::Ambiguous {
                name: wanted.to_owned(),
                exports: several.iter().map(|(_, it)| it.export.full_name()).collect(),
            }),
        }
    }
}

impl Call {
    /// The name of the function.
    pub fn export(&self) -> &str {
        &self.export
    }
}

impl Probe {
    /// Makes a call. A kind that waits is told to give up after `limit`, and abandoned a little later; for a kind that
    /// runs per request `limit` is processor time, and the host's own limit where there is none.
    ///
    /// # Errors
    /// See [`CallError`]. After a trap and a missed deadline the instance is gone.
    pub async fn call(
        &mut self,
        surface: &Surface,
        call: &Call,
        limit: Option<Duration>,
    ) -> Result<Answer, CallError> {
        let instance = self.instance.as_mut().ok_or(CallError::Gone)?;
        let function = surface.function(call)?;
        let begun = Instant::now();
        match instance.call(function, call, limit).await {
            Ok(value) => Ok(Answer::of(value.as_ref(), begun.elapsed())),
            Err(error) => {
                self.instance = None;
                Err(error)
            }
        }
    }

    /// Makes a call `times` over, and answers how long all of them took together. Answers are not looked at.
    ///
    /// # Errors
    /// As [`Probe::call`].
    pub async fn time(&mut self, surface: &Surface, call: &Call, times: u32) -> Result<Duration, CallError> {
        let instance = self.instance.as_mut().ok_or(CallError::Gone)?;
        let function = surface.function(call)?;
        let begun = Instant::now();
        for _ in 0..times {
            if let Err(error) = instance.call(function, call, None).await {
                self.instance = None;
                return Err(error);
            }
        }
        Ok(begun.elapsed())
    }

    /// Linear memory of the instance, in bytes; none once it is gone.
    pub fn memory(&self) -> Option<usize> {
        self.instance.as_ref().map(Instance::memory)
    }

    /// What it asked of the host so far, and how many things more that were not remembered. Empty unless it is watched.
    pub fn trace(&self) -> (Vec<Traced>, u64) {
        self.trace.as_ref().map(|trace| trace.so_far()).unwrap_or_default()
    }
}

impl Answer {
    fn of(value: Option<&Val>, took: Duration) -> Self {
        Self {
            wave: value.map(value::to_wave).unwrap_or_default(),
            json: value.map_or(Json::Null, value::to_json),
            is_error: matches!(value, Some(Val::Result(Err(_)))),
            took,
        }
    }
}

impl fmt::Debug for Surface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surface")
            .field("plugin", &self.manifest.name)
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("export", &self.export).finish_non_exhaustive()
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe").field("living", &self.instance.is_some()).finish_non_exhaustive()
    }
}
