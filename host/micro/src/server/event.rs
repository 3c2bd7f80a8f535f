//! Events: from messages under a topic to subscribers (`go-micro-wire` §6.7).

use super::{LONGEST_CALL, Server, panicked};
use crate::codec::Codecs;
use crate::rpc::{self, Layers, RpcHead, RpcRequest, RpcResponse, RpcService, stack};
use crate::subscriber::{self, EventFn, Receipt, Subscriber};
use bytes::Bytes;
use futures::FutureExt;
use futures::future::join_all;
use micro_core::{Endpoint, Error, Message};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};

/// The id of errors that arise here.
const ID: &str = "go.micro.server";

/// What an event is taken for whose publisher does not say what it is.
const DEFAULT_CONTENT_TYPE: &str = "application/protobuf";

/// The subscribers of a server.
pub(super) struct Events {
    subscribers: Vec<Subscriber>,
    /// Present when there are layers; without them the subscriber is called directly.
    layered: Option<RpcService>,
}

/// In the extensions of an event: whom it is for.
#[derive(Clone)]
struct Target(EventFn);

impl Events {
    pub(super) fn new(subscribers: Vec<Subscriber>, layers: &Layers) -> Self {
        let innermost = tower::service_fn(|mut event: RpcRequest| async move {
            let target = event.head.extensions.remove::<Target>();
            let Target(run) = target
                .ok_or_else(|| Error::internal(ID, "a layer removed the subscriber from the extensions"))?;
            run(event).await.map(|()| RpcResponse::default())
        });
        let layered = (!layers.is_empty()).then(|| stack(layers, RpcService::new(innermost)));
        Self { subscribers, layered }
    }

    /// What the registry shows: by topic, the last first.
    pub(super) fn endpoints(&self) -> Vec<Endpoint> {
        let mut subscribers: Vec<_> = self.subscribers.iter().collect();
        subscribers.sort_by(|one, other| other.topic().cmp(one.topic()));
        subscribers.into_iter().filter_map(Subscriber::endpoint).collect()
    }

    async fn run(&self, subscriber: &Subscriber, head: RpcHead, body: Bytes) -> Result<(), Error> {
        let mut event = subscriber::event(head, subscriber, body);
        match &self.layered {
            None => (subscriber.run)(event).await,
            Some(layered) => {
                event.head.extensions.insert(Target(subscriber.run.clone()));
                rpc::call(layered, event).await.map(drop)
            }
        }
    }
}

impl Server {
    /// Those who want events.
    pub fn subscribers(&self) -> &[Subscriber] {
        &self.inner.events.subscribers
    }

    /// Hands an event to everybody here who subscribes to its topic, as if a broker had brought it: layers, then the
    /// handlers. A panic becomes an error with code 500.
    ///
    /// # Errors
    /// Those of the handlers, all in one; 404 if nobody here subscribes to the topic.
    pub async fn event(&self, topic: &str, mut request: RpcRequest) -> Result<(), Error> {
        request.head.content_type = content_type(&request.head, &self.inner.codecs);
        let wanted: Vec<_> = self.subscribers().iter().filter(|it| it.topic() == topic).collect();
        if wanted.is_empty() {
            self.inner.stats.count(false);
            let detail = format!("nobody here subscribes to topic {topic:?}");
            return Err(Error::not_found(ID, detail));
        }
        let body = std::mem::take(&mut request.body).into_unary().await?;
        let running =
            wanted.into_iter().map(|subscriber| self.guarded(subscriber, &request.head, body.clone()));
        joined(join_all(running).await)
    }

    /// Hands a broker's delivery to the subscriber that it is for.
    pub(crate) async fn delivered(
        &self,
        subscriber: &Subscriber,
        message: Message,
        receipt: Arc<Receipt>,
    ) -> Result<(), Error> {
        let Message { headers, body } = message;
        let mut head = RpcHead { metadata: headers, ..RpcHead::default() };
        head.content_type = content_type(&head, &self.inner.codecs);
        head.extensions.insert(receipt);
        self.guarded(subscriber, &head, body).await
    }

    /// Runs a handler to an outcome, whatever it does.
    async fn guarded(&self, subscriber: &Subscriber, head: &RpcHead, body: Bytes) -> Result<(), Error> {
        let deadline = head.deadline.unwrap_or_else(|| Instant::now() + LONGEST_CALL);
        let work = self.inner.events.run(subscriber, head.clone(), body);
        let outcome = match timeout_at(deadline, AssertUnwindSafe(work).catch_unwind()).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(panic)) => Err(panicked(&*panic)),
            Err(_elapsed) => Err(Error::timeout(ID, "the deadline passed before the subscriber was done")),
        };
        self.inner.stats.count(outcome.is_ok());
        outcome
    }
}

/// What the bare body of an event is: events never have envelopes, even where calls of the same content type do
/// (`go-micro-wire` §2.5).
fn content_type(head: &RpcHead, codecs: &Codecs) -> String {
    let said = head.metadata.get("Content-Type").filter(|it| !it.is_empty()).unwrap_or(DEFAULT_CONTENT_TYPE);
    // The first versions published protobuf as bytes.
    if said.eq_ignore_ascii_case("application/octet-stream") {
        return DEFAULT_CONTENT_TYPE.to_owned();
    }
    codecs.find(said).map_or_else(|| said.to_owned(), |sealer| sealer.format().value.clone())
}

fn joined(outcomes: Vec<Result<(), Error>>) -> Result<(), Error> {
    let mut failures: Vec<Error> = outcomes.into_iter().filter_map(Result::err).collect();
    match failures.len() {
        0 => Ok(()),
        1 => Err(failures.remove(0)),
        _ => {
            let details: Vec<_> = failures.into_iter().map(|failure| failure.detail).collect();
            Err(Error::internal(ID, details.join("; ")))
        }
    }
}

#[cfg(test)]
mod tests;
