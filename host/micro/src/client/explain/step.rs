//! What a trace says.

use micro_core::registry::Metadata;
use micro_core::{Error, NodeStatus};
use serde::Serialize;
use std::net::SocketAddr;

/// A step, and when it was done.
#[derive(Clone, Debug, Serialize)]
pub struct TracedStep {
    /// Microseconds since the trace was made.
    pub at_us: u64,
    /// What was done.
    #[serde(flatten)]
    pub step: Step,
}

/// How far a call has come: where it is when it fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Finding out which nodes there are.
    #[default]
    Lookup,
    /// Choosing one of them.
    Select,
    /// Writing the request in the node's terms.
    Encode,
    /// Making a connection, or taking a kept one.
    Connect,
    /// Sending, and waiting for the answer.
    Exchange,
    /// Reading the answer.
    Decode,
}

/// Something that a call did.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Step {
    /// Asked the registry, or the memory of it.
    Registry {
        /// The registry's name.
        registry: String,
        /// Where it looks.
        location: String,
        /// Whether the answer was in memory already.
        from_memory: bool,
        /// Milliseconds since the registry said so.
        age_ms: Option<u64>,
        /// The registry cannot be asked at the moment, or has forgotten the name.
        stale: bool,
        /// Versions of the service, each with its number of nodes.
        versions: Vec<VersionSeen>,
    },
    /// The nodes that there are, and why each of them may be called or not.
    Candidates {
        /// What narrows them.
        filters: Vec<String>,
        /// All of them.
        nodes: Vec<NodeSeen>,
    },
    /// Chose a node.
    Pick {
        /// The strategy.
        selector: String,
        /// The node's id.
        node: String,
        /// Where it is.
        address: String,
        /// What it is called in.
        protocol: String,
        /// What the connection is secured with, as `--service_tls` names it.
        tls: String,
        /// Among so many.
        of: usize,
        /// Ids of nodes that are left alone at the moment.
        ejected: Vec<String>,
        /// Attempts on other nodes before.
        tried: usize,
        /// Calls of this process that run on it.
        in_flight: u32,
        /// Its average latency, as far as known; 0 otherwise.
        latency_us: u32,
    },
    /// Begins to connect.
    Dial {
        /// `host:port`.
        target: String,
    },
    /// Resolved the name.
    Resolved {
        /// The addresses, in the order in which they are tried.
        addresses: Vec<SocketAddr>,
    },
    /// TCP is there.
    Connected {
        /// The address that answered first.
        address: Option<SocketAddr>,
    },
    /// TLS is there.
    Tls {
        /// Its version.
        version: String,
        /// Its cipher suite.
        cipher: String,
        /// The protocol inside; empty for none.
        alpn: String,
    },
    /// There is a connection; nothing was sent on it.
    Reached {
        /// Whether it was there before.
        kept: bool,
    },
    /// Wrote the request.
    Request {
        /// What the node is called in.
        protocol: String,
        /// On the wire.
        content_type: String,
        /// Of gRPC.
        path: Option<String>,
        /// As sent.
        headers: Vec<(String, String)>,
        /// Of the message.
        bytes: usize,
    },
    /// An answer came.
    Answer {
        /// On the wire.
        content_type: String,
        /// As received.
        headers: Vec<(String, String)>,
        /// Of the message; none where only a status came.
        bytes: Option<usize>,
    },
    /// The first message of a stream came.
    Message {
        /// Its size.
        bytes: usize,
    },
    /// A stream ended.
    Ended {
        /// Who ended it: `service`, `caller`, or `failure` for neither.
        by: &'static str,
        /// How many messages came.
        messages: u64,
        /// Of all of them.
        bytes: u64,
    },
    /// An attempt failed.
    Failed {
        /// Where.
        stage: Stage,
        /// With what.
        error: Error,
        /// Whether the handler may have run: `no`, `perhaps`, `yes`.
        executed: &'static str,
    },
    /// Tries another node.
    Retry {
        /// Counts from 1.
        attempt: u32,
        /// Before it, in milliseconds.
        pause_ms: u64,
    },
}

/// A version of a service, as the registry has it.
#[derive(Clone, Debug, Serialize)]
pub struct VersionSeen {
    /// May be empty.
    pub version: String,
    /// How many.
    pub nodes: usize,
    /// Whether it lists the endpoint; none where it lists none at all.
    pub has_endpoint: Option<bool>,
    /// Whether it lists the endpoint as a stream.
    pub streams: bool,
}

/// A node, and whether it may be called.
#[derive(Clone, Debug, Serialize)]
pub struct NodeSeen {
    /// As registered.
    pub id: String,
    /// As registered.
    pub address: String,
    /// Of the service.
    pub version: String,
    /// What it would be called in.
    pub protocol: Option<String>,
    /// From what that is known.
    pub because: String,
    /// What a connection to it is secured with, as `--service_tls` names it.
    pub tls: String,
    /// Why it may not be called; none: it may.
    pub refused: Option<String>,
    /// As the registry sees it.
    pub status: NodeStatus,
    /// As registered.
    pub metadata: Metadata,
}
