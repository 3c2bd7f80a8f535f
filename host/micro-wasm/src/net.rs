//! `micro:net/http`: outgoing HTTP with whole bodies, over the same client and the same policy as `wasi:http`.

use crate::http::{Egress, Refusal};
use crate::state::State;
use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{Method, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use micro_bindings::micro::net::http::{Error, Host, HostWithStore, Options, Request, Response};
use micro_bindings::micro::net::{http_types, promises};
use micro_bindings::micro::plugin::types::Outage;
use micro_net::http_client::HttpErrorKind;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use wasmtime::component::{Access, Accessor, FutureReader, HasSelf};
use wasmtime_wasi_http::{DEFAULT_FORBIDDEN_HEADERS, WasiBody};

/// The largest body of a request.
const REQUEST: usize = 1 << 20;
/// The largest body of an answer. It has to fit into what one call may copy.
const ANSWER: usize = 8 << 20;
/// Requests of one plugin, over all its instances: each holds its whole body, and then its whole answer.
pub(crate) const WHOLE: usize = 32;
/// Nobody waits longer for one answer.
const LONGEST: Duration = Duration::from_secs(600);
/// Nobody waits longer for nothing.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

impl http_types::Host for State {}

impl Host for State {}

impl HostWithStore<State> for HasSelf<State> {
    async fn send(
        store: &Accessor<State, Self>,
        request: Request,
        timeout_ms: u64,
        _: Options,
    ) -> Result<Response, Error> {
        let egress = store.with(|mut access| access.get().egress());
        send(egress, request, timeout_ms).await
    }
}

impl promises::Host for State {}

impl promises::HostWithStore<State> for HasSelf<State> {
    fn send(
        mut store: Access<'_, State, Self>,
        request: Request,
        timeout_ms: u64,
        _: Options,
    ) -> wasmtime::Result<FutureReader<Result<Response, Error>>> {
        let answer = send(store.get().egress(), request, timeout_ms);
        // A future in the store is driven only while the guest reads it; the request should be under way before.
        let answer = AbortOnDropHandle::new(tokio::spawn(answer));
        FutureReader::new(&mut store, answer)
    }

    fn wait(mut store: Access<'_, State, Self>, duration_ms: u64) -> wasmtime::Result<FutureReader<u64>> {
        let duration = Duration::from_millis(duration_ms).min(LONGEST_WAIT);
        let until = Instant::now() + duration;
        let wait = async move {
            tokio::time::sleep_until(until).await;
            Ok::<_, Infallible>(crate::convert::millis(duration))
        };
        FutureReader::new(&mut store, wait)
    }
}

/// Everything that may take memory is decided before the first wait.
fn send(
    egress: Arc<Egress>,
    request: Request,
    timeout_ms: u64,
) -> impl Future<Output = Result<Response, Error>> + Send {
    let ready = checked(request).and_then(|request| {
        let slot = egress
            .whole()
            .ok_or_else(|| unavailable(format!("{WHOLE} requests of this plugin are running")))?;
        Ok((request, slot))
    });
    let limit = Duration::from_millis(timeout_ms).min(LONGEST);
    async move {
        let (request, slot) = ready?;
        tokio::time::timeout(limit, exchange(&egress, request, slot)).await.unwrap_or(Err(Error::Timeout))
    }
}

async fn exchange(
    egress: &Egress,
    request: http::Request<WasiBody>,
    _whole: OwnedSemaphorePermit,
) -> Result<Response, Error> {
    let (response, _slot) = egress.exchange(request).await.map_err(refused)?;
    let (head, body) = response.into_parts();
    let headers =
        head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
    Ok(Response { status: head.status.as_u16(), headers: headers.collect(), body: collect(body).await? })
}

/// A request that can be sent as it is; else what is wrong with it.
fn checked(request: Request) -> Result<http::Request<WasiBody>, Error> {
    valid(request).map_err(Error::Invalid)
}

fn valid(request: Request) -> Result<http::Request<WasiBody>, String> {
    let method: Method =
        request.method.parse().map_err(|_| format!("{:?} is no method", shortened(&request.method)))?;
    let url: Uri = request.url.parse().map_err(|error| format!("{:?}: {error}", shortened(&request.url)))?;
    let known = matches!(url.scheme_str(), Some("http" | "https"));
    if !known || url.authority().is_none() || method == Method::CONNECT {
        return Err(format!(
            "{method} {:?}: a request is for http://HOST or https://HOST",
            shortened(&request.url)
        ));
    }
    if request.body.len() > REQUEST {
        return Err(format!("a body of {} bytes; at most {REQUEST} are sent", request.body.len()));
    }
    let body = Full::new(Bytes::from(request.body)).map_err(|never| match never {}).boxed_unsync();
    let mut checked =
        http::Request::builder().method(method).uri(url).body(body).map_err(|e| e.to_string())?;
    for (name, value) in request.headers {
        let field: HeaderName =
            name.parse().map_err(|_| format!("{:?} is no name of a header", shortened(&name)))?;
        if DEFAULT_FORBIDDEN_HEADERS.contains(&field) || field == header::CONTENT_LENGTH {
            return Err(format!("the header {field} is the host's to write"));
        }
        let value = HeaderValue::from_bytes(&value)
            .map_err(|_| format!("the value of {field} has characters that no header may have"))?;
        checked.headers_mut().append(field, value);
    }
    Ok(checked)
}

async fn collect(body: Incoming) -> Result<Vec<u8>, Error> {
    match Limited::new(body, ANSWER).collect().await {
        Ok(body) => Ok(body.to_bytes().into()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(Error::Other(format!("the answer has more than {ANSWER} bytes")))
        }
        Err(error) => Err(unavailable(format!("the answer broke off: {error}"))),
    }
}

fn refused(refusal: Refusal) -> Error {
    match &refusal {
        Refusal::NoHost => Error::Invalid(refusal.to_string()),
        Refusal::Denied(_) => Error::Denied(refusal.to_string()),
        Refusal::Failed(error) if error.kind() == HttpErrorKind::InvalidUri => {
            Error::Invalid(refusal.to_string())
        }
        Refusal::Busy | Refusal::Failed(_) => unavailable(refusal.to_string()),
    }
}

fn unavailable(reason: String) -> Error {
    Error::Unavailable(Outage { retry_after_ms: 0, reason })
}

/// A guest's text, short enough for an answer to it.
fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(200)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(
        method: &str,
        url: &str,
        headers: &[(&str, &[u8])],
    ) -> Result<http::Request<WasiBody>, String> {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect();
        valid(Request { method: method.to_owned(), url: url.to_owned(), headers, body: b"hi".to_vec() })
    }

    #[test]
    fn what_is_sent_is_what_was_asked_for() {
        let sent = request("PUT", "http://127.0.0.1:8500/v1/kv/a?b", &[("X-A", b"1"), ("x-a", b"\xff")]);
        let sent = sent.expect("valid");
        assert_eq!(
            (sent.method(), sent.uri().path_and_query().map(|it| it.as_str())),
            (&Method::PUT, Some("/v1/kv/a?b"))
        );
        let values: Vec<_> = sent.headers().get_all("x-a").iter().map(HeaderValue::as_bytes).collect();
        assert_eq!(values, [&b"1"[..], b"\xff"]);
    }

    #[test]
    fn requests_that_make_no_sense_say_why() {
        let error = |method, url, headers| request(method, url, headers).expect_err(url);
        assert!(error("GE T", "http://a/", &[]).contains("no method"));
        for url in ["a", "/a", "ftp://a/", "http://", "http:///a", "http://a b/", ""] {
            assert!(!error("GET", url, &[]).is_empty());
        }
        assert!(error("CONNECT", "http://a:1", &[]).contains("http://HOST"));
        assert!(error("GET", "http://a/", &[("host", b"b")]).contains("the host's to write"));
        assert!(error("GET", "http://a/", &[("content-length", b"9")]).contains("the host's to write"));
        assert!(error("GET", "http://a/", &[("a b", b"")]).contains("no name"));
        assert!(error("GET", "http://a/", &[("a", b"x\r\ny: z")]).contains("no header may have"));
    }
}
