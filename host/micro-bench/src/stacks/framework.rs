//! A generated client to a generated service: typed messages, selection, node table, deadlines, statistics and all.

use super::{ClosedLoop, InProcess, Latencies, SERVICE, Stack, TEXT};
use crate::Failed;
use crate::setup::Setup;
use greeter::srv::{Request, Response, Say, SayClient, say_handler};
use micro::registry::MemoryRegistry;
use micro::{Client, Context, Error, Format, RunningService, Service};
use std::sync::Arc;
use std::time::Instant;

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

pub(crate) async fn start(setup: &Setup) -> Result<Box<dyn Stack>, Failed> {
    let service = Service::builder(SERVICE)
        .address("127.0.0.1:0")
        .registry(MemoryRegistry::new())
        .handler(say_handler(Echo))
        .handle_signals(false);
    let service = setup.service(service).await?.build().await?.start().await?;
    let client = Client::with_cache(service.client().registry().clone());
    let client =
        setup.client(client).await?.format(Format::Protobuf).from_service("go.micro.cli.bench").build();
    let client = SayClient::new(SERVICE, client);
    Ok(Box::new(InProcess(Framework { client, _service: Arc::new(service) })))
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
