//! The `Debug` handler that every service answers (`go-micro-wire` §6.6), in the numbering of v2.

use crate::handler::Handler;
use crate::payload::Payload;
use crate::server::Stats;
use micro_core::{Error, Value};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// No fields.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
pub struct HealthRequest {}

/// The answer to `Debug.Health`.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct HealthResponse {
    /// `ok`.
    #[prost(string, tag = "1")]
    pub status: String,
}

/// No fields.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
pub struct StatsRequest {}

/// The answer to `Debug.Stats`.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct StatsResponse {
    /// Unix time of this answer in seconds.
    #[prost(uint64, tag = "1")]
    pub timestamp: u64,
    /// Unix time of the start in seconds.
    #[prost(uint64, tag = "2")]
    pub started: u64,
    /// Seconds since the start.
    #[prost(uint64, tag = "3")]
    pub uptime: u64,
    /// Resident memory in bytes.
    #[prost(uint64, tag = "4")]
    pub memory: u64,
    /// Threads of the process.
    #[prost(uint64, tag = "5")]
    pub threads: u64,
    /// Always 0: there is no garbage collector. Go reports the total pause in nanoseconds.
    #[prost(uint64, tag = "6")]
    pub gc: u64,
    /// Requests answered so far.
    #[prost(uint64, tag = "7")]
    pub requests: u64,
    /// Those of them that were answered with an error.
    #[prost(uint64, tag = "8")]
    pub errors: u64,
}

crate::impl_proto_payload!(HealthRequest, named("HealthRequest"));
crate::impl_proto_payload!(HealthResponse, named("HealthResponse"));
crate::impl_proto_payload!(StatsRequest, named("StatsRequest"));
crate::impl_proto_payload!(StatsResponse, named("StatsResponse"));

/// Internal endpoints show no fields.
fn named(name: &str) -> Value {
    Value { name: name.to_owned(), kind: name.to_owned(), values: Vec::new() }
}

pub(crate) fn handler(stats: Arc<Stats>) -> Handler {
    let health = |_, _: HealthRequest| async { Ok::<_, Error>(HealthResponse { status: "ok".to_owned() }) };
    let figures = move |_, _: StatsRequest| {
        let answer = stats.snapshot();
        async move { Ok::<_, Error>(answer) }
    };
    Handler::new("Debug")
        .internal()
        .unary("Health", HealthRequest::shape(), HealthResponse::shape(), health)
        .unary("Stats", StatsRequest::shape(), StatsResponse::shape(), figures)
}
