//! The registration of a server: its record, the heartbeat, and the way out.

mod advertise;

pub(crate) use advertise::{advertised, interfaces};

use crate::client::security::SECURE;
use futures::future::BoxFuture;
use micro_core::registry::Metadata;
use micro_core::{Endpoint, Node, NodeStatus, Registry, Service};
use micro_net::Backoff;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::ready::Readiness;

/// Says whether the node should be registered now; its error text is logged.
pub(crate) type RegisterCheck = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// The longest that one registry call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Everything about this node that goes into the registry.
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) id: String,
    pub(crate) metadata: Metadata,
    pub(crate) endpoints: Vec<Endpoint>,
    /// What the registry says in place of the bound address.
    pub(crate) advertise: Option<String>,
    /// It is called over TLS.
    pub(crate) secure: bool,
    /// It is called within this process.
    pub(crate) memory: bool,
}

impl Identity {
    /// What a server bound to `bound` is registered under.
    ///
    /// # Errors
    /// A text about `--server_advertise`.
    pub(crate) fn address(&self, bound: SocketAddr) -> Result<String, String> {
        match self.memory {
            // Nobody finds it under another one.
            true => Ok(bound.to_string()),
            false => advertise::address(self.advertise.as_deref(), bound),
        }
    }

    /// The record of a server at `address` (`go-micro-wire` §6.2).
    pub(crate) fn record(&self, address: String, registry: &str, broker: &str) -> Service {
        let transport = if self.memory { "memory" } else { "http" };
        let own = [("transport", transport), ("server", "mucp"), ("protocol", "mucp")];
        let own = own.into_iter().chain([("registry", registry), ("broker", broker)]);
        let mut metadata = self.metadata.clone();
        let secure = self.secure.then_some((SECURE, "true"));
        let own = own.into_iter().chain(secure);
        metadata.extend(own.map(|(key, value)| (key.to_owned(), value.to_owned())));
        let node = Node {
            id: format!("{}-{}", self.name, self.id),
            address,
            metadata,
            status: NodeStatus::Passing,
            zone: None,
            tags: Vec::new(),
        };
        Service {
            name: self.name.clone(),
            version: self.version.clone(),
            metadata: Metadata::new(),
            endpoints: self.endpoints.clone(),
            nodes: vec![node],
        }
    }
}

/// Keeps a record in a registry.
pub(crate) struct Registrar {
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) record: Service,
    pub(crate) ttl: Duration,
    pub(crate) interval: Duration,
    pub(crate) check: Option<RegisterCheck>,
    pub(crate) ready: Readiness,
    /// Told when the first registration was tried, whatever came of it.
    pub(crate) tried: Option<oneshot::Sender<()>>,
}

impl fmt::Debug for Registrar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registrar").field("service", &self.record.name).finish_non_exhaustive()
    }
}

/// Where the record is, as far as we know. Log lines are written when this changes, not on each try.
#[derive(Clone, Copy, PartialEq)]
enum State {
    New,
    Registered,
    Lost,
    /// The check said no, and the record was removed.
    Held,
}

impl Registrar {
    /// Registers, and again every interval, until `stop`; then deregisters. A registry that is down is tried again
    /// with a growing pause, at the latest after one interval.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut state = State::New;
        let mut backoff = Backoff::new(Duration::from_millis(100), self.interval.min(Duration::from_secs(5)));
        loop {
            let beat = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                next = self.beat(state) => next,
            };
            state = beat;
            if let Some(tried) = self.tried.take() {
                _ = tried.send(()); // The one who waits may be gone.
            }
            let pause = match state {
                State::Lost => backoff.next_wait().min(self.interval),
                _ => {
                    backoff.reset();
                    self.interval
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
            }
        }
        // A heartbeat that was cut off may still have arrived, so anything but a clean slate is taken back.
        if state != State::Held {
            self.deregister().await;
        }
    }

    async fn beat(&self, state: State) -> State {
        let node = &self.record.nodes[0];
        if let Some(check) = &self.check
            && let Err(why) = check().await
        {
            if state != State::Held {
                tracing::warn!(
                    service = self.record.name,
                    node = node.id,
                    why,
                    "register check failed: not registered"
                );
                self.ready.set("registration", Err(format!("register check: {why}")));
                if state != State::New {
                    self.deregister().await;
                }
            }
            return State::Held;
        }
        let outcome =
            tokio::time::timeout(CALL_TIMEOUT, self.registry.register(&self.record, self.ttl)).await;
        let outcome = match outcome {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(micro_net::error_chain(&error)),
            Err(_elapsed) => Err(format!("no answer within {CALL_TIMEOUT:?}")),
        };
        let (service, registry) = (&self.record.name, self.registry.name());
        match outcome {
            Ok(()) => {
                match state {
                    State::Registered => tracing::trace!(service, node = node.id, registry, "heartbeat"),
                    State::Lost => tracing::info!(service, node = node.id, registry, "registered again"),
                    State::New | State::Held => {
                        tracing::info!(
                            service,
                            node = node.id,
                            address = node.address,
                            registry,
                            "registered"
                        );
                    }
                }
                self.ready.set("registration", Ok(()));
                State::Registered
            }
            Err(error) => {
                if state != State::Lost {
                    tracing::warn!(service, node = node.id, registry, error, "cannot register: trying on");
                }
                self.ready.set("registration", Err(error));
                State::Lost
            }
        }
    }

    async fn deregister(&self) {
        let (service, node) = (&self.record.name, &self.record.nodes[0].id);
        let limit = Duration::from_secs(2);
        match tokio::time::timeout(limit, self.registry.deregister(&self.record)).await {
            Ok(Ok(())) => tracing::info!(service, node, registry = self.registry.name(), "deregistered"),
            Ok(Err(error)) => {
                let error = micro_net::error_chain(&error);
                tracing::warn!(service, node, error, "cannot deregister: the registration ends with its TTL");
            }
            Err(_elapsed) => tracing::warn!(
                service,
                node,
                "deregistering took too long: the registration ends with its TTL"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::MemoryRegistry;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    #[tokio::test(start_paused = true)]
    async fn a_failing_check_takes_the_node_out_until_it_passes() {
        let registry = Arc::new(MemoryRegistry::new());
        let healthy = Arc::new(AtomicBool::new(true));
        let asked = healthy.clone();
        let check: RegisterCheck = Arc::new(move || {
            let fine = asked.load(Relaxed);
            Box::pin(async move { fine.then_some(()).ok_or_else(|| "sick".to_owned()) })
        });
        let identity = Identity {
            name: "greeter".into(),
            version: "1".into(),
            id: "x".into(),
            metadata: Metadata::new(),
            endpoints: Vec::new(),
            advertise: None,
            secure: false,
            memory: false,
        };
        let ready = Readiness::default();
        let registrar = Registrar {
            registry: registry.clone(),
            record: identity.record("127.0.0.1:9000".to_owned(), "memory", "http"),
            ttl: Duration::from_secs(60),
            interval: Duration::from_secs(30),
            check: Some(check),
            ready: ready.clone(),
            tried: None,
        };
        let stop = CancellationToken::new();
        let task = tokio::spawn(registrar.run(stop.clone()));
        let registered = async |wanted: usize| {
            while registry.list_services().await.expect("memory").len() != wanted {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        registered(1).await;
        healthy.store(false, Relaxed);
        registered(0).await;
        assert!(ready.check().is_err());
        healthy.store(true, Relaxed);
        registered(1).await;
        assert_eq!(ready.check(), Ok(()));
        stop.cancel();
        task.await.expect("no panic");
        registered(0).await;
    }
}
