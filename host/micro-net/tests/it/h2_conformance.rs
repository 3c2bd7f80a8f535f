//! What a test of HTTP/2 by others says of an RPC port.

use crate::interop::program;
use crate::support::{FORKS, PATIENCE, Server};
use std::process::Stdio;

/// What it takes for a fault and is none: the port also speaks HTTP/1.1, and answers a preface that is none in it.
const KNOWN: &str = "Sends invalid connection preface";

#[tokio::test]
#[ignore = "needs h2spec"]
async fn h2spec_finds_nothing_that_is_not_known() {
    let server = Server::start().await;
    let mut h2spec = program("h2spec");
    let port = server.addr.port().to_string();
    h2spec.args(["--host", "127.0.0.1", "--port", &port, "--path", "/a.B/C", "--timeout", "2"]);
    let output = {
        let _fork = FORKS.lock().await;
        h2spec.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs").wait_with_output()
    };
    let output = tokio::time::timeout(12 * PATIENCE, output).await.expect("it ends").expect("its output");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains(" passed"), "no result: {text}");
    let failures = text
        .lines()
        .filter_map(|line| line.split_once("× ")?.1.split_once(": "))
        .map(|(_, name)| name.trim());
    let unknown: Vec<_> = failures.filter(|name| *name != KNOWN).collect();
    assert!(unknown.is_empty(), "{unknown:?}: {text}");
    server.stopped().await;
}
