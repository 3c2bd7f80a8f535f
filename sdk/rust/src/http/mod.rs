//! A client for HTTP through the host (`wasi:http` 0.3): the host pools connections, does TLS, and refuses addresses
//! that the operator did not grant.

mod body;
mod error;
mod request;

pub use body::{Body, Chunk};
pub use error::{Cause, Error};
pub use request::{Method, Origin, Request};

/// The head of an answer, and its body as far as it has arrived.
#[derive(Debug)]
pub struct Response {
    /// For instance 200. No status is an error here.
    pub status: u16,
    /// In the order of arrival.
    pub headers: Headers,
    /// To be read or dropped; dropping it ends the connection unless the body has ended.
    pub body: Body,
}

/// Headers of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, Vec<u8>)>);

impl Headers {
    /// The first value under a name of any letter case. None as well if it is not text.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }

    /// All names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }
}
