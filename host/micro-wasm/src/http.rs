//! Outgoing HTTP of one plugin: through the host's pooled client, to the places that were granted, and no further.

use crate::denials::Denials;
use crate::net::WHOLE;
use crate::probe::{Event, Trace};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use micro_net::DialError;
use micro_net::egress::EgressPolicy;
use micro_net::http_client::{HttpClient, HttpError, HttpErrorKind};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime_wasi_http::{Error, RequestOptions, Result, WasiBody, WasiHttpHooks};

/// The largest request body.
const REQUEST_BODY: usize = 16 << 20;
/// The largest response that announces its size. Others arrive as fast as the guest reads, for as long as it likes: a
/// watch has no size.
const RESPONSE_BODY: u64 = 64 << 20;
/// Requests of one plugin, over all its instances, from `send` to the end of the answer.
const REQUESTS: usize = 256;
/// Bytes that a guest may have written to a request's body and that are not sent yet.
const CHUNK: usize = 64 << 10;

/// What the instances of one plugin share. It outlives them, so a restart finds its connections open.
pub(crate) struct Egress {
    client: HttpClient<WasiBody>,
    policy: EgressPolicy,
    denials: Arc<Denials>,
    slots: Arc<Semaphore>,
    /// Of the slots, those for requests whose bodies are held whole.
    whole: Arc<Semaphore>,
    trace: Option<Arc<Trace>>,
}

impl Egress {
    /// `client` dials under `policy`, so that the addresses of a granted name are checked as well.
    pub(crate) fn new(
        client: HttpClient<WasiBody>,
        policy: EgressPolicy,
        denials: Arc<Denials>,
        trace: Option<Arc<Trace>>,
    ) -> Arc<Self> {
        let (slots, whole) = (Semaphore::new(REQUESTS), Semaphore::new(WHOLE));
        Arc::new(Self { client, policy, denials, slots: Arc::new(slots), whole: Arc::new(whole), trace })
    }

    async fn send(
        &self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
    ) -> Result<http::Response<WasiBody>> {
        let first_byte = options.as_ref().and_then(|options| options.first_byte_timeout);
        let answer = self.exchange(request.map(limited));
        let answer = match first_byte {
            Some(limit) => {
                tokio::time::timeout(limit, answer).await.map_err(|_| Error::ConnectionReadTimeout)?
            }
            None => answer.await,
        };
        let (response, slot) = answer.map_err(code)?;
        let length = response.headers().get(http::header::CONTENT_LENGTH);
        let length = length.and_then(|value| value.to_str().ok()?.parse().ok());
        if length.is_some_and(|length: u64| length > RESPONSE_BODY) {
            return Err(Error::HttpResponseBodySize(length));
        }
        // The slot is free again when the body is gone.
        let release = move |error| {
            let _held = &slot;
            Error::Hyper(error)
        };
        Ok(response.map(|body| body.map_err(release).boxed_unsync()))
    }

    /// Sends a request to where it may go, and waits for the head of the answer. The permit is to be kept until the body
    /// of the answer is gone.
    pub(crate) async fn exchange(
        &self,
        request: http::Request<WasiBody>,
    ) -> std::result::Result<(http::Response<Incoming>, OwnedSemaphorePermit), Refusal> {
        let Some(trace) = &self.trace else { return self.pass(request).await };
        let pending = trace.request(request.method().as_str(), &request.uri().to_string());
        let answer = self.pass(request).await;
        pending.answered(match &answer {
            Ok((response, _)) => Ok(response.status().as_u16()),
            Err(refusal) => Err(refusal.to_string()),
        });
        answer
    }

    /// [`Egress::exchange`], whether or not somebody looks on.
    async fn pass(
        &self,
        request: http::Request<WasiBody>,
    ) -> std::result::Result<(http::Response<Incoming>, OwnedSemaphorePermit), Refusal> {
        self.check(request.uri())?;
        let slot = self.slots.clone().try_acquire_owned().map_err(|_| Refusal::Busy)?;
        let answer = self.client.request(request).await;
        Ok((answer.map_err(|error| self.explain(error))?, slot))
    }

    /// Room for a request whose bodies are held whole; None: there is none.
    pub(crate) fn whole(&self) -> Option<OwnedSemaphorePermit> {
        self.whole.clone().try_acquire_owned().ok()
    }

    fn check(&self, uri: &http::Uri) -> std::result::Result<(), Refusal> {
        let host = uri.host().ok_or(Refusal::NoHost)?;
        let secure = uri.scheme() == Some(&http::uri::Scheme::HTTPS);
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        self.policy.check_host(host, port).map_err(|denied| {
            self.denied(&denied.grant());
            Refusal::Denied(denied.grant())
        })
    }

    fn denied(&self, grant: &str) {
        if let Some(trace) = &self.trace {
            trace.note(Event::Denied { grant: grant.to_owned() });
        }
        self.denials.note(grant);
    }

    /// What was denied is for the operator too, and every failure for whoever looks closely.
    fn explain(&self, error: HttpError) -> Refusal {
        tracing::debug!(plugin.name = self.denials.plugin(), reason = error.reason(), "no answer");
        match error.dial_error() {
            Some(micro_net::DialError::Denied(denied)) => {
                self.denied(&denied.grant());
                Refusal::Denied(denied.grant())
            }
            _ => Refusal::Failed(error),
        }
    }
}

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the address names no host")]
    NoHost,
    #[error("{0} is not granted")]
    Denied(String),
    #[error("{REQUESTS} requests of this plugin are running")]
    Busy,
    #[error("{}", .0.reason())]
    Failed(HttpError),
}

/// The guest of `wasi:http` gets a code that it can act on.
fn code(refusal: Refusal) -> Error {
    let error = match refusal {
        Refusal::NoHost => return Error::HttpRequestUriInvalid,
        Refusal::Denied(_) => return Error::HttpRequestDenied,
        Refusal::Busy => return Error::ConnectionLimitReached,
        Refusal::Failed(error) => error,
    };
    match error.kind() {
        HttpErrorKind::Denied => Error::HttpRequestDenied,
        HttpErrorKind::InvalidUri => Error::HttpRequestUriInvalid,
        HttpErrorKind::Dns => Error::DnsError { rcode: None, info_code: None },
        HttpErrorKind::Refused => Error::ConnectionRefused,
        HttpErrorKind::Timeout => Error::ConnectionTimeout,
        HttpErrorKind::Tls if error.dial_error().is_some_and(DialError::is_certificate) => {
            Error::TlsCertificateError
        }
        HttpErrorKind::Tls => Error::TlsProtocolError,
        HttpErrorKind::Broken => Error::ConnectionTerminated,
    }
}

fn limited(body: WasiBody) -> WasiBody {
    let too_long = |error: Box<dyn std::error::Error + Send + Sync>| match error.downcast::<Error>() {
        Ok(error) => *error,
        Err(_) => Error::HttpRequestBodySize(Some(REQUEST_BODY as u64)),
    };
    Limited::new(body, REQUEST_BODY).map_err(too_long).boxed_unsync()
}

/// The hooks of one instance.
#[derive(Clone)]
pub(crate) struct Outgoing(pub(crate) Arc<Egress>);

/// Nothing is left to drive: the pool drives its connections in tasks of its own.
type Driver = Box<dyn Future<Output = Result<()>> + Send>;

impl WasiHttpHooks for Outgoing {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _response_processed: Driver,
    ) -> Box<dyn Future<Output = Result<(http::Response<WasiBody>, Driver)>> + Send> {
        let egress = self.0.clone();
        Box::new(async move {
            let response = egress.send(request, options).await?;
            let driver: Driver = Box::new(std::future::ready(Ok(())));
            Ok((response, driver))
        })
    }

    fn p3_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK
    }
}
