//! From names and flags to the backends and the plugin host of a process.

#[cfg(feature = "plugins")]
mod hot;
#[cfg(not(feature = "plugins"))]
mod native;

use crate::codec::Codecs;
use crate::flags::{Flags, key_value};
use crate::registry::{Cache, Environment, LocalRegistry, MemoryRegistry, MultiRegistry};
#[cfg(feature = "plugins")]
use crate::swap::{Files, Kept};
use crate::wire::AnyWire;
use micro_core::{Filter, Registry, RegistryError, Selector};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The registry when nothing was said.
pub const DEFAULT_REGISTRY: &str = "local";
/// The wire when nothing was said.
const DEFAULT_WIRE: &str = "http";
/// The selector when nothing was said.
const DEFAULT_SELECTOR: &str = "random";
/// The codecs that are always there.
const CODECS: [&str; 2] = ["jsonrpc", "protorpc"];
/// Registries that are part of the program.
const NATIVE: [&str; 2] = ["local", "memory"];

/// Where a registry comes from.
#[derive(Clone)]
pub enum RegistrySource {
    /// A name, a file, or a comma list of them, with options.
    Plugin(Plugin),
    /// A value of yours.
    Instance(Arc<dyn Registry>),
}

/// Where a selector comes from.
#[derive(Clone, Debug)]
pub enum SelectorSource {
    /// A name or a file, with options.
    Plugin(Plugin),
    /// A value of yours.
    Instance(Arc<dyn Selector>),
}

impl From<Plugin> for SelectorSource {
    fn from(plugin: Plugin) -> Self {
        Self::Plugin(plugin)
    }
}

/// A backend by name, as flags give it: native ones by their names, everything else is a plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plugin {
    locator: String,
    address: Option<String>,
    options: Vec<(String, String)>,
    allow: Vec<String>,
    tls: PluginTls,
}

/// How the host makes a plugin's TLS connections. Keys never reach the plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginTls {
    /// PEM file with the certificates to trust, in place of the operating system's.
    pub ca_file: Option<PathBuf>,
    /// PEM file with the certificate to show; needs `key_file`.
    pub cert_file: Option<PathBuf>,
    /// PEM file with the key of `cert_file`.
    pub key_file: Option<PathBuf>,
    /// Trusts anybody. For experiments.
    pub skip_verify: bool,
}

impl Plugin {
    /// `local`, `etcd`, `./etcd.wasm`, `local,etcd`.
    pub fn named(locator: impl Into<String>) -> Self {
        Self { locator: locator.into(), ..Self::default() }
    }

    /// The backend's addresses, separated by commas.
    #[must_use]
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.address = Some(address.into());
        self
    }

    /// An option of the plugin; values may be `file:PATH` or `env:NAME`. In a list of registries the key is
    /// `NAME.key`.
    #[must_use]
    pub fn option(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.push((key.into(), value.into()));
        self
    }

    /// How the plugin's `https` connections are made.
    #[must_use]
    pub fn tls(mut self, tls: PluginTls) -> Self {
        self.tls = tls;
        self
    }

    /// A grant beyond the plugin's own addresses: `net:HOST:PORT`.
    #[must_use]
    pub fn allow(mut self, grant: impl Into<String>) -> Self {
        self.allow.push(grant.into());
        self
    }
}

#[cfg(feature = "plugins")]
impl Plugin {
    fn parse(&self, kind: micro_plugin::Kind) -> Result<micro_plugin::Locator, BackendError> {
        self.locator.parse().map_err(|error| wrong(kind.suffix(), &self.locator, &error))
    }

    fn has_settings(&self) -> bool {
        *self != Self::named(&self.locator)
    }

    /// What the plugin host is asked for.
    fn request(self, kind: micro_plugin::Kind) -> Result<micro_wasm::PluginRequest, BackendError> {
        let mut request = micro_wasm::PluginRequest::new(kind.suffix(), self.parse(kind)?);
        for grant in &self.allow {
            let flag = format!("{}_allow", kind.suffix());
            request.allow.push(grant.parse().map_err(|error| wrong(&flag, grant, &error))?);
        }
        request.tls = self.tls.settings()?;
        request.address = self.address;
        request.options = self.options;
        Ok(request)
    }
}

#[cfg(feature = "plugins")]
fn wrong(flag: &str, value: &str, error: &dyn std::error::Error) -> BackendError {
    BackendError::Flag(format!("--{flag}={value}: {}", micro_net::error_chain(error)))
}

impl From<Plugin> for RegistrySource {
    fn from(plugin: Plugin) -> Self {
        Self::Plugin(plugin)
    }
}

impl<R: Registry + 'static> From<Arc<R>> for RegistrySource {
    fn from(registry: Arc<R>) -> Self {
        Self::Instance(registry)
    }
}

impl From<MemoryRegistry> for RegistrySource {
    fn from(registry: MemoryRegistry) -> Self {
        Self::Instance(Arc::new(registry))
    }
}

impl From<Arc<dyn Registry>> for RegistrySource {
    fn from(registry: Arc<dyn Registry>) -> Self {
        Self::Instance(registry)
    }
}

impl fmt::Debug for RegistrySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plugin(plugin) => plugin.fmt(f),
            Self::Instance(registry) => registry.fmt(f),
        }
    }
}

/// A backend that cannot be used as configured.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// A flag whose value is wrong.
    #[error("{0}")]
    Flag(String),
    /// A native registry that was given options.
    #[error(
        "registry {registry} is part of the program and takes no {what}; \
         did you mean another one, for instance --registry=etcd?"
    )]
    NoOptions {
        /// `local` or `memory`.
        registry: String,
        /// `address` and so on.
        what: &'static str,
    },
    /// A list of registries with an option that could belong to any of them.
    #[error("with several registries, say whose {what} it is: --registry_opt={first}.{example}")]
    Ambiguous {
        /// `address` and so on.
        what: &'static str,
        /// The first plugin of the list.
        first: String,
        /// How to write it.
        example: String,
    },
    /// A plugin in a program without the plugin host.
    #[error(
        "{0} is a plugin, and this program was built without plugin support (cargo feature `plugins` of `micro`)"
    )]
    NoPlugins(String),
    /// The plugin host.
    #[cfg(feature = "plugins")]
    #[error(transparent)]
    Host(#[from] micro_wasm::HostError),
    /// A plugin.
    #[cfg(feature = "plugins")]
    #[error(transparent)]
    Plugin(#[from] micro_wasm::LoadError),
}

/// What a process calls and registers through. Opened once, at start.
#[derive(Clone)]
pub struct Backends {
    /// Where this process registers.
    pub registry: Arc<dyn Registry>,
    /// Where it looks services up.
    pub cache: Arc<Cache>,
    /// How it reads and writes heads of messages.
    pub wire: AnyWire,
    /// How it chooses nodes.
    pub selector: Arc<dyn Selector>,
    /// Its envelopes, by content type.
    pub codecs: Codecs,
    /// What looks at each HTTP request of a gateway, in this order.
    pub filters: Vec<Arc<dyn Filter>>,
    #[cfg(feature = "plugins")]
    natives: Vec<(micro_plugin::Kind, String)>,
    #[cfg(feature = "plugins")]
    plugins: Plugins,
}

/// The plugins of a process, and what was written down about them.
#[cfg(feature = "plugins")]
#[derive(Clone, Default)]
pub(crate) struct Plugins {
    /// None while there is no plugin.
    pub(crate) host: Option<Arc<micro_wasm::Host>>,
    /// None for a program that is no service.
    kept: Option<Kept>,
    files: Arc<Files>,
}

impl fmt::Debug for Backends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backends").field("registry", &self.registry).finish_non_exhaustive()
    }
}

/// What to open, with flags already put over code.
#[derive(Default)]
pub struct BackendSettings {
    /// Default: `local`.
    pub registry: Option<RegistrySource>,
    /// Default: `http`.
    pub transport: Option<Plugin>,
    /// Default: `random`.
    pub selector: Option<SelectorSource>,
    /// Beside `jsonrpc` and `protorpc`, or in their place. Default: none.
    pub codecs: Vec<Plugin>,
    /// Default: none.
    pub filters: Vec<Plugin>,
    /// `--plugin_path`, where it was given as a flag.
    pub plugin_path: Option<std::ffi::OsString>,
    /// `--home`.
    pub home: Option<PathBuf>,
    /// The name of the service, whose swaps that were written down are to be repeated. None for programs that end.
    pub service: Option<String>,
    /// This process ends at once, and what it registers in `local` is to stay.
    pub detached: bool,
    /// Asks the operator for missing grants; without it they are an error.
    #[cfg(feature = "plugins")]
    pub ask: Option<Arc<dyn micro_wasm::GrantPrompt>>,
}

impl fmt::Debug for BackendSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackendSettings").field("registry", &self.registry).finish_non_exhaustive()
    }
}

impl BackendSettings {
    /// Puts flags over what code said: a flag that names a registry replaces it with its options, other registry flags
    /// add to a plugin that code chose.
    ///
    /// # Errors
    /// Values that are not of the flag's form, or flags that do not fit the registry.
    pub fn with_flags(mut self, flags: &Flags) -> Result<Self, BackendError> {
        let more = flags.registry_address.is_some()
            || !flags.registry_opt.is_empty()
            || !flags.registry_allow.is_empty()
            || PluginTls::default().with_flags(flags) != PluginTls::default();
        let mut plugin = match (&flags.registry, self.registry.take()) {
            (Some(locator), _) => Plugin::named(locator),
            (None, Some(RegistrySource::Plugin(plugin))) => plugin,
            (None, Some(instance)) if !more => {
                self.registry = Some(instance);
                return self.with_other_flags(flags);
            }
            (None, Some(_)) => {
                let problem = "this program brings its own registry: the other --registry_... flags need --registry as well";
                return Err(BackendError::Flag(problem.to_owned()));
            }
            (None, None) => Plugin::named(DEFAULT_REGISTRY),
        };
        if let Some(address) = &flags.registry_address {
            plugin.address = Some(address.clone());
        }
        for item in &flags.registry_opt {
            plugin.options.push(key_value("registry_opt", item).map_err(BackendError::Flag)?);
        }
        plugin.allow.extend(flags.registry_allow.iter().cloned());
        plugin.tls = plugin.tls.with_flags(flags);
        self.registry = Some(RegistrySource::Plugin(plugin));
        self.with_other_flags(flags)
    }

    fn with_other_flags(mut self, flags: &Flags) -> Result<Self, BackendError> {
        let transport = self.transport.take();
        self.transport = over("transport", &flags.transport, &flags.transport_opt, transport)?;
        let selector = match self.selector.take() {
            Some(SelectorSource::Instance(selector)) if flags.selector.is_none() => {
                if !flags.selector_opt.is_empty() {
                    let problem =
                        "this program brings its own selector: --selector_opt needs --selector as well";
                    return Err(BackendError::Flag(problem.to_owned()));
                }
                Some(SelectorSource::Instance(selector))
            }
            Some(SelectorSource::Plugin(plugin)) => {
                over("selector", &flags.selector, &flags.selector_opt, Some(plugin))?
                    .map(SelectorSource::from)
            }
            _ => over("selector", &flags.selector, &flags.selector_opt, None)?.map(SelectorSource::from),
        };
        self.selector = selector;
        self.codecs.extend(several("codec", &flags.codec, &flags.codec_opt)?);
        self.filters.extend(several("filter", &flags.filter, &flags.filter_opt)?);
        self.plugin_path = flags.plugin_path.clone().or(self.plugin_path);
        self.home = flags.home.clone().or(self.home);
        Ok(self)
    }
}

/// A plugin of which there is one: the flag names it, or adds options to what code chose.
fn over(
    flag: &str,
    locator: &Option<String>,
    options: &[String],
    chosen: Option<Plugin>,
) -> Result<Option<Plugin>, BackendError> {
    let mut plugin = match (locator, chosen) {
        (Some(locator), _) => Plugin::named(locator),
        (None, Some(chosen)) => chosen,
        (None, None) if options.is_empty() => return Ok(None),
        (None, None) => {
            return Err(BackendError::Flag(format!("--{flag}_opt needs --{flag}, whose plugin it is for")));
        }
    };
    for item in options {
        plugin.options.push(key_value(&format!("{flag}_opt"), item).map_err(BackendError::Flag)?);
    }
    Ok(Some(plugin))
}

/// The plugins that a flag with a comma list names, with their options: everything for the only one, else `NAME.key`.
fn several(flag: &str, locators: &[String], options: &[String]) -> Result<Vec<Plugin>, BackendError> {
    let mut plugins: Vec<Plugin> = locators.iter().map(|locator| Plugin::named(locator.trim())).collect();
    for item in options {
        let (key, value) = key_value(&format!("{flag}_opt"), item).map_err(BackendError::Flag)?;
        let named = key.split_once('.').and_then(|(name, key)| {
            let at = plugins.iter().position(|it| short_name(&it.locator) == name)?;
            Some((at, key.to_owned()))
        });
        let (at, key) = match named {
            Some(named) => named,
            None if plugins.len() == 1 => (0, key),
            None => {
                let names: Vec<&str> = plugins.iter().map(|it| short_name(&it.locator)).collect();
                let problem = format!(
                    "--{flag}_opt={item}: say which plugin it is for, as NAME.key=value; NAME is one of: {}",
                    names.join(", ")
                );
                return Err(BackendError::Flag(problem));
            }
        };
        plugins[at].options.push((key, value));
    }
    Ok(plugins)
}

impl Backends {
    /// Opens everything. A registry whose backend is down is no error: it heals by itself.
    ///
    /// # Errors
    /// Configuration that cannot work: unknown names, missing files, wrong options, missing grants.
    pub async fn open(settings: BackendSettings) -> Result<Self, BackendError> {
        let mut opener = Opener::new(&settings);
        let registry = match settings.registry.unwrap_or_else(|| Plugin::named(DEFAULT_REGISTRY).into()) {
            RegistrySource::Instance(registry) => registry,
            RegistrySource::Plugin(plugin) => opener.registries(plugin).await?,
        };
        Ok(Self {
            cache: Arc::new(Cache::new(registry.clone())),
            registry,
            wire: opener.wire(settings.transport).await?,
            selector: opener.selector(settings.selector).await?,
            codecs: opener.codecs(settings.codecs).await?,
            filters: opener.filters(settings.filters).await?,
            #[cfg(feature = "plugins")]
            natives: opener.natives,
            #[cfg(feature = "plugins")]
            plugins: opener.plugins,
        })
    }

    /// Whether the registry answers; for programs that should end at once if it does not.
    ///
    /// # Errors
    /// The registry's own.
    pub async fn require_healthy(&self, limit: Duration) -> Result<(), RegistryError> {
        let late = |_| RegistryError::Timeout { registry: self.registry.name().to_owned(), after: limit };
        tokio::time::timeout(limit, self.registry.health()).await.map_err(late)?
    }

    /// The plugins of this process, and the parts of the program that serve in place of one.
    #[cfg(feature = "plugins")]
    pub fn plugins(&self) -> Vec<micro_wasm::PluginStatus> {
        let plugins = self.plugins.host.as_ref().map(|host| host.plugins()).unwrap_or_default();
        let native =
            |(kind, name): &(_, String)| micro_wasm::PluginStatus::native(*kind, name, crate::VERSION);
        plugins.into_iter().chain(self.natives.iter().map(native)).collect()
    }

    /// What the admin pages need to look after the plugins.
    #[cfg(feature = "plugins")]
    pub(crate) fn plugin_host(&self) -> &Plugins {
        &self.plugins
    }

    /// Ends the plugins; each gets `limit` to say goodbye to its backend.
    pub async fn shutdown(&self, limit: Duration) {
        self.cache.stop();
        #[cfg(feature = "plugins")]
        if let Some(host) = &self.plugins.host {
            host.shutdown(limit).await;
        }
        #[cfg(not(feature = "plugins"))]
        let _: Duration = limit;
    }
}

#[cfg(feature = "plugins")]
impl Plugins {
    /// Replaces a plugin, and writes that down if `persist`. The answer says where.
    pub(crate) async fn swap(
        &self,
        target: &micro_wasm::Target,
        locator: micro_plugin::Locator,
        persist: bool,
    ) -> Result<(micro_wasm::Swapped, Option<Result<PathBuf, String>>), micro_wasm::SwapError> {
        let Some(host) = &self.host else {
            let wanted = target.to_string();
            return Err(micro_wasm::SwapError::NotLoaded { wanted, loaded: Vec::new() });
        };
        let swapped = host.swap(target, locator).await?;
        let written = persist.then(|| match &self.kept {
            Some(kept) => match kept.keep(&swapped) {
                Ok(()) => Ok(kept.file().to_owned()),
                Err(error) => Err(format!("{}: {error}", kept.file().display())),
            },
            None => Err("there is no folder for state; set MICRO_HOME".to_owned()),
        });
        Ok((swapped, written))
    }

    /// All plugins with their drift, as the admin pages show them.
    pub(crate) async fn pages(&self) -> Vec<serde_json::Value> {
        let mut pages = Vec::new();
        for plugin in self.host.as_ref().map(|host| host.plugins()).unwrap_or_default() {
            let drift = self.files.drift(self.kept.as_ref(), &plugin).await;
            let mut page = serde_json::to_value(&plugin).unwrap_or_default();
            page["drift"] = drift.into();
            pages.push(page);
        }
        pages
    }
}

struct Opener {
    environment: Environment,
    detached: bool,
    #[cfg(feature = "plugins")]
    natives: Vec<(micro_plugin::Kind, String)>,
    #[cfg(feature = "plugins")]
    plugins: Plugins,
    #[cfg(feature = "plugins")]
    config: micro_wasm::HostConfig,
}

impl Opener {
    fn new(settings: &BackendSettings) -> Self {
        let environment = environment(settings.home.clone());
        Self {
            #[cfg(feature = "plugins")]
            natives: Vec::new(),
            #[cfg(feature = "plugins")]
            plugins: Plugins {
                kept: settings.service.as_deref().and_then(|service| Kept::new(&environment, service)),
                ..Plugins::default()
            },
            #[cfg(feature = "plugins")]
            config: plugin_host_config(settings, &environment),
            environment,
            detached: settings.detached,
        }
    }

    async fn registries(&mut self, plugin: Plugin) -> Result<Arc<dyn Registry>, BackendError> {
        let members: Vec<String> = plugin.locator.split(',').map(|it| it.trim().to_owned()).collect();
        #[cfg(feature = "plugins")]
        if let Some(kept) = &self.plugins.kept {
            kept.warn_of_others(micro_plugin::Kind::Registry, &members);
        }
        if let [_] = members.as_slice() {
            return self.registry(plugin).await;
        }
        let is_native = |name: &&String| NATIVE.contains(&name.as_str());
        let plugins: Vec<&String> = members.iter().filter(|name| !is_native(name)).collect();
        let mut opened = Vec::new();
        for member in &members {
            let own = own_part(&plugin, member, &plugins)?;
            opened.push(self.registry(own).await?);
        }
        Ok(Arc::new(MultiRegistry::new(opened)))
    }

    async fn registry(&mut self, plugin: Plugin) -> Result<Arc<dyn Registry>, BackendError> {
        let native: Arc<dyn Registry> = match plugin.locator.as_str() {
            "local" => {
                let local = LocalRegistry::new(self.environment.registry_folder());
                Arc::new(if self.detached { local.detached() } else { local })
            }
            "memory" => Arc::new(MemoryRegistry::new()),
            _ => return self.plugin(plugin).await,
        };
        let what = match &plugin {
            Plugin { address: Some(_), .. } => "address",
            Plugin { options, .. } if !options.is_empty() => "options",
            Plugin { allow, .. } if !allow.is_empty() => "grants",
            Plugin { tls, .. } if *tls != PluginTls::default() => "TLS files",
            _ => return Ok(native),
        };
        Err(BackendError::NoOptions { registry: plugin.locator, what })
    }

    #[cfg(feature = "plugins")]
    async fn plugin(&mut self, plugin: Plugin) -> Result<Arc<dyn Registry>, BackendError> {
        let load = async |host: Arc<micro_wasm::Host>, request| host.load_registry(request).await;
        self.load(micro_plugin::Kind::Registry, plugin, load).await
    }

    /// Loads a plugin, or what a swap put in its place and wrote down.
    #[cfg(feature = "plugins")]
    async fn load<T>(
        &mut self,
        kind: micro_plugin::Kind,
        plugin: Plugin,
        load: impl AsyncFn(Arc<micro_wasm::Host>, micro_wasm::PluginRequest) -> Result<T, micro_wasm::LoadError>,
    ) -> Result<T, BackendError> {
        let request = plugin.request(kind)?;
        let host = match &self.plugins.host {
            Some(host) => host.clone(),
            None => self.plugins.host.insert(Arc::new(micro_wasm::Host::new(self.config.clone())?)).clone(),
        };
        let configured = request.locator.clone();
        if let Some(kept) = &self.plugins.kept
            && let Some(entry) = kept.find(kind, &configured.to_string())
            && let Ok(locator) = entry.locator.parse()
        {
            let (file, instead) = (kept.file().display(), entry.locator.as_str());
            let request = micro_wasm::PluginRequest {
                locator,
                configured: Some(configured.clone()),
                ..request.clone()
            };
            match load(host.clone(), request).await {
                Ok(loaded) => {
                    tracing::info!(
                        %file, %kind, %configured, locator = instead,
                        "a swap that was written down is repeated; swap back with --persist to end that"
                    );
                    return Ok(loaded);
                }
                Err(error) => tracing::error!(
                    %file, %kind, locator = instead, %error,
                    "a swap that was written down cannot be repeated; using what the configuration names"
                ),
            }
        }
        Ok(load(host, request).await?)
    }

    #[cfg(not(feature = "plugins"))]
    async fn plugin(&mut self, plugin: Plugin) -> Result<Arc<dyn Registry>, BackendError> {
        Err(BackendError::NoPlugins(plugin.locator))
    }
}

/// The options of one member of a list: everything when it is the only plugin, else those with its name in front.
fn own_part(plugin: &Plugin, member: &str, plugins: &[&String]) -> Result<Plugin, BackendError> {
    let mut own = Plugin::named(member);
    if plugins.iter().any(|name| *name == member) {
        let alone = plugins.len() == 1;
        let name = short_name(member);
        let ambiguous = |what, example: String| BackendError::Ambiguous {
            what,
            first: short_name(plugins[0]).to_owned(),
            example,
        };
        if let Some(address) = &plugin.address {
            if !alone {
                return Err(ambiguous("address", format!("address={address}")));
            }
            own.address = Some(address.clone());
        }
        for (key, value) in &plugin.options {
            match key.split_once('.') {
                Some((whose, key)) if whose == name => own.options.push((key.to_owned(), value.clone())),
                Some((whose, _)) if plugins.iter().any(|it| short_name(it) == whose) => {}
                _ if alone => own.options.push((key.clone(), value.clone())),
                _ => return Err(ambiguous("option", format!("{key}={value}"))),
            }
        }
        own.allow = plugin.allow.clone();
        own.tls = plugin.tls.clone();
    }
    Ok(own)
}

/// `etcd` of `./x/etcd.wasm@sha256:…`.
fn short_name(locator: &str) -> &str {
    let path = locator.split('@').next().unwrap_or(locator);
    let file = path.rsplit('/').next().unwrap_or(path);
    file.strip_suffix(".wasm").unwrap_or(file)
}

/// The environment of this process, with `--home` put over it.
pub(crate) fn environment(home: Option<PathBuf>) -> Environment {
    let environment = Environment::of_process();
    Environment { micro_home: home.or(environment.micro_home.clone()), ..environment }
}

#[cfg(feature = "plugins")]
impl BackendSettings {
    /// Where programs with these settings look for plugins, and where they keep compiled ones.
    pub fn host_config(&self) -> micro_wasm::HostConfig {
        plugin_host_config(self, &environment(self.home.clone()))
    }
}

#[cfg(feature = "plugins")]
fn plugin_host_config(settings: &BackendSettings, environment: &Environment) -> micro_wasm::HostConfig {
    let home = environment.micro_home.clone();
    let lookup = |name: &str| match (name, &settings.plugin_path, &home) {
        ("MICRO_PLUGIN_PATH", Some(path), _) => Some(path.clone()),
        ("MICRO_HOME", _, Some(home)) => Some(home.clone().into_os_string()),
        _ => std::env::var_os(name),
    };
    let executable = std::env::current_exe().ok();
    let working = std::env::current_dir().unwrap_or_default();
    let places = micro_plugin::SearchPlaces::from_env(executable.as_deref(), working, lookup);
    let cache_dir = home.as_ref().map(|home| home.join("cache/plugins"));
    micro_wasm::HostConfig {
        cache_dir: cache_dir.or_else(|| micro_wasm::cache_folder(lookup)),
        ask: settings.ask.clone(),
        ..micro_wasm::HostConfig::new(places)
    }
}

impl PluginTls {
    fn with_flags(self, flags: &Flags) -> Self {
        Self {
            ca_file: flags.registry_tls_ca_file.clone().or(self.ca_file),
            cert_file: flags.registry_tls_cert_file.clone().or(self.cert_file),
            key_file: flags.registry_tls_key_file.clone().or(self.key_file),
            skip_verify: flags.registry_tls_skip_verify.unwrap_or(self.skip_verify),
        }
    }
}

#[cfg(feature = "plugins")]
impl PluginTls {
    /// None when nothing was said.
    fn settings(&self) -> Result<Option<micro_net::tls::ClientTls>, BackendError> {
        if *self == Self::default() {
            return Ok(None);
        }
        let identity = match (&self.cert_file, &self.key_file) {
            (None, None) => None,
            (Some(certificate), Some(key)) => {
                Some(micro_net::tls::Identity { certificate: certificate.clone(), key: key.clone() })
            }
            _ => {
                let problem = "--registry_tls_cert_file and --registry_tls_key_file need each other";
                return Err(BackendError::Flag(problem.to_owned()));
            }
        };
        let roots = self.ca_file.clone();
        Ok(Some(micro_net::tls::ClientTls { roots, identity, insecure_skip_verify: self.skip_verify }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin(locator: &str) -> Plugin {
        Plugin::named(locator)
    }

    #[test]
    fn options_in_a_list_belong_to_their_plugin() {
        let names = ["etcd".to_owned(), "consul".to_owned()];
        let both: Vec<&String> = names.iter().collect();
        let list = plugin("etcd,consul").option("etcd.username", "me").option("consul.token", "t");
        assert_eq!(
            own_part(&list, "etcd", &both).expect("clear").options,
            [("username".into(), "me".into())]
        );
        assert_eq!(own_part(&list, "local", &both).expect("clear"), plugin("local"));

        let unclear =
            own_part(&plugin("etcd,consul").option("token", "t"), "etcd", &both).expect_err("whose?");
        assert!(unclear.to_string().contains("--registry_opt=etcd.token=t"), "{unclear}");
        let unclear = own_part(&plugin("etcd,consul").address("a:1"), "etcd", &both).expect_err("whose?");
        assert!(unclear.to_string().contains("etcd.address=a:1"), "{unclear}");

        let alone =
            own_part(&plugin("local,etcd").address("a:1").option("username", "me"), "etcd", &both[..1]);
        assert_eq!(alone.expect("clear"), plugin("etcd").address("a:1").option("username", "me"));
    }

    #[test]
    fn flags_win_over_code() {
        let flags = Flags { registry_opt: vec!["ttl=1".to_owned()], ..Flags::default() };
        let settings =
            BackendSettings { registry: Some(plugin("etcd").address("a:1").into()), ..Default::default() };
        let RegistrySource::Plugin(merged) =
            settings.with_flags(&flags).expect("valid").registry.expect("there")
        else {
            panic!("a plugin was given");
        };
        assert_eq!(merged, plugin("etcd").address("a:1").option("ttl", "1"));

        let flags = Flags { registry: Some("consul".to_owned()), ..Flags::default() };
        let settings = BackendSettings { registry: Some(MemoryRegistry::new().into()), ..Default::default() };
        let RegistrySource::Plugin(merged) =
            settings.with_flags(&flags).expect("valid").registry.expect("there")
        else {
            panic!("the flag names a plugin");
        };
        assert_eq!(merged, plugin("consul"));
    }

    #[tokio::test]
    async fn native_registries_take_no_options() {
        let settings =
            BackendSettings { registry: Some(plugin("memory").address("a:1").into()), ..Default::default() };
        let error = Backends::open(settings).await.expect_err("no address");
        assert!(error.to_string().contains("registry memory"), "{error}");
        let bad = Flags { selector: Some("fastest".to_owned()), ..Flags::default() };
        let settings = BackendSettings::default().with_flags(&bad).expect("a name");
        let error = Backends::open(settings).await.expect_err("unknown");
        assert!(error.to_string().contains("fastest"), "{error}");
    }

    #[test]
    fn short_names() {
        for text in ["etcd", "etcd.wasm", "./x/etcd.wasm", "/a/etcd.wasm@sha256:00"] {
            assert_eq!(short_name(text), "etcd");
        }
    }
}
