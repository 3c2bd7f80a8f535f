//! Listening: where, how many at a time, and an accept that never gives up.

use crate::backoff::Backoff;
use crate::client_addr::TrustedProxies;
use crate::memory::{MemoryListener, MemoryTransport};
use crate::proxy_protocol;
use crate::stream::Stream;
use crate::tls_reload::ReloadingTls;
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections that the kernel holds while we are busy.
const BACKLOG: i32 = 1024;

/// After how long a silent connection is probed, and then how often.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));

/// Connections at a time, unless said otherwise.
const MAX_CONNECTIONS: usize = 16_384;

/// A port that cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The text names no address.
    #[error("cannot listen on {address:?}: {problem}")]
    Address {
        /// As it was given.
        address: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The host has no address.
    #[error("cannot listen on {address:?}: the host has no address")]
    Resolve {
        /// As it was given.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The operating system said no; with several candidates, to the last of them.
    #[error("cannot listen on {address:?} (tried {tried})")]
    Bind {
        /// As it was given.
        address: String,
        /// The last candidate.
        tried: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A port that is being listened on.
#[derive(Debug)]
pub struct Listener {
    source: Source,
    local: SocketAddr,
    slots: Arc<Semaphore>,
    /// Read for each connection, since it may change.
    tls: Option<Arc<ArcSwap<ServerConfig>>>,
    proxies: TrustedProxies,
    proxy_protocol: bool,
    backoff: Backoff,
    /// Whether the last connection had to wait for another to end.
    full: bool,
}

/// Where connections come from.
#[derive(Debug)]
enum Source {
    Tcp(TcpListener),
    Memory(MemoryListener),
}

/// A connection as it was taken.
#[derive(Debug)]
enum Taken {
    Tcp(TcpStream),
    Memory(DuplexStream),
}

impl Source {
    /// The next connection, who called, and which address of ours. Cancel safe.
    async fn accept(&mut self) -> io::Result<(Taken, SocketAddr, Option<SocketAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (tcp, peer) = listener.accept().await?;
                // Both fail only on a connection that is gone already, which the first read finds out.
                let _ = tcp.set_nodelay(true);
                // The kernel finds out about clients that vanished while they waited for something.
                let keepalive = TcpKeepalive::new().with_time(KEEPALIVE.0).with_interval(KEEPALIVE.1);
                let _ = SockRef::from(&tcp).set_tcp_keepalive(&keepalive);
                let local = tcp.local_addr().ok();
                Ok((Taken::Tcp(tcp), peer, local))
            }
            Self::Memory(listener) => {
                let stream = listener.accept().await;
                Ok((Taken::Memory(stream), listener.peer(), None))
            }
        }
    }
}

/// A connection that was just taken. It counts against the listener's cap while its slot lives.
#[derive(Debug)]
pub struct Accepted {
    /// Before any TLS handshake.
    taken: Taken,
    /// Who called.
    pub peer: SocketAddr,
    /// Which of our addresses was called.
    pub local: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
    /// Whether a header of the PROXY protocol stands in front.
    announced: bool,
    slot: OwnedSemaphorePermit,
}

/// The place of a connection under the listener's cap; free again when dropped.
#[derive(Debug)]
pub struct Slot {
    _permit: OwnedSemaphorePermit,
}

impl Listener {
    /// Listens on `host:port`. An empty host means all interfaces, IPv6 and IPv4. The port may be 0 (any that is
    /// free) or a range `min-max`, of which the first free one is taken. IPv6 addresses stand in brackets.
    ///
    /// # Errors
    /// See [`ListenError`].
    pub async fn bind(address: &str) -> Result<Self, ListenError> {
        let (host, ports) = split(address)?;
        let hosts = resolve(address, host).await?;
        let mut failure = None;
        for port in ports {
            for host in &hosts {
                let tried = SocketAddr::new(host.ip(), port);
                match open(tried) {
                    Ok(tcp) => {
                        return Self::from_tcp(tcp).map_err(|source| bind_error(address, tried, source));
                    }
                    Err(error) => failure = Some((tried, error)),
                }
            }
        }
        let (tried, source) = failure.ok_or_else(|| bad(address, "the port range is empty"))?;
        Err(bind_error(address, tried, source))
    }

    /// A listener around a socket of the standard library that listens already.
    ///
    /// # Errors
    /// See [`ListenError`].
    pub fn from_std(socket: std::net::TcpListener) -> Result<Self, ListenError> {
        let unspecified = SocketAddr::from(([0, 0, 0, 0], 0));
        let bound = socket.local_addr().unwrap_or(unspecified);
        let listener = socket
            .set_nonblocking(true)
            .and_then(|()| TcpListener::from_std(socket))
            .and_then(Self::from_tcp);
        listener.map_err(|source| bind_error(&bound.to_string(), bound, source))
    }

    /// A listener around a socket that was made elsewhere.
    ///
    /// # Errors
    /// It is not bound.
    pub fn from_tcp(tcp: TcpListener) -> io::Result<Self> {
        let local = tcp.local_addr()?;
        Ok(Self::new(Source::Tcp(tcp), local))
    }

    /// A listener within this process, which only dialers with the same transport reach. Addresses are as for
    /// [`Listener::bind`]; all interfaces are 127.0.0.1, and any free port is one of 10000 to 29999.
    ///
    /// # Errors
    /// See [`ListenError`].
    pub fn in_memory(memory: &MemoryTransport, address: &str) -> Result<Self, ListenError> {
        let (host, ports) = split(address)?;
        let listener = memory.bind(address, host, ports)?;
        let local = listener.local_addr();
        Ok(Self::new(Source::Memory(listener), local))
    }

    fn new(source: Source, local: SocketAddr) -> Self {
        let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let backoff = Backoff::new(Duration::from_millis(5), Duration::from_secs(1));
        let proxies = TrustedProxies::default();
        Self { source, local, slots, tls: None, proxies, proxy_protocol: false, backoff, full: false }
    }

    /// Has at most `max` connections at a time; more wait in the kernel's queue. The default is 16384.
    #[must_use]
    pub fn with_max_connections(mut self, max: usize) -> Self {
        self.slots = Arc::new(Semaphore::new(max.clamp(1, Semaphore::MAX_PERMITS)));
        self
    }

    /// Speaks TLS.
    #[must_use]
    pub fn with_tls(mut self, config: Arc<ServerConfig>) -> Self {
        self.tls = Some(Arc::new(ArcSwap::new(config)));
        self
    }

    /// Speaks TLS with settings that follow their files. A connection keeps those that it began with.
    #[must_use]
    pub fn with_reloading_tls(mut self, tls: &ReloadingTls) -> Self {
        self.tls = Some(tls.current());
        self
    }

    /// Takes the word of these proxies for who the client is.
    #[must_use]
    pub fn with_trusted_proxies(mut self, proxies: TrustedProxies) -> Self {
        self.proxies = proxies;
        self
    }

    /// Expects a header of the PROXY protocol, version 1 or 2, from each trusted proxy. Others are taken as they are, so
    /// that such a header from them is a malformed request.
    #[must_use]
    pub fn with_proxy_protocol(mut self) -> Self {
        self.proxy_protocol = true;
        self
    }

    /// The proxies whose word is taken.
    pub fn trusted_proxies(&self) -> &TrustedProxies {
        &self.proxies
    }

    /// The address that it listens on, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Waits for the next connection. Never fails: when the process has no descriptors left it waits, longer each
    /// time, for some to be closed.
    ///
    /// Cancel safe: a dropped future loses no connection.
    pub async fn accept(&mut self) -> Accepted {
        let slot = match Arc::clone(&self.slots).try_acquire_owned() {
            Ok(slot) => {
                self.full = false;
                slot
            }
            Err(_) => {
                if !std::mem::replace(&mut self.full, true) {
                    tracing::warn!(address = %self.local, "as many connections as allowed, others have to wait");
                }
                let waiting = Arc::clone(&self.slots).acquire_owned();
                waiting.await.expect("the semaphore is never closed")
            }
        };
        loop {
            match self.source.accept().await {
                Ok((taken, peer, local)) => {
                    self.backoff.reset();
                    let local = canonical(local.unwrap_or(self.local));
                    let peer = canonical(peer);
                    let announced = self.proxy_protocol && self.proxies.contains(peer.ip());
                    let tls = self.tls.as_ref().map(|tls| tls.load_full());
                    return Accepted { taken, peer, local, tls, announced, slot };
                }
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    let wait = self.backoff.next_wait();
                    if self.backoff.failures() == 1 {
                        tracing::warn!(address = %self.local, %error, "cannot accept connections, trying on");
                    }
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }
}

impl Accepted {
    /// The same with the addresses that a proxy in front announces, if one is expected to.
    ///
    /// # Errors
    /// There is no such header, it is malformed, or took longer than `timeout`.
    pub async fn announced(mut self, timeout: Duration) -> io::Result<Self> {
        if std::mem::take(&mut self.announced)
            && let Taken::Tcp(tcp) = &mut self.taken
        {
            let header = tokio::time::timeout(timeout, proxy_protocol::read(tcp)).await;
            let header = header.map_err(|_| io::ErrorKind::TimedOut)?;
            let header = header.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            if let Some(ends) = header {
                (self.peer, self.local) = (canonical(ends.source), canonical(ends.destination));
            }
        }
        Ok(self)
    }

    /// The connection ready for use, after the TLS handshake if the listener speaks TLS, which within this process none
    /// does.
    ///
    /// # Errors
    /// The handshake failed, or took longer than `timeout`.
    pub async fn establish(self, timeout: Duration) -> io::Result<(Stream, Slot)> {
        let slot = Slot { _permit: self.slot };
        let (tcp, config) = match (self.taken, self.tls) {
            (Taken::Memory(stream), _) => return Ok((Stream::Memory(stream), slot)),
            (Taken::Tcp(tcp), None) => return Ok((Stream::Tcp(tcp), slot)),
            (Taken::Tcp(tcp), Some(config)) => (tcp, config),
        };
        let handshake = tokio_rustls::TlsAcceptor::from(config).accept(tcp);
        let tls = tokio::time::timeout(timeout, handshake).await.map_err(|_| io::ErrorKind::TimedOut)??;
        Ok((Stream::Server(Box::new(tls)), slot))
    }
}

/// On a socket of both families IPv4 callers appear as mapped IPv6 addresses, which nobody wants to see.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The client went away while it waited to be accepted; the listener is fine.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

fn bad(address: &str, problem: &'static str) -> ListenError {
    ListenError::Address { address: address.to_owned(), problem }
}

fn bind_error(address: &str, tried: SocketAddr, source: io::Error) -> ListenError {
    ListenError::Bind { address: address.to_owned(), tried, source }
}

/// Host and ports of an address.
fn split(address: &str) -> Result<(&str, RangeInclusive<u16>), ListenError> {
    let (host, ports) = address.rsplit_once(':').ok_or_else(|| bad(address, "expected host:port"))?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if bare.is_none() && host.contains(':') {
        return Err(bad(address, "put an IPv6 address in brackets"));
    }
    let port = |text: &str| text.parse::<u16>().map_err(|_| bad(address, "a port is a number up to 65535"));
    let ports = match ports.split_once('-') {
        None => port(ports)?..=port(ports)?,
        Some((first, last)) => port(first)?..=port(last)?,
    };
    if ports.is_empty() {
        return Err(bad(address, "the port range ends before it starts"));
    }
    Ok((bare.unwrap_or(host), ports))
}

/// The addresses of the host part, with port 0.
async fn resolve(address: &str, host: &str) -> Result<Vec<SocketAddr>, ListenError> {
    if host.is_empty() || host == "*" {
        // The second is for systems without IPv6.
        return Ok(vec![(Ipv6Addr::UNSPECIFIED, 0).into(), (Ipv4Addr::UNSPECIFIED, 0).into()]);
    }
    let found = tokio::net::lookup_host((host, 0)).await;
    let found: Vec<_> =
        found.map_err(|source| ListenError::Resolve { address: address.to_owned(), source })?.collect();
    if found.is_empty() { Err(bad(address, "the host has no address")) } else { Ok(found) }
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // `[::]` takes IPv4 callers too, whatever the system's default is.
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    // Or a restart would have to wait for the last connections of its predecessor to be forgotten.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_host_and_ports() {
        for (text, host, ports) in [
            (":0", "", 0..=0),
            (":8080", "", 8080..=8080),
            ("localhost:8000-8010", "localhost", 8000..=8010),
            ("[::1]:80", "::1", 80..=80),
            ("127.0.0.1:1-1", "127.0.0.1", 1..=1),
        ] {
            let split = split(text).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(split, (host, ports));
        }
        for text in ["", "8080", "a:", "a:b", "a:1-", "a:2-1", "::1:80", "a:65536", "a:-1"] {
            assert!(split(text).is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn a_range_takes_the_first_free_port() {
        let taken = Listener::bind("127.0.0.1:0").await.expect("a free port");
        let port = taken.local_addr().port();
        let Some(next) = port.checked_add(20) else { return };
        let listener =
            Listener::bind(&format!("127.0.0.1:{port}-{next}")).await.expect("one of twenty ports");
        assert!((port + 1..=next).contains(&listener.local_addr().port()));
        let error = Listener::bind(&format!("127.0.0.1:{port}")).await.expect_err("the port is taken");
        assert!(matches!(error, ListenError::Bind { tried, .. } if tried == taken.local_addr()));
    }

    #[tokio::test]
    async fn all_interfaces_means_both_families() {
        let mut listener = Listener::bind(":0").await.expect("a free port");
        let port = listener.local_addr().port();
        let (connected, accepted) = tokio::join!(TcpStream::connect(("127.0.0.1", port)), listener.accept());
        let connected = connected.expect("connects over IPv4");
        assert_eq!(accepted.peer.port(), connected.local_addr().expect("connected").port());
    }
}
