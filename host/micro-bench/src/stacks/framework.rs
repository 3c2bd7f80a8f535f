//! A generated client to a generated service: typed messages, selection, node table, deadlines, statistics and all; in
//! either protocol.

use super::{ClosedLoop, InProcess, Latencies, SERVICE, Stack, TEXT};
use crate::Failed;
use crate::setup::Setup;
use greeter::srv::{Request, Response, Say, SayClient, say_handler};
use micro::registry::MemoryRegistry;
use micro::{Client, ClientBuilder, Context, Error, Format, Registry, RunningService, Service};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the service is called in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Calls {
    Mucp,
    Grpc,
}

#[derive(Clone)]
struct Framework {
    client: SayClient,
    /// Serves as long as anybody may call.
    _service: Arc<RunningService>,
}

struct Echo;

impl Say for Echo {
    async fn hello(&self, _cx: Context, request: Request) -> Result<Response, Error> {
        Ok(Response { msg: request.name })
    }
}

pub(crate) async fn start(setup: &Setup, calls: Calls) -> Result<Box<dyn Stack>, Failed> {
    let registry = MemoryRegistry::new();
    let service = Service::builder(SERVICE)
        .address("127.0.0.1:0")
        .registry(registry.clone())
        .handler(say_handler(Echo))
        .handle_signals(false);
    let service = setup.service(service).await?.build().await?.start().await?;
    let client = match calls {
        Calls::Mucp => Client::with_cache(service.client().registry().clone()),
        Calls::Grpc => as_grpc(&registry).await?,
    };
    let client =
        setup.client(client).await?.format(Format::Protobuf).from_service("go.micro.cli.bench").build();
    let client = SayClient::new(SERVICE, client);
    Ok(Box::new(InProcess(Framework { client, _service: Arc::new(service) })))
}

/// A client that finds the service with the record of a server that speaks nothing else: ours answers gRPC too, on the
/// same port.
async fn as_grpc(registry: &MemoryRegistry) -> Result<ClientBuilder, Failed> {
    let known = MemoryRegistry::new();
    for mut service in registry.get_service(SERVICE).await?.services {
        for node in &mut service.nodes {
            node.metadata.insert("protocol".to_owned(), "grpc".to_owned());
        }
        known.register(&service, Duration::ZERO).await?;
    }
    Ok(Client::builder(Arc::new(known)))
}

impl ClosedLoop for Framework {
    async fn closed_loop(self, from: Instant, until: Instant) -> Result<Vec<u32>, Failed> {
        let mut latencies = Latencies::new(from, until);
        while let Some(started) = latencies.start() {
            let answer = self.client.hello(Request { name: TEXT.to_owned() }).await?;
            if answer.msg != TEXT {
                return Err("the echo is not what was sent".into());
            }
            latencies.end(started);
        }
        Ok(latencies.done())
    }
}
