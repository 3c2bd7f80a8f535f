//! Where outgoing connections may go.
//!
//! A policy is asked twice: for the *name* before it is resolved (resolving arbitrary names leaks data by itself), and
//! for every *address* that the name resolved to, since whoever owns a name can point it anywhere. The dialer connects
//! to exactly the addresses that passed, and never resolves again.

mod class;
mod rule;

pub use rule::{Rule, RuleError};

use class::{Class, canonical, class};
use rule::{Host, Pattern};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// Which targets may be reached. Cheap to clone.
///
/// Three classes of address need more than a rule that covers them by name or wildcard:
/// - link-local (with 169.254.169.254), cloud metadata services, multicast, unspecified and broadcast addresses are
///   refused unless a rule spells out that very address;
/// - loopback is refused to suffix patterns such as `*.example.com`: they speak of other people's machines.
#[derive(Clone, Debug)]
pub struct EgressPolicy {
    /// `None`: no policy at all.
    rules: Option<Arc<[Rule]>>,
}

impl EgressPolicy {
    /// Everything may be reached. For the host's own connections, never for a plugin's.
    pub fn unrestricted() -> Self {
        Self { rules: None }
    }

    /// Nothing may be reached.
    pub fn nothing() -> Self {
        Self::new([])
    }

    /// What one of the rules allows may be reached.
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> Self {
        Self { rules: Some(rules.into_iter().collect()) }
    }

    /// The rules; none if everything or nothing is allowed.
    pub fn rules(&self) -> &[Rule] {
        self.rules.as_deref().unwrap_or_default()
    }

    /// Checks the name or literal address that a caller asked for.
    ///
    /// # Errors
    /// No rule covers it.
    pub fn check_host(&self, host: &str, port: u16) -> Result<(), EgressDenied> {
        let Some(rules) = &self.rules else { return Ok(()) };
        let host = Host::parse(host);
        let allowed = rules.iter().any(|rule| rule.ports.contains(port) && rule.host.covers(&host));
        if allowed { Ok(()) } else { Err(EgressDenied::new(host, port, None)) }
    }

    /// Checks an address that `host` resolved to. `host` itself must have passed [`check_host`](Self::check_host).
    ///
    /// # Errors
    /// The address is of a class that no rule for `host` reaches.
    pub fn check_address(&self, host: &str, address: IpAddr, port: u16) -> Result<(), EgressDenied> {
        let Some(rules) = &self.rules else { return Ok(()) };
        let host = Host::parse(host);
        let address = canonical(address);
        let mut rules = rules.iter().filter(|rule| rule.ports.contains(port));
        let allowed = match class(address) {
            Class::Special => rules.any(|rule| rule.host == Pattern::Address(address)),
            Class::Loopback => rules.any(|rule| match &rule.host {
                Pattern::Suffix(_) => false,
                pattern => pattern.covers(&host) || pattern.covers(&Host::Address(address)),
            }),
            Class::Ordinary => true,
        };
        if allowed { Ok(()) } else { Err(EgressDenied::new(host, port, Some(address))) }
    }
}

/// A target that the policy does not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EgressDenied {
    host: String,
    port: u16,
    /// The forbidden address, where the name itself was allowed.
    address: Option<IpAddr>,
}

impl EgressDenied {
    fn new(host: Host, port: u16, address: Option<IpAddr>) -> Self {
        match host {
            Host::Name(host) => Self { host, port, address },
            Host::Address(host) => Self { host: host.to_string(), port, address: None },
        }
    }

    /// The grant that would allow it, as `net:HOST:PORT`.
    pub fn grant(&self) -> String {
        let host = self.address.map_or_else(|| self.host.clone(), |address| address.to_string());
        format!("net:{}", Rule::exact(&host, self.port))
    }
}

impl fmt::Display for EgressDenied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not allowed to reach {}", Rule::exact(&self.host, self.port))?;
        if let Some(address) = self.address {
            write!(f, ", which resolves to {address}")?;
        }
        write!(f, " (grant {} would allow it)", self.grant())
    }
}

impl std::error::Error for EgressDenied {}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(rules: &[&str]) -> EgressPolicy {
        EgressPolicy::new(rules.iter().map(|rule| rule.parse().expect("a rule")))
    }

    #[test]
    fn names_and_literal_addresses_need_a_rule() {
        for (rule, host, port, allowed) in [
            ("etcd:2379", "etcd", 2379, true),
            ("etcd:2379", "ETCD.", 2379, true),
            ("etcd:2379", "etcd", 2380, false),
            ("etcd:2379", "etcd.evil.com", 2379, false),
            ("etcd:2000-3000", "etcd", 2379, true),
            ("etcd:*", "etcd", 1, true),
            ("*.example.com:443", "a.b.example.com", 443, true),
            ("*.example.com:443", "example.com", 443, false),
            ("*.example.com:443", "badexample.com", 443, false),
            ("*:443", "anything", 443, true),
            ("10.0.0.0/8:*", "10.200.0.1", 80, true),
            ("10.0.0.0/8:*", "11.0.0.1", 80, false),
            ("10.0.0.0/8:*", "::ffff:10.1.1.1", 80, true),
            ("[2001:db8::]/32:*", "2001:db8:1::5", 80, true),
            ("[2001:db8::]/32:*", "[2001:db9::5]", 80, false),
            ("[::]/0:*", "10.0.0.1", 80, false),
            ("0.0.0.0/0:*", "10.0.0.1", 80, true),
            ("10.0.0.1:80", "ten", 80, false),
            ("[::1]:80", "::1", 80, true),
        ] {
            assert_eq!(policy(&[rule]).check_host(host, port).is_ok(), allowed, "{rule} for {host}:{port}");
        }
    }

    #[test]
    fn special_addresses_need_a_rule_that_spells_them_out() {
        for address in [
            "169.254.169.254",
            "169.254.1.1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "100.100.100.200",
            "168.63.129.16",
            "fe80::1",
            "224.0.0.251",
            "ff02::fb",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "255.255.255.255",
            "::ffff:169.254.169.254",
            "::ffff:a9fe:a9fe",
            "64:ff9b::169.254.169.254",
            "2002:a9fe:a9fe::1",
            "::169.254.169.254",
        ] {
            let ip: IpAddr = address.parse().expect("an address");
            for rules in [&["*:*"][..], &["name:80"], &["0.0.0.0/0:*", "[::]/0:*", "name:80"]] {
                let denied = policy(rules).check_address("name", ip, 80).expect_err(address);
                // What the refusal suggests is what helps.
                let grant = denied.grant();
                let literal = grant.strip_prefix("net:").expect("a net grant");
                assert!(
                    policy(&["name:80", literal]).check_address("name", ip, 80).is_ok(),
                    "{grant} for {address}"
                );
            }
        }
    }

    #[test]
    fn suffix_patterns_do_not_reach_this_machine() {
        let loopback: IpAddr = "127.0.0.1".parse().expect("an address");
        assert!(policy(&["*.example.com:80"]).check_address("a.example.com", loopback, 80).is_err());
        assert!(policy(&["a.example.com:80"]).check_address("a.example.com", loopback, 80).is_ok());
        assert!(policy(&["*:80"]).check_address("a.example.com", loopback, 80).is_ok());
        let both = policy(&["*.example.com:80", "127.0.0.1:80"]);
        assert!(both.check_address("a.example.com", loopback, 80).is_ok());
    }

    #[test]
    fn a_refusal_names_the_target_and_the_grant() {
        let denied = policy(&[]).check_host("Consul", 8500).expect_err("denied");
        assert_eq!(
            denied.to_string(),
            "not allowed to reach consul:8500 (grant net:consul:8500 would allow it)"
        );
        assert!(EgressPolicy::unrestricted().check_host("consul", 8500).is_ok());
    }
}
