//! The one way out: resolve, ask the policy, connect, and TLS if wanted.

use crate::egress::{EgressDenied, EgressPolicy};
use crate::memory::MemoryTransport;
use crate::observe::{self, DialStep};
use crate::resolve::{Resolver, SystemResolver};
use crate::stream::Stream;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// How long one address may take before the next one is tried beside it (RFC 8305 §5).
const STAGGER: Duration = Duration::from_millis(250);

/// A host and a port. Its text is `host:port`, IPv6 addresses in brackets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// A name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// Why a text is not a [`Target`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an address of the form host:port")]
pub struct TargetError {
    text: String,
}

impl Target {
    /// A target from its parts; `host` may be in brackets.
    pub fn new(host: &str, port: u16) -> Self {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        Self { host: bare.to_owned(), port }
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let error = || TargetError { text: text.to_owned() };
        let (host, port) = text.rsplit_once(':').ok_or_else(error)?;
        let bracketed = host.starts_with('[') && host.ends_with(']');
        if host.is_empty() || host.contains(|c: char| c.is_whitespace()) || (host.contains(':') && !bracketed)
        {
            return Err(error());
        }
        Ok(Self::new(host, port.parse().map_err(|_| error())?))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A connection that did not come about.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The policy forbids it.
    #[error(transparent)]
    Denied(#[from] EgressDenied),
    /// The name has no address, or nobody could say.
    #[error("cannot resolve {target}")]
    Resolve {
        /// What was asked for.
        target: Target,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// An address was found, but nothing took the connection. With several addresses this is the first failure.
    #[error("cannot connect to {target} at {address}")]
    Connect {
        /// What was asked for.
        target: Target,
        /// What was tried.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Time was over.
    #[error("no connection to {target} within {after:?}, {doing}")]
    Timeout {
        /// What was asked for.
        target: Target,
        /// The limit.
        after: Duration,
        /// What it was waiting for.
        doing: &'static str,
    },
    /// The TLS handshake failed: wrong certificate, or no TLS on the other side.
    #[error("cannot agree on TLS with {target}")]
    Tls {
        /// What was asked for.
        target: Target,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl DialError {
    /// Whether the other side said no at once: nothing listens there.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Connect { source, .. } if source.kind() == io::ErrorKind::ConnectionRefused)
    }

    /// Whether it was the certificate of the other side: expired, of another name, of an unknown authority.
    pub fn is_certificate(&self) -> bool {
        let Self::Tls { source, .. } = self else { return false };
        let reason = source.get_ref().and_then(|reason| reason.downcast_ref::<rustls::Error>());
        matches!(reason, Some(rustls::Error::InvalidCertificate(_)))
    }

    /// Whether time was over, ours or the operating system's.
    pub fn is_timeout(&self) -> bool {
        match self {
            Self::Timeout { .. } => true,
            Self::Connect { source, .. } => source.kind() == io::ErrorKind::TimedOut,
            _ => false,
        }
    }
}

/// Makes connections. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Dialer {
    resolver: Arc<dyn Resolver>,
    policy: EgressPolicy,
    timeout: Duration,
    /// In place of the network.
    memory: Option<MemoryTransport>,
}

impl Dialer {
    /// A dialer with the system's resolver and 5 s for everything: resolving, connecting, TLS.
    pub fn new(policy: EgressPolicy) -> Self {
        Self { resolver: Arc::new(SystemResolver), policy, timeout: Duration::from_secs(5), memory: None }
    }

    /// Asks `resolver` instead of the system.
    #[must_use]
    pub fn with_resolver(mut self, resolver: Arc<dyn Resolver>) -> Self {
        self.resolver = resolver;
        self
    }

    /// Gives a connection `timeout` until it is usable.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Connects within this process, to listeners of this transport and to nothing else.
    #[must_use]
    pub fn with_memory(mut self, memory: MemoryTransport) -> Self {
        self.memory = Some(memory);
        self
    }

    /// The time that a connection gets until it is usable.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// What it may reach.
    pub fn policy(&self) -> &EgressPolicy {
        &self.policy
    }

    /// Connects, with TLS if `tls` is given.
    ///
    /// Dropping the future abandons all attempts.
    ///
    /// # Errors
    /// See [`DialError`].
    pub async fn dial(&self, target: &Target, tls: Option<&Arc<ClientConfig>>) -> Result<Stream, DialError> {
        let deadline = Instant::now() + self.timeout;
        if let Some(memory) = &self.memory {
            return self.connect_in(memory, target, tls.is_some(), deadline).await;
        }
        let tcp = self.connect(target, deadline).await?;
        match tls {
            None => Ok(Stream::Tcp(tcp)),
            Some(config) => self.handshake(target, tcp, config, deadline).await,
        }
    }

    async fn connect(&self, target: &Target, deadline: Instant) -> Result<TcpStream, DialError> {
        observe::say(|| DialStep::Dialing { target: target.to_string() });
        let resolving = self.addresses(target);
        let addresses = tokio::time::timeout_at(deadline, resolving)
            .await
            .map_err(|_| self.timed_out(target, "resolving the name"))??;
        observe::say(|| DialStep::Resolved { addresses: addresses.clone() });
        let connecting = happy_eyeballs(&addresses);
        let tcp = tokio::time::timeout_at(deadline, connecting)
            .await
            .map_err(|_| self.timed_out(target, "connecting"))?
            .map_err(|(address, source)| DialError::Connect { target: target.clone(), address, source })?;
        prepare(&tcp);
        observe::say(|| DialStep::Connected { address: tcp.peer_addr().ok() });
        Ok(tcp)
    }

    async fn connect_in(
        &self,
        memory: &MemoryTransport,
        target: &Target,
        tls: bool,
        deadline: Instant,
    ) -> Result<Stream, DialError> {
        if tls {
            let text = "connections in memory have no TLS, and need none";
            let source = io::Error::new(io::ErrorKind::Unsupported, text);
            return Err(DialError::Tls { target: target.clone(), source });
        }
        let failed = |source| DialError::Resolve { target: target.clone(), source };
        let address = MemoryTransport::resolve(target).map_err(failed)?;
        let connected = tokio::time::timeout_at(deadline, memory.connect(address)).await;
        let connected = connected.map_err(|_| self.timed_out(target, "waiting to be accepted"))?;
        let stream =
            connected.map_err(|source| DialError::Connect { target: target.clone(), address, source })?;
        observe::say(|| DialStep::Connected { address: Some(address) });
        Ok(Stream::Memory(stream))
    }

    /// The addresses that the policy lets through, families alternating.
    async fn addresses(&self, target: &Target) -> Result<Vec<SocketAddr>, DialError> {
        self.policy.check_host(&target.host, target.port)?;
        let found = match target.host.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, target.port)],
            Err(_) => self
                .resolver
                .resolve(&target.host, target.port)
                .await
                .map_err(|source| DialError::Resolve { target: target.clone(), source })?,
        };
        let mut allowed = Vec::with_capacity(found.len());
        let mut denied = None;
        for address in found {
            match self.policy.check_address(&target.host, address.ip(), target.port) {
                // The port is the caller's, whatever a resolver fills in.
                Ok(()) => allowed.push(SocketAddr::new(address.ip(), target.port)),
                Err(error) => denied = denied.or(Some(error)),
            }
        }
        match denied {
            Some(denied) if allowed.is_empty() => Err(denied.into()),
            _ if allowed.is_empty() => {
                let source = io::Error::new(io::ErrorKind::NotFound, "the name has no addresses");
                Err(DialError::Resolve { target: target.clone(), source })
            }
            _ => Ok(interleave(allowed)),
        }
    }

    async fn handshake(
        &self,
        target: &Target,
        tcp: TcpStream,
        config: &Arc<ClientConfig>,
        deadline: Instant,
    ) -> Result<Stream, DialError> {
        let failed = |source| DialError::Tls { target: target.clone(), source };
        let name = ServerName::try_from(target.host.clone())
            .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
        let connecting = tokio_rustls::TlsConnector::from(Arc::clone(config)).connect(name, tcp);
        let tls = tokio::time::timeout_at(deadline, connecting)
            .await
            .map_err(|_| self.timed_out(target, "in the TLS handshake"))?
            .map_err(failed)?;
        observe::say(|| observe::tls(tls.get_ref().1));
        Ok(Stream::Client(Box::new(tls)))
    }

    fn timed_out(&self, target: &Target, doing: &'static str) -> DialError {
        DialError::Timeout { target: target.clone(), after: self.timeout, doing }
    }
}

/// Neither option can fail on a fresh socket, and a connection without them still works.
fn prepare(tcp: &TcpStream) {
    let _ = tcp.set_nodelay(true);
    // A watch is silent for hours: the kernel finds out when its peer vanished.
    let keepalive =
        TcpKeepalive::new().with_time(Duration::from_secs(30)).with_interval(Duration::from_secs(10));
    let _ = SockRef::from(tcp).set_tcp_keepalive(&keepalive);
}

/// Alternates the families, starting with that of the first address (RFC 8305 §4).
fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let total = addresses.len();
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let mut mixed = Vec::with_capacity(total);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    while mixed.len() < total {
        mixed.extend(first.next());
        mixed.extend(second.next());
    }
    mixed
}

/// Connects to the address that answers first. The next attempt starts when the last one failed or took 250 ms; all
/// others are dropped at the first success. Fails with the first failure once every address has failed.
async fn happy_eyeballs(addresses: &[SocketAddr]) -> Result<TcpStream, (SocketAddr, io::Error)> {
    let mut waiting = addresses.iter().copied();
    let mut attempts = FuturesUnordered::new();
    let mut failure = None;
    loop {
        attempts.extend(waiting.next().map(|address| async move {
            TcpStream::connect(address).await.map_err(|error| (address, error))
        }));
        let stagger = tokio::time::sleep(STAGGER);
        tokio::pin!(stagger);
        let more = waiting.len() > 0;
        loop {
            tokio::select! {
                biased;
                done = attempts.next() => match done {
                    Some(Ok(tcp)) => return Ok(tcp),
                    Some(Err(error)) => {
                        failure.get_or_insert(error);
                        if more { break }
                    }
                    None => return Err(failure.unwrap_or_else(no_addresses)),
                },
                () = &mut stagger, if more => break,
            }
        }
    }
}

fn no_addresses() -> (SocketAddr, io::Error) {
    let error = io::Error::new(io::ErrorKind::InvalidInput, "no address to connect to");
    (SocketAddr::from(([0, 0, 0, 0], 0)), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_read_and_print_alike() {
        for text in ["a:1", "127.0.0.1:80", "[::1]:8080"] {
            assert_eq!(text.parse::<Target>().map(|target| target.to_string()).as_deref(), Ok(text));
        }
        for text in ["", "a", ":1", "a:", "a:70000", "::1:80", "a b:1", "http://a:1"] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }

    #[test]
    fn families_alternate() {
        let parse =
            |list: &[&str]| list.iter().map(|a| a.parse().expect("an address")).collect::<Vec<SocketAddr>>();
        let mixed = interleave(parse(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "1.1.1.2:1"]));
        assert_eq!(mixed, parse(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "1.1.1.2:1", "[::3]:1"]));
    }
}
