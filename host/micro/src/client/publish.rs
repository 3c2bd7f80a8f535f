//! Publishing events (`go-micro-wire` §7.3).

use super::Client;
use crate::context::is_protocol;
use crate::payload::{Format, Payload};
use bytes::Bytes;
use micro_core::broker::{Broker, BrokerError, Published};
use micro_core::{Error, Headers, Message};
use std::sync::Arc;
use std::time::Duration;

/// The id of errors that arise here.
const ID: &str = "go.micro.broker";

/// Settings of one event; what is not set comes from the client.
#[derive(Clone, Debug, Default)]
pub struct PublishOptions {
    format: Option<Format>,
    content_type: Option<String>,
    exchange: Option<String>,
    metadata: Headers,
    timeout: Option<Duration>,
}

impl PublishOptions {
    /// Nothing set.
    pub fn new() -> Self {
        Self::default()
    }

    /// The format of the event. Default: the client's.
    #[must_use]
    pub fn format(mut self, format: Format) -> Self {
        self.format = Some(format);
        self
    }

    /// What subscribers are told that the event is. Default: the format's content type.
    #[must_use]
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }

    /// The broker's topic where it differs from the one in the event. With the http broker, subscribers of this name get
    /// it.
    #[must_use]
    pub fn exchange(mut self, exchange: impl Into<String>) -> Self {
        self.exchange = Some(exchange.into());
        self
    }

    /// Adds metadata, which subscribers find in their contexts.
    #[must_use]
    pub fn metadata(mut self, name: &str, value: &str) -> Self {
        self.metadata.insert(name, value);
        self
    }

    /// Adds many metadata fields.
    #[must_use]
    pub fn metadata_from<N: AsRef<str>, V: AsRef<[u8]>>(
        mut self,
        fields: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        self.metadata.extend(fields);
        self
    }

    /// How long to wait for the broker. Default: as long as the broker does.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl Client {
    /// Publishes an event under a topic, and waits until the broker has it; those without a server wait for the
    /// subscribers. Nobody subscribing is no error, and [`Published`] says so.
    ///
    /// ```no_run
    /// # async fn example(client: micro::Client) -> Result<(), micro::Error> {
    /// let published = client.publish("orders", &micro::Json(serde_json::json!({ "id": 7 }))).await?;
    /// if published.is_unheard() {
    ///     println!("nobody wants orders");
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The event has no such encoding, or the broker did not take it: with id `go.micro.broker` and code 400 for what it
    /// never takes, 403, 408 when time was over, 500 when subscribers could not be reached, 503 when the broker could
    /// not.
    pub async fn publish<T: Payload>(&self, topic: &str, event: &T) -> Result<Published, Error> {
        self.publish_with(topic, event, &PublishOptions::default()).await
    }

    /// [`Client::publish`] with options.
    ///
    /// # Errors
    /// As [`Client::publish`].
    pub async fn publish_with<T: Payload>(
        &self,
        topic: &str,
        event: &T,
        options: &PublishOptions,
    ) -> Result<Published, Error> {
        let format = options.format.unwrap_or(self.core.settings.format);
        let codec = |error: Error| Error { id: "go.micro.client.codec".to_owned(), ..error };
        let body = event.to_bytes(format).map_err(codec)?;
        let content_type = options.content_type.as_deref().unwrap_or(format.content_type());
        let message = self.event(topic, content_type, body, &options.metadata);
        let broker = self
            .broker()
            .ok_or_else(|| Error::new(ID, 501, "this client has no broker: give it one when it is built"))?;
        let publishing = broker.publish(options.exchange.as_deref().unwrap_or(topic), vec![message]);
        let mut outcomes = match options.timeout {
            None => publishing.await,
            Some(limit) => {
                let late = |_| {
                    Error::timeout(ID, format!("broker {} did not answer within {limit:?}", broker.name()))
                };
                tokio::time::timeout(limit, publishing).await.map_err(late)?
            }
        };
        let outcome = outcomes.pop().ok_or_else(|| {
            Error::internal(ID, format!("broker {} said nothing about the event", broker.name()))
        })?;
        outcome.map_err(|error| of_broker(&error))
    }

    /// An event as it is handed to a broker: a body that is encoded already, and its headers. Metadata cannot override
    /// the protocol's own.
    pub fn event(&self, topic: &str, content_type: &str, body: Bytes, metadata: &Headers) -> Message {
        let mut headers = Headers::with_capacity(4 + metadata.len(), 256);
        headers.append("Content-Type", content_type);
        headers.append("Micro-Topic", topic);
        headers.append("Micro-Id", random_id().to_string());
        if let Some(from) = &self.core.settings.from {
            headers.append("Micro-From-Service", from);
        }
        headers.extend(metadata.iter().filter(|(name, _)| !is_protocol(name)));
        Message { headers, body }
    }

    /// What it publishes with, if it has one.
    pub fn broker(&self) -> Option<&Arc<dyn Broker>> {
        self.core.broker.as_ref()
    }
}

/// A random UUID. It tells events apart and protects nothing, so it need not come from the operating system each time.
fn random_id() -> uuid::Uuid {
    uuid::Builder::from_random_bytes(fastrand::u128(..).to_ne_bytes()).into_uuid()
}

fn of_broker(error: &BrokerError) -> Error {
    let code = match error {
        BrokerError::Invalid { .. } => 400,
        BrokerError::Denied { .. } => 403,
        BrokerError::Timeout { .. } => 408,
        BrokerError::Unavailable { .. } => 503,
        BrokerError::Undelivered { .. } | BrokerError::Plugin { .. } | BrokerError::Other { .. } => 500,
    };
    Error::new(ID, code, micro_net::error_chain(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::{MemoryBroker, SubscribeOptions};
    use crate::payload::Json;
    use crate::registry::MemoryRegistry;

    #[tokio::test]
    async fn an_event_says_what_it_is_and_who_published_it() {
        let broker = Arc::new(MemoryBroker::new());
        let builder = Client::builder(Arc::new(MemoryRegistry::new())).from_service("me");
        let client = builder.broker(broker.clone()).build();
        assert!(client.publish("t", &Json(1)).await.expect("no error").is_unheard());
        let subscription = broker.subscribe("t", &SubscribeOptions::new()).await.expect("memory");
        let other = broker.subscribe("x", &SubscribeOptions::new()).await.expect("memory");
        let metadata = PublishOptions::new().metadata("Colour", "red").metadata("Micro-Topic", "other");
        let hi = Json("hi".to_owned());
        let (published, got) = tokio::join!(client.publish_with("t", &hi, &metadata), subscription.next(1));
        assert_eq!(published.expect("delivered").delivered, Some(1));
        let message = got.expect("open").remove(0).message;
        let fields: Vec<_> = message.headers.iter_str().collect();
        assert_eq!(fields[0], ("Content-Type", "application/json"));
        assert_eq!(fields[1], ("Micro-Topic", "t"));
        assert!(fields[2].0 == "Micro-Id" && uuid::Uuid::parse_str(fields[2].1).is_ok());
        assert_eq!(fields[3..], [("Micro-From-Service", "me"), ("Colour", "red")]);
        assert_eq!(message.body, "\"hi\"\n");

        let options = PublishOptions::new().exchange("x").content_type("application/json-rpc");
        let (published, got) = tokio::join!(client.publish_with("t", &hi, &options), other.next(1));
        assert_eq!(published.expect("delivered").delivered, Some(1));
        let message = got.expect("open").remove(0).message;
        assert_eq!(message.headers.get("Micro-Topic"), Some("t"));
        assert_eq!(message.headers.get("Content-Type"), Some("application/json-rpc"));
    }

    #[tokio::test]
    async fn what_goes_wrong_is_an_error() {
        let registry = Arc::new(MemoryRegistry::new());
        let without = Client::builder(registry.clone()).build();
        assert_eq!(without.publish("t", &Json(1)).await.expect_err("no broker").code, 501);
        let broker = Arc::new(MemoryBroker::new());
        let client = Client::builder(registry).broker(broker.clone()).build();
        let error = client.publish("", &Json(1)).await.expect_err("no topic");
        assert_eq!((error.id.as_str(), error.code), (ID, 400));
        let protobuf = PublishOptions::new().format(Format::Protobuf);
        assert_eq!(client.publish_with("t", &Json(1), &protobuf).await.expect_err("JSON only").code, 415);
        let _hanging = broker.subscribe("t", &SubscribeOptions::new().auto_ack(false)).await.expect("memory");
        let hasty = PublishOptions::new().timeout(Duration::from_millis(10));
        assert_eq!(client.publish_with("t", &Json(1), &hasty).await.expect_err("late").code, 408);
    }
}
