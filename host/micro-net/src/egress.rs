//! Where outgoing connections may go.
//!
//! A policy is asked twice: for the *name* before it is resolved (resolving arbitrary names leaks data by itself), and
//! for every *address* that the name resolved to, since whoever owns a name can point it anywhere. The dialer connects
//! to exactly the addresses that passed, and never resolves again.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
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

/// One grant: a host and ports. Its text is `HOST:PORT`, with `*`, `*.example.com`, a name, an address (IPv6 in
/// brackets) or a network such as `10.0.0.0/8` as host, and `*`, `443` or `8000-8010` as port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    host: Pattern,
    ports: Ports,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Pattern {
    Any,
    /// `.example.com`: every name below it, not the name itself.
    Suffix(String),
    Name(String),
    Address(IpAddr),
    Network(IpAddr, u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Ports {
    first: u16,
    last: u16,
}

/// What a caller may ask for, in comparable form: names are lower case and have no final dot.
#[derive(Debug)]
enum Host {
    Name(String),
    Address(IpAddr),
}

impl Rule {
    /// A rule for exactly this target, as an operator who typed an address grants it.
    pub fn exact(host: &str, port: u16) -> Self {
        let host = match Host::parse(host) {
            Host::Name(name) => Pattern::Name(name),
            Host::Address(address) => Pattern::Address(address),
        };
        Self { host, ports: Ports { first: port, last: port } }
    }
}

impl Pattern {
    fn covers(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Any, _) => true,
            (Self::Name(rule), Host::Name(name)) => rule == name,
            (Self::Suffix(suffix), Host::Name(name)) => {
                name.len() > suffix.len() && name.ends_with(suffix.as_str())
            }
            (Self::Address(rule), Host::Address(address)) => rule == address,
            (Self::Network(network, bits), Host::Address(address)) => {
                prefix(*network, *bits) == prefix(*address, *bits) && network.is_ipv4() == address.is_ipv4()
            }
            _ => false,
        }
    }
}

impl Ports {
    fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

impl Host {
    fn parse(text: &str) -> Self {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        match bare.parse() {
            Ok(address) => Self::Address(canonical(address)),
            Err(_) => Self::Name(name(text)),
        }
    }
}

fn name(text: &str) -> String {
    text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase()
}

/// Why a text is not a [`Rule`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a network grant: {problem}")]
pub struct RuleError {
    text: String,
    problem: &'static str,
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let error = |problem| RuleError { text: text.to_owned(), problem };
        let (host, port) = text.rsplit_once(':').ok_or_else(|| error("expected HOST:PORT"))?;
        let number =
            |text: &str| text.parse::<u16>().map_err(|_| error("the port is a number, a range A-B, or *"));
        let ports = match port.split_once('-') {
            Some((first, last)) => Ports { first: number(first)?, last: number(last)? },
            None if port == "*" => Ports { first: 0, last: u16::MAX },
            None => Ports { first: number(port)?, last: number(port)? },
        };
        if ports.first > ports.last {
            return Err(error("the port range ends before it starts"));
        }
        if host.contains(':') && !host.starts_with('[') {
            return Err(error("put an IPv6 address in brackets"));
        }
        let host = match host.split_once('/') {
            Some((network, bits)) => {
                network_pattern(network, bits).ok_or_else(|| error("not a network like 10.0.0.0/8"))?
            }
            None if host.is_empty() => return Err(error("the host is missing")),
            None if host == "*" => Pattern::Any,
            None if host.starts_with("*.") => Pattern::Suffix(name(&host[1..])),
            None if host.contains('*') => {
                return Err(error("* stands alone or in front, as in *.example.com"));
            }
            None => match Host::parse(host) {
                Host::Address(address) => Pattern::Address(address),
                Host::Name(name) if name.contains(['[', ']']) => return Err(error("not an IPv6 address")),
                Host::Name(name) => Pattern::Name(name),
            },
        };
        Ok(Self { host, ports })
    }
}

fn network_pattern(network: &str, bits: &str) -> Option<Pattern> {
    let Host::Address(address) = Host::parse(network) else { return None };
    let bits = bits.parse().ok().filter(|bits| *bits <= width(address))?;
    Some(Pattern::Network(address, bits))
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Pattern::Any => f.write_str("*"),
            Pattern::Suffix(suffix) => write!(f, "*{suffix}"),
            Pattern::Name(name) => f.write_str(name),
            Pattern::Address(address) => bracketed(*address, f),
            Pattern::Network(address, bits) => bracketed(*address, f).and_then(|()| write!(f, "/{bits}")),
        }?;
        match self.ports {
            Ports { first: 0, last: u16::MAX } => f.write_str(":*"),
            Ports { first, last } if first == last => write!(f, ":{first}"),
            Ports { first, last } => write!(f, ":{first}-{last}"),
        }
    }
}

fn bracketed(address: IpAddr, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if address.is_ipv6() { write!(f, "[{address}]") } else { write!(f, "{address}") }
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Ordinary,
    Loopback,
    Special,
}

/// Metadata services of clouds that live outside the link-local ranges: Alibaba, Azure, Oracle.
const METADATA_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(192, 0, 0, 192)];

/// The same of EC2 and of Google Cloud, within the unique local range.
const METADATA_V6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)];

fn class(address: IpAddr) -> Class {
    match address {
        IpAddr::V4(v4) => class_v4(v4),
        IpAddr::V6(v6) if v6.is_loopback() => Class::Loopback,
        IpAddr::V6(v6)
            if v6.is_multicast()
                || v6.is_unspecified()
                || v6.is_unicast_link_local()
                || METADATA_V6.contains(&v6) =>
        {
            Class::Special
        }
        // A gateway would forward these to the IPv4 address inside.
        IpAddr::V6(v6) => embedded_v4(v6).map_or(Class::Ordinary, class_v4),
    }
}

fn class_v4(v4: Ipv4Addr) -> Class {
    // All of 0.0.0.0/8 is "this host" (RFC 1122 §3.2.1.3).
    let this_host = v4.octets()[0] == 0;
    if v4.is_loopback() {
        Class::Loopback
    } else if this_host
        || v4.is_link_local()
        || v4.is_multicast()
        || v4.is_broadcast()
        || METADATA_V4.contains(&v4)
    {
        Class::Special
    } else {
        Class::Ordinary
    }
}

/// The IPv4 address inside a NAT64 (RFC 6052), 6to4 (RFC 3056) or IPv4-compatible (RFC 4291 §2.5.5.1) address.
fn embedded_v4(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0, 0, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

/// IPv4-mapped IPv6 as the IPv4 that it is.
fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The first `bits` of an address, which has at least that many.
fn prefix(address: IpAddr, bits: u8) -> u128 {
    let value = match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    };
    value.checked_shr(u32::from(width(address).saturating_sub(bits))).unwrap_or(0)
}

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
    fn rules_read_back_as_written_and_bad_ones_say_why() {
        for text in ["*:*", "*.a.b:1-2", "a:80", "[::1]:80", "10.0.0.0/8:443", "[fd00::]/8:*"] {
            assert_eq!(text.parse::<Rule>().map(|rule| rule.to_string()).as_deref(), Ok(text));
        }
        for text in [
            "",
            "a",
            ":80",
            "a:",
            "a:b",
            "a:2-1",
            "a:65536",
            "a*:80",
            "10.0.0.0/33:80",
            "x/8:80",
            "::1:80",
            "[x]:80",
            "[::1:80",
        ] {
            assert!(text.parse::<Rule>().is_err(), "{text}");
        }
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
