//! Accepting when the process has run out of descriptors.

use crate::support::{FORKS, Raw, Server, soon};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::fs::File;
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::net::TcpSocket;

/// Runs in a process of its own: the limit would hit the other tests too.
#[test]
fn accepting_survives_a_lack_of_descriptors() {
    const ALONE: &str = "MICRO_NET_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        return runtime.expect("a runtime").block_on(with_few_descriptors());
    }
    let program = std::env::current_exe().expect("this program");
    let arguments = ["--exact", "listen::accepting_survives_a_lack_of_descriptors", "--test-threads=1"];
    let forking = FORKS.blocking_lock();
    let mut command = Command::new(program);
    command.args(arguments).env(ALONE, "1").stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("it starts");
    drop(forking);
    let output = child.wait_with_output().expect("it ends");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

async fn with_few_descriptors() {
    let server = Server::start().await;
    // Sockets that exist before the others run out.
    let sockets: Vec<_> = (0..3).map(|_| TcpSocket::new_v4().expect("a socket")).collect();
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(64);
    setrlimit(Resource::Nofile, limit).expect("limits may be lowered");
    let hoard: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    assert!(!hoard.is_empty() && hoard.len() < 64, "{} files", hoard.len());

    let mut clients = Vec::new();
    for socket in sockets {
        let mut raw = Raw { tcp: soon(socket.connect(server.addr)).await.expect("the kernel takes it") };
        raw.send("GET / HTTP/1.1\r\n\r\n").await;
        clients.push(raw);
    }
    let early = tokio::time::timeout(Duration::from_millis(100), clients[0].tcp.readable()).await;
    assert!(early.is_err(), "nobody can be accepted");
    assert!(!server.task.is_finished());

    drop(hoard);
    for client in &mut clients {
        client.until("\r\n\r\n").await;
    }
    assert_eq!(server.echo.state.finished.get(), 3);
}
