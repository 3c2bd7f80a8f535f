//! One instance of a service as consul's health API tells of it.

use crate::model::Health;
use crate::{Metadata, address, check};
use serde::{Deserialize, Deserializer};

/// An element of `/v1/health/service/…`: the machine, the service on it, and the checks of both.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct Entry {
    #[serde(deserialize_with = "nullable")]
    pub(crate) node: Machine,
    #[serde(deserialize_with = "nullable")]
    pub(crate) service: Instance,
    #[serde(deserialize_with = "nullable")]
    checks: Vec<Check>,
}

/// What consul calls a node.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct Machine {
    #[serde(deserialize_with = "nullable")]
    pub(crate) node: String,
    #[serde(deserialize_with = "nullable")]
    address: String,
    #[serde(deserialize_with = "nullable")]
    meta: Metadata,
    #[serde(deserialize_with = "nullable")]
    locality: Locality,
}

/// What consul calls a service.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct Instance {
    #[serde(rename = "ID", deserialize_with = "nullable")]
    pub(crate) id: String,
    #[serde(rename = "Service", deserialize_with = "nullable")]
    pub(crate) name: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) tags: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) meta: Metadata,
    #[serde(deserialize_with = "nullable")]
    address: String,
    #[serde(deserialize_with = "nullable")]
    port: i64,
    #[serde(deserialize_with = "nullable")]
    locality: Locality,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Locality {
    #[serde(deserialize_with = "nullable")]
    zone: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Check {
    #[serde(rename = "CheckID", deserialize_with = "nullable")]
    id: String,
    #[serde(deserialize_with = "nullable")]
    status: String,
    #[serde(deserialize_with = "nullable")]
    output: String,
}

/// Go writes what is empty as `null`.
fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(json: D) -> Result<T, D::Error> {
    Option::deserialize(json).map(Option::unwrap_or_default)
}

impl Entry {
    /// What its checks say together, those of its machine among them.
    pub(crate) fn health(&self) -> Health {
        let health = |check: &Check| match check.status.as_str() {
            "critical" | "maintenance" => Health::Critical,
            "warning" => Health::Warning,
            _ => Health::Passing,
        };
        self.checks.iter().map(health).max().unwrap_or_default()
    }

    /// Whether its node has not reported within its TTL. Consul keeps such an instance for a minute or longer before it
    /// removes it; the node is gone. Somebody who sets the check to critical says another thing, in other words.
    pub(crate) fn is_expired(&self) -> bool {
        let own = check::id(&self.service.id);
        let mut own = self.checks.iter().filter(|check| check.id == own);
        own.any(|check| check.status == "critical" && check.output.starts_with("TTL expired"))
    }

    /// Where it is. Without an address of its own it is where its machine is. None: the port is no port.
    pub(crate) fn address(&self) -> Option<String> {
        let Instance { address, port, .. } = &self.service;
        let host = if address.is_empty() { &self.node.address } else { address };
        Some(address::join(host, u16::try_from(*port).ok()?))
    }

    /// In which zone it is: what the instance says, otherwise its machine.
    pub(crate) fn zone(&self, key: &str) -> Option<String> {
        let said = [
            Some(&self.service.locality.zone),
            self.service.meta.get(key),
            Some(&self.node.locality.zone),
            self.node.meta.get(key),
        ];
        said.into_iter().flatten().find(|zone| !zone.is_empty()).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn entry(json: &Value) -> Entry {
        serde_json::from_str(&json.to_string()).expect("an entry")
    }

    #[test]
    fn the_worst_check_counts() {
        let health = |states: &[&str]| {
            let checks: Vec<Value> =
                states.iter().map(|it| json!({ "CheckID": "x", "Status": it })).collect();
            entry(&json!({ "Checks": checks })).health()
        };
        assert_eq!(health(&[]), Health::Passing);
        assert_eq!(health(&["passing", "warning", "passing"]), Health::Warning);
        assert_eq!(health(&["critical", "warning"]), Health::Critical);
        assert_eq!(health(&["passing", "of another time"]), Health::Passing);
    }

    #[test]
    fn silence_is_told_from_a_verdict() {
        let expired = |id: &str, status: &str, output: &str| {
            let check = json!({ "CheckID": id, "Status": status, "Output": output });
            entry(&json!({ "Service": { "ID": "a" }, "Checks": [{}, check] })).is_expired()
        };
        assert!(expired("service:a", "critical", "TTL expired"));
        assert!(expired("service:a", "critical", "TTL expired (last output before timing out: ok)"));
        assert!(!expired("service:a", "critical", "out of order"));
        assert!(!expired("service:a", "passing", "TTL expired"));
        assert!(!expired("service:b", "critical", "TTL expired"));
    }

    #[test]
    fn what_an_instance_does_not_say_its_machine_does() {
        let of = |service: Value| {
            let machine =
                json!({ "Address": "10.0.0.1", "Meta": { "zone": "m", "az": "n" }, "Locality": null });
            entry(&json!({ "Node": machine, "Service": service, "Checks": null }))
        };
        assert_eq!(of(json!({ "Port": 80 })).address().as_deref(), Some("10.0.0.1:80"));
        assert_eq!(of(json!({ "Address": "::1", "Port": 80 })).address().as_deref(), Some("[::1]:80"));
        assert_eq!(of(json!({ "Address": "queue" })).address().as_deref(), Some("queue"));
        for port in [-1, 65536, i64::MIN] {
            assert_eq!(of(json!({ "Port": port })).address(), None, "{port}");
        }
        assert_eq!(of(json!({})).zone("zone").as_deref(), Some("m"));
        assert_eq!(of(json!({ "Meta": { "zone": "s" } })).zone("zone").as_deref(), Some("s"));
        let both = json!({ "Meta": { "zone": "s" }, "Locality": { "Region": "r", "Zone": "l" } });
        assert_eq!(of(both).zone("zone").as_deref(), Some("l"));
        assert_eq!(of(json!({ "Meta": { "zone": "" } })).zone("none"), None);
    }
}
