//! What a plugin may reach. A manifest *requests*, an operator *grants*; nothing else is open.

use crate::address::{Address, parse_port};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// One permission. Its text form is what stands after `--registry_allow=`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Grant {
    /// `net:HOST:PORT`: connections to one address.
    Net(Address),
    /// `net:configured`: the addresses that the operator typed among this plugin's options.
    NetConfigured,
    /// `net:peers`: addresses that a configured server announces.
    NetPeers,
    /// `fs:ro:PATH` and `fs:rw:PATH`: a file or folder.
    Fs {
        /// Whether it may write.
        write: bool,
        /// As the operator typed it.
        path: PathBuf,
    },
    /// `env:NAME`: one environment variable.
    Env(String),
    /// `multicast`: multicast on the local network.
    Multicast,
    /// `listen:PORT`: accept connections.
    Listen(u16),
    /// `sockets`: plain sockets, to anywhere.
    Sockets,
}

/// A text that is no grant. Says what a grant looks like.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a permission: {why}")]
pub struct GrantError {
    text: String,
    why: String,
}

const FORMS: &str = "write net:HOST:PORT, net:configured, net:peers, fs:ro:PATH, fs:rw:PATH, env:NAME, multicast, \
                     listen:PORT or sockets";

impl Grant {
    /// Whether an operator who allowed `self` has thereby allowed `requested`.
    pub fn covers(&self, requested: &Self) -> bool {
        match (self, requested) {
            (Self::Net(allowed), Self::Net(wanted)) => {
                (&allowed.host, allowed.port) == (&wanted.host, wanted.port)
            }
            (Self::Fs { write, path }, Self::Fs { write: writes, path: inner }) => {
                (*write || !writes) && inner.starts_with(path) && !has_parent(inner)
            }
            _ => self == requested,
        }
    }

    /// Reads a comma-separated list, as flags have it.
    ///
    /// # Errors
    /// The first text that is no grant.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, GrantError> {
        text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(Self::from_str).collect()
    }
}

/// `/data/../etc` starts with `/data` and is elsewhere.
fn has_parent(path: &std::path::Path) -> bool {
    path.components().any(|part| part == std::path::Component::ParentDir)
}

impl FromStr for Grant {
    type Err = GrantError;

    fn from_str(text: &str) -> Result<Self, GrantError> {
        let error = |why: String| GrantError { text: text.to_owned(), why };
        if text.contains(char::is_control) {
            return Err(error("it has control characters".to_owned()));
        }
        let (word, rest) = text.split_once(':').map_or((text, None), |(word, rest)| (word, Some(rest)));
        match (word, rest) {
            ("multicast", None) => Ok(Self::Multicast),
            ("sockets", None) => Ok(Self::Sockets),
            ("net", Some("configured")) => Ok(Self::NetConfigured),
            ("net", Some("peers")) => Ok(Self::NetPeers),
            ("net", Some(address)) => match Address::parse(address, None) {
                Ok(Address { scheme: Some(_), .. }) => {
                    Err(error("leave out http://, as in net:HOST:PORT".to_owned()))
                }
                Ok(address) => Ok(Self::Net(address)),
                Err(source) => Err(error(format!("{source}; the form is net:HOST:PORT"))),
            },
            ("fs", Some(rest)) => match rest.split_once(':') {
                Some((mode @ ("ro" | "rw"), path)) if !path.is_empty() => {
                    Ok(Self::Fs { write: mode == "rw", path: path.into() })
                }
                _ => {
                    Err(error("say how and what: fs:ro:PATH to read, fs:rw:PATH to write as well".to_owned()))
                }
            },
            ("env", Some(name)) if !name.is_empty() && !name.contains(['=', '\0']) => {
                Ok(Self::Env(name.to_owned()))
            }
            ("listen", Some(port)) => {
                parse_port(port).map(Self::Listen).ok_or_else(|| error("a port is 1 to 65535".to_owned()))
            }
            _ => Err(error(FORMS.to_owned())),
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Net(address) => write!(f, "net:{}", address.authority()),
            Self::NetConfigured => f.write_str("net:configured"),
            Self::NetPeers => f.write_str("net:peers"),
            Self::Fs { write, path } => {
                write!(f, "fs:{}:{}", if *write { "rw" } else { "ro" }, path.display())
            }
            Self::Env(name) => write!(f, "env:{name}"),
            Self::Multicast => f.write_str("multicast"),
            Self::Listen(port) => write!(f, "listen:{port}"),
            Self::Sockets => f.write_str("sockets"),
        }
    }
}

impl Serialize for Grant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Grant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A permission that a manifest asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// What it asks for.
    pub grant: Grant,
    /// What does not work without it, for the operator who decides.
    #[serde(default)]
    pub why: String,
}

/// The requests that no permission covers. `net:configured` is always granted: the operator typed those addresses.
pub fn missing<'a>(requested: &'a [Request], granted: &[Grant]) -> Vec<&'a Request> {
    let covered =
        |wanted: &Grant| *wanted == Grant::NetConfigured || granted.iter().any(|it| it.covers(wanted));
    requested.iter().filter(|request| !covered(&request.grant)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(text: &str) -> Grant {
        text.parse().expect(text)
    }

    #[test]
    fn text_form_is_the_flag() {
        let all = "net:10.0.0.1:2379,net:[::1]:1,net:configured,net:peers,fs:ro:/certs,fs:rw:/data,env:TOKEN,\
                   multicast,listen:5353,sockets";
        let grants = Grant::parse_list(all).expect("valid");
        assert_eq!(grants.iter().map(Grant::to_string).collect::<Vec<_>>().join(","), all);
        let json = serde_json::to_string(&grants).expect("texts");
        assert_eq!(serde_json::from_str::<Vec<Grant>>(&json).expect("same"), grants);
    }

    #[test]
    fn errors_say_what_to_write() {
        let error = |text: &str| text.parse::<Grant>().expect_err(text).to_string();
        assert!(error("net:etcd").contains("net:HOST:PORT"));
        assert!(error("net:http://etcd:1").contains("leave out http://"));
        assert!(error("fs:/x").contains("fs:ro:PATH"));
        assert!(error("fs:ro:/a\u{1b}[2J").contains("control characters"));
        assert!(error("listen:0").contains("1 to 65535"));
        for text in ["", "net", "everything", "env:", "env:A=B", "multicast:on"] {
            assert!(error(text).contains("env:NAME"), "{text}");
        }
    }

    #[test]
    fn wider_permissions_cover_narrower_ones() {
        assert!(grant("fs:rw:/data").covers(&grant("fs:ro:/data/x")));
        assert!(!grant("fs:ro:/data").covers(&grant("fs:rw:/data")));
        assert!(!grant("fs:ro:/data").covers(&grant("fs:ro:/database")));
        assert!(!grant("fs:ro:/data").covers(&grant("fs:ro:/data/../etc")));
        assert!(!grant("net:a:1").covers(&grant("net:a:2")));
        assert!(!grant("sockets").covers(&grant("net:a:1")));
    }

    #[test]
    fn configured_addresses_need_no_permission() {
        let request = |text: &str| Request { grant: grant(text), why: String::new() };
        let requested = [request("net:configured"), request("net:peers"), request("env:A")];
        let left: Vec<_> =
            missing(&requested, &[grant("env:A")]).into_iter().map(|it| it.grant.clone()).collect();
        assert_eq!(left, [Grant::NetPeers]);
    }
}
