//! `host:port` as people type it.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// An address that an operator typed: `10.0.0.1:2379`, `[::1]:2379`, `https://etcd.example:2379`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// `http` or `https` when it was typed.
    pub scheme: Option<Scheme>,
    /// A name in lower case, or an IP address without brackets.
    pub host: String,
    /// Never 0.
    pub port: u16,
}

/// What was typed in front of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// `http://`
    Http,
    /// `https://`
    Https,
}

/// A text that is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Nothing was typed.
    #[error("an address is empty")]
    Empty,
    /// No port in the text, and none in the manifest.
    #[error("{0:?} needs a port, as in HOST:PORT")]
    NoPort(String),
    /// A port that is no number from 1 to 65535.
    #[error("{0:?} has no valid port (1 to 65535)")]
    Port(String),
    /// Not a name and not an IP address.
    #[error("{0:?} has no valid host name or IP address")]
    Host(String),
    /// A scheme that is not HTTP's.
    #[error("{0:?}: only http:// and https:// may stand before an address")]
    Scheme(String),
    /// A user, a path or a query. The text is not repeated, since it may hold a password.
    #[error("an address is HOST:PORT: a user, a path or a query has no place in it")]
    Decorated,
}

impl Address {
    /// Reads `[http://|https://]HOST[:PORT][/]`. `default_port` is for addresses without one; without it a typed
    /// scheme gives 80 or 443.
    ///
    /// # Errors
    /// See [`AddressError`]; the error never repeats a password.
    pub fn parse(text: &str, default_port: Option<u16>) -> Result<Self, AddressError> {
        let text = text.trim();
        if text.contains(['@', '?', '#']) {
            return Err(AddressError::Decorated);
        }
        let (scheme, rest) = match text.split_once("://") {
            Some(("http", rest)) => (Some(Scheme::Http), rest),
            Some(("https", rest)) => (Some(Scheme::Https), rest),
            Some(_) => return Err(AddressError::Scheme(text.to_owned())),
            None => (None, text),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.is_empty() {
            return Err(AddressError::Empty);
        }
        if rest.contains('/') {
            return Err(AddressError::Decorated);
        }
        let (host, port) = split_port(rest)?;
        let scheme_port = scheme.map(|scheme| if scheme == Scheme::Http { 80 } else { 443 });
        let port = match port {
            Some(port) => parse_port(port).ok_or_else(|| AddressError::Port(text.to_owned()))?,
            None => default_port.or(scheme_port).ok_or_else(|| AddressError::NoPort(text.to_owned()))?,
        };
        if !is_host(host) {
            return Err(AddressError::Host(text.to_owned()));
        }
        Ok(Self { scheme, host: host.to_ascii_lowercase(), port })
    }

    /// `host:port` or `[ipv6]:port`, as in the authority of a URL.
    pub fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }

    /// Whether it can only be this machine.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse().is_ok_and(|ip: IpAddr| ip.to_canonical().is_loopback())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.scheme {
            Some(Scheme::Http) => "http://",
            Some(Scheme::Https) => "https://",
            None => "",
        })?;
        f.write_str(&self.authority())
    }
}

/// Host without brackets, and the port's text.
fn split_port(text: &str) -> Result<(&str, Option<&str>), AddressError> {
    let wrong = || AddressError::Host(text.to_owned());
    if let Some(inner) = text.strip_prefix('[') {
        let (host, rest) = inner.split_once(']').ok_or_else(wrong)?;
        host.parse::<Ipv6Addr>().map_err(|_| wrong())?;
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err(wrong()),
        };
    }
    match text.split_once(':') {
        // Several colons without brackets can only be a bare IPv6 address.
        Some((_, rest)) if rest.contains(':') => {
            text.parse::<Ipv6Addr>().map(|_| (text, None)).map_err(|_| wrong())
        }
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((text, None)),
    }
}

pub(crate) fn parse_port(text: &str) -> Option<u16> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().filter(|port| *port != 0)
}

/// A DNS name as servers have them (with underscores, which Docker and SRV records use), or an IP address.
fn is_host(text: &str) -> bool {
    let name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    text.parse::<IpAddr>().is_ok() || (!text.is_empty() && text.len() <= 253 && text.bytes().all(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, port: Option<u16>) -> String {
        Address::parse(text, port).map_or_else(|error| error.to_string(), |address| address.to_string())
    }

    #[test]
    fn what_people_type_is_read() {
        assert_eq!(read(" 127.0.0.1:2379 ", None), "127.0.0.1:2379");
        assert_eq!(read("etcd", Some(2379)), "etcd:2379");
        assert_eq!(read("https://Etcd.Example/", None), "https://etcd.example:443");
        assert_eq!(read("http://etcd", Some(2379)), "http://etcd:2379");
        assert_eq!(read("::1", Some(1)), "[::1]:1");
        assert_eq!(read("[fe80::1]:5", None), "[fe80::1]:5");
    }

    #[test]
    fn what_is_no_address_is_refused_without_repeating_a_password() {
        assert_eq!(read("", Some(1)), "an address is empty");
        assert_eq!(read("etcd", None), r#""etcd" needs a port, as in HOST:PORT"#);
        for text in ["a:0", "a:65536", "a:+1", "a:", "a:1x"] {
            assert!(read(text, None).contains("valid port"), "{text}");
        }
        for text in ["a b:1", "[::1", "[x]:1", "[::1]x", "a:b:1", "\u{e9}:1", "[]:1"] {
            assert!(read(text, None).contains("valid host"), "{text}: {}", read(text, None));
        }
        assert!(read("tcp://a:1", None).contains("only http://"));
        for text in ["http://root:hunter2@etcd:1", "a:1/path", "http://a:1/?x"] {
            let answer = read(text, None);
            assert!(answer.contains("no place") && !answer.contains("hunter2"), "{answer}");
        }
    }

    #[test]
    fn loopback_is_known_in_every_spelling() {
        let loopback = |host: &str| Address::parse(host, Some(1)).expect("valid").is_loopback();
        assert!(["localhost", "127.9.9.9", "::1", "::ffff:127.0.0.1"].into_iter().all(loopback));
        assert!(!["localhost.example", "10.0.0.1", "::2"].into_iter().any(loopback));
    }
}
