//! The logic's `HttpClient` over the sdk's.

use consul_core::http::{HttpClient, HttpError, Method, Origin, Request, Response};
use micro_sdk::http::{self, Cause, Chunk};
use micro_sdk::time;
use std::time::{Duration, Instant};

/// HTTP through the host.
#[derive(Debug)]
pub(crate) struct HostHttp;

impl HttpClient for HostHttp {
    async fn send(&self, request: Request<'_>) -> Result<Response, HttpError> {
        let deadline = Instant::now() + request.within;
        let Origin { https, authority } = request.origin.clone();
        let method = match request.method {
            Method::Get => http::Method::Get,
            Method::Put => http::Method::Put,
        };
        let mut ask =
            http::Request::to(method, http::Origin { https, authority }, request.path).within(request.within);
        if let Some(token) = request.token {
            ask = ask.header("x-consul-token", token);
        }
        if !request.body.is_empty() {
            ask = ask.json(request.body);
        }
        let mut found = ask.send().await.map_err(explain)?;
        let mut response = Response { status: found.status, ..Response::default() };
        for (name, value) in found.headers.iter() {
            if let Ok(value) = std::str::from_utf8(value) {
                response.header(name, value);
            }
        }
        loop {
            let rest = deadline.saturating_duration_since(Instant::now());
            match found.body.read(rest).await.map_err(explain)? {
                Chunk::Bytes(bytes) if response.body.len() + bytes.len() > request.limit => {
                    return Err(HttpError::TooLong);
                }
                Chunk::Bytes(bytes) => response.body.extend_from_slice(&bytes),
                Chunk::End => return Ok(response),
                Chunk::Idle => {
                    let within = request.within.as_millis();
                    return Err(HttpError::Unreachable(format!("no whole answer within {within} ms")));
                }
            }
        }
    }

    async fn sleep(&self, wait: Duration) {
        time::sleep(wait).await;
    }
}

/// Without the address, which the logic adds.
fn explain(error: http::Error) -> HttpError {
    match error.cause {
        Cause::Denied => HttpError::Denied(error.cause.to_string()),
        cause => HttpError::Unreachable(cause.to_string()),
    }
}
