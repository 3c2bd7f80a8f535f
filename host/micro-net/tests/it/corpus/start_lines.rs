//! First lines, and what may stand before and behind them.

use super::{Verdict, check_heads};
use http1_core::{Error, Framing};

const GOOD: Verdict = Some(Ok(Framing::None));
const BAD: Verdict = Some(Err(Error::Malformed));
const VERSION: Verdict = Some(Err(Error::Version));

/// What stands before `\r\nHost: a\r\n\r\n`, and the verdict.
const CASES: [(&[u8], Verdict); 76] = [
    (b"GET / HTTP/1.1", GOOD),
    (b"GET / HTTP/1.0", GOOD),
    (b"get / HTTP/1.1", GOOD),
    (b"MKCOLA / HTTP/1.1", GOOD),
    (b"M-SEARCH * HTTP/1.1", GOOD),
    (b"OPTIONS * HTTP/1.1", GOOD),
    (b"GET http://other/ HTTP/1.1", GOOD),
    (b"GET other:80 HTTP/1.1", GOOD),
    (b"GET /?a=b&c#d HTTP/1.1", GOOD),
    (b"GET /%00%0d%0a HTTP/1.1", GOOD),
    (b"GET /\xc3\xa9 HTTP/1.1", GOOD),
    (b"GET /../../etc/passwd HTTP/1.1", GOOD),
    (b"GET //a//b HTTP/1.1", GOOD),
    (b"\r\nGET / HTTP/1.1", GOOD),
    (b"\r\n\r\n\r\nGET / HTTP/1.1", GOOD),
    (b"!#$%&'*+-.^_`|~09 / HTTP/1.1", GOOD),
    // The version.
    (b"GET / HTTP/2.0", VERSION),
    (b"GET / HTTP/0.9", VERSION),
    (b"GET / HTTP/1.2", VERSION),
    (b"GET / HTTP/5.6", VERSION),
    (b"GET / HTTP/9.9", VERSION),
    (b"GET / HTTP/01.1", VERSION),
    (b"GET / HTTP/11.1", VERSION),
    (b"GET / HTTP/-1.1", VERSION),
    (b"GET / HTTP/1,1", VERSION),
    (b"GET / http/1.1", VERSION),
    (b"GET / Http/1.1", VERSION),
    (b"GET / HTTPS/1.1", VERSION),
    (b"GET / HTP/1.1", VERSION),
    (b"GET / IHTTP/1.0", VERSION),
    (b"GET / RTSP/1.0", VERSION),
    (b"GET / ICE/1.0", VERSION),
    (b"GET / HTTP 1.1", VERSION),
    (b"GET / HTTP/1", VERSION),
    (b"GET / HTTP/1.", VERSION),
    (b"GET / HTTP/", VERSION),
    (b"GET / HTTP/1.01", BAD),
    (b"GET / HTTP/1.10", BAD),
    (b"GET / HTTP/1.1HTTP/1.1", BAD),
    (b"GET / HTTP/1.1.1", BAD),
    (b"GET / HTTP/1.1 ", BAD),
    (b"GET / HTTP/1.1\t", BAD),
    (b"GET / HTTP/1.1\x0b", BAD),
    (b"GET / HTTP/1.1\0", BAD),
    (b"GET / HTTP/1.1 x", BAD),
    // White space where it does not belong.
    (b" GET / HTTP/1.1", BAD),
    (b"\tGET / HTTP/1.1", BAD),
    (b"GET  / HTTP/1.1", BAD),
    (b"GET /  HTTP/1.1", VERSION),
    (b"GET\t/ HTTP/1.1", BAD),
    (b"GET /\tHTTP/1.1", BAD),
    (b"GET /a b HTTP/1.1", VERSION),
    (b"GET HTTP/1.1", BAD),
    (b"GET /", BAD),
    (b"GET", BAD),
    (b"GET / HTTP/1.1\r\n Folded: x", BAD),
    // Characters that no token and no target has.
    (b"G\x01T / HTTP/1.1", BAD),
    (b"G(T / HTTP/1.1", BAD),
    (b"G\xc3\xa9T / HTTP/1.1", BAD),
    (b"\0GET / HTTP/1.1", BAD),
    (b"GET\0 / HTTP/1.1", BAD),
    (b"GET /\x01 HTTP/1.1", BAD),
    (b"GET /\0 HTTP/1.1", BAD),
    (b"GET /\x7f HTTP/1.1", BAD),
    // Ends of lines that are only half of one.
    (b"GET / HTTP/1.1\nX: y", BAD),
    (b"GET / HTTP/1.1\rX: y", BAD),
    (b"GET / HTTP/1.1\r\r\nX: y", BAD),
    (b"GET /\r HTTP/1.1", BAD),
    (b"GET /\n HTTP/1.1", BAD),
    (b"GET\r\n / HTTP/1.1", BAD),
    (b"\nGET / HTTP/1.1", BAD),
    (b"\rGET / HTTP/1.1", BAD),
    (b"\r\n\nGET / HTTP/1.1", BAD),
    // Something else altogether.
    (b"HTTP/1.1 200 OK", BAD),
    (b"SSH-2.0-OpenSSH_9.6", BAD),
    (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", BAD),
];

#[tokio::test]
async fn start_lines() {
    let cases = CASES.map(|(line, verdict)| ([line, b"\r\nHost: a\r\n\r\n"].concat(), verdict));
    check_heads(cases).await;
}
