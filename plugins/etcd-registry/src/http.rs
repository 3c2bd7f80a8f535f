//! The logic's `HttpClient` over the sdk's.

use etcd_core::http::{Body, Chunk, HttpClient, HttpError, Origin, Request, Response};
use micro_sdk::http::{self, Cause};
use std::time::Duration;

/// HTTP through the host.
#[derive(Debug)]
pub(crate) struct HostHttp;

#[derive(Debug)]
pub(crate) struct HostBody(http::Body);

impl HttpClient for HostHttp {
    type Body = HostBody;

    async fn post(&self, request: Request<'_>) -> Result<Response<HostBody>, HttpError> {
        let Origin { https, authority } = request.origin.clone();
        let mut post = http::Request::to(http::Method::Post, http::Origin { https, authority }, request.path)
            .json(request.json)
            .within(request.within);
        if let Some(token) = request.token {
            post = post.header("authorization", token);
        }
        let response = post.send().await.map_err(explain)?;
        Ok(Response { status: response.status, body: HostBody(response.body) })
    }
}

impl Body for HostBody {
    async fn read(&mut self, wait: Duration) -> Result<Chunk, HttpError> {
        Ok(match self.0.read(wait).await.map_err(explain)? {
            http::Chunk::Bytes(bytes) => Chunk::Bytes(bytes),
            http::Chunk::Idle => Chunk::Idle,
            http::Chunk::End => Chunk::End,
        })
    }
}

/// Without the address, which the logic adds.
fn explain(error: http::Error) -> HttpError {
    match error.cause {
        Cause::Denied => HttpError::Denied(error.cause.to_string()),
        cause => HttpError::Unreachable(cause.to_string()),
    }
}
