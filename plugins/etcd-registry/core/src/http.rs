//! The little HTTP that etcd's JSON gateway needs, as a trait: the component speaks `wasi:http`, tests a script.

use std::fmt;
use std::time::Duration;

/// Opens requests.
#[allow(async_fn_in_trait, reason = "a plugin has one thread, so no future needs to be Send")]
pub trait HttpClient {
    /// The body of an answer.
    type Body: Body;

    /// POSTs JSON and returns as soon as the head of the answer is there, at the latest after `request.within`.
    async fn post(&self, request: Request<'_>) -> Result<Response<Self::Body>, HttpError>;
}

/// One request.
#[derive(Debug)]
pub struct Request<'a> {
    /// Whom to ask.
    pub origin: &'a Origin,
    /// For instance `/v3/kv/range`.
    pub path: &'a str,
    /// For the header `Authorization`, as it is: etcd wants no scheme before it.
    pub token: Option<&'a str>,
    /// The body.
    pub json: Vec<u8>,
    /// How long the head of the answer may take.
    pub within: Duration,
}

/// The head of an answer.
#[derive(Debug)]
pub struct Response<B> {
    /// The HTTP status.
    pub status: u16,
    /// Everything after the head.
    pub body: B,
}

/// The body of an answer, read as it arrives.
#[allow(async_fn_in_trait, reason = "a plugin has one thread, so no future needs to be Send")]
pub trait Body {
    /// Reads what comes next, waiting at most `wait`. No byte may be lost when the time is up.
    async fn read(&mut self, wait: Duration) -> Result<Chunk, HttpError>;
}

/// What reading brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// At least one byte.
    Bytes(Vec<u8>),
    /// Nothing came in time.
    Idle,
    /// The body is complete.
    End,
}

/// A request without an answer. The texts do not name the address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpError {
    /// The host's policy does not allow the address.
    Denied(String),
    /// Connection refused, broken off, too slow…
    Unreachable(String),
}

/// One member of the cluster, or a proxy before it.
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
