//! What goes back over HTTP. The one place where an error becomes a status.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use http_body::Body as _;
use http_body_util::{BodyExt, Limited};
use micro_core::{Error, error::reason};
use std::time::Duration;
use tokio::time::Instant;

/// The content type of JSON bodies.
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A client that sends less than this of a body, in bytes per second, wants to keep us busy.
const SLOWEST: f64 = 1024.0;

/// An answer with a body.
pub(crate) fn content(status: StatusCode, content_type: HeaderValue, body: impl Into<Body>) -> Response {
    with_header(status, header::CONTENT_TYPE, content_type, body.into())
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// A permanent redirect; none if `location` cannot stand in a header field.
pub(crate) fn moved(location: &str) -> Option<Response> {
    let location = HeaderValue::from_str(location).ok()?;
    Some(with_header(StatusCode::MOVED_PERMANENTLY, header::LOCATION, location, Body::empty()))
}

/// The answer to `OPTIONS`: what can be done here.
pub(crate) fn allow(methods: &'static str) -> Response {
    with_header(StatusCode::NO_CONTENT, header::ALLOW, HeaderValue::from_static(methods), Body::empty())
}

/// What can be done at this one path, as an answer of its own or to a request with another method.
pub(crate) fn allow_these(status: StatusCode, methods: &str) -> Response {
    let mut response = match status {
        StatusCode::METHOD_NOT_ALLOWED => method_not_allowed(""),
        status => empty(status),
    };
    if let Ok(methods) = HeaderValue::from_str(methods) {
        response.headers_mut().insert(header::ALLOW, methods);
    }
    response
}

/// Go Micro's text for a method that is not allowed.
pub(crate) fn method_not_allowed(methods: &'static str) -> Response {
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    let mut response = content(StatusCode::METHOD_NOT_ALLOWED, text, "Method not allowed\n");
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(methods));
    response
}

fn with_header(status: StatusCode, name: HeaderName, value: HeaderValue, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(name, value);
    response
}

/// The error object, with its code as the status. A code that is no HTTP error is answered with 500.
pub(crate) fn error(error: &Error) -> Response {
    let status = match error.code {
        400..=599 => StatusCode::from_u16(error.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    content(status, JSON, error.to_string())
}

/// An error of a call as the outside should see it: plain texts get an id and a code, a missing reason phrase is filled
/// in, and what is said about missing services and nodes does not name the registry's address.
pub(crate) fn of_call(error: Error, id: &str, service: &str, endpoint: &str) -> Error {
    if error.code == 0 {
        return Error::internal(id, format!("error during request: {}", error.detail));
    }
    outside(error, service, endpoint)
}

/// [`of_call`], but plain texts stay plain: an object with nothing but a detail.
pub(crate) fn outside(mut error: Error, service: &str, endpoint: &str) -> Error {
    if error.id == "go.micro.client" {
        if error.is_not_found() {
            tracing::debug!(service, endpoint, error = error.detail, "unknown service");
            error.detail = format!("service {service}: not found (looking for {endpoint})");
        } else if error.detail.starts_with("error selecting") {
            tracing::warn!(service, endpoint, error = error.detail, "no node");
            error.detail = format!("error selecting {service} node: none available");
        }
    }
    if error.status.is_empty() && error.code != 0 {
        error.status = reason(error.code).to_owned();
    }
    error
}

/// The whole body of a request. It may be silent for `pause`, and takes no longer than `pause` and the time that the
/// slowest line would take for it.
///
/// # Errors
/// Code 413 when it is larger than `limit` bytes, 408 when it arrives too slowly, 400 when the connection breaks.
pub(crate) async fn read_body(body: Body, limit: usize, pause: Duration, id: &str) -> Result<Bytes, Error> {
    let too_large = || Error::new(id, 413, format!("the request body is larger than {limit} bytes"));
    // Known before anything was sent: do not ask for it.
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    let start = Instant::now();
    let mut body = Limited::new(body, limit);
    let mut whole = Chunks::default();
    let mut received = 0;
    loop {
        let allowed = start + pause + Duration::from_secs_f64(received as f64 / SLOWEST);
        let end = allowed.min(Instant::now() + pause);
        let frame = tokio::time::timeout_at(end, body.frame()).await;
        let frame = frame.map_err(|_| {
            Error::timeout(
                id,
                format!("the request body stopped arriving, or came too slowly (the limit is {pause:?})"),
            )
        })?;
        match frame {
            None => return Ok(whole.into_bytes()),
            Some(Ok(frame)) => {
                let data = frame.into_data().unwrap_or_default();
                received += data.len();
                whole.push(data);
            }
            Some(Err(error)) if error.is::<http_body_util::LengthLimitError>() => return Err(too_large()),
            Some(Err(error)) => {
                return Err(Error::bad_request(id, format!("the request body did not arrive: {error}")));
            }
        }
    }
}

/// A body in the making. Most are one chunk, which is then not copied.
#[derive(Default)]
struct Chunks {
    first: Bytes,
    more: Vec<u8>,
}

impl Chunks {
    fn push(&mut self, chunk: Bytes) {
        if self.first.is_empty() {
            self.first = chunk;
            return;
        }
        if self.more.is_empty() {
            self.more.extend_from_slice(&self.first);
        }
        self.more.extend_from_slice(&chunk);
    }

    fn into_bytes(self) -> Bytes {
        if self.more.is_empty() { self.first } else { self.more.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(30);

    #[test]
    fn codes_become_statuses() {
        for (code, status) in
            [(400, 400), (404, 404), (408, 408), (599, 599), (0, 500), (200, 500), (99, 500), (700, 500)]
        {
            assert_eq!(error(&Error::new("x", code, "y")).status(), status, "{code}");
        }
    }

    #[test]
    fn plain_texts_get_a_frame_and_registries_stay_unnamed() {
        let plain = of_call(Error::parse("boom"), "go.micro.api", "a", "A.B");
        assert_eq!(plain, Error::internal("go.micro.api", "error during request: boom"));
        let unknown =
            Error::not_found("go.micro.client", "service a: not found in registry etcd 10.0.0.1:2379");
        let unknown = of_call(unknown, "go.micro.api", "a", "A.B");
        assert_eq!(unknown, Error::not_found("go.micro.client", "service a: not found (looking for A.B)"));
        let bare = of_call(Error { code: 409, ..Error::default() }, "go.micro.api", "a", "A.B");
        assert_eq!(bare.status, "Conflict");
    }

    #[tokio::test]
    async fn bodies_end_at_the_limit() {
        let read = |text: &'static str| read_body(Body::from(text), 3, PAUSE, "x");
        assert_eq!(read("abc").await.as_deref(), Ok(&b"abc"[..]));
        assert_eq!(read("abcd").await.expect_err("too large").code, 413);
        let chunks = || {
            let chunks =
                ["ab", "", "c", "d"].map(|it| Ok::<_, std::io::Error>(Bytes::from_static(it.as_bytes())));
            Body::from_stream(futures::stream::iter(chunks))
        };
        assert_eq!(read_body(chunks(), 3, PAUSE, "x").await.expect_err("too large").code, 413);
        assert_eq!(read_body(chunks(), 4, PAUSE, "x").await.as_deref(), Ok(&b"abcd"[..]));
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_that_stop_arriving_are_given_up() {
        let silent = futures::stream::pending::<Result<Bytes, std::io::Error>>();
        assert_eq!(read_body(Body::from_stream(silent), 3, PAUSE, "x").await.expect_err("silent").code, 408);
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_that_drip_are_given_up() {
        let drip = futures::stream::unfold((), |()| async {
            tokio::time::sleep(PAUSE / 2).await;
            Some((Ok::<_, std::io::Error>(Bytes::from_static(b"x")), ()))
        });
        let start = Instant::now();
        let error = read_body(Body::from_stream(drip), 1 << 20, PAUSE, "x").await.expect_err("too slow");
        assert_eq!((error.code, start.elapsed().as_secs()), (408, PAUSE.as_secs()));
    }
}
