//! Events: a service that subscribes, and publishers in the same program, through the http broker.

use super::{ClosedLoop, InProcess, Latencies, SERVICE, Stack, TEXT};
use crate::Failed;
use crate::setup::Setup;
use greeter::srv::Request;
use micro::registry::MemoryRegistry;
use micro::{Error, Format, PublishOptions, RunningService, Service, Subscriber};
use std::sync::Arc;
use std::time::Instant;

const TOPIC: &str = "bench";

#[derive(Clone)]
struct Events {
    service: Arc<RunningService>,
}

pub(crate) async fn start(setup: &Setup) -> Result<Box<dyn Stack>, Failed> {
    let subscriber = Subscriber::new(TOPIC, |_cx, event: Request| async move {
        match event.name == TEXT {
            true => Ok(()),
            false => Err(Error::bad_request(SERVICE, "the event is not what was sent")),
        }
    });
    let service = Service::builder(SERVICE)
        .address("127.0.0.1:0")
        .registry(MemoryRegistry::new())
        .subscriber(subscriber)
        .handle_signals(false);
    let service = setup.service(service).await?.build().await?.start().await?;
    Ok(Box::new(InProcess(Events { service: Arc::new(service) })))
}

impl ClosedLoop for Events {
    /// Publishes the next event when the handler is done with the one before, which is what publishing waits for.
    async fn closed_loop(self, from: Instant, until: Instant) -> Result<Vec<u32>, Failed> {
        let mut latencies = Latencies::new(from, until);
        let options = PublishOptions::new().format(Format::Protobuf);
        while let Some(started) = latencies.start() {
            let event = Request { name: TEXT.to_owned() };
            let published = self.service.client().publish_with(TOPIC, &event, &options).await?;
            if (published.delivered, published.refused) != (Some(1), 0) {
                return Err(format!("an event was not handled: {published:?}").into());
            }
            latencies.end(started);
        }
        Ok(latencies.done())
    }
}
