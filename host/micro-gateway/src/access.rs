//! The access log: one event for each request, with the target `micro::access`.

use crate::metadata;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, HeaderName, Version, header};
use http_body::Body;
use std::fmt::Write;
use std::time::Instant;

/// What the access log writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccessLog {
    /// Nothing.
    Off,
    /// The combined format of Apache's httpd, as the event's message.
    #[default]
    Combined,
    /// The same as fields of the event, for logs that are objects.
    Fields,
}

/// Middleware that logs each request when its answer's head is known.
pub(crate) async fn log(State(form): State<AccessLog>, request: Request, next: Next) -> Response {
    if form == AccessLog::Off || !tracing::enabled!(target: "micro::access", tracing::Level::INFO) {
        return next.run(request).await;
    }
    let start = Instant::now();
    let client = metadata::client(request.extensions());
    let (method, uri, version) = (request.method().clone(), request.uri().clone(), request.version());
    let referer = text(request.headers(), &header::REFERER);
    let agent = text(request.headers(), &header::USER_AGENT);
    let response = next.run(request).await;

    let (status, bytes) = (response.status().as_u16(), response.body().size_hint().exact());
    let client = client.map_or_else(|| "-".to_owned(), |it| it.to_string());
    match form {
        AccessLog::Off => {}
        AccessLog::Combined => {
            let time = chrono::Local::now().format("%d/%b/%Y:%H:%M:%S %z");
            let request = escaped(&format!("{method} {uri} {}", protocol(version)));
            let bytes = bytes.filter(|&it| it > 0).map_or_else(|| "-".to_owned(), |it| it.to_string());
            let (referer, agent) = (escaped(&referer), escaped(&agent));
            tracing::info!(
                target: "micro::access",
                "{client} - - [{time}] \"{request}\" {status} {bytes} \"{referer}\" \"{agent}\""
            );
        }
        AccessLog::Fields => tracing::info!(
            target: "micro::access",
            {
                client.addr = client,
                method = %method,
                uri = %uri,
                protocol = protocol(version),
                status,
                bytes,
                duration_us = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX),
                referer,
                user_agent = agent,
            },
            "request"
        ),
    }
    response
}

fn text(headers: &HeaderMap, name: &HeaderName) -> String {
    headers
        .get(name)
        .map_or_else(|| "-".to_owned(), |value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// Version's own form is one for debugging.
fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_3 => "HTTP/3.0",
        _ => "HTTP/1.1",
    }
}

/// As Apache does it, so that nobody can forge a line or a field.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '"' | '\\' => safe.extend(['\\', letter]),
            _ if letter.is_control() => {
                let mut bytes = [0; 4];
                for byte in letter.encode_utf8(&mut bytes).bytes() {
                    // Writing to a String cannot fail.
                    _ = write!(safe, "\\x{byte:02x}");
                }
            }
            _ => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_cannot_be_forged() {
        assert_eq!(escaped("a\"b\\c\nd\u{85}é"), "a\\\"b\\\\c\\x0ad\\xc2\\x85é");
    }
}
