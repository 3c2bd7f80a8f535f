//! All plugins of one process.

use crate::cache::Cache;
use crate::convert::millis;
use crate::denials::Denials;
use crate::engine::Engines;
use crate::error::{LoadError, Step};
use crate::health::{self, Health};
use crate::hot::HotPlugin;
use crate::http::Egress;
use crate::launch::{LaunchError, Launcher};
use crate::limits;
use crate::loader::{Loaded, Loader};
use crate::log::Rate;
use crate::plugin::{Origin, Plugin};
use crate::registry::PluginRegistry;
use crate::request::{GrantPrompt, PluginRequest};
use crate::settings::Settings;
use crate::status::PluginStatus;
use futures::future::join_all;
use micro_core::Registry;
use micro_net::tls::{self, ClientTls};
use micro_net::{Dialer, EgressPolicy, HttpClient, HttpClientOptions, Resolver, Rule, SystemResolver};
use micro_plugin::address::Scheme;
use micro_plugin::{Grant, Kind, Resolved, SearchPlaces};
use parking_lot::Mutex;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

/// How long loading waits for the first word about the backend. A backend that is down does not fail it.
const FIRST_HEALTH: Duration = Duration::from_secs(1);

/// What all plugins of a process have in common.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// Where compiled plugins are kept; none compiles at each start. See [`cache_folder`].
    pub cache_dir: Option<PathBuf>,
    /// Where plugins are looked for.
    pub places: SearchPlaces,
    /// How names are resolved for plugins.
    pub resolver: Arc<dyn Resolver>,
    /// Whom to ask for permissions that are missing; none refuses.
    pub ask: Option<Arc<dyn GrantPrompt>>,
    /// The version that plugins are told.
    pub version: String,
    /// How patient to be.
    pub settings: Settings,
}

impl HostConfig {
    /// Looks in `places`, keeps nothing, asks nobody, resolves as the operating system does.
    pub fn new(places: SearchPlaces) -> Self {
        Self {
            cache_dir: None,
            places,
            resolver: Arc::new(SystemResolver),
            ask: None,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            settings: Settings::default(),
        }
    }
}

/// The folder for compiled plugins: `$XDG_CACHE_HOME/micro/plugins`, or else below `~/.cache`.
pub fn cache_folder(env: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute = |name: &str| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
    base.map(|base| base.join("micro/plugins"))
}

/// The machinery for plugins could not be set up at all.
#[derive(Debug, thiserror::Error)]
#[error("cannot run plugins on this machine: {0}")]
pub struct HostError(String);

/// A plugin whose backend does not answer, where that matters at once.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("plugin {plugin} is not healthy: {reason}")]
pub struct Unhealthy {
    /// From its manifest.
    pub plugin: String,
    /// In the plugin's words.
    pub reason: String,
}

/// Loads plugins and keeps them in service. Needs a tokio runtime.
pub struct Host {
    pub(crate) config: HostConfig,
    pub(crate) loader: Loader,
    plugins: Mutex<Vec<Arc<Plugin>>>,
    pub(crate) hot: Mutex<Vec<Arc<dyn HotPlugin>>>,
}

impl Host {
    /// A host without plugins.
    ///
    /// # Errors
    /// The processor is not supported, or no thread can be started.
    pub fn new(config: HostConfig) -> Result<Self, HostError> {
        let engines = Engines::new().map_err(|error| HostError(format!("{error:#}")))?;
        let loader = Loader {
            engines,
            cache: Cache::new(config.cache_dir.clone()),
            places: config.places.clone(),
            ask: config.ask.clone(),
        };
        Ok(Self { config, loader, plugins: Mutex::default(), hot: Mutex::default() })
    }

    /// Puts a registry plugin into service. A backend that is down is no error: the plugin is degraded and keeps
    /// trying; ask [`Host::require_healthy`] where that will not do.
    ///
    /// # Errors
    /// See [`LoadError`]. Nothing of the plugin stays.
    pub async fn load_registry(&self, request: PluginRequest) -> Result<Arc<dyn Registry>, LoadError> {
        let plugin = self.load(&request, Kind::Registry).await?;
        let addresses = plugin.launcher().options.addresses();
        let location = match addresses.as_slice() {
            [] => plugin.launcher().manifest.name.clone(),
            some => some.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
        };
        Ok(Arc::new(PluginRegistry::new(plugin, location, request.timeout)))
    }

    /// All plugins in service.
    pub fn plugins(&self) -> Vec<PluginStatus> {
        let waiting = self.plugins.lock().iter().map(|plugin| plugin.status()).collect::<Vec<_>>();
        let hot = self.hot.lock();
        waiting.into_iter().chain(hot.iter().map(|plugin| plugin.status())).collect()
    }

    /// Asks each plugin once whether its backend answers. For commands that would rather fail than wait.
    ///
    /// # Errors
    /// The first plugin that says no, or nothing within `limit`.
    pub async fn require_healthy(&self, limit: Duration) -> Result<(), Unhealthy> {
        let plugins = self.plugins.lock().clone();
        let answers = plugins.iter().map(|plugin| health::ask(plugin.calls(), limit));
        for (plugin, health) in plugins.iter().zip(join_all(answers).await) {
            if let Health::Bad(reason) = health {
                return Err(Unhealthy { plugin: plugin.launcher().manifest.name.clone(), reason });
            }
        }
        Ok(())
    }

    /// Drains and ends all plugins, within `limit`. Their registries answer with errors from now on.
    pub async fn shutdown(&self, limit: Duration) {
        let plugins = std::mem::take(&mut *self.plugins.lock());
        let deadline = Instant::now() + limit;
        join_all(plugins.iter().map(|plugin| plugin.shutdown(deadline))).await;
    }

    async fn load(&self, request: &PluginRequest, kind: Kind) -> Result<Arc<Plugin>, LoadError> {
        let started = Instant::now();
        let loaded = self.loader.load(request, kind).await?;
        let denials = Arc::new(Denials::new(&loaded.manifest.name, &request.flag));
        let origin = Origin { flag: request.flag.clone(), file: loaded.file.clone(), digest: loaded.digest };
        let launcher = Arc::new(self.launcher(request, loaded, denials.clone())?);
        let first = match launcher.launch().await {
            Ok(running) => Some(running),
            // Its task keeps trying.
            Err(LaunchError::NotYet(_)) => None,
            Err(LaunchError::Invalid(reason)) => {
                let remedy = format!("correct --{0}_address and --{0}_opt", request.flag);
                return Err(LoadError::new(&request.locator, Step::Configure, reason, remedy));
            }
            Err(LaunchError::Fault(fault)) => {
                let remedy = "report this to its author; --log_level=debug shows its own messages";
                return Err(LoadError::new(&request.locator, Step::Start, fault.summary(), remedy));
            }
        };
        let plugin = Plugin::start(origin, launcher, denials, first);
        let health = plugin.first_health(FIRST_HEALTH).await;
        let manifest = &plugin.launcher().manifest;
        tracing::info!(
            plugin.name = manifest.name, version = manifest.version, kind = %kind, took_ms = millis(started.elapsed()),
            healthy = health == Health::Good, "plugin in service"
        );
        self.plugins.lock().push(plugin.clone());
        Ok(plugin)
    }

    fn launcher(
        &self,
        request: &PluginRequest,
        loaded: Loaded,
        denials: Arc<Denials>,
    ) -> Result<Launcher, LoadError> {
        let policy = policy(&loaded.options, &loaded.grants);
        let dialer = Dialer::new(policy.clone()).with_resolver(self.config.resolver.clone());
        let mut client = HttpClientOptions::new(dialer);
        client.tls = client_tls(request.tls.as_ref(), &loaded.options).map_err(|error| {
            LoadError::new(&request.locator, Step::Options, error, "correct the TLS files")
        })?;
        let egress = Egress::new(HttpClient::new(client), policy, denials);
        let wanted = loaded.manifest.limits.memory_mib.map(|mib| (mib as usize) << 20);
        let memory_limit = request.memory_limit.or(wanted.map(|it| it.min(limits::MAX_MEMORY)));
        Ok(Launcher {
            pre: loaded.pre,
            indices: loaded.indices,
            manifest: loaded.manifest,
            options: loaded.options,
            grants: loaded.grants,
            memory_limit: memory_limit.unwrap_or(limits::MEMORY),
            egress,
            rate: Rate::new(),
            generation: 1,
            host_version: self.config.version.clone(),
            settings: self.config.settings.clone(),
            started: AtomicU64::new(0),
            tasks: TaskTracker::new(),
        })
    }
}

/// Granted addresses and those among the plugin's options.
fn policy(options: &Resolved, grants: &[Grant]) -> EgressPolicy {
    let configured = options.addresses();
    let granted = grants.iter().filter_map(|grant| match grant {
        Grant::Net(address) => Some(address),
        _ => None,
    });
    EgressPolicy::new(
        configured.iter().chain(granted).map(|address| Rule::exact(&address.host, address.port)),
    )
}

/// Settings for `https`. When nobody asked for it, a system without roots is no error until somebody does.
fn client_tls(
    asked: Option<&ClientTls>,
    options: &Resolved,
) -> Result<Option<Arc<rustls::ClientConfig>>, String> {
    const PROTOCOLS: [&str; 2] = ["h2", "http/1.1"];
    let wanted = asked.is_some() || options.addresses().iter().any(|it| it.scheme == Some(Scheme::Https));
    match tls::client_config(asked.unwrap_or(&ClientTls::default()), &PROTOCOLS) {
        Ok(config) => Ok(Some(config)),
        Err(error) if wanted => Err(micro_net::error_chain(&error)),
        Err(_) => Ok(None),
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("config", &self.config).field("plugins", &*self.plugins.lock()).finish()
    }
}
