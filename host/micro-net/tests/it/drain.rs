//! The order of a shutdown.

use crate::support::{FORKS, PATIENCE, Server, message, soon};
use micro_net::Listener;
use micro_net::wire::{Limits, Pool, PoolConfig};
use std::time::Duration;

#[tokio::test]
async fn the_port_is_free_while_requests_finish_and_idle_connections_close_first() {
    let server = Server::start().await;
    let (mut idle, mut busy) = (server.connect().await, server.connect().await);
    idle.send("GET / HTTP/1.1\r\n\r\n").await;
    idle.until("\r\n\r\n").await;
    busy.send("POST / HTTP/1.1\r\nDo: wait\r\nContent-Length: 2\r\n\r\nhi").await;
    server.echo.state.started.reach(2).await;

    server.stop.soon.cancel();
    assert_eq!(idle.rest().await, "", "nothing was asked of it");
    let successor = Listener::bind(&server.address()).await.expect("the port is free");
    assert!(!server.task.is_finished(), "the other request is in flight");
    assert_eq!(server.echo.state.finished.get(), 1);

    server.echo.state.release.notify_one();
    assert_eq!(busy.rest().await, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");
    soon(server.task).await.expect("no panic");
    drop(successor);
}

#[tokio::test]
async fn a_request_that_has_begun_to_arrive_is_in_flight() {
    let server = Server::start().await;
    let mut raw = server.connect().await;
    raw.send("GET / HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\nContent-").await;
    raw.until("\r\n\r\n").await;
    server.stop.soon.cancel();
    raw.send("Length: 2\r\n\r\nhi").await;
    assert_eq!(raw.rest().await, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");
    soon(server.task).await.expect("no panic");
}

#[tokio::test]
async fn after_the_grace_period_requests_are_cancelled() {
    let server = Server::with(Limits::default(), Duration::from_millis(50), |listener| listener).await;
    let mut raw = server.connect().await;
    raw.send("POST / HTTP/1.1\r\nDo: wait\r\nContent-Length: 0\r\n\r\n").await;
    server.echo.state.started.reach(1).await;
    server.stop.soon.cancel();
    soon(server.task).await.expect("no panic");
    assert_eq!((server.echo.state.dropped.get(), server.echo.state.finished.get()), (1, 0));
    assert_eq!(raw.rest().await, "");
    assert!(!server.stop.now.is_cancelled(), "its end is not that of its siblings");
}

#[tokio::test]
async fn stopping_now_waits_for_nobody() {
    let server = Server::with(Limits::default(), Duration::MAX, |listener| listener).await;
    let mut raw = server.connect().await;
    raw.send("POST / HTTP/1.1\r\nDo: wait\r\nContent-Length: 0\r\n\r\n").await;
    server.echo.state.started.reach(1).await;
    server.stop.now.cancel();
    soon(server.task).await.expect("no panic");
    assert_eq!(server.echo.state.dropped.get(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_a_server_is_replaced() {
    let mut server = Server::start().await;
    let address = server.address();
    let pool = Pool::new(PoolConfig::default());
    for round in 0..20 {
        let request = message(&[], round.to_string());
        let answer = soon(pool.exchange(&address, &request, PATIENCE)).await.expect("an answer");
        assert_eq!(answer.body, round.to_string());
        let no_forks = FORKS.lock().await;
        server.stop.soon.cancel();
        soon(server.task).await.expect("no panic");
        let listener = Listener::bind(&address).await.expect("the port is free");
        drop(no_forks);
        let stop = micro_net::Stop::new();
        let echo = crate::support::Echo::default();
        let serving =
            micro_net::wire::serve_rpc(listener, echo.clone(), Limits::default(), stop.clone(), PATIENCE);
        server = Server { addr: server.addr, stop, echo, task: tokio::spawn(serving) };
    }
}
