//! Checks: how consul learns whether a node is well (`go-micro-wire` §5.3).

use crate::{Error, Node};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Consul itself removes nothing earlier than after a minute.
const SHORTEST_REAP: Duration = Duration::from_secs(60);
/// Added to the time after which a node that is silent is removed, as Go Micro does.
const REAP_SLACK: Duration = Duration::from_secs(5);
/// Between two looks of consul at a node when nothing was said.
const INTERVAL: Duration = Duration::from_secs(10);

/// What an operator can set about checks.
#[derive(Clone, Debug, Default)]
pub struct CheckConfig {
    /// `ttl`, `tcp`, `http` or `script`. Empty: `ttl`.
    pub kind: String,
    /// Between two looks of the agent. Zero: 10 s.
    pub interval: Duration,
    /// How long one look may take. Zero: consul's default.
    pub timeout: Duration,
    /// For `http`: a URL, or a path on the node's own address.
    pub http: String,
    /// For `script`: the command and its arguments.
    pub args: Vec<String>,
    /// When a node that stays critical is removed. Zero: as Go Micro does.
    pub deregister_after: Duration,
}

/// [`CheckConfig`], understood.
#[derive(Clone, Debug)]
pub(crate) struct Checks {
    kind: Kind,
    interval: Duration,
    timeout: Duration,
    deregister_after: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// The node reports; silence is death.
    Ttl,
    /// The agent looks.
    Tcp,
    Http(String),
    Script(Vec<String>),
}

impl TryFrom<CheckConfig> for Checks {
    type Error = Error;

    fn try_from(config: CheckConfig) -> Result<Self, Error> {
        let invalid = |text: &str| Err(Error::Invalid(text.to_owned()));
        let kind = match config.kind.as_str() {
            "" | "ttl" => Kind::Ttl,
            "tcp" => Kind::Tcp,
            "http" => {
                let url = config.http.trim();
                if !["/", "http://", "https://"].iter().any(|start| url.starts_with(start)) {
                    return invalid("check-http: check=http needs a URL, or a path that starts with /");
                }
                Kind::Http(url.to_owned())
            }
            "script" if config.args.iter().all(String::is_empty) => {
                return invalid("check-args: check=script needs a command");
            }
            "script" => Kind::Script(config.args),
            other => {
                return invalid(&format!("check {other:?}: expected ttl, tcp, http or script"));
            }
        };
        let interval = if config.interval.is_zero() { INTERVAL } else { config.interval };
        let (timeout, deregister_after) = (config.timeout, config.deregister_after);
        Ok(Self { kind, interval, timeout, deregister_after })
    }
}

/// The id of the one check that a node has, as consul and Go Micro name it.
pub(crate) fn id(node: &str) -> String {
    format!("service:{node}")
}

impl Checks {
    /// Whether the node has to report, with this TTL.
    pub(crate) fn reports(&self, ttl: Duration) -> bool {
        self.kind == Kind::Ttl && !ttl.is_zero()
    }

    /// The definition of a node's check. None: it stays until it is deregistered, whatever becomes of it.
    pub(crate) fn of(&self, node: &Node, ttl: Duration) -> Result<Option<Value>, Error> {
        let at_node = self.kind == Kind::Tcp || matches!(&self.kind, Kind::Http(url) if url.starts_with('/'));
        if at_node && crate::address::split(&node.address).1.is_none() {
            let Node { id, address, .. } = node;
            let text = format!("node {id:?}: its address {address:?} has no port that could be checked");
            return Err(Error::Invalid(text));
        }
        let mut check = Map::new();
        check.insert("CheckID".to_owned(), json!(id(&node.id)));
        // Otherwise it would be critical until the first look or report.
        check.insert("Status".to_owned(), json!("passing"));
        let mut set = |name: &str, value: Value| _ = check.insert(name.to_owned(), value);
        match &self.kind {
            Kind::Ttl if ttl.is_zero() => return Ok(None),
            Kind::Ttl => set("TTL", json!(go(ttl))),
            Kind::Tcp => set("TCP", json!(node.address)),
            Kind::Http(url) if url.starts_with('/') => {
                set("HTTP", json!(format!("http://{}{}", node.address, fill(url, node))));
            }
            Kind::Http(url) => set("HTTP", json!(fill(url, node))),
            Kind::Script(args) => {
                set("Args", args.iter().map(|arg| Value::from(fill(arg, node))).collect());
            }
        }
        if self.kind != Kind::Ttl {
            set("Interval", json!(go(self.interval)));
            if !self.timeout.is_zero() {
                set("Timeout", json!(go(self.timeout)));
            }
        }
        // Without a TTL it is to stay.
        if !ttl.is_zero() {
            let silence = if self.kind == Kind::Ttl { ttl } else { self.interval };
            let after = match self.deregister_after {
                Duration::ZERO => silence.max(SHORTEST_REAP).saturating_add(REAP_SLACK),
                after => after,
            };
            set("DeregisterCriticalServiceAfter", json!(go(after)));
        }
        Ok(Some(Value::Object(check)))
    }
}

/// Puts what is known of a node into a text.
fn fill(text: &str, node: &Node) -> String {
    let (host, port) = crate::address::split(&node.address);
    text.replace("{address}", &node.address)
        .replace("{host}", host)
        .replace("{port}", &port.map_or(String::new(), |port| port.to_string()))
        .replace("{id}", &node.id)
}

/// A duration as Go reads it.
fn go(duration: Duration) -> String {
    match duration.subsec_nanos() {
        0 => format!("{}s", duration.as_secs()),
        _ => format!("{}ms", duration.as_millis().max(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(config: CheckConfig, ttl: u64) -> Option<Value> {
        let node = Node { id: "a-1".into(), address: "10.0.0.1:80".into(), ..Node::default() };
        let checks = Checks::try_from(config).expect("valid");
        checks.of(&node, Duration::from_millis(ttl)).expect("an address")
    }

    fn kind(kind: &str) -> CheckConfig {
        CheckConfig { kind: kind.into(), ..CheckConfig::default() }
    }

    #[test]
    fn a_ttl_is_as_in_go() {
        let expected = |ttl: &str, after: &str| json!({ "CheckID": "service:a-1", "Status": "passing", "TTL": ttl, "DeregisterCriticalServiceAfter": after });
        assert_eq!(check(kind(""), 30_000), Some(expected("30s", "65s")));
        assert_eq!(check(kind("ttl"), 90_500), Some(expected("90500ms", "95500ms")));
        assert_eq!(check(kind("ttl"), 0), None);
    }

    #[test]
    fn the_agent_looks_where_it_is_told() {
        let tcp = check(CheckConfig { timeout: Duration::from_secs(2), ..kind("tcp") }, 30_000);
        let tcp = tcp.expect("a check");
        assert_eq!((&tcp["TCP"], &tcp["Interval"]), (&json!("10.0.0.1:80"), &json!("10s")));
        assert_eq!((&tcp["Timeout"], &tcp["TTL"]), (&json!("2s"), &Value::Null));
        let http = |url: &str| check(CheckConfig { http: url.into(), ..kind("http") }, 0).expect("a check");
        assert_eq!(http("/health")["HTTP"], "http://10.0.0.1:80/health");
        assert_eq!(http("https://{host}:81/{id}?p={port}")["HTTP"], "https://10.0.0.1:81/a-1?p=80");
        assert_eq!(http("/")["DeregisterCriticalServiceAfter"], Value::Null, "no TTL: it stays");
        let script = CheckConfig { args: vec!["probe".into(), "{address}".into()], ..kind("script") };
        assert_eq!(check(script, 1_000).expect("a check")["Args"], json!(["probe", "10.0.0.1:80"]));
    }

    #[test]
    fn half_a_check_is_refused() {
        let half = [kind("http"), kind("script"), kind("grpc"), kind("TTL ")];
        for config in half {
            assert!(matches!(Checks::try_from(config.clone()), Err(Error::Invalid(_))), "{config:?}");
        }
        assert!(Checks::try_from(CheckConfig { http: "localhost/".into(), ..kind("http") }).is_err());
        let queue = Node { address: "queue".into(), ..Node::default() };
        let tcp = Checks::try_from(kind("tcp")).expect("valid");
        assert!(matches!(tcp.of(&queue, Duration::ZERO), Err(Error::Invalid(_))));
    }
}
