//! The proxy does to connections what it says.

use micro_test::proxy::{Direction, Fault, Proxy};
use std::io::ErrorKind;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

const SHORT: Duration = Duration::from_millis(100);
const SOON: Duration = Duration::from_secs(10);

/// A proxy in front of a server that sends back what it gets.
async fn echo() -> Proxy {
    let server = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = server.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = server.accept().await {
            tokio::spawn(async move {
                let (mut reads, mut writes) = stream.split();
                let _ = tokio::io::copy(&mut reads, &mut writes).await;
                let _ = writes.shutdown().await;
            });
        }
    });
    Proxy::start(address).await
}

async fn connect(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(proxy.address()).await.expect("connect")
}

async fn say(stream: &mut TcpStream, text: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(text).await?;
    hear(stream, text.len()).await
}

async fn hear(stream: &mut TcpStream, length: usize) -> std::io::Result<Vec<u8>> {
    let mut heard = vec![0; length];
    stream.read_exact(&mut heard).await.map(|_| heard)
}

#[tokio::test]
async fn bytes_pass_both_ways_to_their_end() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    assert_eq!(say(&mut stream, b"hello").await.expect("echo"), b"hello");
    let large: Vec<u8> = (0..1_000_000_u32).map(|at| at as u8).collect();
    let (mut reads, mut writes) = stream.split();
    let write = async {
        writes.write_all(&large).await.expect("write");
        writes.shutdown().await.expect("shutdown");
    };
    let mut back = Vec::new();
    let (_, read) = tokio::join!(write, reads.read_to_end(&mut back));
    read.expect("read");
    assert_eq!(back, large);
    assert_eq!(proxy.accepted(), 1);
}

#[tokio::test]
async fn latency_is_added_each_way() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    proxy.set(Fault::Latency(SHORT)).await;
    let start = Instant::now();
    say(&mut stream, b"hello").await.expect("echo");
    assert!(start.elapsed() >= SHORT * 2, "{:?}", start.elapsed());
}

#[tokio::test]
async fn what_hangs_passes_later() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    say(&mut stream, b"hello").await.expect("echo");
    proxy.set(Fault::Hang).await;
    assert!(timeout(SHORT, say(&mut stream, b"again")).await.is_err());
    let mut new = timeout(SOON, connect(&proxy)).await.expect("accepted");
    assert!(timeout(SHORT, say(&mut new, b"first")).await.is_err());
    proxy.set(Fault::None).await;
    assert_eq!(timeout(SOON, hear(&mut stream, 5)).await.expect("in time").expect("echo"), b"again");
    assert_eq!(timeout(SOON, hear(&mut new, 5)).await.expect("in time").expect("echo"), b"first");
}

#[tokio::test]
async fn what_is_lost_stays_lost_and_ends_the_connection() {
    for lost in [Direction::Up, Direction::Down, Direction::Both] {
        let proxy = echo().await;
        let mut stream = connect(&proxy).await;
        let mut idle = connect(&proxy).await;
        say(&mut stream, b"hello").await.expect("echo");
        say(&mut idle, b"hello").await.expect("echo");
        proxy.set(Fault::Lose(lost)).await;
        assert!(timeout(SHORT, say(&mut stream, b"again")).await.is_err());
        proxy.set(Fault::None).await;
        let end = timeout(SOON, hear(&mut stream, 1)).await.expect("in time").expect_err("reset");
        assert_eq!(end.kind(), ErrorKind::ConnectionReset, "{lost:?}");
        assert_eq!(say(&mut idle, b"fine").await.expect("nothing was lost here"), b"fine");
    }
}

#[tokio::test]
async fn resets_and_refusals_are_told_apart() {
    let proxy = echo().await;
    let mut old = connect(&proxy).await;
    say(&mut old, b"hello").await.expect("echo");
    proxy.set(Fault::Reset).await;
    let end = timeout(SOON, hear(&mut old, 1)).await.expect("in time").expect_err("reset");
    assert_eq!(end.kind(), ErrorKind::ConnectionReset);
    let mut new = connect(&proxy).await;
    timeout(SOON, hear(&mut new, 1)).await.expect("in time").expect_err("reset");
    proxy.set(Fault::Refuse).await;
    let refused = TcpStream::connect(proxy.address()).await.expect_err("refused");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    proxy.set(Fault::None).await;
    assert_eq!(say(&mut connect(&proxy).await, b"hello").await.expect("echo"), b"hello");
}

#[tokio::test]
async fn dropping_closes_everything() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    say(&mut stream, b"hello").await.expect("echo");
    let address = proxy.address();
    drop(proxy);
    assert!(!matches!(timeout(SOON, stream.read(&mut [0])).await.expect("in time"), Ok(1..)));
    micro_test::eventually("the port is closed", SOON, async || TcpStream::connect(address).await.is_err())
        .await;
}
