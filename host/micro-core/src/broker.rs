//! Events and who gets them: [`Message`]s under a topic, and the [`Broker`] trait.
//!
//! Publishing hands a message to everybody who subscribes to its topic at that moment: each subscription without a
//! queue gets it, and of those that share a queue one does (`go-micro-wire` §9.1). Nothing is kept for later
//! subscribers, unless a backend says so.
//!
//! Consumers pull: [`Subscription::next`] gives what has arrived, and asking for more is the only way to get it, so a
//! slow consumer holds up its publishers and fills no memory.

use crate::code::{Code, Coded};
use crate::message::Message;
use async_trait::async_trait;
use std::fmt;
use std::time::Duration;

/// Hands messages from publishers to subscribers.
#[async_trait]
pub trait Broker: Send + Sync + fmt::Debug {
    /// The broker's name for people and for the node metadata `broker`: `http`, `memory`.
    fn name(&self) -> &str;

    /// Where this broker is, for messages to people: addresses, a folder.
    fn location(&self) -> String {
        self.name().to_owned()
    }

    /// Publishes messages under one topic, in their order where the backend keeps one. There is one outcome for each
    /// message, in the order of `batch`.
    ///
    /// Not cancel safe: a dropped future leaves it open which messages went out.
    async fn publish(&self, topic: &str, batch: Vec<Message>) -> Vec<Result<Published, BrokerError>>;

    /// Begins to receive what is published under `topic`. The subscription ends with [`Subscription::close`], or when it
    /// is dropped.
    ///
    /// # Errors
    /// The backend refuses it. One that is down is no error where the broker can subscribe later by itself.
    async fn subscribe(
        &self,
        topic: &str,
        options: &SubscribeOptions,
    ) -> Result<Box<dyn Subscription>, BrokerError>;

    /// One cheap round trip to the backend.
    ///
    /// # Errors
    /// It cannot be used now.
    async fn health(&self) -> Result<(), BrokerError>;

    /// Lets go of everything that is not a subscription: idle connections, ports. Ends when that is done.
    async fn shutdown(&self) {}
}

/// What a subscriber gets, one batch after the other.
#[async_trait]
pub trait Subscription: Send + Sync + fmt::Debug {
    /// The topic that was subscribed to.
    fn topic(&self) -> &str;

    /// Waits until something has arrived, and gives at most `max` (at least one) of it in the order of arrival. An empty
    /// list means the end: the subscription was closed, and everything that had arrived was given.
    ///
    /// Cancel safe: a dropped future loses nothing.
    ///
    /// # Errors
    /// The backend failed. Asking again may help, see [`BrokerError::may_heal`].
    async fn next(&self, max: usize) -> Result<Vec<Delivery>, BrokerError>;

    /// Says that deliveries were processed. Unknown ids and those that were settled before are fine. With
    /// [`SubscribeOptions::auto_ack`] there is no need to.
    ///
    /// # Errors
    /// The backend did not take note; it may deliver them again.
    async fn ack(&self, ids: &[u64]) -> Result<(), BrokerError>;

    /// Says that deliveries were not processed, and why. Whether they are delivered again is the backend's decision.
    ///
    /// # Errors
    /// As [`Subscription::ack`].
    async fn nack(&self, ids: &[u64], reason: &str) -> Result<(), BrokerError>;

    /// Ends the subscription: publishers find it no longer. What has arrived, or arrives within
    /// [`SubscribeOptions::linger`], is still given by [`Subscription::next`] and can be settled.
    ///
    /// # Errors
    /// The backend could not be told. The subscription has ended all the same, and the backend forgets it in time.
    async fn close(&self) -> Result<(), BrokerError>;
}

/// A message that was published under a topic and came here.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// For [`Subscription::ack`]; unique within its subscription.
    pub id: u64,
    /// What was published.
    pub message: Message,
}

/// How to subscribe.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubscribeOptions {
    /// Subscriptions to one topic that name the same queue share its messages. Without one each gets all of them.
    pub queue: Option<String>,
    /// A delivery counts as processed when it has arrived, and publishers wait no longer. Default true.
    pub auto_ack: bool,
    /// How many deliveries may wait for [`Subscription::next`], and how many that it gave may be unsettled. Publishers of
    /// more have to wait. Default 256.
    pub in_flight: usize,
    /// How long after [`Subscription::close`] deliveries of publishers are taken that have not heard of it, for brokers
    /// whose publishers deliver by themselves. Default none.
    pub linger: Duration,
}

impl Default for SubscribeOptions {
    fn default() -> Self {
        Self { queue: None, auto_ack: true, in_flight: 256, linger: Duration::ZERO }
    }
}

impl SubscribeOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Shares the messages with all subscriptions that name this queue. An empty name is none.
    #[must_use]
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.queue = Some(queue.into()).filter(|queue| !queue.is_empty());
        self
    }

    /// Whether a delivery counts as processed when it has arrived.
    #[must_use]
    pub fn auto_ack(mut self, auto_ack: bool) -> Self {
        self.auto_ack = auto_ack;
        self
    }

    /// How many deliveries may wait, and how many may be unsettled; at least one.
    #[must_use]
    pub fn in_flight(mut self, deliveries: usize) -> Self {
        self.in_flight = deliveries.max(1);
        self
    }

    /// How long late deliveries are taken after the end.
    #[must_use]
    pub fn linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }
}

/// What became of a message that was published. Nobody there is no error: nobody wanted it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// How many subscribers took it. None if the backend, which has the message now, does not say.
    pub delivered: Option<usize>,
    /// How many subscribers got it and said that they could not process it.
    pub refused: usize,
    /// How many of those that each get every message could not be reached, while others were.
    pub missed: usize,
}

impl Published {
    /// The backend has the message, and knows who gets it.
    pub fn accepted() -> Self {
        Self::default()
    }

    /// Whether it is known that nobody subscribes.
    pub fn is_unheard(&self) -> bool {
        self.delivered == Some(0) && self.refused == 0 && self.missed == 0
    }
}

/// A broker call that did not work, by what the caller can do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// The host's policy or the backend refused. Does not heal by itself.
    #[error("broker {broker} denied it: {reason}")]
    Denied {
        /// The broker's name.
        broker: String,
        /// What was refused.
        reason: String,
    },
    /// The backend cannot be reached. Later may work.
    #[error("broker {broker} is unavailable: {reason}")]
    Unavailable {
        /// The broker's name.
        broker: String,
        /// What was tried.
        reason: String,
        /// The earliest time at which trying again makes sense.
        retry_after: Duration,
    },
    /// A wrong option, topic or message. Trying again does not help.
    #[error("broker {broker} does not accept it: {reason}")]
    Invalid {
        /// The broker's name.
        broker: String,
        /// What is wrong.
        reason: String,
    },
    /// There are subscribers, and a queue of them, or all that each get every message, did not get this one.
    #[error("{missed} of {wanted} subscribers of topic {topic:?} did not get it: {reason}")]
    Undelivered {
        /// What it was published under.
        topic: String,
        /// How many deliveries there should have been: one for each queue and for each subscriber without one.
        wanted: usize,
        /// How many of them failed.
        missed: usize,
        /// The first failure.
        reason: String,
    },
    /// No answer in time.
    #[error("broker {broker} did not answer within {after:?}")]
    Timeout {
        /// The broker's name.
        broker: String,
        /// How long it was given.
        after: Duration,
    },
    /// The plugin failed, not its backend: it trapped, or was retired, or is quarantined.
    #[error("broker plugin {broker} failed: {reason}")]
    Plugin {
        /// The broker's name.
        broker: String,
        /// How.
        reason: String,
    },
    /// Anything else that the backend said.
    #[error("broker {broker} failed: {reason}")]
    Other {
        /// The broker's name.
        broker: String,
        /// In the backend's words.
        reason: String,
    },
}

impl BrokerError {
    /// Whether the same call may work later without anybody changing anything.
    pub fn may_heal(&self) -> bool {
        match self {
            Self::Denied { .. } | Self::Invalid { .. } => false,
            Self::Unavailable { .. }
            | Self::Undelivered { .. }
            | Self::Timeout { .. }
            | Self::Plugin { .. }
            | Self::Other { .. } => true,
        }
    }
}

impl Coded for BrokerError {
    fn code(&self) -> Code {
        match self {
            Self::Denied { .. } => Code::BROKER_DENIED,
            Self::Unavailable { .. } => Code::BROKER_UNAVAILABLE,
            Self::Invalid { .. } => Code::BROKER_INVALID,
            Self::Undelivered { .. } => Code::BROKER_UNDELIVERED,
            Self::Timeout { .. } => Code::BROKER_TIMEOUT,
            Self::Plugin { .. } | Self::Other { .. } => Code::BROKER_FAILED,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_queue_is_none_and_something_may_always_be_in_flight() {
        let options = SubscribeOptions::new().queue("").in_flight(0);
        assert_eq!((options.queue.as_deref(), options.in_flight, options.auto_ack), (None, 1, true));
        assert_eq!(SubscribeOptions::new().queue("a").queue.as_deref(), Some("a"));
    }

    #[test]
    fn unheard_is_what_is_known_to_have_reached_nobody() {
        let published = |delivered, missed| Published { delivered, missed, ..Published::default() };
        assert!(published(Some(0), 0).is_unheard());
        assert!(!published(Some(0), 1).is_unheard() && !published(Some(1), 0).is_unheard());
        assert!(!Published::accepted().is_unheard());
    }
}
