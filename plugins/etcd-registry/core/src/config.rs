//! Settings, checked once.

use crate::Error;
use crate::http::Origin;
use crate::keys::Layout;

const DEFAULT_PORT: u16 = 2379;

/// What an operator can set.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// `host:port`, `http://host:port` or `https://host:port`; without a port 2379.
    pub addresses: Vec<String>,
    /// TLS for addresses that do not say.
    pub secure: bool,
    /// Empty: no authentication.
    pub username: String,
    /// Of `username`.
    pub password: String,
    /// Where records are written, when not under `/micro/registry/`.
    pub prefix: Option<String>,
}

/// [`Config`], understood.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) origins: Vec<Origin>,
    pub(crate) login: Option<Login>,
    pub(crate) layout: Layout,
}

pub(crate) struct Login {
    pub(crate) username: String,
    pub(crate) password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("username", &self.username).finish_non_exhaustive()
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
        if config.username.is_empty() && !config.password.is_empty() {
            return Err(Error::Invalid("password: there is no username to go with it".to_owned()));
        }
        let login = (!config.username.is_empty())
            .then_some(Login { username: config.username, password: config.password });
        Ok(Self { origins, login, layout: Layout::new(config.prefix.as_deref())? })
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
        check("a", true, true, "a:2379");
        check("http://a:1", false, false, "a:1");
        check("HTTPS://a:1/", false, true, "a:1");
        check("::1", false, false, "[::1]:2379");
        check("[::1]:5", false, false, "[::1]:5");
        check("[::1]", false, false, "[::1]:2379");
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
    fn passwords_need_a_user_and_stay_secret() {
        let config = Config { addresses: vec!["a".into()], password: "hunter2".into(), ..Config::default() };
        assert!(Settings::try_from(config.clone()).is_err());
        let settings = Settings::try_from(Config { username: "u".into(), ..config }).expect("valid");
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
