//! What nodes are called in: by their record, by the operator's rules, by the call.

use super::rules::{RuleValue, Rules};
use micro_core::Node;
use std::fmt;
use std::str::FromStr;

/// What a node is called in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Messages over HTTP, with bare values: Go Micro since 1.0.
    #[default]
    Mucp,
    /// Messages over HTTP, with values in envelopes: Go Micro before 1.0, and whoever speaks JSON-RPC.
    Envelopes,
    /// gRPC in protobuf, as everybody speaks it. JSON is converted, by what the node says of itself.
    Grpc,
    /// gRPC by a node that also takes JSON as it is: Go Micro's.
    GrpcJson,
    /// The messages of [`Protocol::Mucp`] through Go Micro's gRPC transport.
    MucpOverGrpc,
}

impl Protocol {
    /// Whether it is gRPC in either form.
    pub fn is_grpc(self) -> bool {
        matches!(self, Self::Grpc | Self::GrpcJson)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mucp => "mucp",
            Self::Envelopes => "envelope",
            Self::Grpc => "grpc",
            Self::GrpcJson => "grpc+json",
            Self::MucpOverGrpc => "mucp+grpc",
        })
    }
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Mucp, Self::Envelopes, Self::Grpc, Self::GrpcJson, Self::MucpOverGrpc];
        let found = all.into_iter().find(|protocol| protocol.to_string() == text);
        found
            .ok_or_else(|| format!("no protocol {text:?}: one of mucp, grpc, grpc+json, envelope, mucp+grpc"))
    }
}

/// What the nodes of services are called in whose records do not say it.
pub type ProtocolRules = Rules<Protocol>;

impl RuleValue for Protocol {
    const FORM: &'static str = "NAME=PROTOCOL, for instance greeter=grpc";
}

/// What a node is called in: what its record says, where that is a protocol of ours, else what the rule says, else
/// envelopes, because a record without protocol is one of 2018 or before (`go-micro-wire` §2.3).
///
/// # Errors
/// The protocol that the record names, when it is none of ours and there is no rule.
pub(super) fn of_node(node: &Node, rule: Option<Protocol>) -> Result<Protocol, &str> {
    let said = |key: &str| node.metadata.get(key).map(String::as_str).unwrap_or_default();
    match (said("protocol"), rule) {
        ("mucp", _) if said("transport") == "grpc" => Ok(Protocol::MucpOverGrpc),
        ("mucp", _) => Ok(Protocol::Mucp),
        // Whether it takes JSON no record says, but those of Go Micro name their server.
        ("grpc", Some(rule)) if rule.is_grpc() => Ok(rule),
        ("grpc", _) if said("server") == "grpc" => Ok(Protocol::GrpcJson),
        ("grpc", _) => Ok(Protocol::Grpc),
        (_, Some(rule)) => Ok(rule),
        ("", None) => Ok(Protocol::Envelopes),
        (other, None) => Err(other),
    }
}

/// From what [`of_node`] knows it, for people.
pub(super) fn because(node: &Node, rule: Option<Protocol>) -> String {
    let said = |key: &str| node.metadata.get(key).map(String::as_str).unwrap_or_default();
    match (said("protocol"), rule) {
        ("mucp", _) if said("transport") == "grpc" => {
            "its record says protocol=mucp and transport=grpc".to_owned()
        }
        ("mucp", _) => "its record says protocol=mucp".to_owned(),
        ("grpc", Some(rule)) if rule.is_grpc() => format!("its record says protocol=grpc, and a rule {rule}"),
        ("grpc", _) if said("server") == "grpc" => {
            "its record says protocol=grpc and server=grpc, which is Go Micro's and takes JSON".to_owned()
        }
        ("grpc", _) => "its record says protocol=grpc".to_owned(),
        (_, Some(rule)) => format!("a rule says {rule}"),
        ("", None) => "its record names no protocol, as before Go Micro 1.0".to_owned(),
        (other, None) => format!("its record says protocol={other}, which is not spoken here"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_precise_rule_wins() {
        let rules = ["*=mucp", "shop.*=grpc", "shop.cart=envelope", "shop.ca*=grpc+json"];
        let rules: ProtocolRules =
            rules.iter().map(|rule| ProtocolRules::parse(rule).expect("valid")).collect();
        for (service, protocol) in [
            ("greeter", "mucp"),
            ("shop.pets", "grpc"),
            ("shop.cart", "envelope"),
            ("shop.cats", "grpc+json"),
            ("shop", "mucp"),
        ] {
            assert_eq!(rules.find(service).map(|it| it.to_string()).as_deref(), Some(protocol), "{service}");
        }
        assert_eq!(ProtocolRules::default().find("greeter"), None);
        let again = rules.with("shop.cart", Protocol::Grpc);
        assert_eq!(again.find("shop.cart"), Some(Protocol::Grpc));
    }

    #[test]
    fn wrong_rules_say_what_is_expected() {
        for (item, part) in [
            ("greeter", "NAME=PROTOCOL"),
            ("=grpc", "NAME=PROTOCOL"),
            ("greeter=", "one of mucp"),
            ("greeter=http", "one of mucp"),
            ("a*b=grpc", "at the end"),
            ("a**=grpc", "at the end"),
        ] {
            let error = ProtocolRules::parse(item).expect_err(item);
            assert!(error.contains(part), "{item}: {error}");
        }
    }

    #[test]
    fn records_go_before_rules_and_rules_before_guesses() {
        let node = |pairs: &[(&str, &str)]| Node {
            metadata: pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect(),
            ..Node::default()
        };
        for (pairs, rule, expected) in [
            (&[][..], None, Ok(Protocol::Envelopes)),
            (&[], Some(Protocol::Grpc), Ok(Protocol::Grpc)),
            (&[("protocol", "")], Some(Protocol::Mucp), Ok(Protocol::Mucp)),
            (&[("protocol", "mucp")], Some(Protocol::Grpc), Ok(Protocol::Mucp)),
            (&[("protocol", "grpc")], None, Ok(Protocol::Grpc)),
            (&[("protocol", "grpc"), ("server", "grpc")], None, Ok(Protocol::GrpcJson)),
            (&[("protocol", "grpc"), ("server", "grpc")], Some(Protocol::Grpc), Ok(Protocol::Grpc)),
            (&[("protocol", "grpc")], Some(Protocol::Mucp), Ok(Protocol::Grpc)),
            (&[("protocol", "http")], None, Err("http")),
            (&[("protocol", "http")], Some(Protocol::Grpc), Ok(Protocol::Grpc)),
            (&[("protocol", "mucp"), ("transport", "grpc")], None, Ok(Protocol::MucpOverGrpc)),
            // The transport alone is another thing.
            (&[("transport", "grpc")], None, Ok(Protocol::Envelopes)),
        ] {
            assert_eq!(of_node(&node(pairs), rule), expected, "{pairs:?} {rule:?}");
        }
    }
}
