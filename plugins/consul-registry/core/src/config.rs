//! Settings, checked once.

use crate::Error;
use crate::check::{CheckConfig, Checks};
use crate::foreign::{Foreign, ForeignConfig};
use crate::http::{Origin, encode};

const DEFAULT_PORT: u16 = 8500;

/// What an operator can set.
#[derive(Clone, Default)]
pub struct Config {
    /// `host:port`, `http://host:port` or `https://host:port`; without a port 8500.
    pub addresses: Vec<String>,
    /// TLS for addresses that do not say.
    pub secure: bool,
    /// Sent as `X-Consul-Token`. Empty: none.
    pub token: String,
    /// Of which datacenter services are read. Empty: the agent's own.
    pub datacenter: String,
    /// Consul Enterprise. Empty: the token's.
    pub namespace: String,
    /// Consul Enterprise. Empty: the agent's.
    pub partition: String,
    /// `default`, `stale` or `consistent`. Empty: `default`.
    pub consistency: String,
    /// Only nodes that have all of these tags are read.
    pub tag_filter: Vec<String>,
    /// Tags that registered nodes get beside Micro's own.
    pub add_tags: Vec<String>,
    /// How consul learns whether a node is well.
    pub check: CheckConfig,
    /// Services that Micro did not register.
    pub foreign: ForeignConfig,
}

/// [`Config`], understood.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) origins: Vec<Origin>,
    pub(crate) token: Option<Secret>,
    /// Begins with `?` and applies to every request.
    pub(crate) everywhere: String,
    /// Goes on after `everywhere`, for reading the catalog.
    pub(crate) reading: String,
    pub(crate) tag_filter: Vec<String>,
    pub(crate) add_tags: Vec<String>,
    pub(crate) checks: Checks,
    pub(crate) foreign: Foreign,
}

/// A text that is not shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(pub(crate) String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl TryFrom<Config> for Settings {
    type Error = Error;

    fn try_from(config: Config) -> Result<Self, Error> {
        let mut origins: Vec<Origin> = Vec::new();
        for address in &config.addresses {
            let origin = origin(address.trim(), config.secure)?;
            if !origins.contains(&origin) {
                origins.push(origin);
            }
        }
        if origins.is_empty() {
            return Err(Error::Invalid("address: at least one is needed".to_owned()));
        }
        // It becomes a header: what cannot be one would fail with every request, and for no visible reason.
        if !config.token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::Invalid("token: a token has no spaces and only ASCII".to_owned()));
        }
        let consistency = match config.consistency.as_str() {
            "" | "default" => "",
            "stale" => "&stale",
            "consistent" => "&consistent",
            other => {
                let text = format!("consistency {other:?}: expected default, stale or consistent");
                return Err(Error::Invalid(text));
            }
        };
        let (mut everywhere, mut reading) = ("?".to_owned(), consistency.to_owned());
        for (name, value) in [("ns", &config.namespace), ("partition", &config.partition)] {
            if !value.is_empty() {
                everywhere.push_str(&format!("{name}={}&", encode(value)));
            }
        }
        if !config.datacenter.is_empty() {
            reading.push_str(&format!("&dc={}", encode(&config.datacenter)));
        }
        Ok(Self {
            origins,
            token: (!config.token.is_empty()).then_some(Secret(config.token)),
            everywhere: everywhere.trim_end_matches('&').to_owned(),
            reading,
            tag_filter: config.tag_filter.into_iter().filter(|tag| !tag.is_empty()).collect(),
            add_tags: config.add_tags.into_iter().filter(|tag| !tag.is_empty()).collect(),
            checks: config.check.try_into()?,
            foreign: config.foreign.try_into()?,
        })
    }
}

fn origin(address: &str, secure: bool) -> Result<Origin, Error> {
    let invalid = |why: &str| Error::Invalid(format!("address {address:?}: {why}"));
    let (https, host) = match address.split_once("://") {
        None => (secure, address),
        Some((scheme, host)) if scheme.eq_ignore_ascii_case("https") => (true, host),
        Some((scheme, host)) if scheme.eq_ignore_ascii_case("http") => {
            // Of two contradicting wishes, the one for encryption must not be dropped in silence.
            if secure {
                return Err(invalid("plain http, but secure is set"));
            }
            (false, host)
        }
        Some(_) => return Err(invalid("only http:// and https:// are possible")),
    };
    let host = host.strip_suffix('/').unwrap_or(host);
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || "/?#@\\".contains(c)) {
        return Err(invalid("expected host:port"));
    }
    let authority = match host.parse::<std::net::Ipv6Addr>() {
        Ok(ip) => format!("[{ip}]:{DEFAULT_PORT}"),
        Err(_) => match host.rsplit_once(':') {
            Some((name, port)) if !name.is_empty() && (!name.contains(':') || name.ends_with(']')) => {
                port.parse::<u16>().ok().filter(|port| *port != 0).ok_or_else(|| invalid("not a port"))?;
                host.to_owned()
            }
            Some(_) if host.starts_with('[') && host.ends_with(']') => format!("{host}:{DEFAULT_PORT}"),
            Some(_) => return Err(invalid("expected host:port")),
            None => format!("{host}:{DEFAULT_PORT}"),
        },
    };
    Ok(Origin { https, authority })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(address: &str, secure: bool) -> Result<Settings, Error> {
        Config { addresses: vec![address.to_owned()], secure, ..Config::default() }.try_into()
    }

    #[test]
    fn addresses_have_many_spellings() {
        let check = |address: &str, secure: bool, https: bool, authority: &str| {
            let origins = settings(address, secure).expect(address).origins;
            assert_eq!(origins, [Origin { https, authority: authority.to_owned() }], "{address}");
        };
        check("a:1", false, false, "a:1");
        check("a", true, true, "a:8500");
        check("http://a:1", false, false, "a:1");
        check("HTTPS://a:1/", false, true, "a:1");
        check("::1", false, false, "[::1]:8500");
        check("[::1]:5", false, false, "[::1]:5");
        check("[::1]", false, false, "[::1]:8500");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let wrong =
            ["", "a:0", "a:b", "a:70000", "a:1/x", "ftp://a:1", "u:p@a:1", ":1", "a b:1", "a:1:2", "http://"];
        for address in wrong {
            assert!(matches!(settings(address, false), Err(Error::Invalid(_))), "{address}");
        }
        assert!(matches!(settings("http://a:1", true), Err(Error::Invalid(_))));
        assert!(Settings::try_from(Config::default()).is_err());
    }

    #[test]
    fn tokens_stay_secret_and_fit_into_a_header() {
        let config = Config { addresses: vec!["a".into()], token: "hunter2".into(), ..Config::default() };
        assert!(!format!("{config:?}").contains("hunter2"));
        let settings = Settings::try_from(config.clone()).expect("valid");
        assert!(!format!("{settings:?}").contains("hunter2"));
        for token in ["a b", "a\nX-Other: b", "ü"] {
            assert!(Settings::try_from(Config { token: token.into(), ..config.clone() }).is_err(), "{token}");
        }
    }

    #[test]
    fn queries_name_what_was_set() {
        let config = Config { addresses: vec!["a".into()], ..Config::default() };
        let plain = Settings::try_from(config.clone()).expect("valid");
        assert_eq!((plain.everywhere.as_str(), plain.reading.as_str()), ("?", ""));
        let set = Config {
            datacenter: "dc 1".into(),
            namespace: "a&b".into(),
            partition: "p".into(),
            consistency: "stale".into(),
            ..config.clone()
        };
        let set = Settings::try_from(set).expect("valid");
        assert_eq!(set.everywhere, "?ns=a%26b&partition=p");
        assert_eq!(set.reading, "&stale&dc=dc%201");
        assert!(Settings::try_from(Config { consistency: "eventual".into(), ..config }).is_err());
    }
}
