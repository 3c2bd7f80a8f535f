//! Services that Micro did not register: what speaks for which protocol they speak, and where their nodes are.

use crate::{Error, Metadata};
use std::collections::HashMap;

/// The key in which the host looks (`go-micro-wire` §2.3).
const PROTOCOL: &str = "protocol";

/// What an operator can set about services of others.
#[derive(Clone, Debug, Default)]
pub struct ForeignConfig {
    /// Of nodes about which nothing else says one. Empty: none.
    pub protocol: String,
    /// `SERVICE=PROTOCOL`.
    pub protocol_for: Vec<String>,
    /// `TAG=PROTOCOL`.
    pub protocol_tag: Vec<String>,
    /// The key of consul's metadata that holds the zone. Empty: `zone`.
    pub zone_meta: String,
}

/// [`ForeignConfig`], understood.
#[derive(Clone, Debug, Default)]
pub(crate) struct Foreign {
    protocol: String,
    by_service: HashMap<String, String>,
    by_tag: Vec<(String, String)>,
    pub(crate) zone_meta: String,
}

impl TryFrom<ForeignConfig> for Foreign {
    type Error = Error;

    fn try_from(config: ForeignConfig) -> Result<Self, Error> {
        let zone_meta = if config.zone_meta.is_empty() { "zone".to_owned() } else { config.zone_meta };
        Ok(Self {
            protocol: config.protocol,
            by_service: pairs("protocol-for", &config.protocol_for)?.into_iter().collect(),
            by_tag: pairs("protocol-tag", &config.protocol_tag)?,
            zone_meta,
        })
    }
}

fn pairs(option: &str, texts: &[String]) -> Result<Vec<(String, String)>, Error> {
    let pair = |text: &String| match text.rsplit_once('=') {
        Some((key, protocol)) if !key.is_empty() && !protocol.is_empty() => {
            Ok((key.to_owned(), protocol.to_owned()))
        }
        _ => Err(Error::Invalid(format!("{option} {text:?}: expected something like billing=grpc"))),
    };
    texts.iter().filter(|text| !text.is_empty()).map(pair).collect()
}

impl Foreign {
    /// Adds the protocol to a node's metadata. What the operator said of a service by its name counts first; then what
    /// the node says itself; then its tags; then what the operator said of all.
    pub(crate) fn mark(&self, service: &str, micro: bool, tags: &[String], metadata: &mut Metadata) {
        let said = metadata.get(PROTOCOL).is_some_and(|protocol| !protocol.is_empty());
        // A node that Micro registered without a protocol is one of 2018 or before, and needs to be called so.
        if said && micro {
            return;
        }
        let by_name = self.by_service.get(service);
        let guess = || {
            let tagged = self.by_tag.iter().find(|(tag, _)| tags.contains(tag)).map(|(_, protocol)| protocol);
            tagged.or(Some(&self.protocol)).filter(|protocol| !protocol.is_empty() && !micro && !said)
        };
        if let Some(protocol) = by_name.or_else(guess) {
            metadata.insert(PROTOCOL.to_owned(), protocol.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_to_the_service_says_its_protocol() {
        let config = ForeignConfig {
            protocol: "http".into(),
            protocol_for: vec!["billing=grpc".into(), "a=b=mucp".into()],
            protocol_tag: vec!["rpc=grpc".into()],
            ..ForeignConfig::default()
        };
        let foreign = Foreign::try_from(config).expect("valid");
        let mark = |service: &str, micro: bool, tags: &[&str], said: Option<&str>| {
            let mut metadata: Metadata =
                said.map(|it| (PROTOCOL.to_owned(), it.to_owned())).into_iter().collect();
            let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
            foreign.mark(service, micro, &tags, &mut metadata);
            metadata.remove(PROTOCOL)
        };
        assert_eq!(mark("x", false, &[], None).as_deref(), Some("http"));
        assert_eq!(mark("x", false, &["v1", "rpc"], None).as_deref(), Some("grpc"));
        assert_eq!(mark("x", false, &["rpc"], Some("mucp")).as_deref(), Some("mucp"));
        assert_eq!(mark("billing", false, &[], Some("tcp")).as_deref(), Some("grpc"));
        assert_eq!(mark("a=b", false, &[], None).as_deref(), Some("mucp"));
        assert_eq!(mark("x", true, &["rpc"], None), None, "the oldest Micro names none");
        assert_eq!(mark("billing", true, &[], Some("mucp")).as_deref(), Some("mucp"));
        assert_eq!(mark("billing", true, &[], None).as_deref(), Some("grpc"));
    }

    #[test]
    fn half_a_pair_is_refused() {
        for text in ["billing", "=grpc", "billing=", "="] {
            let config = ForeignConfig { protocol_for: vec![text.into()], ..ForeignConfig::default() };
            assert!(matches!(Foreign::try_from(config), Err(Error::Invalid(_))), "{text}");
        }
    }
}
