//! What a test of HTTP/2 by others says of an RPC port.

use crate::interop::program;
use crate::support::{FORKS, PATIENCE, Server};
use std::process::Stdio;

#[tokio::test]
#[ignore = "needs h2spec"]
async fn h2spec_finds_nothing() {
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
    assert!(text.contains(" 0 failed"), "{text}");
    server.stopped().await;
}
