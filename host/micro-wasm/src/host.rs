//! All plugins of one process.

use crate::cache::Cache;
use crate::engine::Engines;
use crate::error::LoadError;
use crate::factory::Factory;
use crate::health::Health;
use crate::loader::{self, Loader};
use crate::registry::PluginRegistry;
use crate::request::{GrantPrompt, PluginRequest};
use crate::settings::Settings;
use crate::status::PluginStatus;
use crate::swap::{Seat, SwapError, Swappable, Swapped, Target};
use futures::future::join_all;
use micro_core::{Code, Coded, Registry};
use micro_net::{Resolver, SystemResolver};
use micro_plugin::{Kind, Locator, SearchPlaces};
use parking_lot::Mutex;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;

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

impl Coded for HostError {
    fn code(&self) -> Code {
        Code::PLUGIN_HOST
    }
}

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
    config: HostConfig,
    pub(crate) factory: Arc<Factory>,
    seats: Mutex<Vec<Arc<Seat>>>,
    /// Swaps that run.
    swapping: TaskTracker,
}

impl Host {
    /// A host without plugins.
    ///
    /// # Errors
    /// The processor is not supported, or no thread can be started.
    pub fn new(config: HostConfig) -> Result<Self, HostError> {
        let engines = Engines::new().map_err(|error| HostError(format!("{error:#}")))?;
        let loader = |ask| Loader {
            engines: engines.clone(),
            cache: Cache::new(config.cache_dir.clone()),
            places: config.places.clone(),
            ask,
        };
        let factory = Factory {
            loader: loader(config.ask.clone()),
            strict: loader(None),
            resolver: config.resolver.clone(),
            version: config.version.clone(),
            settings: config.settings.clone(),
        };
        Ok(Self { config, factory: Arc::new(factory), seats: Mutex::default(), swapping: TaskTracker::new() })
    }

    /// Puts a registry plugin into service. A backend that is down is no error: the plugin is degraded and keeps
    /// trying; ask [`Host::require_healthy`] where that will not do.
    ///
    /// # Errors
    /// See [`LoadError`]. Nothing of the plugin stays.
    pub async fn load_registry(&self, request: PluginRequest) -> Result<Arc<dyn Registry>, LoadError> {
        let plugin = self.factory.first(&request, Kind::Registry).await?;
        let registry = Arc::new(PluginRegistry::new(self.factory.clone(), plugin, request));
        self.seat_of(registry.clone());
        Ok(registry)
    }

    /// Lets a plugin take part in swaps, pages and the shutdown.
    pub(crate) fn seat_of(&self, plugin: Arc<dyn Swappable>) {
        self.seats.lock().push(Seat::new(plugin));
    }

    /// Replaces a plugin by another file while calls run: the new one gets the options, permissions and TLS settings
    /// of the one in service, has to prove itself beside it, and then takes its place. Calls that run are finished by
    /// the one that began them, at most for 10 s.
    ///
    /// Swaps of one plugin take place one after the other; of those that wait the last one counts. Cancel safe: a swap
    /// that was begun is finished.
    ///
    /// # Errors
    /// See [`SwapError`]. The plugin in service stays as it is.
    pub async fn swap(&self, target: &Target, locator: Locator) -> Result<Swapped, SwapError> {
        let seat = self.meant(target, &locator).await?;
        seat.swap(&self.swapping, locator).await
    }

    /// The plugin that a swap means; when several could be meant, the one that the new file has the name of.
    async fn meant(&self, target: &Target, locator: &Locator) -> Result<Arc<Seat>, SwapError> {
        let seats = self.seats.lock().clone();
        let mut fitting = seats.clone();
        fitting.retain(|seat| target.fits(seat.plugin.kind(), &seat.plugin.name()));
        if fitting.len() > 1 {
            let named = self.name_of(locator, target.kind).await;
            let of_its_name: Vec<_> =
                fitting.iter().filter(|seat| Some(seat.plugin.name()) == named).cloned().collect();
            if of_its_name.len() == 1 {
                fitting = of_its_name;
            }
        }
        match fitting.as_slice() {
            [seat] => Ok(seat.clone()),
            [] => {
                let loaded = seats.iter().map(|seat| seat.target()).collect();
                Err(SwapError::NotLoaded { wanted: target.to_string(), loaded })
            }
            several => {
                let names = several.iter().map(|seat| seat.target()).collect();
                Err(SwapError::Ambiguous { kind: target.kind, names })
            }
        }
    }

    /// The name in the manifest of a file, if there is one.
    async fn name_of(&self, locator: &Locator, kind: Kind) -> Option<String> {
        let file = self.config.places.find(locator, kind).ok()?;
        let wasm = loader::read(&file).await.ok()?;
        Some(micro_plugin::section::read(&wasm).ok()?.name)
    }

    /// All plugins in service.
    pub fn plugins(&self) -> Vec<PluginStatus> {
        self.seats.lock().iter().map(|seat| seat.status()).collect()
    }

    /// Has the instances of all plugins that wait replaced by fresh ones, as after a fault: a plugin must do without
    /// whatever it kept. The replacement has taken place once [`PluginStatus::instance`] is another.
    pub fn restart(&self) {
        self.seats.lock().iter().for_each(|seat| seat.plugin.restart());
    }

    /// Asks each plugin once whether its backend answers. For commands that would rather fail than wait.
    ///
    /// # Errors
    /// The first plugin that says no, or nothing within `limit`.
    pub async fn require_healthy(&self, limit: Duration) -> Result<(), Unhealthy> {
        let seats = self.seats.lock().clone();
        let answers = seats.iter().map(|seat| seat.plugin.health(limit));
        for (seat, health) in seats.iter().zip(join_all(answers).await) {
            if let Health::Bad(reason) = health {
                return Err(Unhealthy { plugin: seat.plugin.name(), reason });
            }
        }
        Ok(())
    }

    /// Drains and ends all plugins, within `limit`. Their registries answer with errors from now on.
    pub async fn shutdown(&self, limit: Duration) {
        let seats = std::mem::take(&mut *self.seats.lock());
        let deadline = Instant::now() + limit;
        join_all(seats.iter().map(|seat| seat.plugin.shutdown(deadline))).await;
        // A swap that runs finds its plugin ended and gives up.
        self.swapping.close();
        let _ = timeout_at(deadline, self.swapping.wait()).await;
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("config", &self.config).field("seats", &*self.seats.lock()).finish()
    }
}
