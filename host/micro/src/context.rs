//! What a handler knows about the call that it serves.

use crate::client::CallOptions;
use crate::rpc::RpcHead;
use micro_core::Headers;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The call that a handler serves: who calls, with which metadata, for how long. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Context {
    head: Arc<RpcHead>,
}

impl Context {
    pub(crate) fn new(head: RpcHead) -> Self {
        Self { head: Arc::new(head) }
    }

    pub(crate) fn head(&self) -> &RpcHead {
        &self.head
    }

    /// The service that was asked for.
    pub fn service(&self) -> &str {
        &self.head.service
    }

    /// `Struct.Method`.
    pub fn endpoint(&self) -> &str {
        &self.head.endpoint
    }

    /// The content type of the request.
    pub fn content_type(&self) -> &str {
        &self.head.content_type
    }

    /// One header of the request; names compare without case.
    pub fn metadata(&self, name: &str) -> Option<&str> {
        self.head.metadata.get(name)
    }

    /// All headers of the request.
    pub fn headers(&self) -> &Headers {
        &self.head.metadata
    }

    /// The caller's address, unless the call came from this process.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.head.peer
    }

    /// When the caller stops waiting. The server drops the handler then.
    pub fn deadline(&self) -> Option<Instant> {
        self.head.deadline
    }

    /// The time left until the deadline; none without one.
    pub fn remaining(&self) -> Option<Duration> {
        self.head.remaining()
    }

    /// Options for a call on behalf of this one: the same deadline, and the same user metadata. Protocol headers are
    /// left behind.
    pub fn call_options(&self) -> CallOptions {
        let user = self.head.metadata.iter().filter(|(name, _)| !is_protocol(name));
        let options = CallOptions::new().metadata_from(user);
        match self.head.deadline {
            Some(deadline) => options.deadline(deadline),
            None => options,
        }
    }
}

/// Headers that belong to one hop or to the protocol, and so are no user metadata (`go-micro-wire` §1.3).
pub(crate) fn is_protocol(name: &str) -> bool {
    const HOP: [&str; 17] = [
        "Accept",
        "Accept-Encoding",
        "Connection",
        "Content-Length",
        "Content-Type",
        "Expect",
        "Host",
        "Keep-Alive",
        "Local",
        "Proxy-Connection",
        "Remote",
        "TE",
        "Timeout",
        "Trailer",
        "Transfer-Encoding",
        "Upgrade",
        "User-Agent",
    ];
    let starts_with =
        |prefix: &str| name.get(..prefix.len()).is_some_and(|it| it.eq_ignore_ascii_case(prefix));
    HOP.iter().any(|hop| hop.eq_ignore_ascii_case(name)) || starts_with("Micro-") || starts_with("X-Micro-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocol_headers_are_told_from_metadata() {
        for name in ["Micro-Id", "x-micro-error", "TIMEOUT", "content-type", "Remote"] {
            assert!(is_protocol(name), "{name}");
        }
        for name in ["Foo", "X-Request-Id", "Micro", "Authorization", "Traceparent"] {
            assert!(!is_protocol(name), "{name}");
        }
    }
}
