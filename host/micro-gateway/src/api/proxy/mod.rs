//! The handlers `http`, `proxy` and `web`: the request itself goes to a node of the service, and its answer comes back.
//! Bodies stream both ways; `proxy` and `web` pass websockets on.

mod body;
mod fields;
mod tunnel;

pub(super) use tunnel::{Clock, Tunnels};

use super::{ID, Inner};
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use body::{BodyFault, Lender, Lent};
use http::request::Parts;
use http::{HeaderMap, StatusCode, Uri, uri::Scheme};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use micro::client::{PickedNode, Security};
use micro_core::Error;
use micro_net::{Dialer, EgressPolicy, HttpClient, HttpClientOptions, HttpError, HttpErrorKind};
use std::sync::OnceLock;
use std::time::Duration;

/// The time for connecting to a node.
const CONNECT: Duration = Duration::from_secs(1);
/// Connections to nodes of one kind of security at a time, websockets included.
const MAX_CONNECTIONS: usize = 4096;
/// Idle ones that are kept for each node, and for how long.
const IDLE: (usize, Duration) = (64, Duration::from_secs(30));
/// Nodes that are tried when none of the earlier ones can be connected to.
const ATTEMPTS: usize = 3;

/// What is wanted of a service.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passage<'a> {
    pub(super) service: &'a str,
    pub(super) websockets: bool,
}

/// Sends requests to nodes.
#[derive(Debug)]
pub(super) struct Forwarder {
    plain: HttpClient<Lent>,
    /// Made when a node needs them, with the TLS settings of the client that picked it.
    verified: OnceLock<HttpClient<Lent>>,
    unverified: OnceLock<HttpClient<Lent>>,
    /// How long a node may take for the head of its answer, after the last of the request.
    patience: Duration,
}

/// An exchange without an answer.
enum Failure {
    /// Nothing was sent.
    Unreached(HttpError),
    /// The connection broke.
    Broken(HttpError),
    Late,
}

impl Forwarder {
    pub(super) fn new(patience: Duration) -> Self {
        let (verified, unverified) = (OnceLock::new(), OnceLock::new());
        Self { plain: HttpClient::new(options()), verified, unverified, patience }
    }

    /// The connections for nodes that are called as this one is.
    fn client(&self, node: &PickedNode) -> &HttpClient<Lent> {
        let client = match node.security() {
            Security::Plain => return &self.plain,
            Security::Tls => &self.verified,
            Security::TlsUnverified => &self.unverified,
        };
        client.get_or_init(|| HttpClient::new(HttpClientOptions { tls: node.tls().cloned(), ..options() }))
    }

    async fn exchange(
        &self,
        node: &PickedNode,
        request: http::Request<Lent>,
        body: &Lender,
    ) -> Result<http::Response<Incoming>, Failure> {
        let mut answer = std::pin::pin!(self.client(node).request(request));
        loop {
            let end = body.progress() + self.patience;
            tokio::select! {
                answer = &mut answer => return answer.map_err(|error| match error.kind() {
                    HttpErrorKind::Broken => Failure::Broken(error),
                    _ => Failure::Unreached(error),
                }),
                () = tokio::time::sleep_until(end) => {
                    // A body that is still being sent moves the end.
                    if body.progress() + self.patience <= tokio::time::Instant::now() {
                        return Err(Failure::Late);
                    }
                }
            }
        }
    }
}

/// Plain TCP, unless they are given TLS.
fn options() -> HttpClientOptions {
    // Addresses come from the registry, as those of calls do.
    let dialer = Dialer::new(EgressPolicy::unrestricted()).with_timeout(CONNECT);
    let (max_idle_per_host, idle_timeout) = IDLE;
    HttpClientOptions {
        max_connections: MAX_CONNECTIONS,
        max_idle_per_host,
        idle_timeout,
        ..HttpClientOptions::new(dialer)
    }
}

/// Passes a request on to a node of the service, and the answer back.
pub(super) async fn serve(api: &Inner, to: Passage<'_>, mut request: Request) -> Result<Response, Error> {
    let client = hyper::upgrade::on(&mut request);
    let (request, body) = request.into_parts();
    let websocket = to.websockets && fields::wants_websocket(&request);
    let limit = api.body_limit as u64;
    // Known before anything was sent: do not ask for it.
    if body.size_hint().lower() > limit {
        return Err(of_body(BodyFault::TooLarge(limit)));
    }
    let body = Lender::new(body, limit, api.body_timeout);
    let headers = fields::of_request(&request, websocket);
    let answer = attempts(api, to.service, &request, &headers, &body).await?;
    respond(api, &request, websocket.then_some(client), answer)
}

/// Tries another node only when nothing reached the one before.
async fn attempts(
    api: &Inner,
    service: &str,
    request: &Parts,
    headers: &HeaderMap,
    body: &Lender,
) -> Result<http::Response<Incoming>, Error> {
    let mut tried = Vec::new();
    let mut last = None;
    for _ in 0..ATTEMPTS {
        let node = api.client.pick(service, &tried).await.map_err(|error| nobody(error, service))?;
        if tried.contains(&node.id()) {
            break;
        }
        tried.push(node.id());
        let Some(onward) = onward(&node, request, headers, body.lend()) else {
            node.refused("its address is none for HTTP");
            last = Some(gateway_error(502, service, "cannot be reached"));
            continue;
        };
        match api.forwarder.exchange(&node, onward, body).await {
            Ok(answer) => {
                node.answered();
                return Ok(answer);
            }
            Err(Failure::Unreached(error)) => {
                let late = error.kind() == HttpErrorKind::Timeout;
                let reason = node.reason(&error);
                node.refused(&reason);
                last = Some(gateway_error(if late { 504 } else { 502 }, service, "cannot be reached"));
            }
            // It may be the client's doing: then the node is not to blame.
            Err(Failure::Broken(error)) => {
                return Err(match body.fault() {
                    Some(fault) => of_body(fault),
                    None => {
                        let reason = node.reason(&error);
                        node.failed(&reason);
                        gateway_error(502, service, "broke the connection")
                    }
                });
            }
            Err(Failure::Late) => {
                node.failed("no answer in time");
                let text = format!("did not answer within {:?}", api.forwarder.patience);
                return Err(gateway_error(504, service, &text));
            }
        }
    }
    Err(last.unwrap_or_else(|| gateway_error(502, service, "cannot be reached")))
}

/// The request as the node gets it; none if the address cannot be one.
fn onward(
    node: &PickedNode,
    request: &Parts,
    headers: &HeaderMap,
    body: Lent,
) -> Option<http::Request<Lent>> {
    let scheme = if node.security() == Security::Plain { Scheme::HTTP } else { Scheme::HTTPS };
    let path = request.uri.path_and_query().map_or("/", |it| it.as_str());
    let uri = Uri::builder().scheme(scheme).authority(node.address()).path_and_query(path).build().ok()?;
    let mut onward = http::Request::new(body);
    *onward.method_mut() = request.method.clone();
    *onward.uri_mut() = uri;
    *onward.headers_mut() = headers.clone();
    Some(onward)
}

fn respond(
    api: &Inner,
    request: &Parts,
    websocket: Option<OnUpgrade>,
    mut answer: http::Response<Incoming>,
) -> Result<Response, Error> {
    let status = answer.status();
    if status == StatusCode::SWITCHING_PROTOCOLS {
        let Some(client) = websocket else {
            return Err(Error::new(ID, 502, "the service changed the protocol without being asked to"));
        };
        api.tunnels.open(client, hyper::upgrade::on(&mut answer));
    }
    let headers = fields::of_response(&request.method, status, answer.headers());
    let mut response = Response::new(Body::new(answer.into_body()));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

fn gateway_error(code: u16, service: &str, what: &str) -> Error {
    Error::new(ID, code, format!("service {service} {what}"))
}

/// The client's error as the outside should see it.
fn nobody(error: Error, service: &str) -> Error {
    if error.is_not_found() {
        return Error::not_found(ID, format!("service {service}: not found"));
    }
    tracing::warn!(service, error = error.detail, "no node");
    gateway_error(502, service, "has no node that could be asked")
}

fn of_body(fault: BodyFault) -> Error {
    let code = match fault {
        BodyFault::TooLarge(_) => 413,
        BodyFault::Silent(_) => 408,
        BodyFault::Broken => 400,
    };
    Error::new(ID, code, fault.to_string())
}
