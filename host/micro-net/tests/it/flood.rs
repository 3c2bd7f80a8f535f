//! Floods against a server in a process of its own, where descriptors can be counted.

use crate::support::{self, Echo, PATIENCE, message, soon};
use micro_net::wire::{Limits, Pool, PoolConfig, serve_rpc};
use micro_net::{Listener, Stop};
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};

/// Tells a copy of this test program that it is the server.
const VICTIM: &str = "MICRO_NET_TEST_VICTIM";

/// How many connections the server takes.
const CAP: usize = 64;

/// What the server gives anybody.
const SHORT: Duration = Duration::from_millis(300);

/// A server in another process. Ends with its standard input, so with us.
struct Victim {
    process: Child,
    addr: SocketAddr,
    /// It has to be able to say that its test went well.
    _output: Lines<BufReader<ChildStdout>>,
}

impl Victim {
    async fn start() -> Self {
        let forking = support::FORKS.lock().await;
        let mut process = Command::new(std::env::current_exe().expect("a program"))
            .args(["--exact", "flood::victim", "--nocapture"])
            .env(VICTIM, "yes")
            // Handlers panic because they are asked to.
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("a second process");
        drop(forking);
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let addr = soon(async {
            loop {
                let line = lines.next_line().await.expect("text").expect("the server says where it is");
                if let Some((_, addr)) = line.split_once("listening on ") {
                    return addr.parse().expect("an address");
                }
            }
        })
        .await;
        Self { process, addr, _output: lines }
    }

    fn descriptors(&self) -> usize {
        let pid = self.process.id().expect("it runs");
        std::fs::read_dir(format!("/proc/{pid}/fd")).expect("Linux").count()
    }

    /// Waits until the server has that many descriptors.
    async fn has(&self, descriptors: usize) {
        let waiting = async {
            while self.descriptors() != descriptors {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let done = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(done.is_ok(), "{} descriptors instead of {descriptors}", self.descriptors());
    }

    async fn connect(&self) -> TcpStream {
        support::connect(self.addr).await
    }

    /// Whether it answers as it should on `pool`.
    async fn answers(&self, pool: &Pool) {
        let answer = soon(pool.exchange(&self.addr.to_string(), &message(&[], "good"), PATIENCE)).await;
        assert_eq!(answer.expect("an answer").body, "good");
    }

    /// Ends it; it must not have panicked.
    async fn stopped(mut self) {
        drop(self.process.stdin.take());
        let status = soon(self.process.wait()).await.expect("it was ours");
        assert!(status.success(), "{status}");
    }
}

/// The other process. As a test of its own it has nothing to do.
#[tokio::test]
#[allow(clippy::print_stdout, reason = "how the other process learns where the server is")]
async fn victim() {
    if std::env::var_os(VICTIM).is_none() {
        return;
    }
    let listener = Listener::bind("127.0.0.1:0").await.expect("a free port").with_max_connections(CAP);
    println!("listening on {}", listener.local_addr());
    let limits = Limits {
        head_timeout: Some(SHORT),
        body_timeout: Some(SHORT),
        // Long enough for the good client, which is slow on a busy machine.
        idle_timeout: Some(PATIENCE),
        write_timeout: Some(SHORT),
        max_body: 1 << 20,
    };
    let stop = Stop::new();
    let serving = tokio::spawn(serve_rpc(listener, Echo::default(), limits, stop.clone(), PATIENCE));
    let until_the_end = || std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    tokio::task::spawn_blocking(until_the_end).await.expect("no panic").expect("an end");
    stop.soon.cancel();
    soon(serving).await.expect("no panic");
}

#[tokio::test]
async fn a_flood_of_connections_is_taken_as_far_as_the_cap() {
    let victim = Victim::start().await;
    let good = Pool::new(PoolConfig::default());
    victim.answers(&good).await;
    // The good client's connection is one of those.
    let baseline = victim.descriptors();
    for _ in 0..3 {
        let mut flood = Vec::new();
        for number in 0..4 * CAP {
            let mut tcp = victim.connect().await;
            // Half of them say something that never ends.
            if number % 2 == 0 {
                tcp.write_all(b"POST / HTTP/1.1\r\nA: ").await.expect("the kernel takes it");
            }
            flood.push(tcp);
        }
        let seen = victim.descriptors();
        assert!(seen < baseline + CAP, "{seen} descriptors with {CAP} connections");
        victim.answers(&good).await;
        // None of them is kept for longer than its time, so the queue moves and everybody is turned away in the end.
        for mut tcp in flood {
            let mut answer = Vec::new();
            let _ = soon(tcp.read_to_end(&mut answer)).await;
            let text = String::from_utf8_lossy(&answer);
            assert!(text.is_empty() || text.starts_with("HTTP/1.1 408 "), "{text:?}");
        }
        victim.has(baseline).await;
        victim.answers(&good).await;
    }
    victim.stopped().await;
}

#[tokio::test]
async fn rude_ends_leave_nothing_behind() {
    let victim = Victim::start().await;
    let good = Pool::new(PoolConfig::default());
    victim.answers(&good).await;
    let baseline = victim.descriptors();
    let large = format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n{}", 1 << 20, "x".repeat(1 << 20));
    let starts = [
        "",
        "POST / HTTP/1.1\r\nA",
        "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhel",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloPOST / HTTP/1.1\r\n",
        "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
        "POST / HTTP/1.1\r\nDo: wait\r\n\r\n",
        "POST / HTTP/1.1\r\nDo: panic\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0",
        "GET / HTTP/1.7\r\n\r\n",
        &large,
    ];
    for round in 0..20 {
        // One panic says as much as many, and each is written to standard error.
        for start in starts.into_iter().filter(|start| round == 0 || !start.contains("Do: panic")) {
            let mut tcp = victim.connect().await;
            // It may be refused before all of it is written.
            let _ = soon(tcp.write_all(start.as_bytes())).await;
            // Whoever only ends one direction still gets an answer, so a handler that waits for ever must see a reset.
            match if start.contains("Do: wait") { 0 } else { round % 3 } {
                0 => socket2::SockRef::from(&tcp).set_linger(Some(Duration::ZERO)).expect("linger"),
                1 => {
                    let _ = tcp.shutdown().await;
                    let _ = soon(tcp.read_to_end(&mut Vec::new())).await;
                }
                _ => {}
            }
        }
        victim.answers(&good).await;
    }
    victim.has(baseline).await;
    victim.stopped().await;
}
