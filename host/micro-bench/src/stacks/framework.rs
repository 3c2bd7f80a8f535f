//! `micro::Client` to `micro::Service`: selection, node table, deadlines, statistics and all.

use super::{BODY, ENDPOINT, Failed, Latencies, SERVICE, Stack};
use bytes::Bytes;
use micro::registry::MemoryRegistry;
use micro::{Client, Format, Handler, Payload, Raw, RunningService, Service};
use std::sync::Arc;
use std::time::Instant;

#[derive(Clone)]
pub(crate) struct Framework {
    client: Client,
    /// Serves as long as anybody may call.
    _service: Arc<RunningService>,
}

pub(crate) async fn start() -> Result<Stack, Failed> {
    let echo = |_cx, body: Raw| async move { Ok(body) };
    let handler = Handler::new("Echo").unary::<Raw, Raw, _, _>("Bytes", Raw::shape(), Raw::shape(), echo);
    let service = Service::builder(SERVICE)
        .address("127.0.0.1:0")
        .registry(MemoryRegistry::new())
        .handler(handler)
        .handle_signals(false)
        .build()
        .await?
        .start()
        .await?;
    let client = Client::with_cache(service.client().registry().clone());
    let client = client.format(Format::Protobuf).from_service("go.micro.cli.bench").build();
    Ok(Stack::Framework(Framework { client, _service: Arc::new(service) }))
}

impl Framework {
    pub(crate) async fn closed_loop(self, from: Instant, until: Instant) -> Result<Vec<u32>, Failed> {
        let mut latencies = Latencies::new(from, until);
        let body = Raw(Bytes::from_static(BODY));
        while let Some(started) = latencies.start() {
            let answer: Raw = self.client.call(SERVICE, ENDPOINT, &body).await?;
            if answer != body {
                return Err("the echo is not what was sent".into());
            }
            latencies.end(started);
        }
        Ok(latencies.done())
    }
}
