//! What a test of HTTP/2 by others says of an RPC port.

use crate::interop::program;
use crate::support::{FORKS, PATIENCE, Server};
use std::process::Stdio;

/// The head of a request that is no call is enough to answer it, so the answer may be on its way, and the stream over, when
/// the fault comes.
const ANSWERED: &str = "a request that is no call is answered by its head";

/// What it takes for faults, and why that is none. Which of them it finds depends on who is faster.
const KNOWN: [(&str, &str); 11] = [
    ("Sends invalid connection preface", "the port also speaks HTTP/1.1, and answers in it"),
    ("closed: Sends a HEADERS frame after sending RST_STREAM frame", ANSWERED),
    ("closed: Sends a DATA frame after sending RST_STREAM frame", ANSWERED),
    ("closed: Sends a CONTINUATION frame after sending RST_STREAM frame", ANSWERED),
    ("Sends a HEADERS frame that contains a pseudo-header field as trailers", ANSWERED),
    ("Sends a second HEADERS frame without the END_STREAM flag", ANSWERED),
    ("Sends a WINDOW_UPDATE frame with a flow control window increment of 0 on a stream", ANSWERED),
    (
        "Sends multiple WINDOW_UPDATE frames increasing the flow control window to above 2^31-1 on a stream",
        ANSWERED,
    ),
    (
        "Sends a HEADERS frame with the \"content-length\" header field which does not equal the DATA frame payload \
         length",
        ANSWERED,
    ),
    (
        "Sends a HEADERS frame with the \"content-length\" header field which does not equal the sum of the multiple DATA \
         frames payload length",
        ANSWERED,
    ),
    (
        "Sends HEADERS frames that causes their advertised concurrent stream limit to be exceeded",
        "requests that are no calls are over as soon as they are answered, so there are never that many",
    ),
];

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
    let unknown: Vec<_> = failures.filter(|name| !KNOWN.iter().any(|(known, _)| known == name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}: {text}");
    server.stopped().await;
}
