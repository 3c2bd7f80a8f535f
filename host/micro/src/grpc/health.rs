//! `grpc.health.v1.Health`, which load balancers ask. Watching is not served, which the protocol allows.

use crate::handler::Handler;
use crate::payload::Payload;
use micro_core::Error;
use serde::{Deserialize, Serialize};

/// The question of a health check.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct HealthCheckRequest {
    /// Which service is asked for, by its full name; empty: the whole server.
    #[prost(string, tag = "1")]
    pub service: String,
}

/// The answer to a health check.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct HealthCheckResponse {
    /// 0 unknown, 1 serving, 2 not serving, 3 no such service.
    #[prost(int32, tag = "1")]
    pub status: i32,
}

impl HealthCheckResponse {
    /// The endpoint that gives it.
    pub const ENDPOINT: &str = "grpc.health.v1.Health/Check";

    const SERVING: i32 = 1;

    /// `ok` for a server that serves, as services of Go Micro say it; else the name of the status.
    pub fn text(&self) -> &'static str {
        match self.status {
            Self::SERVING => "ok",
            2 => "NOT_SERVING",
            3 => "SERVICE_UNKNOWN",
            _ => "UNKNOWN",
        }
    }
}

crate::impl_proto_payload!(HealthCheckRequest, crate::Value::default());
crate::impl_proto_payload!(HealthCheckResponse, crate::Value::default());

/// Answers for the handlers of these names, under whatever package.
pub(crate) fn handler(names: Vec<String>) -> Handler {
    let check = move |_, request: HealthCheckRequest| {
        let name = request.service.rsplit('.').next().unwrap_or_default();
        let known = request.service.is_empty() || names.iter().any(|it| it == name);
        let answer = match known {
            // A service that does not serve does not answer either.
            true => Ok(HealthCheckResponse { status: HealthCheckResponse::SERVING }),
            false => Err(Error::not_found("go.micro.server", format!("unknown service {}", request.service))),
        };
        async move { answer }
    };
    let nothing = HealthCheckRequest::shape;
    Handler::new("grpc.health.v1.Health").internal().unary("Check", nothing(), nothing(), check)
}
