//! What the tests stand on: the programs of `dist/`, an etcd of their own, a folder of their own.
//!
//! | variable | is |
//! |---|---|
//! | `MICRO_TEST_DIST` | the folder that `cargo xtask dist` laid out |
//! | `MICRO_TEST_ETCD_SCRIPT` | a script that installs, starts and stops etcd |
//! | `MICRO_TEST_CONSUL_SCRIPT` | the same for consul |
//! | `MICRO_TEST_NETWORK_SCRIPT` | a script that runs a test in a network of its own |
//! | `MICRO_TEST_PLUGINS` | the folder of all plugins, fixtures among them |
//! | `MICRO_TEST_PEERS` | the folder of the Go Micro programs |
//! | `MICRO_TEST_BROKER_PEERS` | the folder of the Go Micro programs of events |
//! | `MICRO_TEST_GRPC_PEERS` | the folder of the programs that speak gRPC |
//! | `MICRO_TEST_TOOLKITS` | the folder of the Go Micro programs and toolkits as they were published |

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use micro_test::process::{Program, Signal};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::Command;

/// Long enough for a busy machine that compiles a component with all of Python in it; nothing here is a measurement.
pub(crate) const SOON: Duration = Duration::from_secs(120);

/// A folder of its own for one test's processes: state, plugins, working directory.
pub(crate) struct World {
    folder: TempDir,
    dist: PathBuf,
}

impl World {
    pub(crate) fn new() -> Self {
        let dist = folder("MICRO_TEST_DIST");
        Self { folder: tempfile::tempdir().expect("a temporary folder"), dist }
    }

    /// The working directory of all programs.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The folder with the programs and plugins.
    pub(crate) fn dist(&self) -> &Path {
        &self.dist
    }

    /// Uses a copy of `dist/`, so that files in it can be moved.
    pub(crate) fn with_own_dist(mut self) -> Self {
        let copy = self.folder.path().join("dist");
        let status = std::process::Command::new("cp").arg("-r").arg(&self.dist).arg(&copy).status();
        assert!(status.expect("cp runs").success());
        self.dist = copy;
        self
    }

    /// A program of `dist/bin` with nothing of the caller's environment that could change what it does.
    pub(crate) fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.dist.join("bin").join(program));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("MICRO_") {
                command.env_remove(name);
            }
        }
        command.env("MICRO_HOME", self.path().join("home")).current_dir(self.path()).args(arguments);
        command
    }

    /// Starts a long-running program.
    pub(crate) fn start(&self, program: &str, arguments: &[&str]) -> Program {
        Program::start(self.command(program, arguments))
    }

    /// Runs a program to its end.
    pub(crate) async fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let output = tokio::time::timeout(SOON, self.command(program, arguments).output()).await;
        output
            .unwrap_or_else(|_| panic!("{program} {arguments:?} did not end within {SOON:?}"))
            .expect("it runs")
    }

    /// Runs a program that has to succeed; its standard output.
    pub(crate) async fn succeed(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.run(program, arguments).await;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            output.status.success(),
            "{program} {arguments:?}: {}\n{}",
            output.status,
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    /// Runs a program that has to end with exit code 1; its standard error.
    pub(crate) async fn fail(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.run(program, arguments).await;
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{program} {arguments:?}\n{errors}");
        errors
    }

    /// A page of a running program, from its admin socket.
    pub(crate) async fn admin(&self, program: &Program, page: &str) -> Value {
        let socket = self.path().join("home/run").join(format!("{}.sock", program.pid()));
        let stream = tokio::net::UnixStream::connect(&socket).await.expect("an admin socket");
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.expect("HTTP/1.1");
        tokio::spawn(connection);
        let request = Request::get(page).header("host", "localhost").body(Full::new(Bytes::new()));
        let response = sender.send_request(request.expect("valid")).await.expect("an answer");
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        serde_json::from_slice(&body).expect("JSON")
    }

    /// Starts `greeter-srv` on loopback and waits until it is registered.
    pub(crate) async fn greeter(&self, flags: &[&str]) -> Program {
        let arguments = [&["--server_address=127.0.0.1:0", "--drain_delay=0s"], flags].concat();
        let program = self.start("greeter-srv", &arguments);
        program.line("registered", SOON).await;
        program
    }

    /// Starts `micro api` on a free port and waits until it listens.
    pub(crate) async fn gateway(&self, flags: &[&str]) -> Gateway {
        let more = ["--api_address=127.0.0.1:0", "--server_address=127.0.0.1:0", "--drain_delay=0s"];
        let program = self.start("micro", &[&more, flags, &["api"]].concat());
        let line = program.line("API gateway listening", SOON).await;
        let word = line.split_whitespace().find_map(|word| word.strip_prefix("address="));
        let address = word.unwrap_or_else(|| panic!("no address in {line:?}")).to_owned();
        Gateway { program, address }
    }
}

/// A running `micro api`.
pub(crate) struct Gateway {
    pub(crate) program: Program,
    pub(crate) address: String,
}

impl Gateway {
    /// Sends one request on a connection of its own.
    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: &str,
    ) -> Result<(StatusCode, String), String> {
        ask(&self.address, method, path, content_type, body).await
    }

    /// A greeting through the `rpc` handler.
    pub(crate) async fn greet(&self, name: &str) -> Result<(StatusCode, String), String> {
        let body = serde_json::json!({ "name": name }).to_string();
        self.ask("POST", "/greeter/say/hello", "application/json", &body).await
    }

    /// Waits until a greeting is answered.
    pub(crate) async fn greets(&self, name: &str) {
        let expected = serde_json::json!({ "msg": format!("Hello {name}") });
        let said = micro_test::wait_until(SOON, async || {
            let (status, body) = self.greet(name).await.ok()?;
            (status == StatusCode::OK).then(|| serde_json::from_str::<Value>(&body).ok()).flatten()
        });
        assert_eq!(said.await.as_ref(), Some(&expected), "{}", self.program);
    }

    /// What `/readyz` says.
    pub(crate) async fn ready(&self) -> Result<(StatusCode, String), String> {
        self.ask("GET", "/readyz", "", "").await
    }
}

pub(crate) async fn ask(
    address: &str,
    method: &str,
    path: &str,
    content_type: &str,
    body: &str,
) -> Result<(StatusCode, String), String> {
    let text = |error: &dyn std::error::Error| micro_net::error_chain(error);
    let stream = TcpStream::connect(address).await.map_err(|error| text(&error))?;
    let connection = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = connection.map_err(|error| text(&error))?;
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header("host", address);
    if !content_type.is_empty() {
        request = request.header("content-type", content_type);
    }
    let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).expect("a valid request");
    let response = sender.send_request(request).await.map_err(|error| text(&error))?;
    let status = response.status();
    let body = response.into_body().collect().await.map_err(|error| text(&error))?.to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

/// A keep-alive connection to a gateway.
pub(crate) struct Connection {
    sender: hyper::client::conn::http1::SendRequest<Full<Bytes>>,
    host: String,
}

impl Connection {
    pub(crate) async fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.expect("it listens");
        stream.set_nodelay(true).expect("a TCP socket");
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.expect("HTTP/1.1");
        tokio::spawn(connection);
        Self { sender, host: address.to_owned() }
    }

    /// Sends one request; head and body of its answer, or what went wrong.
    pub(crate) async fn ask(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<(hyper::http::response::Parts, Bytes), String> {
        let mut request = Request::post(path).header("host", &self.host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request =
            request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).expect("a valid request");
        let text = |error: &dyn std::error::Error| micro_net::error_chain(error);
        self.sender.ready().await.map_err(|error| text(&error))?;
        let response = self.sender.send_request(request).await.map_err(|error| text(&error))?;
        let (head, body) = response.into_parts();
        Ok((head, body.collect().await.map_err(|error| text(&error))?.to_bytes()))
    }
}

/// An etcd that runs until it is dropped.
pub(crate) struct Etcd {
    script: PathBuf,
    folder: TempDir,
    pub(crate) address: String,
}

impl Etcd {
    /// Starts one.
    pub(crate) async fn start() -> Self {
        let script = folder("MICRO_TEST_ETCD_SCRIPT");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut etcd = Self { script, folder, address: String::new() };
        etcd.address = etcd.up().await;
        etcd
    }

    /// A free address at which nothing listens until [`Etcd::appear`].
    pub(crate) async fn absent() -> Self {
        let etcd = Self::start().await;
        etcd.kill().await;
        etcd
    }

    /// Starts the process again, at the same address, with the data that it had.
    pub(crate) async fn up(&self) -> String {
        let output = self.script(&["start"]).await;
        let address = output.lines().find_map(|line| line.strip_prefix("export ETCD_ADDR="));
        address.expect("the script says the address").to_owned()
    }

    pub(crate) async fn kill(&self) {
        self.signal(Signal::KILL);
        micro_test::eventually("etcd is gone", SOON, async || {
            TcpStream::connect(&self.address).await.is_err()
        })
        .await;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = std::fs::read_to_string(self.folder.path().join("pid")).expect("the script wrote it");
        let pid = pid.trim().parse().ok().and_then(rustix::process::Pid::from_raw).expect("a process id");
        rustix::process::kill_process(pid, signal).expect("it runs");
    }

    /// `--registry_address=…`
    pub(crate) fn flag(&self) -> String {
        format!("--registry_address={}", self.address)
    }

    async fn script(&self, arguments: &[&str]) -> String {
        let output = Command::new(&self.script).args(arguments).arg(self.folder.path()).output().await;
        let output = output.expect("the script runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        let stopped = std::process::Command::new(&self.script).arg("stop").arg(self.folder.path()).status();
        assert!(
            stopped.is_ok_and(|status| status.success()) || std::thread::panicking(),
            "etcd did not stop"
        );
    }
}

/// The folder of the Go Micro programs.
pub(crate) fn peers() -> PathBuf {
    folder("MICRO_TEST_PEERS")
}

/// The folder of the Go Micro programs that publish and subscribe.
pub(crate) fn broker_peers() -> PathBuf {
    folder("MICRO_TEST_BROKER_PEERS")
}

/// The programs that speak gRPC.
pub(crate) fn grpc_peers() -> PathBuf {
    folder("MICRO_TEST_GRPC_PEERS")
}

/// The Go Micro programs and toolkits as they were published.
pub(crate) fn toolkits() -> PathBuf {
    folder("MICRO_TEST_TOOLKITS")
}

/// A plugin that does not ship.
pub(crate) fn plugin(name: &str) -> PathBuf {
    folder("MICRO_TEST_PLUGINS").join(format!("{name}.wasm"))
}

pub(crate) fn folder(variable: &str) -> PathBuf {
    let value = std::env::var_os(variable);
    PathBuf::from(value.unwrap_or_else(|| panic!("{variable} is not set: run this with `cargo xtask test`")))
}
