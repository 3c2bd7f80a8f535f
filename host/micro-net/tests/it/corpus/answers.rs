//! What servers answer, to our client.

use super::{Verdict, decoded};
use crate::support::{PATIENCE, Raw, soon};
use http1_core::{Error, Framing, Role};
use micro_core::Message;
use micro_net::wire::{ExchangeError, Pool, PoolConfig};
use tokio::net::TcpListener;

/// What becomes of an answer.
#[derive(Clone, Copy, Debug)]
enum Outcome<B = &'static str> {
    /// A body, and whether the connection is kept.
    Body(B, bool),
    /// Another status than 200.
    Status(u16),
    Malformed,
    /// It began and did not end.
    Broken,
    Nothing,
}
use Outcome::{Body, Broken, Malformed, Nothing, Status};

const BAD: Verdict = Some(Err(Error::Malformed));
const VERSION: Verdict = Some(Err(Error::Version));
const CODING: Verdict = Some(Err(Error::Unsupported));
const NONE: Verdict = Some(Ok(Framing::None));
const CLOSE: Verdict = Some(Ok(Framing::UntilClose));
const CHUNKED: Verdict = Some(Ok(Framing::Chunked));

const fn length(length: u64) -> Verdict {
    Some(Ok(Framing::Length(length)))
}

/// What a server sends before it closes, the verdict on its first head, and what the caller gets.
const CASES: [(&[u8], Verdict, Outcome); 69] = [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", length(2), Body("hi", true)),
    (b"HTTP/1.1 200 OK\r\ncontent-LENGTH:002\r\n\r\nhi", length(2), Body("hi", true)),
    (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi", length(2), Body("hi", true)),
    (b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nhi", length(2), Body("hi", true)),
    (b"HTTP/1.1 200 Tr\xe8s bien\r\nContent-Length: 2\r\n\r\nhi", length(2), Body("hi", true)),
    (b"HTTP/1.1 200 OK\tthen\r\nContent-Length: 2\r\n\r\nhi", length(2), Body("hi", true)),
    (b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", length(2), Body("hi", true)),
    (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", length(2), Body("hi", false)),
    (
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi",
        length(2),
        Body("hi", true),
    ),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi", length(2), Body("hi", false)),
    (b"HTTP/1.1 200 OK\r\n\r\nhi", CLOSE, Body("hi", false)),
    (b"HTTP/1.1 200 OK\r\n\r\n", CLOSE, Body("", false)),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", CHUNKED, Body("hi", true)),
    (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2 \r\nhi\r\n0  \r\n\r\n",
        CHUNKED,
        Body("hi", true),
    ),
    (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=\"b\"\r\nhi\r\n0\r\nT: u\r\n\r\n",
        CHUNKED,
        Body("hi", true),
    ),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi", length(2), Body("hi", true)),
    // More than was asked for: the answer counts, the connection does not.
    (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi!", length(2), Body("hi", false)),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\nevil", length(0), Body("", false)),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nevil", CHUNKED, Body("", false)),
    // Interim answers.
    (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", NONE, Body("hi", true)),
    (
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        NONE,
        Body("hi", true),
    ),
    (
        b"HTTP/1.1 100 x\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        NONE,
        Body("hi", true),
    ),
    (
        b"HTTP/1.1 199 x\r\nTransfer-Encoding: chunked\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        NONE,
        Body("hi", true),
    ),
    (b"HTTP/1.1 100 Continue\r\n\r\n", NONE, Nothing),
    (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 2", NONE, Broken),
    // Statuses without a body, whatever their fields say.
    (b"HTTP/1.1 204 No Content\r\n\r\n", NONE, Status(204)),
    (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", NONE, Status(204)),
    (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", NONE, Status(304)),
    (b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", NONE, Status(304)),
    (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: evil\r\n\r\nevil", NONE, Status(101)),
    // Other statuses.
    (b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", length(2), Status(404)),
    (b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", length(0), Status(302)),
    (b"HTTP/1.1 999 Beyond\r\n\r\n", CLOSE, Status(999)),
    // Start lines.
    (b"HTTP/1.1 099 x\r\n\r\n", BAD, Malformed),
    (b"HTTP/1.1 000 x\r\n\r\n", BAD, Malformed),
    (b"HTTP/1.1 2 OK\r\n\r\n", BAD, Malformed),
    (b"HTTP/1.1 20 OK\r\n\r\n", BAD, Malformed),
    (b"HTTP/1.1 2000 OK\r\n\r\n", BAD, Malformed),
    (b"HTTP/1.1 +20 OK\r\n\r\n", BAD, Malformed),
    (b"HTTP/1.1 2x0 OK\r\n\r\n", BAD, Malformed),
    (b"HTTP/1.1 OK\r\n\r\n", BAD, Malformed),
    (b"HTTP/1.1\r\n\r\n", VERSION, Malformed),
    (b"HTTP/1.1  200 OK\r\n\r\n", BAD, Malformed),
    (b"HTTP/1.1\t200 OK\r\n\r\n", VERSION, Malformed),
    (b" HTTP/1.1 200 OK\r\n\r\n", VERSION, Malformed),
    (b"HTTP/1.1 200 O\x01K\r\n\r\n", BAD, Malformed),
    (b"HTTP/1.1 200 O\0K\r\n\r\n", BAD, Malformed),
    (b"HTP/1.1 200 OK\r\n\r\n", VERSION, Malformed),
    (b"http/1.1 200 OK\r\n\r\n", VERSION, Malformed),
    (b"HTTP/2.0 200 OK\r\n\r\n", VERSION, Malformed),
    (b"HTTP/5.6 200 OK\r\n\r\n", VERSION, Malformed),
    (b"HTTP/01.1 200 OK\r\n\r\n", VERSION, Malformed),
    (b"HTTP/1.01 200 OK\r\n\r\n", VERSION, Malformed),
    (b"GET / HTTP/1.1\r\n\r\n", VERSION, Malformed),
    (b"\x15\x03\x01\0\x02\x02\x46", VERSION, Malformed),
    // Lines.
    (b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", BAD, Malformed),
    (b"HTTP/1.1 200 OK\rContent-Length: 0\r\n\r\n", BAD, Malformed),
    (b"HTTP/1.1 200 OK\r\r\nContent-Length: 4\r\n\r\nEvil", BAD, Malformed),
    (b"HTTP/1.1 200 OK\r\n Host: foo\r\n\r\n", BAD, Malformed),
    (b"HTTP/1.1 200 OK\r\nFoo: 1\rBar: 2\r\n\r\n", BAD, Malformed),
    (b"HTTP/1.1 200 OK\r\nFoo: 1\r\n folded\r\n\r\n", BAD, Malformed),
    // Lengths and codings.
    (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi", BAD, Malformed),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nhi", BAD, Malformed),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, deflate\r\n\r\nWorld", CODING, Malformed),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2 err\r\nhi\r\n0\r\n\r\n", CHUNKED, Malformed),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", length(99_999_999_999), Malformed),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", length(5), Broken),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", CHUNKED, Broken),
    (b"", None, Nothing),
];

/// What a caller gets from a server that takes one request, sends `bytes` and goes.
async fn met(listener: &TcpListener, bytes: &[u8]) -> Outcome<String> {
    let pool = Pool::new(PoolConfig::default());
    let address = listener.local_addr().expect("bound").to_string();
    let serving = async {
        let mut raw = Raw { tcp: listener.accept().await.expect("accepted").0 };
        raw.until("\r\n\r\n").await;
        raw.send(bytes).await;
    };
    let request = Message::default();
    let (answer, ()) =
        soon(async { tokio::join!(pool.exchange(&address, &request, PATIENCE), serving) }).await;
    match answer {
        Ok(message) => Body(String::from_utf8_lossy(&message.body).into_owned(), pool.idle() == 1),
        Err(ExchangeError::Status { status, .. }) => Status(status),
        Err(ExchangeError::Malformed(_)) => Malformed,
        Err(ExchangeError::Broken(_)) => Broken,
        Err(ExchangeError::NoAnswer { .. }) => Nothing,
        Err(error) => panic!("{}: {error}", bytes.escape_ascii()),
    }
}

#[tokio::test]
async fn answers() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let mut faults = Vec::new();
    for (bytes, verdict, outcome) in CASES {
        let decoded = decoded(Role::Response, bytes).0;
        let got = met(&listener, bytes).await;
        let same = match (outcome, &got) {
            (Body(body, kept), Body(got, got_kept)) => (body, kept) == (got.as_str(), *got_kept),
            (Status(status), Status(got)) => status == *got,
            (Malformed, Malformed) | (Broken, Broken) | (Nothing, Nothing) => true,
            _ => false,
        };
        if !same || decoded != verdict {
            let text = bytes.escape_ascii();
            faults.push(format!("{text}: {decoded:?} {got:?} instead of {verdict:?} {outcome:?}"));
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}
