//! Which nodes are called over TLS: by their record, by the operator's rules, by the call.

use super::rules::{RuleValue, Rules};
use micro_core::Node;
use micro_net::tls::TlsProblem;
use std::fmt;
use std::str::FromStr;

/// The key in a node's metadata that says that it is called over TLS.
pub(crate) const SECURE: &str = "secure";

/// What a connection to a node is secured with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Security {
    /// Nothing.
    #[default]
    Plain,
    /// TLS. The node's certificate is checked.
    Tls,
    /// TLS with anybody: the connection is encrypted, but to whom is unknown. For nodes that make their certificate
    /// themselves, as the secure transports of Go Micro do.
    TlsUnverified,
}

impl Security {
    /// All of them, in the order of their numbers.
    pub(super) const ALL: [Self; 3] = [Self::Plain, Self::Tls, Self::TlsUnverified];
}

impl fmt::Display for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "off",
            Self::Tls => "verify",
            Self::TlsUnverified => "skip_verify",
        })
    }
}

impl FromStr for Security {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|security| security.to_string() == text);
        found.ok_or_else(|| format!("no kind of TLS {text:?}: one of verify, skip_verify, off"))
    }
}

/// Which services are called over TLS, whatever their records say.
pub type SecurityRules = Rules<Security>;

impl RuleValue for Security {
    const FORM: &'static str = "NAME=verify, NAME=skip_verify or NAME=off, for instance greeter=verify";
}

/// What a node is called over: what the rule says, else what its record says, else plain TCP. A rule goes first here:
/// whoever can write records must not be able to switch off what the operator asks for.
pub(super) fn of_node(node: &Node, rule: Option<Security>) -> Security {
    let said = || match node.metadata.get(SECURE).map(String::as_str) {
        Some("true") => Security::Tls,
        _ => Security::Plain,
    };
    rule.unwrap_or_else(said)
}

/// What to do about an error, where it is one of TLS; `text` is its whole text.
pub(super) fn advice_on(
    used: Security,
    error: &(dyn std::error::Error + 'static),
    text: &str,
) -> Option<&'static str> {
    match used {
        Security::Plain => {
            // Go's servers say it in words.
            text.contains("HTTPS server").then_some("it speaks TLS: say so with --service_tls NAME=verify")
        }
        _ => TlsProblem::of(error).map(advice),
    }
}

fn advice(problem: TlsProblem) -> &'static str {
    match problem {
        TlsProblem::UnknownAuthority => {
            "name its authority with --client_tls_ca_file, or accept it unseen with --service_tls NAME=skip_verify"
        }
        TlsProblem::WrongName => {
            "its certificate is for another name than the one that is called: say which with \
             --client_tls_server_name, or give it one for its address"
        }
        TlsProblem::Expired => "its certificate has expired: it needs a new one, or a clock is wrong",
        TlsProblem::NotYetValid => "its certificate is not valid yet: compare the clocks of both machines",
        TlsProblem::SelfMade => {
            "it made its certificate itself, as the secure transports of Go Micro do: give it one of an authority, or \
             accept it unseen with --service_tls NAME=skip_verify"
        }
        TlsProblem::Certificate => "its certificate cannot be used: give it another one",
        TlsProblem::ClientCertificate => {
            "it wants a certificate of this client, of an authority that it knows: --client_tls_cert_file and \
             --client_tls_key_file"
        }
        TlsProblem::NoTls => "it speaks no TLS: say so with --service_tls NAME=off",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_go_before_records() {
        let node = |pairs: &[(&str, &str)]| Node {
            metadata: pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect(),
            ..Node::default()
        };
        for (pairs, rule, expected) in [
            (&[][..], None, Security::Plain),
            (&[("secure", "true")], None, Security::Tls),
            (&[("secure", "false")], None, Security::Plain),
            (&[("secure", "true")], Some(Security::Plain), Security::Plain),
            (&[("secure", "false")], Some(Security::Tls), Security::Tls),
            (&[], Some(Security::TlsUnverified), Security::TlsUnverified),
        ] {
            assert_eq!(of_node(&node(pairs), rule), expected, "{pairs:?} {rule:?}");
        }
    }

    #[test]
    fn rules_are_read_as_they_are_written() {
        for security in Security::ALL {
            let rule = SecurityRules::parse(&format!("go.micro.*={security}"));
            assert_eq!(rule, Ok(("go.micro.*".to_owned(), security)));
        }
        for (item, part) in [("greeter", "NAME=verify"), ("greeter=on", "one of verify, skip_verify, off")] {
            let error = SecurityRules::parse(item).expect_err(item);
            assert!(error.contains(part), "{item}: {error}");
        }
    }
}
