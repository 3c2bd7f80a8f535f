//! The plugin's logic without its component: an actor on a thread of its own, since it is for one thread.

use async_trait::async_trait;
use bytes::Bytes;
use consul_core as core;
use consul_core::Consul;
use consul_core::http::{HttpClient, HttpError, Method, Request, Response};
use futures::future::LocalBoxFuture;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use micro_core::{
    Batch, Endpoint, Entry, Node, NodeStatus, Registry, RegistryError, Service, Snapshot, WatchScope, record,
};
use std::rc::Rc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

/// Longer than any call of a test takes.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Calls that wait for the actor's thread.
const QUEUE: usize = 256;

/// HTTP/1.1, a connection for each request.
#[derive(Debug)]
pub(crate) struct Sockets;

impl HttpClient for Sockets {
    async fn send(&self, request: Request<'_>) -> Result<Response, HttpError> {
        let exchange = exchange(&request);
        let late = |_| HttpError::Unreachable(format!("no answer within {:?}", request.within));
        tokio::time::timeout(request.within, exchange).await.map_err(late)?
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

async fn exchange(request: &Request<'_>) -> Result<Response, HttpError> {
    let broken = |error: &dyn std::error::Error| HttpError::Unreachable(micro_net::error_chain(error));
    let stream = TcpStream::connect(&request.origin.authority).await.map_err(|error| broken(&error))?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| broken(&error))?;
    tokio::task::spawn_local(connection);
    let method = match request.method {
        Method::Get => hyper::Method::GET,
        Method::Put => hyper::Method::PUT,
    };
    let mut ask = hyper::Request::builder().method(method).uri(request.path);
    ask = ask.header("host", &request.origin.authority);
    if let Some(token) = request.token {
        ask = ask.header("x-consul-token", token);
    }
    let ask = ask.body(Full::new(Bytes::copy_from_slice(request.body))).expect("a valid request");
    let answer = sender.send_request(ask).await.map_err(|error| broken(&error))?;
    let mut response = Response { status: answer.status().as_u16(), ..Response::default() };
    for (name, value) in answer.headers() {
        response.header(name.as_str(), value.to_str().unwrap_or_default());
    }
    let body = Limited::new(answer.into_body(), request.limit).collect().await;
    response.body = body.map_err(|error| HttpError::Unreachable(error.to_string()))?.to_bytes().into();
    Ok(response)
}

type Job = Box<dyn FnOnce(Rc<Consul<Sockets>>) -> LocalBoxFuture<'static, ()> + Send>;

/// A registry in consul. Its thread ends with it.
#[derive(Clone, Debug)]
pub(crate) struct Native {
    jobs: mpsc::Sender<Job>,
    address: String,
}

impl Native {
    pub(crate) fn new(config: core::Config) -> Self {
        let address = config.addresses.join(",");
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
        std::thread::spawn(move || {
            let consul = Consul::new(config, Sockets, |warning| eprintln!("{warning}"));
            let consul = Rc::new(consul.expect("valid settings"));
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let tasks = tokio::task::LocalSet::new();
            tasks.block_on(&runtime.expect("a runtime"), async {
                while let Some(job) = queue.recv().await {
                    tokio::task::spawn_local(job(consul.clone()));
                }
            });
        });
        Self { jobs, address }
    }

    /// With nothing but the address.
    pub(crate) fn at(address: &str) -> Self {
        Self::new(core::Config { addresses: vec![address.to_owned()], ..core::Config::default() })
    }

    async fn call<T: Send + 'static>(
        &self,
        call: impl AsyncFnOnce(&Consul<Sockets>) -> Result<T, core::Error> + Send + 'static,
    ) -> Result<T, RegistryError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |consul| {
            Box::pin(async move {
                // Nobody may be there to hear it.
                let _ = answer.send(call(&consul).await);
            })
        });
        self.jobs.send(job).await.expect("the thread runs");
        answered.await.expect("the thread does not panic").map_err(error)
    }
}

#[async_trait]
impl Registry for Native {
    fn name(&self) -> &str {
        "consul"
    }

    fn watch_scope(&self) -> WatchScope {
        WatchScope::Name
    }

    fn location(&self) -> String {
        self.address.clone()
    }

    async fn register(&self, service: &Service, ttl: Duration) -> Result<(), RegistryError> {
        let service = to_core(service);
        self.call(async move |consul| consul.register(&service, ttl, TIMEOUT).await).await
    }

    async fn deregister(&self, service: &Service) -> Result<(), RegistryError> {
        let service = to_core(service);
        self.call(async move |consul| consul.deregister(&service, TIMEOUT).await).await
    }

    async fn get_service(&self, name: &str) -> Result<Snapshot, RegistryError> {
        let name = name.to_owned();
        let snapshot = self.call(async move |consul| consul.get_service(&name, TIMEOUT).await).await?;
        Ok(Snapshot { services: from_core(snapshot.services), cursor: Some(snapshot.cursor) })
    }

    async fn list_services(&self) -> Result<Vec<String>, RegistryError> {
        self.call(async move |consul| consul.list_services(TIMEOUT).await).await
    }

    async fn changes(
        &self,
        name: Option<&str>,
        after: Option<&str>,
        wait: Duration,
    ) -> Result<Batch, RegistryError> {
        let (name, after) = (name.map(str::to_owned), after.map(str::to_owned));
        let changes = async move |consul: &Consul<_>| {
            consul.changes(name.as_deref(), after.as_deref(), wait, TIMEOUT).await
        };
        let batch = self.call(changes).await?;
        let entry = |entry: core::Entry| Entry { name: entry.name, services: from_core(entry.services) };
        let entries = batch.entries.into_iter().map(entry).collect();
        Ok(Batch { cursor: batch.cursor, resync: batch.resync, entries })
    }

    async fn health(&self) -> Result<(), RegistryError> {
        self.call(async move |consul| consul.health(TIMEOUT).await).await
    }
}

fn error(error: core::Error) -> RegistryError {
    let registry = "consul".to_owned();
    match error {
        core::Error::Denied(reason) => RegistryError::Denied { registry, reason },
        core::Error::Unavailable(reason) => {
            RegistryError::Unavailable { registry, reason, retry_after: Duration::ZERO }
        }
        core::Error::Invalid(reason) => RegistryError::Invalid { registry, reason },
        core::Error::Other(reason) => RegistryError::Other { registry, reason },
    }
}

fn to_core(service: &Service) -> core::Service {
    let endpoint = |it: &Endpoint| core::Endpoint {
        name: it.name.clone(),
        request: record::value_to_json(it.request.as_ref()),
        response: record::value_to_json(it.response.as_ref()),
        metadata: it.metadata.clone().into_iter().collect(),
    };
    let node = |it: &Node| core::Node {
        id: it.id.clone(),
        address: it.address.clone(),
        metadata: it.metadata.clone().into_iter().collect(),
        health: match it.status {
            NodeStatus::Passing => core::Health::Passing,
            NodeStatus::Warning => core::Health::Warning,
            NodeStatus::Critical => core::Health::Critical,
        },
        zone: it.zone.clone(),
        tags: it.tags.clone(),
    };
    core::Service {
        name: service.name.clone(),
        version: service.version.clone(),
        metadata: service.metadata.clone().into_iter().collect(),
        endpoints: service.endpoints.iter().map(endpoint).collect(),
        nodes: service.nodes.iter().map(node).collect(),
    }
}

fn from_core(services: Vec<core::Service>) -> Vec<Service> {
    let endpoint = |it: core::Endpoint| Endpoint {
        name: it.name,
        request: record::value_from_json(&it.request),
        response: record::value_from_json(&it.response),
        metadata: it.metadata.into_iter().collect(),
    };
    let node = |it: core::Node| Node {
        id: it.id,
        address: it.address,
        metadata: it.metadata.into_iter().collect(),
        status: match it.health {
            core::Health::Passing => NodeStatus::Passing,
            core::Health::Warning => NodeStatus::Warning,
            core::Health::Critical => NodeStatus::Critical,
        },
        zone: it.zone,
        tags: it.tags,
    };
    let service = |it: core::Service| Service {
        name: it.name,
        version: it.version,
        metadata: it.metadata.into_iter().collect(),
        endpoints: it.endpoints.into_iter().map(endpoint).collect(),
        nodes: it.nodes.into_iter().map(node).collect(),
    };
    services.into_iter().map(service).collect()
}
