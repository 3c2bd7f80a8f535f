//! Grants as operators write them.

use super::class::canonical;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// One grant: a host and ports. Its text is `HOST:PORT`, with `*`, `*.example.com`, a name, an address (IPv6 in
/// brackets) or a network such as `10.0.0.0/8` as host, and `*`, `443` or `8000-8010` as port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    pub(super) host: Pattern,
    pub(super) ports: Ports,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Pattern {
    Any,
    /// `.example.com`: every name below it, not the name itself.
    Suffix(String),
    Name(String),
    Address(IpAddr),
    Network(IpAddr, u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ports {
    first: u16,
    last: u16,
}

/// What a caller may ask for, in comparable form: names are lower case and have no final dot.
#[derive(Debug)]
pub(super) enum Host {
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
    pub(super) fn covers(&self, host: &Host) -> bool {
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
    pub(super) fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

impl Host {
    pub(super) fn parse(text: &str) -> Self {
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
}
