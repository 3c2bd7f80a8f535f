//! Malformed and merely unusual HTTP/1.1, each against the decoder and against a live port.
//!
//! The ideas come from two published collections: the test suite of llhttp (MIT), which descends from that of
//! http-parser, and that of AWS's HTTP Desync Guardian (Apache-2.0). The selection and the spelling are ours, and the
//! verdicts are those of RFC 9112 where it has one; where it leaves a choice, what readers could disagree about is
//! refused.

mod answers;
mod bodies;
mod fields;
mod start_lines;
mod streams;

use crate::support::{PATIENCE, Server};
use http1_core::{Error, Framing, Head, Method, Role, decode};
use micro_net::wire::{Limits, NativeWire, Socket};
use tokio::io::{AsyncWriteExt, duplex};

/// What a decoder makes of a head; `None` if it wants more.
type Verdict = Option<Result<Framing, Error>>;

/// The largest body that these tests take, in bytes.
const MAX_BODY: usize = 1 << 16;

/// A request that tells whether the server still knows where it is.
const PROBE: &[u8] = b"PROBE /still/here HTTP/1.1\r\nHost: a\r\nDo: method\r\n\r\n";
const PROBED: (u16, &str) = (200, "PROBE /still/here");

/// The verdict on the first head of `data`, and whether the connection goes on after its message.
fn decoded(role: Role, data: &[u8]) -> (Verdict, bool) {
    let mut words = Vec::new();
    match decode(role, Method::POST, data, &mut words) {
        Ok(0) => (None, false),
        Ok(_) => {
            let head = Head::new(&words, data).expect("our own words are good");
            (Some(Ok(head.framing())), head.keep_alive())
        }
        Err(error) => (Some(Err(error)), false),
    }
}

/// The status with which a server refuses.
fn status(error: Error) -> u16 {
    match error {
        Error::Malformed => 400,
        Error::TooLarge => 431,
        Error::Unsupported => 501,
        Error::Version => 505,
    }
}

/// A server to run the tables against.
async fn server() -> Server {
    let limits = Limits { max_body: MAX_BODY, ..Limits::default() };
    Server::with(limits, PATIENCE, |listener| listener).await
}

/// Everything that a live port answers to `bytes`, after which the client sends nothing more.
async fn asked(server: &Server, bytes: &[u8]) -> Vec<(u16, String)> {
    let mut raw = server.connect().await;
    raw.send(bytes).await;
    // A server that has refused may have closed already.
    let _ = raw.tcp.shutdown().await;
    let text = raw.rest().await;
    let mut rest = text.as_str();
    let mut answers = Vec::new();
    while !rest.is_empty() {
        let (head, after) = rest.split_once("\r\n\r\n").unwrap_or_else(|| panic!("half a head: {text:?}"));
        let status = head.get(9..12).and_then(|code| code.parse().ok()).expect("a status");
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap_or("0");
        let (body, after) = after.split_at(length.parse().expect("a length"));
        // A refusal explains itself; how is not the point here.
        answers.push((status, if status == 200 { body.to_owned() } else { String::new() }));
        rest = after;
    }
    answers
}

/// The bodies of the requests in `bytes` as a socket receives them, and the status that the end deserves.
async fn received(bytes: &[u8]) -> (Vec<String>, Option<u16>) {
    let (mut client, server) = duplex(bytes.len().max(1));
    client.write_all(bytes).await.expect("room");
    client.shutdown().await.expect("open until now");
    let mut socket = Socket::new(server, Role::Request, Limits::untimed(MAX_BODY), NativeWire);
    let mut bodies = Vec::new();
    loop {
        match socket.receive().await {
            Ok(Some(incoming)) => {
                bodies.push(String::from_utf8_lossy(&incoming.message.body).into_owned());
                if !incoming.keep_alive {
                    return (bodies, None);
                }
            }
            Ok(None) => return (bodies, None),
            Err(error) => return (bodies, error.status()),
        }
    }
}

/// Compares what the decoder and the port make of requests that begin with `head` with what they should.
async fn check_heads(cases: impl IntoIterator<Item = (Vec<u8>, Verdict)>) {
    let server = server().await;
    let mut faults = Vec::new();
    for (head, expected) in cases {
        let (verdict, keep_alive) = decoded(Role::Request, &head);
        let (body, answers) = continued(expected, keep_alive);
        // What wants more would take the probe for it.
        let probe = if expected.is_some() { PROBE } else { b"" };
        let got = asked(&server, &[&head[..], &body, probe].concat()).await;
        if verdict != expected || got != answers {
            faults.push(format!(
                "{:.200}: {verdict:?} {got:?} instead of {expected:?}",
                head.escape_ascii().to_string()
            ));
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    server.stopped().await;
}

/// The body that belongs to a head of that verdict, and the answers that a port gives then.
fn continued(verdict: Verdict, keep_alive: bool) -> (Vec<u8>, Vec<(u16, String)>) {
    let (body, echo) = match verdict {
        Some(Ok(Framing::Length(length))) if length > MAX_BODY as u64 => {
            return (Vec::new(), vec![(413, String::new())]);
        }
        Some(Ok(Framing::Length(length))) => (vec![b'x'; length as usize], "x".repeat(length as usize)),
        Some(Ok(Framing::Chunked)) => (b"1\r\nx\r\n0\r\n\r\n".to_vec(), "x".to_owned()),
        Some(Ok(_)) => (Vec::new(), String::new()),
        Some(Err(error)) => return (Vec::new(), vec![(status(error), String::new())]),
        None => return (Vec::new(), Vec::new()),
    };
    let mut answers = vec![(200, echo)];
    if keep_alive {
        answers.push((PROBED.0, PROBED.1.to_owned()));
    }
    (body, answers)
}
