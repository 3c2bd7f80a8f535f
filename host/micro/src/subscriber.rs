//! Subscribers: which events a service wants, and what it does with them.

use crate::context::Context;
use crate::payload::{Format, Json, Payload};
use crate::rpc::{Body, RpcHead, RpcRequest};
use bytes::Bytes;
use futures::future::BoxFuture;
use micro_core::broker::{SubscribeOptions, Subscription};
use micro_core::registry::Metadata;
use micro_core::{Endpoint, Error, Value};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Events of a subscriber that are handled at the same time.
const AT_A_TIME: usize = 64;

/// A handler of events that are published under a topic (`go-micro-wire` §6.7).
///
/// Its metadata are the headers of the event. When it returns, the event is acknowledged, or given back with the error;
/// what a broker does with those is its own business, and none delivers them again so far.
///
/// ```
/// use micro::Subscriber;
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Order {
///     id: u64,
/// }
///
/// let subscriber = Subscriber::json("orders", |cx, order: Order| async move {
///     println!("order {} of {:?}", order.id, cx.metadata("Micro-From-Service"));
///     Ok(())
/// });
/// let subscriber = subscriber.queue("billing");
/// # let _ = subscriber;
/// ```
#[derive(Clone)]
pub struct Subscriber {
    topic: String,
    name: String,
    request: Value,
    internal: bool,
    queue: Option<String>,
    auto_ack: bool,
    at_a_time: usize,
    pub(crate) run: EventFn,
}

/// Takes an encoded event.
pub(crate) type EventFn = Arc<dyn Fn(RpcRequest) -> BoxFuture<'static, Result<(), Error>> + Send + Sync>;

impl Subscriber {
    /// A subscriber to `topic` whose events are values of type `T`, in the format that their content type says.
    pub fn new<T, F, Fut>(topic: impl Into<String>, run: F) -> Self
    where
        T: Payload,
        F: Fn(Context, T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let run = Arc::new(run);
        Self::with(topic.into(), T::shape(), move |head, body| {
            let run = run.clone();
            async move {
                let format = format_of(&head)?;
                let own = |error: Error| Error { id: "go.micro.server".to_owned(), ..error };
                let event = T::from_bytes(format, &body).map_err(own)?;
                run(Context::new(head), event).await
            }
        })
    }

    /// A subscriber whose events are plain serde types, in JSON.
    pub fn json<T, F, Fut>(topic: impl Into<String>, run: F) -> Self
    where
        T: serde::Serialize + serde::de::DeserializeOwned + Send + 'static,
        F: Fn(Context, T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Error>> + Send + 'static,
    {
        Self::new(topic, move |cx, Json(event): Json<T>| run(cx, event))
    }

    /// A subscriber that takes the bytes of events as they are, of any content type.
    pub fn raw<F, Fut>(topic: impl Into<String>, run: F) -> Self
    where
        F: Fn(Context, Bytes) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Error>> + Send + 'static,
    {
        Self::with(topic.into(), Value::default(), move |head, body| run(Context::new(head), body))
    }

    fn with<F, Fut>(topic: String, request: Value, run: F) -> Self
    where
        F: Fn(RpcHead, Bytes) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let run = Arc::new(run);
        let run: EventFn = Arc::new(move |event: RpcRequest| {
            let run = run.clone();
            Box::pin(async move {
                let RpcRequest { head, body } = event;
                let body = body.into_unary().await?;
                run(head, body).await
            })
        });
        Self {
            topic,
            name: "Func".to_owned(),
            request,
            internal: false,
            queue: None,
            auto_ack: true,
            at_a_time: AT_A_TIME,
            run,
        }
    }

    /// Shares the topic's events with all subscribers of this queue: each event goes to one of them. Default: none, and
    /// this subscriber gets every event.
    #[must_use]
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.queue = Some(queue.into()).filter(|queue| !queue.is_empty());
        self
    }

    /// The name in the registry and in layers. Default: `Func`, as Go Micro calls functions.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The handler acknowledges events itself, with [`Context::acknowledge`]. What it has not acknowledged when it
    /// returns is given back.
    #[must_use]
    pub fn manual_ack(mut self) -> Self {
        self.auto_ack = false;
        self
    }

    /// How many events are handled at the same time; with 1 they are handled in the order in which they come. Default
    /// 64.
    #[must_use]
    pub fn concurrency(mut self, events: usize) -> Self {
        self.at_a_time = events.max(1);
        self
    }

    /// Keeps it out of the service's record in the registry.
    #[must_use]
    pub fn internal(mut self) -> Self {
        self.internal = true;
        self
    }

    /// The topic it subscribes to.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    pub(crate) fn acks_by_itself(&self) -> bool {
        !self.auto_ack
    }

    pub(crate) fn at_a_time(&self) -> usize {
        self.at_a_time
    }

    /// How the broker is asked. Deliveries are settled when the handler is done, never before.
    pub(crate) fn options(&self) -> SubscribeOptions {
        let options = SubscribeOptions::new().auto_ack(false).in_flight(self.at_a_time.saturating_mul(2));
        match &self.queue {
            Some(queue) => options.queue(queue),
            None => options,
        }
    }

    /// What the registry shows (`go-micro-wire` §6.3); nothing for an internal one.
    pub fn endpoint(&self) -> Option<Endpoint> {
        let nothing = self.request.name.is_empty() && self.request.kind.is_empty();
        let metadata = [("topic", self.topic.as_str()), ("subscriber", "true")];
        let endpoint = || Endpoint {
            name: self.name.clone(),
            request: (!nothing).then(|| self.request.clone()),
            response: None,
            metadata: metadata
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into_iter()
                .collect::<Metadata>(),
        };
        (!self.internal).then(endpoint)
    }
}

impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber")
            .field("topic", &self.topic)
            .field("queue", &self.queue)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

fn format_of(head: &RpcHead) -> Result<Format, Error> {
    Format::of(&head.content_type).ok_or_else(|| {
        let detail = format!(
            "unsupported content type {:?} of an event: publish application/json or application/protobuf",
            head.content_type
        );
        Error::new("go.micro.server", 415, detail)
    })
}

/// The claim of a broker on the event that a handler has.
pub(crate) struct Receipt {
    subscription: Arc<dyn Subscription>,
    id: u64,
    settled: AtomicBool,
}

impl Receipt {
    pub(crate) fn new(subscription: Arc<dyn Subscription>, id: u64) -> Self {
        Self { subscription, id, settled: AtomicBool::new(false) }
    }

    /// Tells the broker what became of the event, unless it was told before.
    pub(crate) async fn settle(&self, outcome: Result<(), &str>) -> Result<(), micro_core::BrokerError> {
        if self.settled.swap(true, Relaxed) {
            return Ok(());
        }
        match outcome {
            Ok(()) => self.subscription.ack(&[self.id]).await,
            Err(reason) => self.subscription.nack(&[self.id], reason).await,
        }
    }
}

impl Context {
    /// Tells the broker that the event of this context was processed, before its handler returns. What the handler
    /// returns then changes nothing. Does nothing for calls, and for events that came without a broker.
    ///
    /// # Errors
    /// The broker did not take note, and may deliver the event again.
    pub async fn acknowledge(&self) -> Result<(), Error> {
        let Some(receipt) = self.head().extensions.get::<Arc<Receipt>>() else { return Ok(()) };
        receipt.settle(Ok(())).await.map_err(|error| Error::internal("go.micro.broker", error.to_string()))
    }
}

/// An event for a subscriber, as layers and the handler see it.
pub(crate) fn event(mut head: RpcHead, subscriber: &Subscriber, body: Bytes) -> RpcRequest {
    subscriber.name.clone_into(&mut head.endpoint);
    RpcRequest { head, body: Body::Unary(body) }
}
