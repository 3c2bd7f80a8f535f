//! Connections within this process, without sockets: Go Micro's memory transport (`go-micro-wire` §1.6).
//!
//! What goes through them is what goes through TCP, so protocols, limits and the end of a server are the same; there is
//! no TLS, which nobody within a process needs, and no egress policy.

use crate::dial::Target;
use crate::listen::ListenError;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use tokio::io::{DuplexStream, duplex};
use tokio::sync::mpsc;

/// The ports that a listener gets that leaves it open, as in Go Micro.
const PORTS: RangeInclusive<u16> = 10_000..=29_999;
/// Connections that wait for a listener to take them; more wait at the dialer.
const BACKLOG: usize = 1024;
/// Bytes on their way, for each direction of a connection.
const PIPE: usize = 64 << 10;

/// Listeners and dialers of one process that find each other by address. Clones are the same.
///
/// Addresses look like those of TCP, and have nothing to do with them. Two values know nothing of each other, so tests
/// that run beside each other do not meet.
#[derive(Clone, Debug, Default)]
pub struct MemoryTransport {
    listeners: Arc<Mutex<HashMap<SocketAddr, mpsc::Sender<DuplexStream>>>>,
}

impl MemoryTransport {
    /// Nobody listens yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the first of these addresses at which nobody listens.
    ///
    /// # Errors
    /// See [`ListenError`].
    pub(crate) fn bind(
        &self,
        address: &str,
        host: &str,
        ports: RangeInclusive<u16>,
    ) -> Result<MemoryListener, ListenError> {
        let ip = ip(host).ok_or(ListenError::Address {
            address: address.to_owned(),
            problem: "in memory a host is an IP address, or localhost",
        })?;
        let (sender, waiting) = mpsc::channel(BACKLOG);
        let mut listeners = self.listeners.lock();
        let mut candidates: Box<dyn Iterator<Item = u16>> = match ports.clone().eq([0]) {
            true => {
                let first = fastrand::u16(PORTS);
                Box::new((first..=*PORTS.end()).chain(*PORTS.start()..first))
            }
            false => Box::new(ports.clone()),
        };
        let free = candidates.find(|port| !listeners.contains_key(&SocketAddr::new(ip, *port)));
        let Some(port) = free else {
            let text = "the address is already in use by another listener of this process";
            return Err(ListenError::Bind {
                address: address.to_owned(),
                tried: SocketAddr::new(ip, *ports.end()),
                source: io::Error::new(io::ErrorKind::AddrInUse, text),
            });
        };
        let local = SocketAddr::new(ip, port);
        listeners.insert(local, sender);
        Ok(MemoryListener { transport: self.clone(), local, waiting })
    }

    /// The address that a dialer means.
    pub(crate) fn resolve(target: &Target) -> io::Result<SocketAddr> {
        let unknown = || {
            let text = "in memory there are no names: a host is an IP address, or localhost";
            io::Error::new(io::ErrorKind::NotFound, text)
        };
        Ok(SocketAddr::new(ip(&target.host).ok_or_else(unknown)?, target.port))
    }

    /// Connects to whoever listens there. Waits while too many others do.
    pub(crate) async fn connect(&self, address: SocketAddr) -> io::Result<DuplexStream> {
        let refused = || {
            let text = "nobody in this process listens there";
            io::Error::new(io::ErrorKind::ConnectionRefused, text)
        };
        let listener = self.listeners.lock().get(&address).cloned().ok_or_else(refused)?;
        let (ours, theirs) = duplex(PIPE);
        listener.send(theirs).await.map_err(|_| refused())?;
        Ok(ours)
    }
}

/// An address at which somebody listens; free again when this is dropped.
#[derive(Debug)]
pub(crate) struct MemoryListener {
    transport: MemoryTransport,
    local: SocketAddr,
    waiting: mpsc::Receiver<DuplexStream>,
}

impl MemoryListener {
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The next connection. Cancel safe.
    pub(crate) async fn accept(&mut self) -> DuplexStream {
        match self.waiting.recv().await {
            Some(stream) => stream,
            // The transport holds the other end as long as this lives.
            None => std::future::pending().await,
        }
    }

    /// Who calls has no port of its own.
    pub(crate) fn peer(&self) -> SocketAddr {
        SocketAddr::new(self.local.ip(), 0)
    }
}

impl Drop for MemoryListener {
    fn drop(&mut self) {
        self.transport.listeners.lock().remove(&self.local);
    }
}

/// All interfaces are one here.
fn ip(host: &str) -> Option<IpAddr> {
    let own = IpAddr::V4(Ipv4Addr::LOCALHOST);
    match host {
        "" | "*" => Some(own),
        _ if host.eq_ignore_ascii_case("localhost") => Some(own),
        _ => host.parse().ok().map(|ip: IpAddr| if ip.is_unspecified() { own } else { ip }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Listener;
    use crate::dial::{DialError, Dialer};
    use crate::egress::EgressPolicy;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn dialer(memory: &MemoryTransport) -> Dialer {
        Dialer::new(EgressPolicy::unrestricted()).with_memory(memory.clone())
    }

    #[tokio::test]
    async fn listeners_are_found_by_address_until_they_are_gone() {
        let memory = MemoryTransport::new();
        let mut listener = Listener::in_memory(&memory, ":0").expect("a free port");
        let bound = listener.local_addr();
        assert!(bound.ip().is_loopback() && PORTS.contains(&bound.port()), "{bound}");
        let target: Target = format!("localhost:{}", bound.port()).parse().expect("an address");
        let (dialed, accepted) =
            tokio::join!(async { dialer(&memory).dial(&target, None).await }, listener.accept());
        let mut ours = dialed.expect("somebody listens");
        assert_eq!((accepted.local, accepted.peer.port()), (bound, 0));
        let (mut theirs, _slot) =
            accepted.establish(std::time::Duration::from_secs(1)).await.expect("no TLS");
        ours.write_all(b"hello").await.expect("open");
        let mut heard = [0; 5];
        theirs.read_exact(&mut heard).await.expect("open");
        assert_eq!(&heard, b"hello");
        drop(ours);
        assert_eq!(theirs.read(&mut heard).await.expect("a good end"), 0);

        // Another process, as it were.
        let elsewhere = dialer(&MemoryTransport::new()).dial(&target, None).await.expect_err("nobody there");
        assert!(elsewhere.is_refused(), "{elsewhere}");
        drop(listener);
        let error = dialer(&memory).dial(&target, None).await.expect_err("nobody is left");
        assert!(error.is_refused(), "{error}");
        let named: Target = "example.com:80".parse().expect("an address");
        let error = dialer(&memory).dial(&named, None).await.expect_err("a name");
        assert!(matches!(&error, DialError::Resolve { .. }), "{error}");
    }

    #[tokio::test]
    async fn an_address_is_taken_once() {
        let memory = MemoryTransport::new();
        let first = Listener::in_memory(&memory, "127.0.0.1:80").expect("free");
        for address in ["127.0.0.1:80", "0.0.0.0:80", ":80-80"] {
            let error = Listener::in_memory(&memory, address).expect_err("taken");
            assert!(crate::error_chain(&error).contains("already in use"), "{error}");
        }
        let second = Listener::in_memory(&memory, ":80-81").expect("one of two");
        assert_eq!(second.local_addr().port(), 81);
        Listener::in_memory(&memory, "10.0.0.1:80").expect("another host");
        drop(first);
        Listener::in_memory(&memory, "localhost:80").expect("free again");
        for address in ["", "80", "example.com:80", ":x"] {
            let error = Listener::in_memory(&memory, address).expect_err("no address");
            assert!(matches!(error, ListenError::Address { .. }), "{address}: {error}");
        }
    }
}
