//! TLS of the RPC port.

use super::{ServiceBuilder, ServiceError};
use crate::client::{Proxy, SecurityRules};
use micro_net::ReloadingTls;
use micro_net::listen::Listener;
use micro_net::tls::{ClientTls, ServerTls, TlsError, client_config, self_signed_config};
use std::net::IpAddr;

/// What the port takes, best first. Go Micro's clients offer the first or nothing, gRPC clients the second alone.
const ALPN: [&str; 2] = ["http/1.1", "h2"];

/// How a service's RPC port speaks TLS. Its record says `secure=true` then, which clients of this library follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceTls {
    /// With a certificate from files, which are read again when they change.
    Files(ServerTls),
    /// With a certificate that is made at start and proves nothing, as the secure transports of Go Micro have it. Callers
    /// have to accept any certificate.
    SelfSigned,
}

impl ServiceTls {
    /// Puts TLS on the port. The files, if any, are followed by what is returned.
    pub(super) fn secure(
        &self,
        listener: Listener,
        advertised: &str,
    ) -> Result<(Listener, Option<ReloadingTls>), TlsError> {
        match self {
            Self::Files(files) => {
                let tls = ReloadingTls::load(files.clone(), &ALPN)?;
                Ok((listener.with_reloading_tls(&tls), Some(tls)))
            }
            Self::SelfSigned => {
                tracing::warn!(
                    "TLS with a certificate of its own making: callers can encrypt, but not tell who answers"
                );
                let config = self_signed_config(&own_names(listener.local_addr().ip(), advertised), &ALPN)?;
                Ok((listener.with_tls(config), None))
            }
        }
    }
}

/// What callers may know this machine as.
fn own_names(bound: IpAddr, advertised: &str) -> Vec<String> {
    let host = advertised.rsplit_once(':').map_or(advertised, |(host, _port)| host);
    let mut names = vec!["localhost".to_owned(), host.trim_matches(['[', ']']).to_owned()];
    match bound.is_unspecified() {
        true => names.extend(crate::register::interfaces().iter().map(ToString::to_string)),
        false => names.push(bound.to_string()),
    }
    // A name that no certificate can be for is no reason not to serve the others.
    names.retain(|name| !name.is_empty() && name.is_ascii());
    names.sort_unstable();
    names.dedup();
    names
}

impl ServiceBuilder {
    /// Speaks TLS on the RPC port. Default: plain TCP.
    #[must_use]
    pub fn tls(mut self, tls: impl Into<ServiceTls>) -> Self {
        self.tls = Some(tls.into());
        self
    }

    /// How the service's client checks nodes that it calls over TLS, and what it shows them. Default: certificates of
    /// authorities that the operating system trusts, for the host that is called; nothing is shown.
    #[must_use]
    pub fn client_tls(mut self, tls: ClientTls) -> Self {
        self.client.tls = Some(tls);
        self
    }

    /// Which services are called over TLS, whatever their records say. Default: no rules, and then the nodes whose
    /// metadata has `secure=true`.
    #[must_use]
    pub fn security(mut self, rules: SecurityRules) -> Self {
        self.client.security = rules;
        self
    }

    /// Sends every call of the service's client through a proxy. Default: none.
    #[must_use]
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.client.proxy = Some(proxy);
        self
    }
}

impl From<ServerTls> for ServiceTls {
    fn from(files: ServerTls) -> Self {
        Self::Files(files)
    }
}

/// Whether the settings of a client can be used, before the first call needs them.
pub(super) fn check(service: &str, tls: Option<&ClientTls>) -> Result<(), ServiceError> {
    let Some(tls) = tls else { return Ok(()) };
    let failed = |source| ServiceError::Tls { service: service.to_owned(), source };
    client_config(tls, &[]).map(drop).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_for_what_callers_may_use() {
        let one = own_names(IpAddr::from([127, 0, 0, 1]), "127.0.0.1:8080");
        assert_eq!(one, ["127.0.0.1", "localhost"]);
        let six = own_names("::1".parse().expect("an address"), "[fd00::1]:80");
        assert_eq!(six, ["::1", "fd00::1", "localhost"]);
        let all = own_names(IpAddr::from([0, 0, 0, 0]), "box.test:80");
        assert!(all.contains(&"127.0.0.1".to_owned()) && all.contains(&"box.test".to_owned()), "{all:?}");
    }
}
