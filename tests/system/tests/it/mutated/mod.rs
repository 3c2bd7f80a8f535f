//! A million messages with something changed, against a server that is asked good questions all the while. A message
//! that still is one gets its own answer, another one an error, or the end of its connection; nobody is left waiting.

mod grpc;
mod http;

use crate::matrix::service;
use crate::world::SOON;
use fastrand::Rng;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Callers at a time.
const CALLERS: u64 = 16;
/// Messages of each kind, over all callers.
const BODIES: u64 = 700_000;
const VALUES: u64 = 260_000;
const HEADS: u64 = 20_000;
const FRAMES: u64 = 20_000;
/// What the process may hold when all is over, beyond what it held after the first tenth of it, in bytes.
const GROWTH: u64 = 64 << 20;

/// Changes one thing: a byte, a bit, a piece that is gone, or comes twice.
fn mutate(rng: &mut Rng, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        bytes.push(rng.u8(..));
        return;
    }
    let at = rng.usize(..bytes.len());
    match rng.u8(..6) {
        0 => bytes[at] = rng.u8(..),
        1 => bytes[at] ^= 1 << rng.u8(..8),
        2 => drop(bytes.remove(at)),
        3 => bytes.insert(at, rng.u8(..)),
        4 => bytes.truncate(at),
        _ => {
            let end = (at + rng.usize(1..=16)).min(bytes.len());
            let piece = bytes[at..end].to_vec();
            bytes.splice(at..at, piece);
        }
    }
}

/// A connection from an address of this machine that few others come from: ports that were used stay so for a while.
async fn connect(address: SocketAddr, caller: u64) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    let from = Ipv4Addr::new(127, 0, 1, u8::try_from(1 + caller % 200).expect("small"));
    socket.bind((from, 0).into()).expect("all of 127 is this machine");
    let stream = socket.connect(address).await.expect("it listens");
    stream.set_nodelay(true).expect("a TCP socket");
    stream
}

/// Sends bytes and nothing after them; all that comes back until the other side closes as well.
async fn ask(address: SocketAddr, caller: u64, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect(address, caller).await;
    let mut answer = Vec::new();
    let talk = async {
        // It may have heard enough, and read none of the rest.
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let _ = stream.read_to_end(&mut answer).await;
    };
    let ended = timeout(SOON, talk).await;
    assert!(ended.is_ok(), "left waiting: {}", bytes.escape_ascii());
    answer
}

/// Resident memory of this process, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it is in there");
    let kibibytes: u64 = line.trim_end_matches("kB").trim().parse().expect("a number");
    kibibytes << 10
}

/// Lets callers send their parts of all kinds.
async fn send(address: SocketAddr, parts: u64, seed: u64) {
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        callers.spawn(async move {
            let mut rng = Rng::with_seed(seed * CALLERS + caller);
            let share = |all: u64| all / CALLERS / parts;
            http::bodies(address, caller, &mut rng, share(BODIES)).await;
            http::values(address, caller, &mut rng, share(VALUES)).await;
            http::heads(address, caller, &mut rng, share(HEADS)).await;
            grpc::frames(address, caller, &mut rng, share(FRAMES)).await;
        });
    }
    callers.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes most of a minute"]
async fn whatever_is_changed_in_a_message_nobody_is_answered_wrongly() {
    const TENTHS: u64 = 10;
    let service = service::start().await;
    let address = service.address();
    let mut held = None;
    for tenth in 0..TENTHS {
        send(address, TENTHS, tenth).await;
        // A good call on a connection of its own, after all that.
        let answer = timeout(Duration::from_secs(30), http::good(address)).await;
        answer.expect("the server still answers");
        held.get_or_insert_with(resident);
    }
    let (before, after) = (held.expect("measured"), resident());
    assert!(after < before + GROWTH, "{before} bytes became {after}");
    service.stop().await.expect("stops");
}
