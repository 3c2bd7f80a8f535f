//! From a compiled plugin to a configured instance.

use crate::actor::{Body, Instance, Job, header};
use crate::convert::millis;
use crate::exports::{Exports, Indices};
use crate::fault::Fault;
use crate::http::{Egress, Outgoing};
use crate::limits::{QUEUED, SLACK, Usage};
use crate::log::{GuestLog, Rate};
use crate::settings::Settings;
use crate::state::{Need, Seed, State, new_store};
use micro_bindings::exports::micro::plugin::lifecycle::{self, Context, Error};
use micro_plugin::{Grant, Manifest, Resolved};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wasmtime::Store;
use wasmtime::component::InstancePre;

/// How long instantiating and `configure` may take each. Neither may wait for the backend.
pub(crate) const CONFIGURE_TIMEOUT: Duration = Duration::from_secs(5);
/// Calls of `health` and `drain` that wait.
const URGENT: usize = 16;

/// Everything that all instances of a plugin are made from.
pub(crate) struct Launcher {
    pub(crate) pre: InstancePre<State>,
    pub(crate) indices: Indices,
    pub(crate) manifest: Manifest,
    pub(crate) options: Resolved,
    pub(crate) grants: Vec<Grant>,
    pub(crate) memory_limit: usize,
    pub(crate) egress: Arc<Egress>,
    pub(crate) rate: Arc<Rate>,
    pub(crate) generation: u64,
    pub(crate) host_version: String,
    pub(crate) settings: Settings,
    /// Instances that were started so far, over all generations.
    pub(crate) started: Arc<AtomicU64>,
    /// The tasks of the instances.
    pub(crate) tasks: TaskTracker,
}

/// An instance and its task.
pub(crate) struct Running {
    pub(crate) instance: Instance,
    pub(crate) retire: CancellationToken,
    pub(crate) task: JoinHandle<Option<Fault>>,
}

/// An instance that did not come about.
#[derive(Debug)]
pub(crate) enum LaunchError {
    /// The plugin does not accept its options. Trying again does not help.
    Invalid(String),
    /// The plugin says that something else is missing. It may come.
    NotYet(String),
    /// The plugin failed.
    Fault(Fault),
}

impl Launcher {
    /// Instantiates, configures and starts the task. An instance that cannot be configured never gets a call.
    pub(crate) async fn launch(&self) -> Result<Running, LaunchError> {
        let number = self.started.fetch_add(1, Ordering::Relaxed) + 1;
        let log = GuestLog::new(&self.manifest.name, number, self.rate.clone());
        let need = Arc::new(Need::default());
        let seed = Seed {
            outgoing: Outgoing(self.egress.clone()),
            log: log.clone(),
            grants: &self.grants,
            memory_limit: self.memory_limit,
            need: need.clone(),
        };
        let (mut store, usage) =
            new_store(self.pre.engine(), seed).map_err(|error| LaunchError::Invalid(format!("{error:#}")))?;
        let exports = self.start(&mut store, number, &usage, &log).await?;

        let (jobs, jobs_rx) = mpsc::channel(QUEUED);
        let (urgent, urgent_rx) = mpsc::channel(URGENT);
        let retire = CancellationToken::new();
        let (ended, ended_rx) = watch::channel(None);
        let instance = Instance {
            number,
            jobs,
            urgent,
            usage: usage.clone(),
            log: log.clone(),
            in_flight: Arc::default(),
            need: need.clone(),
            ended: ended_rx,
        };
        let body = Body {
            store,
            exports,
            jobs: jobs_rx,
            urgent: urgent_rx,
            retire: retire.clone(),
            need,
            max_concurrency: self.manifest.max_concurrency as usize,
            grace: self.settings.grace,
            usage,
            log,
            ended,
        };
        Ok(Running { instance, retire, task: self.tasks.spawn(body.run()) })
    }

    async fn start(
        &self,
        store: &mut Store<State>,
        number: u64,
        usage: &Usage,
        log: &GuestLog,
    ) -> Result<Exports, LaunchError> {
        let trapped = |error: wasmtime::Error| LaunchError::Fault(Fault::trap(&error, usage, log));
        let late = |what| move |_| LaunchError::Fault(Fault::deadline(what, CONFIGURE_TIMEOUT + SLACK, log));
        let instantiate = timeout(CONFIGURE_TIMEOUT, self.pre.instantiate_async(&mut *store));
        let instance = instantiate.await.map_err(late("starting"))?.map_err(trapped)?;
        let exports = self.indices.load(store, &instance).map_err(trapped)?;

        let context = Context {
            plugin: self.manifest.name.clone(),
            instance: number,
            generation: self.generation,
            host_version: self.host_version.clone(),
        };
        let configure = configure(store, &exports.lifecycle, context, self.options.config_json());
        let answer = timeout(CONFIGURE_TIMEOUT + SLACK, configure).await.map_err(late("configure"))?;
        answer.map_err(trapped)?.map(|()| exports)
    }
}

/// Hands an instance its options. The inner error is what it thinks of them.
///
/// # Errors
/// A trap.
pub(crate) async fn configure(
    store: &mut Store<State>,
    lifecycle: &lifecycle::Guest,
    context: Context,
    config: String,
) -> wasmtime::Result<Result<(), LaunchError>> {
    let call = header(CONFIGURE_TIMEOUT);
    let configure = store
        .run_concurrent(async |accessor| lifecycle.call_configure(accessor, call, context, config).await);
    Ok(match configure.await?? {
        Ok(()) => Ok(()),
        Err(Error::Invalid(why) | Error::Denied(why)) => Err(LaunchError::Invalid(why)),
        Err(other) => Err(LaunchError::NotYet(crate::convert::explain(&other))),
    })
}

impl Running {
    /// Lets the instance finish what it has, at most for `grace`, without waiting for it. Another one has taken over.
    pub(crate) fn retire(self, grace: Duration) {
        // Queued before the request to retire, so it is heard first; dropping the answer does not take it back.
        drop(self.drain("replaced", grace));
        self.retire.cancel();
    }

    /// Calls `drain`. The answer is an error when the instance ended instead, and says nothing more: there is nothing
    /// left to be done about it.
    pub(crate) fn drain(&self, reason: &'static str, limit: Duration) -> oneshot::Receiver<()> {
        let (done, drained) = oneshot::channel();
        let job: Job = Box::new(move |accessor, exports| {
            Box::pin(async move {
                exports.lifecycle.call_drain(accessor, reason.to_owned(), millis(limit)).await?;
                let _ = done.send(()); // nobody may be waiting
                Ok(())
            })
        });
        // An instance that cannot take it ends without it.
        let _ = self.instance.urgent.try_send(job);
        drained
    }
}
