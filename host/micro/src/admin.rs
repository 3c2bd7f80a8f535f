//! The admin socket of each process: health, readiness, plugins, nodes.
//!
//! A Unix socket `<pid>.sock` in a folder of mode 0700 that all processes of one user share, so that
//! `micro plugin ps` finds them. With `--admin_address` the same pages are served on a loopback port, where requests
//! need a `Host` of this machine and the header `Micro-Admin`, which a web page cannot send unasked.

use crate::backends::Backends;
use crate::client::Client;
use crate::ready::Readiness;
use axum::Router;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::StatusCode;
use axum::http::header::HOST;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http_body_util::Full;
use micro_net::Stop;
use micro_net::http_server::{HttpLimits, serve_http, serve_unix};
use micro_net::listen::{ListenError, Listener};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// Why the admin pages cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// An address that others can reach.
    #[error("--admin_address={0} is not a loopback address: the admin pages have no authentication")]
    NotLoopback(SocketAddr),
    /// The port.
    #[error("--admin_address")]
    Listen(#[from] ListenError),
}

/// Who a process is, as `/info` answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProcessInfo {
    /// Of the system.
    pub pid: u32,
    /// The service's name.
    pub service: String,
    /// Where it serves RPC.
    pub address: String,
    /// Of the program.
    pub version: String,
    /// The registry's name.
    pub registry: String,
}

pub(crate) struct Admin {
    pub(crate) service: String,
    pub(crate) address: SocketAddr,
    pub(crate) ready: Readiness,
    pub(crate) backends: Backends,
    pub(crate) client: Client,
}

#[derive(Debug)]
pub(crate) struct RunningAdmin {
    stop: Stop,
    tasks: Vec<JoinHandle<()>>,
    socket: Option<PathBuf>,
}

impl Admin {
    /// Serves the socket, and the address if there is one. A socket that cannot be made is a warning: a service in a
    /// read-only container still serves.
    pub(crate) async fn start(
        self,
        address: Option<&str>,
        home: Option<PathBuf>,
    ) -> Result<RunningAdmin, AdminError> {
        let stop = Stop::new();
        let mut tasks = Vec::new();
        let pages = pages(Arc::new(self));
        if let Some(address) = address {
            let listener = Listener::bind(address).await?;
            let bound = listener.local_addr();
            if !bound.ip().is_loopback() {
                return Err(AdminError::NotLoopback(bound));
            }
            tracing::info!(address = %bound, "admin pages");
            let guarded = pages.clone().layer(from_fn(same_machine));
            tasks.push(tokio::spawn(serve_http(
                listener,
                guarded,
                HttpLimits::default(),
                stop.clone(),
                GRACE,
            )));
        }
        let folder = folder(home);
        let socket = folder.join(format!("{}.sock", std::process::id()));
        let socket = match private_folder(&folder).and_then(|()| bind(&socket)) {
            Ok(listener) => {
                tasks.push(tokio::spawn(serve_unix(
                    listener,
                    pages,
                    HttpLimits::default(),
                    stop.clone(),
                    GRACE,
                )));
                Some(socket)
            }
            Err(error) => {
                tracing::warn!(socket = %socket.display(), %error, "no admin socket: `micro plugin ps` will not see this process");
                None
            }
        };
        Ok(RunningAdmin { stop, tasks, socket })
    }
}

const GRACE: Duration = Duration::from_secs(1);

impl RunningAdmin {
    pub(crate) async fn stop(self) {
        self.stop.soon.cancel();
        for task in self.tasks {
            _ = task.await; // It has no result, and a panic in it was logged.
        }
        if let Some(socket) = self.socket {
            _ = std::fs::remove_file(socket); // Whoever looks at a stale socket removes it.
        }
    }
}

fn pages(admin: Arc<Admin>) -> Router {
    Router::new()
        .route("/healthz", get(async || axum::Json(json!({ "status": "ok" }))))
        .route("/readyz", get(readyz))
        .route("/info", get(async |State(admin): State<Arc<Admin>>| axum::Json(admin.info())))
        .route("/nodes", get(async |State(admin): State<Arc<Admin>>| axum::Json(admin.client.nodes())))
        .route("/plugins", get(async |State(admin): State<Arc<Admin>>| axum::Json(admin.plugins().await)))
        .route("/plugins/swap", post(swap).layer(DefaultBodyLimit::max(MOST_QUESTION)))
        .with_state(admin)
}

/// Nothing that is asked of a process is longer.
const MOST_QUESTION: usize = 64 << 10;

/// Asks a process to replace a plugin: `POST /plugins/swap`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwapRequest {
    /// Which plugin: its kind, and its name where there are several (`registry:etcd`).
    pub kind: String,
    /// By which one: as behind `--registry`. Relative paths are those of the process that is asked.
    pub locator: String,
    /// Whether the next start of the service is to use it too.
    #[serde(default)]
    pub persist: bool,
}

async fn swap(State(admin): State<Arc<Admin>>, body: Result<Bytes, BytesRejection>) -> Response {
    let refuse =
        |status: StatusCode, error: String| (status, axum::Json(json!({ "error": error }))).into_response();
    let body = match body {
        Ok(body) => body,
        Err(rejected) => return refuse(rejected.status(), rejected.body_text()),
    };
    match serde_json::from_slice::<SwapRequest>(&body) {
        Ok(request) => match admin.swap(request).await {
            Ok(answer) => axum::Json(answer).into_response(),
            Err((status, error)) => refuse(status, error),
        },
        Err(error) => {
            let form = r#"{"kind": "registry", "locator": "etcd.wasm", "persist": false}"#;
            refuse(StatusCode::BAD_REQUEST, format!("cannot read the request: {error}; send {form}"))
        }
    }
}

impl Admin {
    fn info(&self) -> ProcessInfo {
        ProcessInfo {
            pid: std::process::id(),
            service: self.service.clone(),
            address: self.address.to_string(),
            version: crate::VERSION.to_owned(),
            registry: self.backends.registry.name().to_owned(),
        }
    }

    #[cfg(feature = "plugins")]
    async fn plugins(&self) -> Vec<serde_json::Value> {
        self.backends.plugin_host().pages().await
    }

    #[cfg(not(feature = "plugins"))]
    async fn plugins(&self) -> [(); 0] {
        []
    }

    #[cfg(feature = "plugins")]
    async fn swap(&self, request: SwapRequest) -> Result<serde_json::Value, (StatusCode, String)> {
        use micro_wasm::SwapError;
        let target = request.kind.parse::<micro_wasm::Target>();
        let target = target.map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
        let locator = request.locator.parse::<micro_plugin::Locator>();
        let locator = locator.map_err(|error| (StatusCode::BAD_REQUEST, micro_net::error_chain(&error)))?;
        let swapped = self.backends.plugin_host().swap(&target, locator, request.persist).await;
        let (swapped, written) = swapped.map_err(|error| {
            let status = match error {
                SwapError::NotLoaded { .. } => StatusCode::NOT_FOUND,
                SwapError::GivenUp { .. } => StatusCode::INTERNAL_SERVER_ERROR,
                _ => StatusCode::CONFLICT,
            };
            (status, error.to_string())
        })?;
        let mut answer = serde_json::to_value(&swapped).unwrap_or_default();
        match written {
            Some(Ok(file)) => answer["persisted"] = json!(file),
            // The swap itself took place, which is what the answer is about.
            Some(Err(problem)) => answer["not_persisted"] = json!(problem),
            None => {}
        }
        Ok(answer)
    }

    #[cfg(not(feature = "plugins"))]
    async fn swap(&self, request: SwapRequest) -> Result<serde_json::Value, (StatusCode, String)> {
        let problem = format!(
            "no {} plugin is in service: this program was built without plugin support",
            request.kind
        );
        Err((StatusCode::NOT_FOUND, problem))
    }
}

async fn readyz(State(admin): State<Arc<Admin>>) -> Response {
    readiness_page(&admin.ready)
}

/// The answer of `/readyz`: 200, or 503 with the reasons.
pub fn readiness_page(ready: &Readiness) -> Response {
    match ready.check() {
        Ok(()) => axum::Json(json!({ "status": "ready" })).into_response(),
        Err(reasons) => {
            let body = axum::Json(json!({ "status": "not ready", "reasons": reasons }));
            (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
        }
    }
}

/// Keeps web pages out, which can make a browser send requests to loopback addresses.
async fn same_machine(request: Request, next: Next) -> Response {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _port)| name);
    let local = matches!(name, "localhost" | "127.0.0.1" | "[::1]");
    let probe = matches!(request.uri().path(), "/healthz" | "/readyz");
    if local && (probe || request.headers().contains_key("micro-admin")) {
        return next.run(request).await;
    }
    let problem = "this page needs a Host of this machine and the header `Micro-Admin: 1`\n";
    (StatusCode::FORBIDDEN, problem).into_response()
}

/// Where the processes of this user keep their admin sockets: `$MICRO_HOME/run`, else `micro` in `$XDG_RUNTIME_DIR`,
/// else `micro-<uid>` in the temporary folder.
pub fn folder(home: Option<PathBuf>) -> PathBuf {
    let home = home.or_else(|| std::env::var_os("MICRO_HOME").filter(|it| !it.is_empty()).map(PathBuf::from));
    let runtime = || std::env::var_os("XDG_RUNTIME_DIR").filter(|it| !it.is_empty()).map(PathBuf::from);
    match home {
        Some(home) => home.join("run"),
        None => match runtime() {
            Some(runtime) => runtime.join("micro"),
            None => std::env::temp_dir().join(format!("micro-{}", rustix::process::getuid().as_raw())),
        },
    }
}

/// Makes the folder with mode 0700, and refuses one that somebody else made or can enter.
fn private_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};
    if let Some(parent) = folder.parent() {
        std::fs::create_dir_all(parent)?;
    }
    match std::fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = std::fs::symlink_metadata(folder)?;
    let own =
        found.is_dir() && found.uid() == rustix::process::getuid().as_raw() && found.mode() & 0o077 == 0;
    own.then_some(()).ok_or_else(|| {
        io::Error::other(format!("{} is not a folder of ours with mode 0700", folder.display()))
    })
}

fn bind(socket: &Path) -> io::Result<tokio::net::UnixListener> {
    // A process of the same number that is gone may have left its socket.
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    tokio::net::UnixListener::bind(socket)
}

/// The admin sockets of living processes in `folder`; those that nobody listens on are removed.
pub async fn processes(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let sockets = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut living = Vec::new();
    for socket in sockets.filter(|path| path.extension().is_some_and(|it| it == "sock")) {
        match tokio::net::UnixStream::connect(&socket).await {
            Ok(_) => living.push(socket),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                _ = std::fs::remove_file(&socket)
            }
            Err(_) => {}
        }
    }
    living.sort();
    living
}

/// Asks a process for one of its pages, as JSON.
///
/// # Errors
/// The process is gone, or answers something else.
pub async fn ask(socket: &Path, page: &str) -> io::Result<serde_json::Value> {
    let request = hyper::Request::get(page).header(HOST, "localhost").body(Full::default());
    exchange(socket, request.map_err(io::Error::other)?, ANSWER).await.map(|(_status, answer)| answer)
}

/// Asks a process to replace a plugin, and waits for the end of it. The answer of a process that did it is in the form
/// of `micro_wasm::Swapped`, perhaps with `persisted` (a file) or `not_persisted` (a reason).
///
/// # Errors
/// The process is gone, or does not answer.
pub async fn ask_to_swap(
    socket: &Path,
    request: &SwapRequest,
) -> io::Result<Result<serde_json::Value, String>> {
    let body = serde_json::to_vec(request)?;
    let request = hyper::Request::post("/plugins/swap").header(HOST, "localhost").body(Full::from(body));
    let (status, answer) = exchange(socket, request.map_err(io::Error::other)?, SWAP).await?;
    if status.is_success() {
        return Ok(Ok(answer));
    }
    let said = answer.get("error").and_then(serde_json::Value::as_str);
    Ok(Err(said.map_or_else(|| format!("it answered with status {status}"), str::to_owned)))
}

/// The time for an answer that costs nothing.
const ANSWER: Duration = Duration::from_secs(2);
/// The time for a swap: compiling a large plugin on a small machine takes most of it.
const SWAP: Duration = Duration::from_secs(120);

async fn exchange(
    socket: &Path,
    request: hyper::Request<Full<Bytes>>,
    limit: Duration,
) -> io::Result<(StatusCode, serde_json::Value)> {
    let question = async {
        let stream = tokio::net::UnixStream::connect(socket).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(stream))
                .await
                .map_err(io::Error::other)?;
        let answer = async move {
            let response = sender.send_request(request).await.map_err(io::Error::other)?;
            let status = response.status();
            let body = http_body_util::Limited::new(response.into_body(), MOST_ANSWER);
            let body = http_body_util::BodyExt::collect(body).await.map_err(io::Error::other)?;
            let body = serde_json::from_slice(&body.to_bytes()).map_err(io::Error::other)?;
            Ok((status, body))
        };
        // The connection makes progress beside the exchange and ends after it.
        let (answer, _closed) = tokio::join!(answer, connection);
        answer
    };
    match tokio::time::timeout(limit, question).await {
        Ok(answer) => answer,
        Err(_elapsed) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {limit:?}"))),
    }
}

/// Nothing that a process says about itself is longer.
const MOST_ANSWER: usize = 16 << 20;
