//! The subscriptions of a service: from the broker to its subscribers, and their end.

use crate::server::Server;
use crate::subscriber::{Receipt, Subscriber};
use futures::future::join_all;
use micro_core::broker::{Broker, BrokerError, Delivery, Subscription};
use micro_net::Backoff;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Deliveries that are taken at once.
const BATCH: usize = 64;

/// What a service subscribes to, while it runs.
#[derive(Default)]
pub(super) struct Subscriptions {
    running: Vec<Running>,
}

struct Running {
    subscription: Arc<dyn Subscription>,
    consuming: JoinHandle<()>,
}

impl Subscriptions {
    /// Subscribes for all subscribers of `server`. Their handlers end with `now`. After the end of a subscription, late
    /// deliveries are taken for `linger`.
    pub(super) async fn start(
        broker: &Arc<dyn Broker>,
        server: &Server,
        linger: Duration,
        now: &CancellationToken,
    ) -> Result<Self, BrokerError> {
        let subscribing = server.subscribers().iter().map(|subscriber| async move {
            let options = subscriber.options().linger(linger);
            broker.subscribe(subscriber.topic(), &options).await
        });
        // One after the other would take as many round trips to the registry.
        let subscriptions: Result<Vec<_>, _> = join_all(subscribing).await.into_iter().collect();
        let running =
            subscriptions?.into_iter().zip(server.subscribers()).map(|(subscription, subscriber)| {
                let subscription: Arc<dyn Subscription> = Arc::from(subscription);
                let consumer = Consumer {
                    subscription: subscription.clone(),
                    subscriber: subscriber.clone(),
                    server: server.clone(),
                    now: now.clone(),
                };
                Running { subscription, consuming: tokio::spawn(consumer.run()) }
            });
        Ok(Self { running: running.collect() })
    }

    /// Ends the subscriptions. What has arrived, or still does, is handled.
    pub(super) async fn close(&self) {
        let closing = self.running.iter().map(|running| async {
            if let Err(error) = running.subscription.close().await {
                let (topic, error) = (running.subscription.topic(), micro_net::error_chain(&error));
                tracing::warn!(topic, error, "a subscription did not end well");
            }
        });
        join_all(closing).await;
    }

    /// Waits until everything that was taken is handled, for at most `grace`; then `now` is what the handlers hear.
    pub(super) async fn finish(self, grace: Duration, now: &CancellationToken) {
        let consuming = join_all(self.running.into_iter().map(|running| running.consuming));
        tokio::pin!(consuming);
        let in_time = tokio::select! {
            ended = &mut consuming => Some(ended),
            () = tokio::time::sleep(grace) => None,
            () = now.cancelled() => None,
        };
        let ended = match in_time {
            Some(ended) => ended,
            None => {
                now.cancel();
                consuming.await
            }
        };
        for error in ended.into_iter().filter_map(Result::err) {
            tracing::error!(%error, "a consumer did not end well");
        }
    }
}

/// Brings what arrives for a subscription to its handler.
struct Consumer {
    subscription: Arc<dyn Subscription>,
    subscriber: Subscriber,
    server: Server,
    now: CancellationToken,
}

impl Consumer {
    async fn run(self) {
        let handlers = TaskTracker::new();
        let room = Arc::new(Semaphore::new(self.subscriber.at_a_time()));
        let consumer = Arc::new(self);
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        while let Some(deliveries) = consumer.next(&room, &mut backoff).await {
            for delivery in deliveries {
                // Only this loop takes permits, and it asked for no more deliveries than there are.
                let Ok(permit) = room.clone().acquire_owned().await else { break };
                let consumer = consumer.clone();
                handlers.spawn(async move {
                    tokio::select! {
                        () = consumer.handle(delivery) => {}
                        () = consumer.now.cancelled() => {}
                    }
                    drop(permit);
                });
            }
        }
        handlers.close();
        handlers.wait().await;
    }

    /// The next deliveries, no more than can be handled now; none at the end.
    async fn next(&self, room: &Semaphore, backoff: &mut Backoff) -> Option<Vec<Delivery>> {
        loop {
            let asking = async {
                drop(room.acquire().await);
                self.subscription.next(room.available_permits().clamp(1, BATCH)).await
            };
            let deliveries = tokio::select! {
                deliveries = asking => deliveries,
                () = self.now.cancelled() => return None,
            };
            let topic = self.subscription.topic();
            match deliveries {
                Ok(deliveries) => {
                    backoff.reset();
                    return Some(deliveries).filter(|deliveries| !deliveries.is_empty());
                }
                Err(error) if error.may_heal() => {
                    tracing::warn!(topic, %error, "no events from the broker: trying on");
                    tokio::time::sleep(backoff.next_wait()).await;
                }
                Err(error) => {
                    tracing::error!(topic, %error, "no more events from the broker");
                    return None;
                }
            }
        }
    }

    async fn handle(&self, delivery: Delivery) {
        let topic = self.subscriber.topic();
        let receipt = Arc::new(Receipt::new(self.subscription.clone(), delivery.id));
        let handled = self.server.delivered(&self.subscriber, delivery.message, receipt.clone()).await;
        let settled = match &handled {
            Err(error) => {
                tracing::debug!(topic, %error, "an event was not processed");
                receipt.settle(Err(&error.to_string())).await
            }
            Ok(()) if self.subscriber.acks_by_itself() => {
                receipt.settle(Err("the handler did not acknowledge it")).await
            }
            Ok(()) => receipt.settle(Ok(())).await,
        };
        if let Err(error) = settled {
            tracing::warn!(topic, %error, "the broker does not know what became of an event");
        }
    }
}

#[cfg(test)]
mod tests;
