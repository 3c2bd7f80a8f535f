//! A TCP proxy that misbehaves on demand.

use parking_lot::Mutex;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

/// What happens to connections through the proxy, old and new.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Bytes pass.
    #[default]
    None,
    /// Bytes pass, each piece this much later, in each direction.
    Latency(Duration),
    /// Connections are accepted and nothing passes. What was held back passes when the fault ends, as from a process
    /// that was stopped and goes on.
    Hang,
    /// What is sent in this direction is lost, as in a network that is cut in two. Since a stream cannot go on with a
    /// hole, connections that lost something are reset when the fault ends.
    Lose(Direction),
    /// Connections are reset, new ones as soon as they are there.
    Reset,
    /// Connections are reset and new ones refused, as by a port without a listener.
    Refuse,
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
    /// Both.
    Both,
}

/// A proxy on a port of its own in front of one server. Dropping it closes its port and connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    _stop: DropGuard,
}

#[derive(Debug)]
struct Shared {
    server: Mutex<SocketAddr>,
    fault: watch::Sender<Fault>,
    /// The acceptor tells what it has brought about, for those who need it before they go on.
    listening: watch::Sender<bool>,
    accepted: AtomicUsize,
    stop: CancellationToken,
}

impl Proxy {
    /// A proxy without faults in front of `server`.
    ///
    /// # Panics
    /// There is no free port on 127.0.0.1.
    pub async fn start(server: SocketAddr) -> Self {
        let listener = listen(([127, 0, 0, 1], 0).into()).expect("a free port on 127.0.0.1");
        let address = listener.local_addr().expect("a listener has an address");
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            server: Mutex::new(server),
            fault: watch::Sender::new(Fault::None),
            listening: watch::Sender::new(true),
            accepted: AtomicUsize::new(0),
            stop: stop.clone(),
        });
        tokio::spawn(stop.clone().run_until_cancelled_owned(accept(shared.clone(), listener)));
        Self { address, shared, _stop: stop.drop_guard() }
    }

    /// Where clients should connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Behaves so from now on. On return the port is open or closed as the fault says.
    pub async fn set(&self, fault: Fault) {
        self.shared.fault.send_replace(fault);
        let wanted = fault != Fault::Refuse;
        let _ = self.shared.listening.subscribe().wait_for(|listening| *listening == wanted).await;
    }

    /// New connections go to this server.
    pub fn set_server(&self, server: SocketAddr) {
        *self.shared.server.lock() = server;
    }

    /// How many connections there were so far.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(SeqCst)
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // The same port again after a fault, while old connections linger.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(128)
}

async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    let address = listener.local_addr().expect("a listener has an address");
    let mut listener = Some(listener);
    let mut fault = shared.fault.subscribe();
    loop {
        let refuse = *fault.borrow_and_update() == Fault::Refuse;
        if refuse {
            listener = None;
        } else if listener.is_none() {
            listener =
                Some(listen(address).unwrap_or_else(|error| panic!("cannot listen on {address}: {error}")));
        }
        shared.listening.send_replace(!refuse);
        let Some(open) = &listener else {
            let _ = fault.changed().await;
            continue;
        };
        tokio::select! {
            _ = fault.changed() => {}
            client = open.accept() => {
                // A client that is gone already is none.
                let Ok((client, _)) = client else { continue };
                shared.accepted.fetch_add(1, SeqCst);
                let connection = connection(shared.clone(), client);
                tokio::spawn(shared.stop.clone().run_until_cancelled_owned(connection));
            }
        }
    }
}

/// Serves one connection until both sides are done or a fault ends it.
async fn connection(shared: Arc<Shared>, mut client: TcpStream) {
    let mut fault = shared.fault.subscribe();
    let orderly = tokio::select! {
        biased;
        _ = fault.wait_for(|fault| matches!(fault, Fault::Reset | Fault::Refuse)) => false,
        result = relay(&shared, &mut client) => result.is_ok(),
    };
    if !orderly {
        // Closing with no time to linger sends a reset.
        let _ = client.set_zero_linger();
    }
}

async fn relay(shared: &Shared, client: &mut TcpStream) -> io::Result<()> {
    let mut fault = shared.fault.subscribe();
    let _ = fault.wait_for(|fault| *fault != Fault::Hang).await;
    let server = *shared.server.lock();
    let mut server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (client_reads, client_writes) = client.split();
    let (server_reads, server_writes) = server.split();
    let up = pump(fault.clone(), Direction::Up, client_reads, server_writes);
    let down = pump(fault, Direction::Down, server_reads, client_writes);
    tokio::try_join!(up, down).map(drop)
}

/// Moves bytes one way, to their end.
async fn pump(
    mut fault: watch::Receiver<Fault>,
    way: Direction,
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
) -> io::Result<()> {
    let mut piece = vec![0; 16 * 1024];
    loop {
        let length = from.read(&mut piece).await?;
        let _ = fault.wait_for(|fault| *fault != Fault::Hang).await;
        let now = *fault.borrow();
        if now.loses(way) {
            return lose(fault, way, from).await;
        }
        if let Fault::Latency(delay) = now {
            tokio::time::sleep(delay).await;
        }
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&piece[..length]).await?;
    }
}

/// Reads what is lost until that ends, and the connection with it.
async fn lose(mut fault: watch::Receiver<Fault>, way: Direction, mut from: ReadHalf<'_>) -> io::Result<()> {
    let mut nowhere = tokio::io::sink();
    tokio::select! {
        _ = fault.wait_for(|fault| !fault.loses(way)) => {}
        // The sender's end is lost, too.
        _ = async { tokio::join!(tokio::io::copy(&mut from, &mut nowhere), std::future::pending::<()>()) } => {}
    }
    Err(io::ErrorKind::ConnectionReset.into())
}

impl Fault {
    fn loses(self, way: Direction) -> bool {
        matches!(self, Self::Lose(lost) if lost == way || lost == Direction::Both)
    }
}
