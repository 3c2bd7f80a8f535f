//! The API gateway: `micro api`.
//!
//! A path names a service and an endpoint ([`Namespace::resolve`]), unless an endpoint was registered for such requests
//! ([`Api::follow_routes`]); a handler makes the call ([`HandlerKind`]).

mod envelope;
mod http_request;
mod kind;
mod mapping;
pub mod message;
mod path;
mod query;
mod routes;
mod value;

pub use kind::{HandlerKind, UnknownHandler};
pub use mapping::{Namespace, Target};

use crate::access::{self, AccessLog};
use crate::health::{self, ReadyCheck};
use crate::rpc::{self, RpcAccess};
use crate::{answer, metadata};
use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::any;
use http::{Method, StatusCode, header};
use micro::Client;
use micro_core::{Error, Headers};
use path::Cleaned;
use routes::{Found, Routes};
use std::collections::HashSet;
use std::sync::Arc;

/// The id of errors that arise here.
const ID: &str = "go.micro.api";
/// What can be done with any path.
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
/// Larger request bodies are refused unless the builder says otherwise, in bytes.
pub const DEFAULT_BODY_LIMIT: usize = 100 << 20;

/// The API gateway. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Api {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    client: Client,
    namespace: Namespace,
    handler: HandlerKind,
    rpc: RpcAccess,
    body_limit: usize,
    access_log: AccessLog,
    ready: ReadyCheck,
    version: String,
    routes: ArcSwap<Routes>,
    /// Endpoints of the kind `api` that said that they read no protobuf, as `(service, endpoint)`.
    json_only: parking_lot::RwLock<HashSet<(String, String)>>,
}

/// Settings of an [`Api`].
#[derive(Debug)]
pub struct ApiBuilder {
    inner: Inner,
}

impl ApiBuilder {
    /// What stands in front of the names in paths. Default `go.micro.api`.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.inner.namespace = Namespace::new(namespace);
        self
    }

    /// Which handler serves requests. Default [`HandlerKind::Meta`].
    #[must_use]
    pub fn handler(mut self, handler: HandlerKind) -> Self {
        self.inner.handler = handler;
        self
    }

    /// Who may be called through `/rpc`. Default: nobody, and then the path is one like any other.
    #[must_use]
    pub fn rpc(mut self, access: RpcAccess) -> Self {
        self.inner.rpc = access;
        self
    }

    /// The largest request body in bytes. Default [`DEFAULT_BODY_LIMIT`].
    #[must_use]
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.inner.body_limit = bytes;
        self
    }

    /// Default [`AccessLog::Combined`].
    #[must_use]
    pub fn access_log(mut self, form: AccessLog) -> Self {
        self.inner.access_log = form;
        self
    }

    /// What `/readyz` answers. Default: ready.
    #[must_use]
    pub fn ready(mut self, check: impl Into<ReadyCheck>) -> Self {
        self.inner.ready = check.into();
        self
    }

    /// What `/` answers. Default: the version of this crate.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.inner.version = version.into();
        self
    }

    /// The gateway. Warns if `/rpc` is open to everybody.
    pub fn build(self) -> Api {
        if matches!(self.inner.rpc, RpcAccess::Open) {
            tracing::warn!(
                "/rpc is open: whoever reaches this gateway can call every service and address; \
                 name the services that may be called with --rpc_allow"
            );
        }
        Api { inner: Arc::new(self.inner) }
    }
}

impl Api {
    /// A gateway that calls through `client`.
    pub fn builder(client: Client) -> ApiBuilder {
        let inner = Inner {
            client,
            namespace: Namespace::new("go.micro.api"),
            handler: HandlerKind::Meta,
            rpc: RpcAccess::Off,
            body_limit: DEFAULT_BODY_LIMIT,
            access_log: AccessLog::default(),
            ready: ReadyCheck::default(),
            version: micro::VERSION.to_owned(),
            routes: ArcSwap::default(),
            json_only: parking_lot::RwLock::default(),
        };
        ApiBuilder { inner }
    }

    /// What is served where, in words, for the log at start.
    pub fn mounted(&self) -> Vec<String> {
        let rpc = (!matches!(self.inner.rpc, RpcAccess::Off)).then(|| "RPC handler at /rpc".to_owned());
        let main = format!("{} handler at / for {}", self.inner.handler, self.inner.namespace.join("*"));
        rpc.into_iter().chain([main]).collect()
    }

    /// Learns from the registry which endpoints ask for requests of their own, by their metadata `handler`, `path`,
    /// `method` and `host`, for as long as it is polled. Without it, paths alone decide. Only [`HandlerKind::Meta`]
    /// looks at them.
    ///
    /// Cancel safe.
    pub async fn follow_routes(&self) {
        let Inner { client, namespace, routes, .. } = &*self.inner;
        routes::follow(&**client.registry().registry(), namespace, routes).await;
    }

    /// The routes, for [`serve_http`](micro_net::http_server::serve_http), which tells them who calls.
    pub fn router(&self) -> Router {
        let version = format!("{{\"version\": {}}}", serde_json::Value::from(self.inner.version.as_str()));
        let ready = self.inner.ready.clone();
        let mut router = Router::new()
            .route("/", any(async move || answer::content(StatusCode::OK, answer::JSON, version)))
            .route("/favicon.ico", any(async || answer::empty(StatusCode::OK)))
            .route("/healthz", any(async || health::alive()))
            .route("/readyz", any(async move || ready.answer()))
            .fallback(serve);
        if let Some(rpc) = rpc::Rpc::new(self.inner.client.clone(), &self.inner.rpc, self.inner.body_limit) {
            router = router.route("/rpc", any(async move |request: Request| rpc.serve(request).await));
        }
        let log = from_fn_with_state(self.inner.access_log, access::log);
        router.layer(log).with_state(self.clone())
    }
}

/// Everything that has no route of its own.
async fn serve(State(api): State<Api>, request: Request) -> Response {
    match api.inner.serve(request).await {
        Ok(response) => response,
        Err(error) => answer::error(&error),
    }
}

impl Inner {
    async fn serve(&self, request: Request) -> Result<Response, Error> {
        if request.method() == Method::CONNECT || request.method() == Method::TRACE {
            return Ok(answer::method_not_allowed(METHODS));
        }
        let path = match path::clean(request.uri().path()) {
            Some(Cleaned::Clean(path)) => path,
            Some(Cleaned::Redirect(to)) => return redirect(&to, request.uri().query()),
            // `OPTIONS *` asks about the server as a whole.
            None if request.method() == Method::OPTIONS => return Ok(answer::allow(METHODS)),
            None => return Err(Error::bad_request(ID, "malformed path")),
        };
        let found = match self.registered(&request, &path) {
            Some(found) => found,
            None => {
                let target = self.namespace.resolve(&path)?;
                let handler = self.kind(&target).await?;
                Found { target, handler, variables: Vec::new(), body: None }
            }
        };
        match found.handler {
            HandlerKind::Api => {
                let path = path.into_owned();
                http_request::serve(self, &found.target, path, request).await
            }
            HandlerKind::Rpc | HandlerKind::Meta => value::serve(self, &found, request).await,
        }
    }

    /// The endpoint that was registered for such requests.
    fn registered(&self, request: &Request, path: &str) -> Option<Found> {
        let routes = self.routes.load();
        if self.handler != HandlerKind::Meta || routes.is_empty() {
            return None;
        }
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        let host = request.uri().authority().map(|it| it.as_str()).or(host).unwrap_or_default();
        routes.find(request.method().as_str(), host, path)
    }

    /// What the target's endpoint wants. For a service that is not known, the call will say so.
    async fn kind(&self, target: &Target) -> Result<HandlerKind, Error> {
        if self.handler != HandlerKind::Meta {
            return Ok(self.handler);
        }
        let registry = self.client.registry();
        let service = match registry.cached(&target.service) {
            Some(service) => service,
            None => match registry.get(&target.service).await {
                Ok(service) => service,
                Err(_) => return Ok(HandlerKind::Rpc),
            },
        };
        let mut endpoints = service.services.iter().flat_map(|version| &version.endpoints);
        let Some(endpoint) = endpoints.find(|endpoint| endpoint.name == target.endpoint) else {
            return Ok(HandlerKind::Rpc);
        };
        HandlerKind::of_endpoint(endpoint).map_err(|error| {
            let detail = format!("{} of {} is registered for it: {error}", target.endpoint, target.service);
            Error::new(ID, 501, detail)
        })
    }

    /// The call's head and options, from the request's fields.
    fn call(
        target: &Target,
        content_type: &'static str,
        request: &http::request::Parts,
    ) -> (micro::RpcHead, micro::CallOptions) {
        let peer = metadata::peer(&request.extensions).map(|it| it.ip());
        let fields: Headers = metadata::from_http(&request.headers, peer);
        let mut head = micro::RpcHead::new(&target.service, &target.endpoint, content_type);
        head.metadata = fields;
        (head, rpc::options(&request.headers))
    }
}

fn redirect(path: &str, query: Option<&str>) -> Result<Response, Error> {
    let location = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    answer::moved(&location).ok_or_else(|| Error::bad_request(ID, "malformed path"))
}

#[cfg(test)]
mod tests;
