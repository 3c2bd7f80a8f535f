//! Makes plugins that run out of requests.

use crate::convert::millis;
use crate::denials::Denials;
use crate::error::{LoadError, Step};
use crate::health::Health;
use crate::http::Egress;
use crate::launch::{LaunchError, Launcher, Running};
use crate::limits;
use crate::loader::{Loaded, Loader};
use crate::log::Rate;
use crate::plugin::{Origin, Plugin};
use crate::probe::Trace;
use crate::request::PluginRequest;
use crate::settings::Settings;
use micro_net::tls::{self, ClientTls};
use micro_net::{Dialer, EgressPolicy, HttpClient, HttpClientOptions, Resolver, Rule};
use micro_plugin::address::Scheme;
use micro_plugin::{Grant, Kind, Resolved};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

/// How long loading waits for the first word about the backend. A backend that is down does not fail it.
const FIRST_HEALTH: Duration = Duration::from_secs(1);

/// What every plugin of a process is made with.
pub(crate) struct Factory {
    /// Asks the operator for missing permissions.
    pub(crate) loader: Loader,
    /// Asks nobody: a swap gets what the generation before it has.
    pub(crate) strict: Loader,
    pub(crate) resolver: Arc<dyn Resolver>,
    pub(crate) version: String,
    pub(crate) settings: Settings,
}

impl Factory {
    /// The first generation of a plugin. One that cannot be configured yet is no error: its task keeps trying.
    pub(crate) async fn first(&self, request: &PluginRequest, kind: Kind) -> Result<Arc<Plugin>, LoadError> {
        let begun = Instant::now();
        let loaded = self.loader.load(request, kind).await?;
        let (origin, launcher, denials) = self.prepare(request, loaded, (1, Arc::default()))?;
        let first = match launcher.launch().await {
            Ok(running) => Some(running),
            Err(LaunchError::NotYet(_)) => None,
            Err(error) => return Err(refused(request, error)),
        };
        let plugin = Plugin::start(origin, launcher, denials, first);
        let health = plugin.first_health(FIRST_HEALTH).await;
        let manifest = &plugin.launcher().manifest;
        tracing::info!(
            plugin.name = manifest.name, version = manifest.version, kind = %kind, took_ms = millis(begun.elapsed()),
            healthy = health == Health::Good, "plugin in service"
        );
        Ok(plugin)
    }

    /// A generation that could take the place of `old`. It runs, and nobody calls it yet.
    pub(crate) async fn next(&self, request: &PluginRequest, old: &Plugin) -> Result<Arc<Plugin>, LoadError> {
        let Launcher { generation, started, manifest, .. } = old.launcher();
        let loaded = self.strict.load(request, manifest.kind).await?;
        let (origin, launcher, denials) = self.prepare(request, loaded, (generation + 1, started.clone()))?;
        let first: Running = launcher.launch().await.map_err(|error| refused(request, error))?;
        Ok(Plugin::start(origin, launcher, denials, Some(first)))
    }

    /// The process ends, so nothing comes into service any more.
    pub(crate) fn stopping(&self, request: &PluginRequest) -> LoadError {
        LoadError::new(&request.locator, Step::Start, "this process is stopping", "start it again")
    }

    fn prepare(
        &self,
        request: &PluginRequest,
        loaded: Loaded,
        count: (u64, Arc<AtomicU64>),
    ) -> Result<(Origin, Arc<Launcher>, Arc<Denials>), LoadError> {
        let denials = Arc::new(Denials::new(&loaded.manifest.name, request.flag_for("allow")));
        let origin = Origin { flag: request.flag.clone(), file: loaded.file.clone(), digest: loaded.digest };
        let launcher = Arc::new(self.launcher(request, loaded, denials.clone(), count)?);
        Ok((origin, launcher, denials))
    }

    fn launcher(
        &self,
        request: &PluginRequest,
        loaded: Loaded,
        denials: Arc<Denials>,
        (generation, started): (u64, Arc<AtomicU64>),
    ) -> Result<Launcher, LoadError> {
        let egress = self.egress(request, &loaded.options, &loaded.grants, denials, None)?;
        let memory_limit = request.memory(&loaded.manifest, limits::MEMORY);
        Ok(Launcher {
            pre: loaded.pre,
            indices: loaded.indices,
            manifest: loaded.manifest,
            options: loaded.options,
            grants: loaded.grants,
            memory_limit,
            egress,
            rate: Rate::new(),
            generation,
            host_version: self.version.clone(),
            settings: self.settings.clone(),
            started,
            tasks: TaskTracker::new(),
        })
    }

    /// The way out of a plugin with these options and permissions.
    ///
    /// # Errors
    /// The TLS settings of the request cannot be used.
    pub(crate) fn egress(
        &self,
        request: &PluginRequest,
        options: &Resolved,
        grants: &[Grant],
        denials: Arc<Denials>,
        trace: Option<Arc<Trace>>,
    ) -> Result<Arc<Egress>, LoadError> {
        let policy = policy(options, grants);
        let dialer = Dialer::new(policy.clone()).with_resolver(self.resolver.clone());
        let mut client = HttpClientOptions::new(dialer);
        client.tls = client_tls(request.tls.as_ref(), options).map_err(|error| {
            LoadError::new(&request.locator, Step::Options, error, "correct the TLS files")
        })?;
        Ok(Egress::new(HttpClient::new(client), policy, denials, trace))
    }
}

/// Why a plugin did not start.
pub(crate) fn refused(request: &PluginRequest, error: LaunchError) -> LoadError {
    let (step, reason, remedy) = match error {
        LaunchError::Invalid(reason) => (
            Step::Configure,
            reason,
            format!("correct {} and {}", request.flag_for("address"), request.flag_for("opt")),
        ),
        LaunchError::NotYet(reason) => {
            (Step::Configure, format!("it cannot start yet: {reason}"), "try again later".to_owned())
        }
        LaunchError::Fault(fault) => {
            let remedy = "report this to its author; --log_level=debug shows its own messages";
            (Step::Start, fault.summary(), remedy.to_owned())
        }
    };
    LoadError::new(&request.locator, step, reason, remedy)
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

impl fmt::Debug for Factory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Factory").finish_non_exhaustive()
    }
}
