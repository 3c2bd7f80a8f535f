//! What commands need that ask one thing and end.

use crate::failure::{self, Next, coded};
use crate::prompt;
use micro::{BackendSettings, Backends, Client, Flags};
use micro_core::{Code, RegistryError, Service};
use std::time::Duration;

/// The registry must answer within this time, unless `--client_request_timeout` says otherwise.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long plugins may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// What flags say that do not make sense together, or at all.
const FLAGS_HELP: &str =
    "micro --help lists the registry options; micro plugin inspect FILE shows what a plugin takes";

/// Starts logging, at `level` unless the flags say otherwise, and opens what the flags name for a long-running service.
pub(crate) async fn backends(flags: &Flags, level: &str, service: &str) -> anyhow::Result<Backends> {
    let service = flags.server_name.as_deref().unwrap_or(service);
    open(BackendSettings { service: Some(service.to_owned()), ..settings(flags, level)? }).await
}

/// Starts logging, and what the flags say about backends, none of which is opened yet.
pub(crate) fn settings(flags: &Flags, level: &str) -> anyhow::Result<BackendSettings> {
    let level = flags.log_level.as_deref().unwrap_or(level);
    micro::logging::init(Some(level), flags.log_format.unwrap_or_default()).next_as(
        Code::VALUE,
        "--log_level takes trace, debug, info, warn, error, off, or a list of target=level",
    )?;
    let settings = BackendSettings { ask: prompt::person(), ..BackendSettings::default() };
    settings.with_flags(flags).next(FLAGS_HELP)
}

async fn open(settings: BackendSettings) -> anyhow::Result<Backends> {
    Backends::open(settings).await.next(FLAGS_HELP)
}

/// An open registry and a client.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) backends: Backends,
    pub(crate) client: Client,
}

impl Session {
    /// Opens the backends. They need not be well: see [`Session::healthy`].
    pub(crate) async fn open(flags: &Flags) -> anyhow::Result<Self> {
        // The local registry forgets what a process registered when it ends, and these commands end at once.
        Self::open_as(flags, true).await
    }

    async fn open_as(flags: &Flags, detached: bool) -> anyhow::Result<Self> {
        // Standard error belongs to the person here: what is not wrong is not said unasked.
        let backends = open(BackendSettings { detached, ..settings(flags, "error")? }).await?;
        let client = micro::client_of(flags, "go.micro.cli", &backends).next(FLAGS_HELP)?;
        Ok(Self { backends, client })
    }

    /// The same with a registry that answers: a command that ends does not wait for one that is down.
    pub(crate) async fn healthy(flags: &Flags) -> anyhow::Result<Self> {
        Self::open(flags).await?.checked(flags).await
    }

    /// The same for a command that stays, and is registered for as long as it does.
    pub(crate) async fn attached(flags: &Flags) -> anyhow::Result<Self> {
        Self::open_as(flags, false).await?.checked(flags).await
    }

    async fn checked(self, flags: &Flags) -> anyhow::Result<Self> {
        let session = self;
        let limit = flags.client_request_timeout.unwrap_or(PATIENCE);
        match session.backends.require_healthy(limit).await {
            Ok(()) => Ok(session),
            Err(error) => {
                let failed = session.registry_failed(error);
                session.close().await;
                Err(failed)
            }
        }
    }

    /// All versions of a service that is there.
    pub(crate) async fn service(&self, name: &str) -> anyhow::Result<Vec<Service>> {
        let found = self.backends.registry.get_service(name).await;
        let services = found.map_err(|error| self.registry_failed(error))?.services;
        if services.is_empty() {
            let location = self.backends.registry.location();
            let next = format!(
                "micro list services shows what is registered in {location}; --registry looks elsewhere"
            );
            return Err(coded(Code::SERVICE_NOT_FOUND, "Service not found", next));
        }
        Ok(services)
    }

    /// An error of the registry, with where it was looked for.
    pub(crate) fn registry_failed(&self, error: RegistryError) -> anyhow::Error {
        let location = self.backends.registry.location();
        let next = match error {
            RegistryError::Unavailable { .. } | RegistryError::Timeout { .. } => {
                format!(
                    "check that it runs at {location}, or name another one with --registry and --registry_address"
                )
            }
            RegistryError::Denied { .. } => {
                "allow it with --registry_allow, or check the credentials".to_owned()
            }
            RegistryError::Invalid { .. } => "check the request and the registry options".to_owned(),
            _ => "try again; --log_level=debug shows more".to_owned(),
        };
        failure::with_next(error, next)
    }

    /// Says goodbye to the plugins.
    pub(crate) async fn close(self) {
        self.backends.shutdown(GOODBYE).await;
    }
}
