//! A service: handlers on a port, a record in a registry, a client, and a life from start to stop.

mod builder;
mod hooks;
mod once;
mod running;
mod subscriptions;
mod tls;

pub use builder::{ServiceBuilder, client_of};
pub use hooks::HookError;
pub use running::RunningService;
pub use tls::ServiceTls;

use crate::admin::{Admin, AdminError};
use crate::backends::{BackendError, Backends};
use crate::broker::HttpBroker;
use crate::client::Client;
use crate::ready::Readiness;
use crate::register::{Identity, RegisterCheck, Registrar};
use crate::server::Server;
use crate::signals::Signals;
use crate::swap::Reloader;
use futures::future::BoxFuture;
use hooks::{Hooks, run_hooks};
use micro_core::{BrokerError, Message};
use micro_net::listen::{ListenError, Listener};
use micro_net::tls::TlsError;
use micro_net::{MemoryTransport, Stop, grpc, wire};
use parking_lot::Mutex;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use subscriptions::Subscriptions;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// Why a service did not start, or did not stop cleanly.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// A flag whose value is wrong.
    #[error("{0}")]
    Flag(String),
    /// The registry or the selector.
    #[error("cannot open the backends of service {service:?}")]
    Backend {
        /// The service's name.
        service: String,
        /// What is wrong.
        source: BackendError,
    },
    /// The port.
    #[error("service {service:?} cannot listen")]
    Listen {
        /// The service's name.
        service: String,
        /// What is wrong.
        source: ListenError,
    },
    /// A certificate or a key, of the port or of the client.
    #[error("service {service:?} cannot use its TLS settings")]
    Tls {
        /// The service's name.
        service: String,
        /// What is wrong.
        source: TlsError,
    },
    /// The admin address. (A missing admin socket is only a warning.)
    #[error("service {service:?} cannot serve its admin pages")]
    Admin {
        /// The service's name.
        service: String,
        /// What is wrong.
        source: AdminError,
    },
    /// A subscription.
    #[error("service {service:?} cannot subscribe")]
    Broker {
        /// The service's name.
        service: String,
        /// What is wrong.
        source: BrokerError,
    },
    /// A hook.
    #[error("a {when} hook of service {service:?} failed: {source}")]
    Hook {
        /// The service's name.
        service: String,
        /// `before-start` and so on.
        when: &'static str,
        /// What it said.
        source: HookError,
    },
}

struct Registration {
    ttl: Duration,
    interval: Duration,
    check: Option<RegisterCheck>,
}

/// A service: handlers on a port, a record in a registry, and a client.
///
/// ```no_run
/// use micro::{Handler, Service};
///
/// #[tokio::main]
/// async fn main() -> Result<(), micro::ServiceError> {
///     let echo = Handler::new("Echo").json("Upper", |_cx, text: String| async move { Ok(text.to_uppercase()) });
///     let flags = micro::flags::parse_flags();
///     Service::builder("go.micro.srv.echo").handler(echo).flags(&flags).build().await?.run().await
/// }
/// ```
pub struct Service {
    identity: Identity,
    address: String,
    listener: Option<std::net::TcpListener>,
    tls: Option<ServiceTls>,
    memory: Option<MemoryTransport>,
    backends: Backends,
    client: Client,
    server: Server,
    registration: Registration,
    hooks: Hooks,
    handle_signals: bool,
    cancel: CancellationToken,
    drain_delay: Duration,
    drain_timeout: Duration,
    watch_plugins: bool,
    /// SIGHUP is ours to handle.
    take_hangup: bool,
    admin_address: Option<String>,
    ready: Readiness,
    home: Option<PathBuf>,
    companions: Vec<Companion>,
}

/// Starts a server that lives beside the RPC port.
type Companion = Box<dyn FnOnce(Stop) -> BoxFuture<'static, ()> + Send>;

impl Service {
    /// A service of this name, for instance `go.micro.srv.greeter`.
    pub fn builder(name: impl Into<String>) -> ServiceBuilder {
        ServiceBuilder::new(name)
    }

    /// The name it registers under.
    pub fn name(&self) -> &str {
        &self.identity.name
    }

    /// A client that shares the service's registry and settings.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The handlers behind the port.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The registry and the plugins.
    pub fn backends(&self) -> &Backends {
        &self.backends
    }

    /// What `/readyz` says. Add conditions of your own.
    pub fn readiness(&self) -> &Readiness {
        &self.ready
    }

    /// Runs something of yours beside the RPC port, for instance an HTTP server. It starts with the port. At shutdown,
    /// after the drain delay, `soon` of the [`Stop`] asks it to take no new work and `now` to let go; the service
    /// waits for its end before the plugins go.
    #[must_use]
    pub fn companion<F, Fut>(mut self, run: F) -> Self
    where
        F: FnOnce(Stop) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.companions.push(Box::new(move |stop| Box::pin(run(stop))));
        self
    }

    /// Starts, serves until a signal or the token of [`ServiceBuilder::stop_on`], and stops.
    ///
    /// # Errors
    /// The start failed, or a stop hook did.
    pub async fn run(mut self) -> Result<(), ServiceError> {
        self.take_hangup = self.handle_signals;
        let (cancel, handle_signals) = (self.cancel.clone(), self.handle_signals);
        let mut signals = Signals::new(handle_signals);
        let (mut running, tried) = tokio::select! {
            // Nothing was promised to anybody yet.
            _ = signals.next() => return Ok(()),
            launched = self.launch() => launched?,
        };
        let settled = tokio::select! {
            signal = signals.next() => {
                tracing::info!(signal, "stopping before the start was complete");
                return running.stop_unless(signals).await;
            }
            settled = running.settle(tried) => settled,
        };
        if let Err(error) = settled {
            running.give_up().await?;
            return Err(error);
        }
        tokio::select! {
            signal = signals.next() => tracing::info!(signal, "stopping"),
            () = cancel.cancelled() => tracing::info!("stopping"),
        }
        running.stop_unless(signals).await
    }

    /// Starts and returns. The service ends with [`RunningService::stop`].
    ///
    /// # Errors
    /// The port is taken, or a hook failed. What was opened before is closed again.
    pub async fn start(self) -> Result<RunningService, ServiceError> {
        let (mut running, tried) = self.launch().await?;
        if let Err(error) = running.settle(tried).await {
            running.give_up().await?;
            return Err(error);
        }
        Ok(running)
    }

    /// Everything but waiting: serves, and has begun to register. The channel tells when that was tried.
    async fn launch(mut self) -> Result<(RunningService, oneshot::Receiver<()>), ServiceError> {
        let service = self.identity.name.clone();
        micro_net::limits::raise();
        let registry = &self.backends.registry;
        tracing::info!(registry = registry.name(), location = registry.location(), "registry");
        // 1. Hooks first: they may prepare what the rest needs.
        run_hooks(&service, "before-start", std::mem::take(&mut self.hooks.before_start)).await?;
        // 2. The port.
        let listener = match (self.listener.take(), &self.memory) {
            (_, Some(memory)) => Listener::in_memory(memory, &self.address),
            (Some(listener), None) => Listener::from_std(listener),
            (None, None) => Listener::bind(&self.address).await,
        };
        let listener =
            listener.map_err(|source| ServiceError::Listen { service: service.clone(), source })?;
        let bound = listener.local_addr();
        let advertised = self.identity.address(bound).map_err(ServiceError::Flag)?;
        let (listener, certificate) = match &self.tls {
            None => (listener, None),
            Some(tls) => tls
                .secure(listener, &advertised)
                .map_err(|source| ServiceError::Tls { service: service.clone(), source })?,
        };
        // 3. The admin socket, so that a start that waits can be looked at.
        let admin = Admin {
            service: service.clone(),
            address: bound,
            ready: self.ready.clone(),
            backends: self.backends.clone(),
            client: self.client.clone(),
        };
        let admin = admin.start(self.admin_address.as_deref(), self.home.clone()).await;
        let admin = admin.map_err(|source| ServiceError::Admin { service: service.clone(), source })?;
        let reloader = Reloader::start(&self.backends, self.watch_plugins, self.take_hangup);
        // 4. Serve before registering: whoever finds us gets an answer.
        let stop = Stop::new();
        let handler = RpcHandler { server: self.server.clone(), broker: self.backends.http_broker.clone() };
        let (limits, grace) = (wire::Limits::default(), self.drain_timeout);
        let wire = self.backends.wire.clone();
        let serving = wire::serve_rpc_with(wire, listener, handler, limits, stop.clone(), grace);
        let mut serving = vec![tokio::spawn(serving)];
        serving.extend(certificate.map(|certificate| tokio::spawn(certificate.follow(stop.clone()))));
        serving.extend(self.companions.drain(..).map(|companion| tokio::spawn(companion(stop.clone()))));
        tracing::info!(service, address = %bound, tls = self.tls.is_some(), "serving");
        // 5. Register, and keep at it.
        let deregister = CancellationToken::new();
        let (tried, first_try) = oneshot::channel();
        let registrar = Registrar {
            registry: self.backends.registry.clone(),
            record: self.identity.record(
                advertised,
                self.backends.registry.name(),
                self.backends.broker.name(),
            ),
            ttl: self.registration.ttl,
            interval: self.registration.interval,
            check: self.registration.check.take(),
            ready: self.ready.clone(),
            tried: Some(tried),
        };
        self.ready.set("registration", Err("not tried yet".to_owned()));
        let node = registrar.record.nodes[0].id.clone();
        // Events come to the same port.
        let advertised = registrar.record.nodes[0].address.clone();
        if let Some(broker) = &self.backends.http_broker {
            let secure = registrar.record.nodes[0].metadata.get("secure").is_some_and(|it| it == "true");
            broker.attach(advertised.clone(), secure);
        }
        let registering = tokio::spawn(registrar.run(deregister.clone()));
        let running = RunningService {
            service,
            node,
            bound,
            stop,
            serving,
            deregister,
            registering,
            admin,
            reloader,
            server: self.server,
            advertised,
            subscriptions: Subscriptions::default(),
            drain_delay: self.drain_delay,
            drain_timeout: self.drain_timeout,
            hooks: Mutex::new(self.hooks),
            backends: self.backends,
            client: self.client,
            ready: self.ready,
        };
        Ok((running, first_try))
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("name", &self.identity.name).finish_non_exhaustive()
    }
}

#[derive(Clone)]
struct RpcHandler {
    server: Server,
    /// Present where events may come to this port.
    broker: Option<HttpBroker>,
}

impl wire::Handler for RpcHandler {
    fn handle(&self, request: wire::Request) -> impl Future<Output = Message> + Send {
        let server = self.server.clone();
        async move { server.message(request.message, Some(request.peer)).await }
    }

    fn receive(&self, request: wire::Request) -> impl Future<Output = wire::Answer> + Send {
        let server = self.server.clone();
        async move { server.receive(request.message, Some(request.peer)).await }
    }

    fn stream_of<'m>(&self, message: &'m Message) -> wire::StreamId<'m> {
        crate::server::stream_of(&message.headers)
    }

    fn busy(&self, message: &Message) -> Message {
        self.server.busy(message)
    }

    fn divert(&self, request: &mut wire::Request) -> Option<BoxFuture<'static, wire::Plain>> {
        self.broker.as_ref()?.divert(request)
    }

    fn call(
        &self,
        call: grpc::Incoming,
    ) -> impl Future<Output = Result<grpc::Outgoing, grpc::Status>> + Send {
        let server = self.server.clone();
        async move { server.grpc(call).await }
    }
}

#[cfg(test)]
mod tests;
