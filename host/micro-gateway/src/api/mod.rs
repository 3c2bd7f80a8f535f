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
mod proxy;
mod query;
mod rest;
pub(crate) mod routes;
mod stream;
mod value;
mod websocket;

pub use kind::{HandlerKind, UnknownHandler};
pub use mapping::{Namespace, Target};
pub use rest::JsonForm;

use crate::access::{self, AccessLog};
use crate::cors::{self, Cors};
use crate::health::{self, ReadyCheck};
use crate::openapi::{self, Messages, Operation};
use crate::rpc::{self, RpcAccess};
use crate::stats::{self, Stats};
use crate::{answer, metadata};
use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::any;
use futures::StreamExt;
use http::{Method, StatusCode, header};
use micro::Client;
use micro_core::{Error, Headers};
use micro_net::Stop;
use path::Cleaned;
use proxy::{Forwarder, Passage, Tunnels};
use rest::{Codec, Definitions, Matched, RestRoute};
use routes::{Found, Routes, Traits};
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The id of errors that arise here.
const ID: &str = "go.micro.api";
/// What can be done with any path.
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
/// Services that are asked for their definitions at the same time.
const AT_A_TIME: usize = 8;
/// Larger request bodies are refused unless the builder says otherwise, in bytes.
pub const DEFAULT_BODY_LIMIT: usize = 100 << 20;
/// How long a request body may be silent unless the builder says otherwise.
pub const DEFAULT_BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a service may take for an answer to what is passed on to it, unless the builder says otherwise.
pub const DEFAULT_PROXY_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a websocket may be silent unless the builder says otherwise.
pub const DEFAULT_WEBSOCKET_TIMEOUT: Duration = Duration::from_secs(600);

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
    body_timeout: Duration,
    access_log: AccessLog,
    cors: Option<Arc<Cors>>,
    stats: Option<Arc<Stats>>,
    front: Front,
    ready: ReadyCheck,
    version: String,
    forwarder: Forwarder,
    tunnels: Tunnels,
    routes: ArcSwap<Routes>,
    definitions: Definitions,
    json: JsonForm,
    openapi: Option<String>,
    /// Endpoints of the kind `api` that said that they read no protobuf, as `(service, endpoint)`.
    json_only: parking_lot::RwLock<HashSet<(String, String)>>,
}

/// What stands in front of everything.
#[derive(Default)]
struct Front(Option<Box<dyn Fn(Router) -> Router + Send + Sync>>);

impl fmt::Debug for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Some(..)" } else { "None" })
    }
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

    /// How long a request body may be silent. Default [`DEFAULT_BODY_TIMEOUT`].
    #[must_use]
    pub fn body_timeout(mut self, timeout: Duration) -> Self {
        self.inner.body_timeout = timeout;
        self
    }

    /// How long a service may take for an answer to a request that is passed on to it, counted from the last byte of
    /// that. Default [`DEFAULT_PROXY_TIMEOUT`].
    #[must_use]
    pub fn proxy_timeout(mut self, timeout: Duration) -> Self {
        self.inner.forwarder = Forwarder::new(timeout);
        self
    }

    /// How long a websocket may be silent in both directions before it is cut. Default
    /// [`DEFAULT_WEBSOCKET_TIMEOUT`].
    #[must_use]
    pub fn websocket_timeout(mut self, timeout: Duration) -> Self {
        self.inner.tunnels = Tunnels::new(timeout);
        self
    }

    /// How answers to requests of `google.api.http` rules look. Default [`JsonForm::Protobuf`].
    #[must_use]
    pub fn json(mut self, form: JsonForm) -> Self {
        self.inner.json = form;
        self
    }

    /// Serves the OpenAPI document of the routes that services ask for at this path. Default: nowhere.
    #[must_use]
    pub fn openapi(mut self, path: Option<String>) -> Self {
        self.inner.openapi = path;
        self
    }

    /// What the methods of a service take and give, for routes of `google.api.http` rules. Without this its nodes are
    /// asked, by reflection.
    #[must_use]
    pub fn descriptors(mut self, service: impl Into<String>, descriptors: micro::grpc::Descriptors) -> Self {
        self.inner.definitions.give(service.into(), descriptors);
        self
    }

    /// Whose scripts may call in browsers. Default: those of all sites. `None` says nothing about it.
    #[must_use]
    pub fn cors(mut self, cors: Option<Cors>) -> Self {
        self.inner.cors = cors.map(Arc::new);
        self
    }

    /// Counts requests, and serves the figures at `/stats` and, for Prometheus, at `/metrics`. Default: neither.
    #[must_use]
    pub fn stats(mut self, enabled: bool) -> Self {
        self.inner.stats = enabled.then(|| Arc::new(Stats::default()));
        self
    }

    /// Puts layers in front of everything but the access log: of the statistics, CORS, and all routes. Requests have a
    /// [`ClientAddr`](micro_net::ClientAddr) there.
    #[must_use]
    pub fn front(mut self, wrap: impl Fn(Router) -> Router + Send + Sync + 'static) -> Self {
        self.inner.front = Front(Some(Box::new(wrap)));
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
            body_timeout: DEFAULT_BODY_TIMEOUT,
            access_log: AccessLog::default(),
            cors: Some(Arc::default()),
            stats: None,
            front: Front::default(),
            ready: ReadyCheck::default(),
            version: micro::VERSION.to_owned(),
            forwarder: Forwarder::new(DEFAULT_PROXY_TIMEOUT),
            tunnels: Tunnels::new(DEFAULT_WEBSOCKET_TIMEOUT),
            routes: ArcSwap::default(),
            definitions: Definitions::default(),
            json: JsonForm::default(),
            openapi: None,
            json_only: parking_lot::RwLock::default(),
        };
        ApiBuilder { inner }
    }

    /// What is served where, in words, for the log at start.
    pub fn mounted(&self) -> Vec<String> {
        let rpc = (!matches!(self.inner.rpc, RpcAccess::Off)).then(|| "RPC handler at /rpc".to_owned());
        let main = format!("{} handler at / for {}", self.inner.handler, self.inner.namespace.join("*"));
        let stats = self.inner.stats.is_some().then(|| "statistics at /stats and /metrics".to_owned());
        rpc.into_iter().chain(stats).chain([main]).collect()
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

    /// Looks after websockets: waits until `stop.soon`, gives them `grace` to end, then cuts them. To be run beside the
    /// server, which does not wait for them.
    pub async fn close_websockets(&self, stop: Stop, grace: Duration) {
        self.inner.tunnels.close(stop, grace).await;
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
        let Inner { client, rpc: access, body_limit, body_timeout, .. } = &*self.inner;
        if let Some(rpc) = rpc::Rpc::new(client.clone(), access, *body_limit, *body_timeout) {
            router = router.route("/rpc", any(async move |request: Request| rpc.serve(request).await));
        }
        if let Some(stats) = self.inner.stats.clone() {
            let metrics = stats.clone();
            router = router
                .route("/stats", any(async move |request: Request| stats.page(&request)))
                .route("/metrics", any(async move || metrics.metrics()));
        }
        // From here on the innermost first.
        let mut router = router.with_state(self.clone());
        if let Some(cors) = self.inner.cors.clone() {
            router = router.layer(from_fn_with_state(cors, cors::answer));
        }
        if let Some(stats) = self.inner.stats.clone() {
            router = router.layer(from_fn_with_state(stats, stats::count));
        }
        if let Some(front) = &self.inner.front.0 {
            router = front(router);
        }
        router.layer(from_fn_with_state(self.inner.access_log, access::log))
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
        if self.openapi.as_deref() == Some(request.uri().path()) {
            return Ok(self.document(request.method()).await);
        }
        let path = match path::clean(request.uri().path()) {
            Some(Cleaned::Clean(path)) => path,
            Some(Cleaned::Redirect(to)) => return redirect(&to, request.uri().query()),
            // `OPTIONS *` asks about the server as a whole.
            None if request.method() == Method::OPTIONS => return Ok(answer::allow(METHODS)),
            None => return Err(Error::bad_request(ID, "malformed path")),
        };
        let ruled = self.ruled(&request);
        if let Matched::Route(route, variables) = ruled {
            return rest::serve(self, (route, variables), request).await;
        }
        let found = match self.registered(&request, &path) {
            Some(found) => found,
            // Somebody has this path, if not for this method: it is no name of a service.
            None if let Matched::Methods(methods) = ruled => {
                return Ok(rest::other_method(request.method(), methods));
            }
            None if self.handler.is_proxy() => {
                let service = self.namespace.resolve_service(&path)?;
                return proxy::serve(self, passage(&service, self.handler), request).await;
            }
            None => {
                let target = self.namespace.resolve(&path)?;
                let (handler, traits) = self.kind(&target).await?;
                Found { target, handler, variables: Vec::new(), body: None, traits }
            }
        };
        match found.handler {
            HandlerKind::Api => {
                let path = path.into_owned();
                http_request::serve(self, &found.target, path, request).await
            }
            HandlerKind::Rpc | HandlerKind::Meta => value::serve(self, &found, request).await,
            handler => proxy::serve(self, passage(&found.target.service, handler), request).await,
        }
    }

    /// What the rules of services say of such requests.
    fn ruled(&self, request: &Request) -> Matched {
        let routes = self.routes.load();
        if self.handler != HandlerKind::Meta || routes.is_empty() {
            return Matched::Nothing;
        }
        let upgrade = websocket::is_wanted(request.headers());
        routes.find_ruled(request.method().as_str(), request.uri().path(), upgrade)
    }

    /// The document of all routes that services ask for.
    async fn document(&self, method: &Method) -> Response {
        const ASKED: &str = "GET, HEAD, OPTIONS";
        match *method {
            Method::GET | Method::HEAD => {}
            Method::OPTIONS => return answer::allow(ASKED),
            _ => return answer::method_not_allowed(ASKED),
        }
        let routes: Vec<openapi::Route> = self.routes.load().documented().collect();
        let described = routes.into_iter().map(|route| async move {
            let method = match route.messages {
                Messages::Converted => {
                    self.definitions.method(&self.client, &route.service, &route.endpoint).await
                }
                Messages::Plain | Messages::None => None,
            };
            (route, method)
        });
        let described: Vec<_> = futures::stream::iter(described).buffered(AT_A_TIME).collect().await;
        let operations = described.into_iter().map(|(route, method)| Operation { route, method });
        // A document has a title, and a gateway without a registry has no namespace.
        let title = Some(self.namespace.as_str()).filter(|name| !name.is_empty()).unwrap_or("API");
        let document = openapi::document(title, &self.version, self.json, operations);
        answer::content(StatusCode::OK, answer::JSON, document.to_string())
    }

    /// How the messages of a route are converted.
    async fn codec(&self, route: &RestRoute) -> Codec {
        let Target { service, endpoint } = &route.target;
        Codec::new(self.definitions.method(&self.client, service, endpoint).await, self.json)
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
    async fn kind(&self, target: &Target) -> Result<(HandlerKind, Traits), Error> {
        if !matches!(self.handler, HandlerKind::Meta | HandlerKind::Rpc) {
            return Ok((self.handler, Traits::default()));
        }
        let registry = self.client.registry();
        let service = match registry.cached(&target.service) {
            Some(service) => service,
            None => match registry.get(&target.service).await {
                Ok(service) => service,
                Err(_) => return Ok((HandlerKind::Rpc, Traits::default())),
            },
        };
        let mut endpoints = service.services.iter().flat_map(|version| &version.endpoints);
        let Some(endpoint) = endpoints.find(|endpoint| endpoint.name == target.endpoint) else {
            return Ok((HandlerKind::Rpc, Traits::default()));
        };
        let traits = Traits::of(endpoint);
        if self.handler == HandlerKind::Rpc {
            return Ok((HandlerKind::Rpc, traits));
        }
        let kind = HandlerKind::of_endpoint(endpoint).map_err(|error| {
            let detail = format!("{} of {} is registered for it: {error}", target.endpoint, target.service);
            Error::new(ID, 501, detail)
        })?;
        Ok((kind, traits))
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

fn passage(service: &str, handler: HandlerKind) -> Passage<'_> {
    Passage { service, websockets: handler != HandlerKind::Http }
}

fn redirect(path: &str, query: Option<&str>) -> Result<Response, Error> {
    let location = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    answer::moved(&location).ok_or_else(|| Error::bad_request(ID, "malformed path"))
}

#[cfg(test)]
mod tests;
