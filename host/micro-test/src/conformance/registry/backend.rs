//! A backend that misbehaves, for any plugin that can be given an address: whatever its protocol, none of this is it.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

/// What it does with each connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Habit {
    /// Status 500 to everything.
    Fails,
    /// Bytes of no protocol.
    Garbage,
    /// A good status, and a body that ends too early.
    Truncated,
    /// Reads, and never answers.
    Silent,
    /// A good status, then a byte now and then.
    Drips,
    /// A good status, then 64 MiB.
    Huge,
    /// Reads a little and resets.
    Resets,
}

/// Between two bytes of [`Habit::Drips`].
const DRIP: Duration = Duration::from_millis(100);
const HUGE: usize = 64 << 20;

/// Listens until it is dropped.
#[derive(Debug)]
pub(super) struct Backend {
    address: SocketAddr,
    _stop: DropGuard,
}

impl Backend {
    /// One on a free port.
    pub(super) async fn start(habit: Habit) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let accept = async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let Ok((client, _)) = listener.accept().await else { continue };
                // A client that goes away has had enough.
                connections.spawn(async move { drop(serve(client, habit).await) });
            }
        };
        tokio::spawn(stop.clone().run_until_cancelled_owned(accept));
        Ok(Self { address, _stop: stop.drop_guard() })
    }

    /// As operators type it.
    pub(super) fn address(&self) -> String {
        self.address.to_string()
    }
}

async fn serve(mut client: TcpStream, habit: Habit) -> std::io::Result<()> {
    let mut request = vec![0; 16 << 10];
    loop {
        // As much as came at once is request enough for answers that do not depend on it.
        if client.read(&mut request).await? == 0 {
            return Ok(());
        }
        match habit {
            Habit::Fails => {
                let body = r#"{"error":"something is wrong"}"#;
                let head = "HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json";
                let answer = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                client.write_all(answer.as_bytes()).await?;
            }
            Habit::Garbage => {
                let noise: Vec<u8> =
                    (0..512_u32).map(|at| (at.wrapping_mul(0x9e37_79b9) >> 13) as u8).collect();
                client.write_all(&noise).await?;
                return client.shutdown().await;
            }
            Habit::Truncated => {
                client.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n\r\n[{\"a\":").await?;
                return client.shutdown().await;
            }
            Habit::Silent => {}
            Habit::Drips => {
                client.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
                loop {
                    client.write_all(b"1\r\n[\r\n").await?;
                    tokio::time::sleep(DRIP).await;
                }
            }
            Habit::Huge => {
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {HUGE}\r\n\r\n"
                );
                client.write_all(head.as_bytes()).await?;
                let piece = vec![b'['; 1 << 16];
                for _ in 0..HUGE / piece.len() {
                    client.write_all(&piece).await?;
                }
            }
            Habit::Resets => {
                // What is read no more when a socket closes makes the system send a reset; so does no lingering.
                let socket = rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO));
                return socket.map_err(std::io::Error::from);
            }
        }
    }
}
