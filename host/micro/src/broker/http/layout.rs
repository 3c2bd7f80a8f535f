//! How subscribers stand in the registry. It changed twice, and versions of different layouts do not see each other
//! (`go-micro-wire` §9.2): ours stand under all three, and publishers look under all three.

use micro_core::registry::Metadata;
use micro_core::{Node, NodeStatus, Service};

/// The service version of subscribers without a queue; any other version is a queue's name.
pub(super) const BROADCAST: &str = "ff.http.broadcast";

/// Joins the records of one subscription, so that a publisher that finds all of them delivers once.
const SUBSCRIPTION: &str = "subscription";

/// One way in which subscribers were registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Layout {
    /// Go Micro 2.5 and later.
    Current,
    /// Go Micro 1.13 to 1.18.
    Middle,
    /// Go Micro up to 1.12: a service for each topic.
    First,
}

impl Layout {
    /// The newest first: that is the one under which ours are called.
    pub(super) const ALL: [Self; 3] = [Self::Current, Self::Middle, Self::First];

    /// The service that subscribers of a topic are nodes of.
    pub(super) fn service(self, topic: &str) -> String {
        match self {
            Self::Current => "micro.http.broker".to_owned(),
            Self::Middle => "go.micro.http.broker".to_owned(),
            Self::First => format!("topic:{topic}"),
        }
    }

    /// Where deliveries are posted to.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Current => "/",
            Self::Middle | Self::First => "/_sub",
        }
    }

    /// Whether messages name their topic in the header [`OLD_TOPIC`](super::message::OLD_TOPIC).
    pub(super) fn is_old(self) -> bool {
        self != Self::Current
    }

    /// Whether a node subscribes to the topic. The service says it in the first layout, the node's metadata in others.
    pub(super) fn subscribes(self, node: &Node, topic: &str) -> bool {
        let says = |key: &str, value: &str| node.metadata.get(key).is_some_and(|it| it == value);
        node.status != NodeStatus::Critical
            && (self == Self::First || (says("broker", "http") && says("topic", topic)))
    }
}

/// What all records of a subscription have in common.
#[derive(Clone, Debug)]
pub(super) struct Identity<'a> {
    pub(super) topic: &'a str,
    pub(super) queue: Option<&'a str>,
    /// `host:port` at which others reach it.
    pub(super) address: &'a str,
    /// Whether it speaks TLS there.
    pub(super) secure: bool,
    /// Unique for this broker.
    pub(super) broker: &'a str,
}

impl Identity<'_> {
    /// The records of a new subscription, one for each layout. Their node ids differ, because there are registries in
    /// which an id is unique over all services.
    pub(super) fn records(&self) -> [Service; 3] {
        let own = uuid::Uuid::new_v4().to_string();
        Layout::ALL.map(|layout| {
            let id = match layout {
                Layout::First => format!("broker-{}.{own}", self.broker),
                Layout::Current | Layout::Middle => format!("{}-{}", self.topic, uuid::Uuid::new_v4()),
            };
            let mut metadata = Metadata::new();
            let mut say = |key: &str, value: &str| metadata.insert(key.to_owned(), value.to_owned());
            say("secure", if self.secure { "true" } else { "false" });
            say(SUBSCRIPTION, &own);
            if layout != Layout::First {
                say("broker", "http");
                say("topic", self.topic);
            }
            let node = Node { id, address: self.address.to_owned(), metadata, ..Node::default() };
            Service {
                name: layout.service(self.topic),
                version: self.queue.unwrap_or(BROADCAST).to_owned(),
                nodes: vec![node],
                ..Service::default()
            }
        })
    }
}

/// What a node's other records have in common with it, if it has any.
pub(super) fn subscription(node: &Node) -> Option<&str> {
    node.metadata.get(SUBSCRIPTION).map(String::as_str)
}

/// Whether a node speaks TLS.
pub(super) fn is_secure(node: &Node) -> bool {
    node.metadata.get("secure").is_some_and(|it| it == "true")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_look_as_each_version_wrote_them() {
        let identity =
            Identity { topic: "orders", queue: None, address: "10.0.0.1:9", secure: false, broker: "b" };
        let [current, middle, first] = identity.records();
        assert_eq!((&*current.name, &*current.version), ("micro.http.broker", BROADCAST));
        assert_eq!((&*middle.name, &*middle.version), ("go.micro.http.broker", BROADCAST));
        assert_eq!((&*first.name, &*first.version), ("topic:orders", BROADCAST));
        let nodes = [&current, &middle, &first].map(|record| &record.nodes[0]);
        assert!(nodes[0].id.starts_with("orders-") && nodes[1].id.starts_with("orders-"));
        assert!(nodes[2].id.starts_with("broker-b."), "{}", nodes[2].id);
        assert!(nodes[0].id != nodes[1].id);
        for node in nodes {
            assert_eq!((&*node.address, &*node.metadata["secure"]), ("10.0.0.1:9", "false"));
            assert_eq!(subscription(node), subscription(nodes[0]));
        }
        for (layout, node) in Layout::ALL.into_iter().zip(nodes) {
            assert!(layout.subscribes(node, "orders"));
            assert_eq!(layout.subscribes(node, "other"), layout == Layout::First);
        }
        let shared = Identity { queue: Some("q"), ..identity }.records();
        assert!(shared.iter().all(|record| record.version == "q"));
    }

    #[test]
    fn nodes_that_are_ill_or_of_another_broker_are_no_subscribers() {
        let identity = Identity { topic: "t", queue: None, address: "a:1", secure: true, broker: "b" };
        let [mut current, ..] = identity.records();
        let node = &mut current.nodes[0];
        assert!(is_secure(node));
        node.status = NodeStatus::Critical;
        assert!(!Layout::Current.subscribes(node, "t"));
        node.status = NodeStatus::Passing;
        node.metadata.insert("broker".to_owned(), "grpc".to_owned());
        assert!(!Layout::Current.subscribes(node, "t"));
    }
}
