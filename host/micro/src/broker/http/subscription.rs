//! The life of a subscription: its records, their heartbeat, and the end.

use super::inbound::Subscriber;
use super::layout::Identity;
use super::{Inner, from_registry};
use crate::broker::inbox::Inbox;
use crate::broker::{BrokerError, Delivery, SubscribeOptions, Subscription};
use async_trait::async_trait;
use futures::future::join_all;
use micro_core::{Registry, RegistryError, Service};
use micro_net::{Backoff, error_chain};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// How long a record lives without a heartbeat, and the time between two, as Go Micro's.
const TTL: Duration = Duration::from_secs(60);
const INTERVAL: Duration = Duration::from_secs(30);

/// The longest that registering may take, and taking it back.
const REGISTER_LIMIT: Duration = Duration::from_secs(10);
const DEREGISTER_LIMIT: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct HttpSubscription {
    subscriber: Arc<Subscriber>,
    close: CancellationToken,
    /// Nobody will ask for deliveries again.
    gone: CancellationToken,
    closed: watch::Receiver<Option<Result<(), BrokerError>>>,
}

/// Subscribes: takes deliveries from now on, and tries to register.
pub(super) async fn start(
    inner: &Arc<Inner>,
    topic: &str,
    options: &SubscribeOptions,
) -> Result<HttpSubscription, BrokerError> {
    let at = inner.port.open(inner).await?;
    let identity = Identity {
        topic,
        queue: options.queue.as_deref(),
        address: &at.address,
        secure: at.secure,
        broker: &inner.id,
    };
    let records = identity.records();
    let subscriber = Arc::new(Subscriber { topic: topic.to_owned(), inbox: Inbox::new(options) });
    // Before the records are there: whoever finds them delivers at once.
    let ids = records.iter().flat_map(|record| &record.nodes).map(|node| node.id.clone());
    inner.subscribers.insert(ids, &subscriber);
    let (close, gone) = (inner.stop.child_token(), CancellationToken::new());
    let (tried, mut first) = watch::channel(None);
    let (ended, closed) = watch::channel(None);
    let keeper = Keeper {
        registry: inner.registry.clone(),
        records,
        subscriber: subscriber.clone(),
        close: close.clone(),
        gone: gone.clone(),
        linger: options.linger,
    };
    let subscribers = inner.subscribers.clone();
    inner.tasks.spawn(async move {
        let outcome = keeper.keep(tried).await;
        // Told here, so that closing does not wait for the last deliveries.
        _ = ended.send(Some(outcome));
        keeper.take_the_last().await;
        subscribers.remove(&keeper.subscriber);
        keeper.subscriber.inbox.close();
    });
    let subscription = HttpSubscription { subscriber, close, gone, closed };
    let first = first.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
    match first {
        Some(Err(error)) => Err(error),
        _ => Ok(subscription),
    }
}

/// Keeps the records of a subscription in the registry.
struct Keeper {
    registry: Arc<dyn Registry>,
    records: [Service; 3],
    subscriber: Arc<Subscriber>,
    close: CancellationToken,
    gone: CancellationToken,
    linger: Duration,
}

impl Keeper {
    /// Registers, and again every interval, until the subscription ends; then takes the records back. `tried` hears of
    /// the first try, whose error is one that will not heal.
    async fn keep(&self, tried: watch::Sender<Option<Result<(), BrokerError>>>) -> Result<(), BrokerError> {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        let mut state = None;
        loop {
            let beat = tokio::select! {
                biased;
                () = self.close.cancelled() => break,
                beat = self.beat() => beat,
            };
            self.note(state.as_ref(), &beat);
            let hopeless = beat.as_ref().err().filter(|error| !error.may_heal());
            if state.is_none() {
                _ = tried.send(Some(hopeless.map_or(Ok(()), |error| Err(from_registry(error)))));
            }
            let pause = match beat {
                Ok(()) => {
                    backoff.reset();
                    INTERVAL
                }
                Err(_) => backoff.next_wait(),
            };
            state = Some(beat.is_ok());
            tokio::select! {
                biased;
                () = self.close.cancelled() => break,
                () = sleep(pause) => {}
            }
        }
        self.deregister().await
    }

    /// Registers under all layouts. An error if none of them worked: then nobody finds us.
    async fn beat(&self) -> Result<(), RegistryError> {
        let registering = self.records.iter().map(|record| async {
            let registering = timeout(REGISTER_LIMIT, self.registry.register(record, TTL)).await;
            let late = |_| RegistryError::Timeout {
                registry: self.registry.name().to_owned(),
                after: REGISTER_LIMIT,
            };
            registering.map_err(late).flatten()
        });
        let outcomes = join_all(registering).await;
        for (record, outcome) in self.records.iter().zip(&outcomes) {
            if let Err(error) = outcome {
                tracing::debug!(service = record.name, error = error_chain(error), "not registered");
            }
        }
        match outcomes.iter().any(Result::is_ok) {
            true => Ok(()),
            false => outcomes.into_iter().next().unwrap_or(Ok(())),
        }
    }

    /// Says what changed; not the same at every try.
    fn note(&self, before: Option<&bool>, now: &Result<(), RegistryError>) {
        let (topic, registry) = (&self.subscriber.topic, self.registry.name());
        let address = &self.records[0].nodes[0].address;
        match (before, now) {
            (None, Ok(())) => {
                tracing::info!(topic, queue = self.records[0].version, address, registry, "subscribed")
            }
            (Some(false), Ok(())) => tracing::info!(topic, registry, "subscribed again"),
            (None | Some(true), Err(error)) => {
                let error = error_chain(error);
                tracing::warn!(topic, registry, error, "cannot register a subscription: trying on");
            }
            (Some(true), Ok(())) | (Some(false), Err(_)) => {}
        }
    }

    async fn deregister(&self) -> Result<(), BrokerError> {
        let leaving = self.records.iter().map(|record| self.registry.deregister(record));
        let outcome = match timeout(DEREGISTER_LIMIT, join_all(leaving)).await {
            Ok(outcomes) => outcomes.into_iter().find_map(Result::err),
            Err(_elapsed) => Some(RegistryError::Timeout {
                registry: self.registry.name().to_owned(),
                after: DEREGISTER_LIMIT,
            }),
        };
        let topic = &self.subscriber.topic;
        match outcome {
            None => {
                tracing::info!(topic, registry = self.registry.name(), "unsubscribed");
                Ok(())
            }
            Some(error) => {
                let text = error_chain(&error);
                tracing::warn!(topic, error = text, "cannot take a subscription back: it ends with its TTL");
                Err(from_registry(&error))
            }
        }
    }

    /// Publishers that have not heard of the end get their time.
    async fn take_the_last(&self) {
        if !self.linger.is_zero() {
            tokio::select! {
                () = sleep(self.linger) => {}
                () = self.gone.cancelled() => {}
            }
        }
    }
}

#[async_trait]
impl Subscription for HttpSubscription {
    fn topic(&self) -> &str {
        &self.subscriber.topic
    }

    async fn next(&self, max: usize) -> Result<Vec<Delivery>, BrokerError> {
        Ok(self.subscriber.inbox.next(max).await)
    }

    async fn ack(&self, ids: &[u64]) -> Result<(), BrokerError> {
        self.subscriber.inbox.settle(ids, Ok(()));
        Ok(())
    }

    async fn nack(&self, ids: &[u64], reason: &str) -> Result<(), BrokerError> {
        self.subscriber.inbox.settle(ids, Err(reason));
        Ok(())
    }

    async fn close(&self) -> Result<(), BrokerError> {
        self.close.cancel();
        let mut closed = self.closed.clone();
        let outcome = closed.wait_for(Option::is_some).await;
        outcome.ok().and_then(|outcome| outcome.clone()).unwrap_or(Ok(()))
    }
}

impl Drop for HttpSubscription {
    fn drop(&mut self) {
        self.close.cancel();
        self.gone.cancel();
        self.subscriber.inbox.abandon();
    }
}
