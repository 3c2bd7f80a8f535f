//! The brokers that need no plugin.
//!
//! | type | is |
//! |---|---|
//! | [`MemoryBroker`] | queues in this process; for tests, and for programs that are one process |
//! | [`HttpBroker`] | subscribers register in the registry, and publishers post to them; the default |
//!
//! Both wait until a subscriber has settled what it got, so that [`Published`] can say what became of it, and neither
//! delivers anything twice or keeps anything for later.
//!
//! [`Published`]: micro_core::broker::Published

pub mod http;
mod inbox;
mod memory;

pub use http::{HttpBroker, HttpBrokerSettings};
pub use memory::MemoryBroker;
pub use micro_core::broker::{Broker, BrokerError, Delivery, Published, SubscribeOptions, Subscription};

/// The longest topic and queue, in bytes. They become parts of records in registries, of URLs and of headers.
pub const MAX_NAME: usize = 1024;

/// Refuses names that no broker could use.
fn check_name(broker: &str, what: &str, name: &str) -> Result<(), BrokerError> {
    let problem = if name.is_empty() {
        format!("the {what} is empty")
    } else if name.len() > MAX_NAME {
        format!("the {what} has {} bytes, and {MAX_NAME} are the most", name.len())
    } else if name.chars().any(char::is_control) {
        format!("the {what} {name:?} has control characters")
    } else {
        return Ok(());
    };
    Err(BrokerError::Invalid { broker: broker.to_owned(), reason: problem })
}

/// [`check_name`] for everything that a subscription names.
fn check_subscription(broker: &str, topic: &str, options: &SubscribeOptions) -> Result<(), BrokerError> {
    check_name(broker, "topic", topic)?;
    options.queue.as_deref().map_or(Ok(()), |queue| check_name(broker, "queue", queue))
}
