//! Delivering what is published.

use super::audience::{Audience, Target};
use super::message::{EncodeError, encode};
use super::{Inner, NAME};
use crate::broker::{BrokerError, Published};
use bytes::Bytes;
use futures::future::join_all;
use futures::stream::{self, StreamExt};
use micro_core::{Error, Message};
use micro_net::error_chain;
use micro_net::wire::ExchangeError;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Messages of one batch that are under way at the same time. More would wait for each other, and their audience grow old.
const OF_A_BATCH: usize = 64;

/// How long an address is passed over that did not answer to a connection, at first and at most.
const LEAVE_ALONE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));

/// Addresses that are remembered for that.
const REMEMBERED: usize = 4096;

/// Addresses to which no connection came about in time. Without this, each message would wait for them.
#[derive(Debug, Default)]
pub(super) struct Unreachable {
    by_address: Mutex<HashMap<String, (Instant, u32)>>,
}

impl Unreachable {
    fn is_left_alone(&self, address: &str) -> bool {
        let by_address = self.by_address.lock();
        !by_address.is_empty() && by_address.get(address).is_some_and(|(until, _)| Instant::now() < *until)
    }

    fn failed(&self, address: &str) {
        let (first, most) = LEAVE_ALONE;
        let mut by_address = self.by_address.lock();
        if by_address.len() >= REMEMBERED {
            by_address.clear();
        }
        let (until, failures) = by_address.entry(address.to_owned()).or_insert((Instant::now(), 0));
        *until = Instant::now() + first.saturating_mul(1 << (*failures).min(8)).min(most);
        *failures += 1;
    }

    fn worked(&self, address: &str) {
        let mut by_address = self.by_address.lock();
        if !by_address.is_empty() {
            by_address.remove(address);
        }
    }
}

/// What became of one delivery.
enum Delivered {
    Taken,
    /// The handler failed.
    Refused,
    /// It did not arrive, or nobody knows. `again` if it certainly did not, so that another may get it.
    Missed {
        reason: String,
        again: bool,
    },
}

/// A message in the forms that its audience reads.
struct Forms {
    current: Option<Message>,
    old: Option<Message>,
}

impl Forms {
    fn new(topic: &str, message: &Message, audience: &Audience) -> Result<Self, EncodeError> {
        let wanted = |old: bool| {
            let mut targets = audience.all.iter().chain(audience.queues.iter().flatten());
            targets.any(|target| target.is_old == old)
        };
        let form = |old: bool| match wanted(old) {
            true => encode(topic, message, old).map(posted).map(Some),
            false => Ok(None),
        };
        Ok(Self { current: form(false)?, old: form(true)? })
    }

    fn of(&self, target: &Target) -> Option<&Message> {
        if target.is_old { self.old.as_ref() } else { self.current.as_ref() }
    }
}

fn posted(body: Bytes) -> Message {
    let mut message = Message { body, ..Message::default() };
    message.headers.append("Content-Type", "application/json");
    message
}

impl Inner {
    pub(super) async fn publish(
        &self,
        topic: &str,
        batch: Vec<Message>,
    ) -> Vec<Result<Published, BrokerError>> {
        let mut batch = batch;
        // Most are published alone.
        if batch.len() == 1
            && let Some(message) = batch.pop()
        {
            return vec![self.publish_one(topic, message).await];
        }
        let publishing = batch.into_iter().map(|message| self.publish_one(topic, message));
        stream::iter(publishing).buffered(OF_A_BATCH).collect().await
    }

    /// Who subscribes is looked up for each message: others may come and go while those before it are delivered.
    async fn publish_one(&self, topic: &str, message: Message) -> Result<Published, BrokerError> {
        let audience = self.audiences.find(topic).await?;
        self.publish_to(topic, message, &audience).await
    }

    pub(super) async fn publish_to(
        &self,
        topic: &str,
        message: Message,
        audience: &Audience,
    ) -> Result<Published, BrokerError> {
        let forms = Forms::new(topic, &message, audience)
            .map_err(|error| BrokerError::Invalid { broker: NAME.to_owned(), reason: error.to_string() })?;
        let patient = audience.all.iter().all(|target| self.unreachable.is_left_alone(&target.address));
        let all = audience.all.iter().map(|target| async {
            if !patient && self.unreachable.is_left_alone(&target.address) {
                return Delivered::Missed {
                    reason: format!("{} does not answer", target.address),
                    again: true,
                };
            }
            self.deliver(target, &forms).await
        });
        let queues = audience.queues.iter().map(|queue| self.deliver_to_one(queue, &forms));
        let (all, queues) = tokio::join!(join_all(all), join_all(queues));
        let mut published = Published { delivered: Some(0), ..Published::default() };
        let count = |it: &Delivered| match it {
            Delivered::Taken => (1, 0, 0),
            Delivered::Refused => (0, 1, 0),
            Delivered::Missed { .. } => (0, 0, 1),
        };
        let sum = |outcomes: &[Delivered]| {
            outcomes.iter().map(count).fold((0, 0, 0), |a, b| (a.0 + b.0, a.1 + b.1, a.2 + b.2))
        };
        let (of_all, of_queues) = (sum(&all), sum(&queues));
        published.delivered = Some(of_all.0 + of_queues.0);
        published.refused = of_all.1 + of_queues.1;
        published.missed = of_all.2;
        // Some of many may be away; that nobody got it, or a queue did not, is a loss.
        let nobody = !all.is_empty() && of_all.2 == all.len();
        if of_queues.2 == 0 && !nobody {
            return Ok(published);
        }
        let (wanted, missed) = (all.len() + queues.len(), of_all.2 + of_queues.2);
        let reason = all.into_iter().chain(queues).find_map(|outcome| match outcome {
            Delivered::Missed { reason, .. } => Some(reason),
            Delivered::Taken | Delivered::Refused => None,
        });
        let reason = reason.unwrap_or_default();
        Err(BrokerError::Undelivered { topic: topic.to_owned(), wanted, missed, reason })
    }

    /// Tries the members of a queue, from a random one on, until one has it. Those that do not answer come last.
    async fn deliver_to_one(&self, queue: &[Target], forms: &Forms) -> Delivered {
        let start = fastrand::usize(..queue.len().max(1));
        let (later, sooner) = queue.split_at(start.min(queue.len()));
        let (mut order, mut last) = (Vec::new(), Vec::new());
        for target in sooner.iter().chain(later) {
            let line = if self.unreachable.is_left_alone(&target.address) { &mut last } else { &mut order };
            line.push(target);
        }
        let mut outcome = Delivered::Missed { reason: "the queue is empty".to_owned(), again: true };
        for target in order.into_iter().chain(last) {
            outcome = self.deliver(target, forms).await;
            if !matches!(outcome, Delivered::Missed { again: true, .. }) {
                break;
            }
        }
        outcome
    }

    async fn deliver(&self, target: &Target, forms: &Forms) -> Delivered {
        let missed = |reason: String, again| {
            tracing::debug!(address = target.address, reason, "an event was not delivered");
            Delivered::Missed { reason: format!("{}: {reason}", target.address), again }
        };
        let Some(message) = forms.of(target) else { return missed("it has no form for it".to_owned(), true) };
        let pool = match self.pool(target.secure) {
            Ok(pool) => pool,
            Err(reason) => return missed(reason, true),
        };
        let limit = self.settings.publish_timeout;
        let exchange = async {
            // The semaphore is never closed.
            let _room = self.room.acquire().await;
            pool.exchange_at(&target.address, &target.path, message, self.settings.connect_timeout).await
        };
        match timeout(limit, exchange).await {
            Ok(Ok(answer)) => {
                self.unreachable.worked(&target.address);
                match answer.headers.get("Micro-Error").filter(|error| !error.is_empty()) {
                    None => Delivered::Taken,
                    // What Go Micro keeps to itself: nobody is there any more.
                    Some(error) if has_ended(error) => missed("the subscription has ended".to_owned(), true),
                    Some(error) => {
                        tracing::debug!(
                            address = target.address,
                            error,
                            "a subscriber could not process an event"
                        );
                        Delivered::Refused
                    }
                }
            }
            Ok(Err(error)) => {
                if error.is_connect_timeout() {
                    self.unreachable.failed(&target.address);
                }
                let again = error.nothing_sent() || matches!(error, ExchangeError::Status { .. });
                missed(error_chain(&error), again)
            }
            Err(_elapsed) => missed(format!("it was not done within {limit:?}"), false),
        }
    }
}

/// Whether an answer's error is that of a port that knows no such subscription, rather than a handler's.
fn has_ended(error: &str) -> bool {
    let error = Error::parse(error);
    error.code == 404 && error.id == super::inbound::ID
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn silent_addresses_are_left_alone_for_longer_and_longer() {
        let unreachable = Unreachable::default();
        assert!(!unreachable.is_left_alone("a:1"));
        for seconds in [1, 2, 4, 8, 15, 15] {
            unreachable.failed("a:1");
            assert!(unreachable.is_left_alone("a:1") && !unreachable.is_left_alone("b:1"));
            tokio::time::advance(Duration::from_secs(seconds) - Duration::from_millis(1)).await;
            assert!(unreachable.is_left_alone("a:1"), "{seconds}");
            tokio::time::advance(Duration::from_millis(1)).await;
            assert!(!unreachable.is_left_alone("a:1"), "{seconds}");
        }
        unreachable.failed("a:1");
        unreachable.worked("a:1");
        assert!(!unreachable.is_left_alone("a:1"));
    }
}
