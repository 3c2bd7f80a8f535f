//! A service that serves, and its end.

use super::ServiceError;
use super::hooks::{Hooks, run_all_hooks, run_hooks};
use super::subscriptions::Subscriptions;
use crate::admin::RunningAdmin;
use crate::backends::Backends;
use crate::client::Client;
use crate::ready::Readiness;
use crate::server::Server;
use crate::signals::Signals;
use crate::swap::Reloader;
use micro_net::Stop;
use parking_lot::Mutex;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;

/// A service that serves.
pub struct RunningService {
    pub(super) service: String,
    pub(super) node: String,
    pub(super) bound: SocketAddr,
    pub(super) stop: Stop,
    /// The RPC port and what lives beside it.
    pub(super) serving: Vec<JoinHandle<()>>,
    pub(super) deregister: CancellationToken,
    pub(super) registering: JoinHandle<()>,
    pub(super) admin: RunningAdmin,
    pub(super) reloader: Reloader,
    pub(super) server: Server,
    /// The address in the registry, at which events come in too.
    pub(super) advertised: String,
    pub(super) subscriptions: Subscriptions,
    pub(super) drain_delay: Duration,
    pub(super) drain_timeout: Duration,
    /// Locked only so that hooks need not be `Sync` for this to be.
    pub(super) hooks: Mutex<Hooks>,
    pub(super) backends: Backends,
    pub(super) client: Client,
    pub(super) ready: Readiness,
}

impl fmt::Debug for RunningService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningService")
            .field("service", &self.service)
            .field("address", &self.bound)
            .finish_non_exhaustive()
    }
}

impl RunningService {
    /// The port that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.bound
    }

    /// The node's id in the registry.
    pub fn node_id(&self) -> &str {
        &self.node
    }

    /// A client that shares the service's registry and settings.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// What `/readyz` says.
    pub fn readiness(&self) -> &Readiness {
        &self.ready
    }

    /// Waits until the first registration was tried, subscribes, then runs the hooks for that moment.
    pub(super) async fn settle(&mut self, tried: oneshot::Receiver<()>) -> Result<(), ServiceError> {
        _ = tried.await; // An error means that the task ended, which its owner will see.
        let subscribing =
            Subscriptions::start(&self.backends.broker, &self.server, self.drain_delay, &self.stop.now);
        let failed = |source| ServiceError::Broker { service: self.service.clone(), source };
        self.subscriptions = subscribing.await.map_err(failed)?;
        let hooks = std::mem::take(&mut self.hooks.get_mut().after_start);
        run_hooks(&self.service, "after-start", hooks).await
    }

    /// Stops a service that nobody relies on yet.
    pub(super) async fn give_up(mut self) -> Result<(), ServiceError> {
        self.drain_delay = Duration::ZERO;
        self.stop().await
    }

    /// Stops in the documented order and waits for the end.
    ///
    /// # Errors
    /// The first stop hook that failed; everything has stopped all the same.
    pub async fn stop(self) -> Result<(), ServiceError> {
        self.stop_unless(Signals::new(false)).await
    }

    /// A signal in `signals` skips the waits.
    pub(crate) async fn stop_unless(self, mut signals: Signals) -> Result<(), ServiceError> {
        let now = self.stop.now.clone();
        let stopping = self.stop_in_order();
        tokio::pin!(stopping);
        tokio::select! {
            stopped = &mut stopping => return stopped,
            signal = signals.next() => tracing::warn!(signal, "stopping at once"),
        }
        now.cancel();
        stopping.await
    }

    async fn stop_in_order(mut self) -> Result<(), ServiceError> {
        let hooks = std::mem::take(self.hooks.get_mut());
        // 1. Not ready: load balancers look at this.
        self.ready.set("stopping", Err("the service is stopping".to_owned()));
        let before = run_all_hooks(&self.service, "before-stop", hooks.before_stop).await;
        // 2. Out of the registry, also as a subscriber.
        self.deregister.cancel();
        tokio::join!(self.subscriptions.close(), async {
            ended("registration", self.registering.await);
        });
        // 3. Callers' caches are stale for a while, so keep accepting.
        tokio::select! {
            () = tokio::time::sleep(self.drain_delay) => {}
            () = self.stop.now.cancelled() => {}
        }
        // 4. Stop accepting; running requests and events get their time, then they are cancelled.
        self.stop.soon.cancel();
        self.subscriptions.finish(self.drain_timeout, &self.stop.now).await;
        if let Some(broker) = &self.backends.http_broker {
            broker.detach(&self.advertised);
        }
        for task in self.serving {
            ended("server", task.await);
        }
        // 5. Plugins go last: the requests above were still calling them.
        self.reloader.stop().await;
        self.backends.shutdown(Duration::from_secs(2)).await;
        self.admin.stop().await;
        let after = run_all_hooks(&self.service, "after-stop", hooks.after_stop).await;
        tracing::info!(service = self.service, "stopped");
        before.and(after)
    }
}

/// A task of ours that panicked is a bug, which should be seen but not keep the rest from stopping.
fn ended(task: &str, outcome: Result<(), JoinError>) {
    if let Err(error) = outcome {
        tracing::error!(task, %error, "a task did not end well");
    }
}
