//! The client side of the wire: exchanges and the pool.

use crate::support::{PATIENCE, Raw, Server, message, soon};
use micro_core::Message;
use micro_net::wire::{ExchangeError, Pool, PoolConfig};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

fn pool() -> Pool {
    Pool::new(PoolConfig::default())
}

async fn exchange(pool: &Pool, address: &str, message: &Message) -> Result<Message, ExchangeError> {
    soon(pool.exchange(address, message, PATIENCE)).await
}

/// A server that does what a script says.
async fn scripted<F: Future + Send + 'static>(script: impl FnOnce(TcpListener) -> F) -> String
where
    F::Output: Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    tokio::spawn(script(listener));
    address
}

async fn accept(listener: &TcpListener) -> Raw {
    Raw { tcp: listener.accept().await.expect("accepted").0 }
}

#[tokio::test]
async fn headers_and_bodies_go_both_ways_over_one_connection() {
    let server = Server::start().await;
    let pool = pool();
    for size in [0, 1, 64, 16 << 10, (16 << 10) + 1, 3 << 20] {
        let body = vec![b'z'; size];
        let request = message(&[("Micro-Id", "7"), ("Content-Length", "1"), ("Host", "evil")], body.clone());
        let answer = exchange(&pool, &server.address(), &request).await.expect("an answer");
        assert_eq!(answer.body, body);
        assert_eq!(answer.headers.iter_str().collect::<Vec<_>>(), [("Micro-Id", "7")]);
        assert_eq!(pool.idle(), 1);
    }
}

#[tokio::test]
async fn requests_look_as_expected() {
    let (sent, got) = tokio::sync::oneshot::channel();
    let address = scripted(async |listener| {
        let mut raw = accept(&listener).await;
        sent.send(raw.until("\r\n\r\n{}").await).expect("the test waits");
        raw.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    })
    .await;
    let request = message(&[("Content-Type", "application/json"), ("user-agent", "other")], "{}");
    exchange(&pool(), &address, &request).await.expect("an answer");
    let expected = format!(
        "POST / HTTP/1.1\r\nHost: {address}\r\nUser-Agent: micro/{}\r\nContent-Type: application/json\r\n\
         Content-Length: 2\r\n\r\n{{}}",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(got.await.expect("sent"), expected);
}

#[tokio::test]
async fn answers_in_every_framing_are_read() {
    for (answer, body, kept) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "hi", 1),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", "hi", 1),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "hi", 1),
        ("HTTP/1.1 200 OK\r\n\r\nhi until the end", "hi until the end", 0),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi", "hi", 0),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", "hi", 0),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi, and more than asked for", "hi", 0),
    ] {
        let address = scripted(async move |listener| {
            let mut raw = accept(&listener).await;
            raw.until("\r\n\r\n").await;
            raw.send(answer).await;
        })
        .await;
        let pool = pool();
        let got = exchange(&pool, &address, &Message::default()).await.expect(answer);
        assert_eq!((got.body, pool.idle()), (body.into(), kept), "{answer:?}");
    }
}

#[tokio::test]
async fn other_statuses_are_errors_with_the_text_of_go() {
    let address = scripted(async |listener| {
        let mut raw = accept(&listener).await;
        for answer in [
            "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope",
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        ] {
            raw.until("\r\n\r\n").await;
            raw.send(answer).await;
        }
    })
    .await;
    let pool = pool();
    for expected in ["404 Not Found: nope", "204 No Content: ", "101 Switching Protocols: "] {
        let error = exchange(&pool, &address, &Message::default()).await.expect_err("not 200");
        assert_eq!(error.to_string(), expected);
        assert!(!error.nothing_sent());
        let kept = usize::from(!expected.starts_with("101"));
        assert_eq!(pool.idle(), kept, "as good as before, unless it speaks something else now");
    }
}

#[tokio::test]
async fn a_kept_connection_that_died_is_replaced() {
    let server = Server::start().await;
    let address = server.address();
    let pool = pool();
    exchange(&pool, &address, &Message::default()).await.expect("an answer");
    server.stopped().await;
    let again = micro_net::Listener::bind(&address).await.expect("the port is free again");
    let echo = crate::support::Echo::default();
    let (limits, stop) = (micro_net::wire::Limits::default(), micro_net::Stop::new());
    tokio::spawn(micro_net::wire::serve_rpc(again, echo.clone(), limits, stop, PATIENCE));
    assert_eq!(pool.idle(), 1);
    let answer = exchange(&pool, &address, &message(&[], "hi")).await.expect("an answer of the successor");
    assert_eq!(answer.body, "hi");
    assert_eq!((pool.idle(), echo.state.finished.get()), (1, 1));
}

#[tokio::test]
async fn a_kept_connection_with_unasked_bytes_is_not_trusted() {
    let (go_on, asked) = tokio::sync::oneshot::channel::<()>();
    let (sent, arrived) = tokio::sync::oneshot::channel();
    let address = scripted(async |listener| {
        let mut raw = accept(&listener).await;
        raw.until("\r\n\r\n").await;
        raw.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        asked.await.expect("the test goes on");
        // Somebody tries to answer the next question in advance.
        raw.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil").await;
        sent.send(()).expect("the test waits");
        let mut second = accept(&listener).await;
        second.until("\r\n\r\n").await;
        second.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood").await;
    })
    .await;
    let pool = pool();
    exchange(&pool, &address, &Message::default()).await.expect("an answer");
    assert_eq!(pool.idle(), 1);
    go_on.send(()).expect("the script waits");
    arrived.await.expect("sent");
    assert_eq!(exchange(&pool, &address, &Message::default()).await.expect("an answer").body, "good");
}

#[tokio::test]
async fn failures_say_how_far_the_request_got() {
    // Nobody listens.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let closed = listener.local_addr().expect("bound").to_string();
    drop(listener);
    let error = exchange(&pool(), &closed, &Message::default()).await.expect_err("refused");
    assert!(
        error.nothing_sent() && matches!(&error, ExchangeError::Dial(error) if error.is_refused()),
        "{error:?}"
    );
    assert!(micro_net::error_chain(&error).contains(&closed), "{error}");

    let error = exchange(&pool(), "no port", &Message::default()).await.expect_err("no address");
    assert!(error.nothing_sent() && matches!(error, ExchangeError::Address(_)), "{error:?}");

    for (answer, nothing_at_all, malformed) in [
        ("", true, false),
        ("HTTP/1.1 200 OK\r\nContent-Le", false, false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", false, false),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", false, false),
        ("SSH-2.0-OpenSSH_9.6\r\n", false, true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", false, true),
    ] {
        let address = scripted(async move |listener| {
            let mut raw = accept(&listener).await;
            raw.until("\r\n\r\n").await;
            raw.send(answer).await;
        })
        .await;
        let pool = pool();
        let error = exchange(&pool, &address, &Message::default()).await.expect_err(answer);
        assert!(!error.nothing_sent(), "{answer:?}: {error:?}");
        assert_eq!(
            matches!(error, ExchangeError::NoAnswer { reused: false, .. }),
            nothing_at_all,
            "{error:?}"
        );
        assert_eq!(matches!(error, ExchangeError::Malformed(_)), malformed, "{answer:?}: {error:?}");
        assert_eq!(matches!(error, ExchangeError::Broken(_)), !malformed && !nothing_at_all, "{error:?}");
        assert_eq!(pool.idle(), 0);
    }
}

#[tokio::test]
async fn nothing_is_sent_twice() {
    let (count, mut counted) = tokio::sync::mpsc::channel(10);
    let address = scripted(async move |listener| {
        for number in 0.. {
            let mut raw = accept(&listener).await;
            if number == 0 {
                raw.until("\r\n\r\n").await;
                raw.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            }
            raw.until("\r\n\r\n").await;
            count.send(number).await.expect("the test waits");
        }
    })
    .await;
    let pool = pool();
    exchange(&pool, &address, &Message::default()).await.expect("the first answer");
    let error = exchange(&pool, &address, &Message::default()).await.expect_err("closed without an answer");
    assert!(matches!(error, ExchangeError::NoAnswer { reused: true, .. }), "{error:?}");
    assert_eq!(counted.recv().await, Some(0), "on the first connection");
    assert!(counted.try_recv().is_err(), "and on no other");
}

#[tokio::test]
async fn an_unsendable_request_spoils_nothing() {
    let server = Server::start().await;
    let pool = pool();
    let bad = message(&[("A", "b\r\nc: d")], "");
    let error = exchange(&pool, &server.address(), &bad).await.expect_err("unsendable");
    assert!(error.is_unsendable() && error.nothing_sent());
    assert_eq!(pool.idle(), 1);
    exchange(&pool, &server.address(), &Message::default()).await.expect("an answer");
    assert_eq!(server.echo.state.started.get(), 1);
}

#[tokio::test]
async fn a_dropped_exchange_closes_its_connection() {
    let server = Server::start().await;
    let pool = pool();
    let waiting = message(&[("Do", "wait")], "");
    let address = server.address();
    {
        let exchange = pool.exchange(&address, &waiting, PATIENCE);
        tokio::select! {
            answer = exchange => panic!("answered: {answer:?}"),
            () = server.echo.state.started.reach(1) => {}
        }
    }
    assert_eq!(pool.idle(), 0);
}

#[tokio::test]
async fn connecting_has_a_deadline() {
    // Full backlog: the kernel drops further SYNs.
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    let listener = socket.listen(0).expect("listening");
    let address = listener.local_addr().expect("bound");
    let mut held = Vec::new();
    while let Ok(Ok(tcp)) =
        tokio::time::timeout(Duration::from_millis(50), tokio::net::TcpStream::connect(address)).await
    {
        held.push(tcp);
        assert!(held.len() < 10, "the backlog never fills");
    }
    let request = Message::default();
    let exchange = pool().exchange(&address.to_string(), &request, Duration::from_millis(50)).await;
    let error = exchange.expect_err("timed out");
    assert!(error.is_connect_timeout() && error.nothing_sent(), "{error:?}");
}

#[tokio::test]
async fn the_pool_keeps_as_many_as_it_may() {
    let server = Server::start().await;
    let address = server.address();
    for (size, max_idle, kept) in [(0, 10, 0), (3, 10, 3), (10, 2, 2), (10, 10, 5)] {
        let pool = Pool::new(PoolConfig { size, max_idle, ..PoolConfig::default() });
        let waiting = message(&[("Do", "wait")], "");
        let before = server.echo.state.started.get();
        let exchanges =
            futures::future::join_all((0..5).map(|_| pool.exchange(&address, &waiting, PATIENCE)));
        let release = async {
            server.echo.state.started.reach(before + 5).await;
            server.echo.state.release.notify_waiters();
        };
        let (answers, ()) = soon(async { tokio::join!(exchanges, release) }).await;
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(pool.idle(), kept, "size {size}, max {max_idle}");
    }
}

/// Answers everything with the id of the first request, as Go Micro since v4.10 does, and with `more` of its header. Tells
/// how long after an answer the next request came.
async fn forgetful(mut raw: Raw, more: &str, gaps: mpsc::Sender<Duration>) {
    let (mut first, mut answered) = (None, None::<Instant>);
    loop {
        let head = raw.until("\r\n\r\n").await;
        if let Some(answered) = answered {
            let _ = gaps.try_send(answered.elapsed());
        }
        let id = head.lines().find_map(|line| line.strip_prefix("Micro-Id: ")).expect("an id");
        let first: &String = first.get_or_insert(id.to_owned());
        answered = Some(Instant::now());
        raw.send(format!("HTTP/1.1 200 OK\r\nMicro-Id: {first}\r\n{more}Content-Length: 0\r\n\r\n")).await;
    }
}

/// The address of such a server, and what it tells.
async fn serve_forgetfully(more: &'static str) -> (String, mpsc::Receiver<Duration>) {
    let (told, gaps) = mpsc::channel(200);
    let address = scripted(async move |listener| {
        let mut connections = JoinSet::new();
        loop {
            connections.spawn(forgetful(accept(&listener).await, more, told.clone()));
        }
    });
    (address.await, gaps)
}

/// How long a connection is left alone.
const REST: Duration = Duration::from_millis(5);

#[tokio::test]
async fn servers_that_lose_ids_are_left_alone_between_requests() {
    let (address, mut gaps) = serve_forgetfully("").await;
    let pool = pool();
    for id in 0..200 {
        let request = message(&[("Micro-Id", &id.to_string())], "");
        exchange(&pool, &address, &request).await.expect("an answer");
    }
    // The second request of all went out at once: nothing was known then.
    gaps.recv().await.expect("a connection was used again");
    let mut again = 0;
    while let Ok(gap) = gaps.try_recv() {
        assert!(gap >= REST || pool.idle() >= 50, "only {gap:?}, with {} connections", pool.idle());
        again += 1;
    }
    assert_eq!(again + 1 + pool.idle(), 200, "each request went over a kept connection or over a new one");
    assert!(pool.idle() <= 51, "{} connections", pool.idle());
}

#[tokio::test]
async fn servers_that_set_no_id_are_left_alone_from_their_first_answer_on() {
    let (address, mut gaps) = serve_forgetfully("Micro-Service: greeter\r\n").await;
    let pool = pool();
    let request = message(&[("Micro-Id", "1"), ("Micro-Service", "greeter")], "");
    for _ in 0..2 {
        exchange(&pool, &address, &request).await.expect("an answer");
    }
    let gap = gaps.try_recv().ok();
    assert!(gap.is_none_or(|gap| gap >= REST), "only {gap:?}");
    assert_eq!(pool.idle(), 2 - usize::from(gap.is_some()));
}

#[tokio::test]
async fn answers_of_failures_say_nothing_of_ids() {
    let (address, _gaps) = serve_forgetfully("Micro-Service: greeter\r\nMicro-Error: boom\r\n").await;
    let pool = pool();
    let request = message(&[("Micro-Id", "1"), ("Micro-Service", "greeter")], "");
    for _ in 0..3 {
        exchange(&pool, &address, &request).await.expect("an answer");
        assert_eq!(pool.idle(), 1, "the connection is used again at once");
    }
}

#[tokio::test]
async fn kept_connections_expire() {
    let server = Server::start().await;
    let pool = Pool::new(PoolConfig { ttl: Duration::ZERO, ..PoolConfig::default() });
    for _ in 0..3 {
        exchange(&pool, &server.address(), &Message::default()).await.expect("an answer");
        assert_eq!(pool.idle(), 1, "the one before was too old");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_leaves_no_descriptors_behind() {
    let server = Server::start().await;
    let pool = pool();
    let address = server.address();
    for _ in 0..20 {
        let message = message(&[], "x");
        let flood = futures::future::join_all((0..50).map(|_| exchange(&pool, &address, &message)));
        assert!(soon(flood).await.iter().all(Result::is_ok));
    }
    assert!(pool.idle() <= 50, "{} connections for 50 callers", pool.idle());
    assert_eq!(server.echo.state.finished.get(), 1000);
    pool.clear();
    server.stopped().await;
    // Other tests run beside this one; what counts is that ours are gone.
    let table = std::fs::read_to_string("/proc/self/net/tcp").expect("Linux");
    let port = format!(":{:04X} ", address.parse::<std::net::SocketAddr>().expect("an address").port());
    let open = table.lines().filter(|line| line.contains(&port) && line.contains(" 01 ")).count();
    assert_eq!(open, 0, "connections are still established");
}
