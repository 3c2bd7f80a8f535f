//! The little HTTP that consul needs, as a trait: the component speaks `wasi:http`, tests a script.

use std::fmt;
use std::time::Duration;

/// Sends requests, and waits.
#[allow(async_fn_in_trait, reason = "a plugin has one thread, so no future needs to be Send")]
pub trait HttpClient {
    /// Sends a request and reads the whole answer, within `request.within`.
    async fn send(&self, request: Request<'_>) -> Result<Response, HttpError>;

    /// Waits, without standing in the way of other calls.
    async fn sleep(&self, time: Duration);
}

/// One request.
#[derive(Debug)]
pub struct Request<'a> {
    /// Whom to ask.
    pub origin: &'a Origin,
    /// What is done.
    pub method: Method,
    /// Path and query, encoded: `/v1/health/service/greeter?stale`.
    pub path: &'a str,
    /// For the header `X-Consul-Token`.
    pub token: Option<&'a str>,
    /// JSON, or nothing.
    pub body: &'a [u8],
    /// How long the answer may take, to its last byte.
    pub within: Duration,
    /// How many bytes its body may have.
    pub limit: usize,
}

/// The methods that consul's HTTP API knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Changes something.
    Put,
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Header `X-Consul-Index`: to which state of consul the answer belongs.
    pub index: Option<u64>,
    /// Header `X-Consul-Results-Filtered-By-ACLs`: something was left out that the token may not read.
    pub filtered: bool,
    /// Everything after the head.
    pub body: Vec<u8>,
}

impl Response {
    /// Takes a header over that means something here.
    pub fn header(&mut self, name: &str, value: &str) {
        if name.eq_ignore_ascii_case("x-consul-index") {
            self.index = value.trim().parse().ok();
        } else if name.eq_ignore_ascii_case("x-consul-results-filtered-by-acls") {
            self.filtered = value.trim().eq_ignore_ascii_case("true");
        }
    }
}

/// A request without an answer. The texts do not name the address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpError {
    /// The host's policy does not allow the address.
    Denied(String),
    /// Connection refused, broken off, too slow…
    Unreachable(String),
    /// The answer has more than the allowed number of bytes.
    TooLong,
}

/// One agent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Whether to speak TLS.
    pub https: bool,
    /// `host:port`; IPv6 addresses in brackets.
    pub authority: String,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.authority)
    }
}

/// Leaves only the unreserved characters of RFC 3986 §2.3 as they are.
pub(crate) fn encode(text: &str) -> String {
    use fmt::Write;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte.into()),
            // Writing to a string cannot fail.
            _ => _ = write!(out, "%{byte:02X}"),
        }
    }
    out
}
