//! The access log: one event for each request, with the target `micro::access`.

use crate::metadata;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderValue, Version, header};
use http_body::Body;
use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt::{self, Write};
use std::time::{Instant, SystemTime};

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
    let referer = request.headers().get(header::REFERER).cloned();
    let agent = request.headers().get(header::USER_AGENT).cloned();
    let response = next.run(request).await;

    let (status, bytes) = (response.status().as_u16(), response.body().size_hint().exact());
    match form {
        AccessLog::Off => {}
        AccessLog::Combined => {
            let mut line = String::with_capacity(256);
            // Writing to a String cannot fail.
            _ = match client {
                Some(client) => write!(line, "{client} - - ["),
                None => write!(line, "- - - ["),
            };
            push_time(&mut line);
            line.push_str("] \"");
            _ = write!(Escaped(&mut line), "{method} {uri} {}", protocol(version));
            _ = write!(line, "\" {status} ");
            _ = match bytes.filter(|&it| it > 0) {
                Some(bytes) => write!(line, "{bytes}"),
                None => write!(line, "-"),
            };
            for field in [&referer, &agent] {
                line.push_str(" \"");
                _ = Escaped(&mut line).write_str(&text(field));
                line.push('"');
            }
            tracing::info!(target: "micro::access", "{line}");
        }
        AccessLog::Fields => tracing::info!(
            target: "micro::access",
            {
                client.addr = client.map(|it| it.to_string()).unwrap_or_else(|| "-".to_owned()),
                method = %method,
                uri = %uri,
                protocol = protocol(version),
                status,
                bytes,
                duration_us = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX),
                referer = %text(&referer),
                user_agent = %text(&agent),
            },
            "request"
        ),
    }
    response
}

fn text(field: &Option<HeaderValue>) -> Cow<'_, str> {
    field.as_ref().map_or(Cow::Borrowed("-"), |value| String::from_utf8_lossy(value.as_bytes()))
}

/// The time in the form of Apache's httpd. It has whole seconds, so most lines can have that of the line before.
fn push_time(line: &mut String) {
    thread_local! {
        static LAST: RefCell<(u64, String)> = const { RefCell::new((u64::MAX, String::new())) };
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    LAST.with_borrow_mut(|(second, text)| {
        if *second != now {
            *second = now;
            text.clear();
            // Writing to a String cannot fail.
            _ = write!(text, "{}", chrono::Local::now().format("%d/%b/%Y:%H:%M:%S %z"));
        }
        line.push_str(text);
    });
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

/// Escapes what is written, as Apache does it, so that nobody can forge a line or a field.
struct Escaped<'a>(&'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for letter in text.chars() {
            match letter {
                '"' | '\\' => self.0.extend(['\\', letter]),
                _ if letter.is_control() => {
                    let mut bytes = [0; 4];
                    for byte in letter.encode_utf8(&mut bytes).bytes() {
                        write!(self.0, "\\x{byte:02x}")?;
                    }
                }
                _ => self.0.push(letter),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_cannot_be_forged() {
        let mut line = String::new();
        Escaped(&mut line).write_str("a\"b\\c\nd\u{85}é").expect("writing to a String cannot fail");
        assert_eq!(line, "a\\\"b\\\\c\\x0ad\\xc2\\x85é");
    }
}
