//! Real servers that run until they are dropped, started by the scripts of `tests/servers`.

use crate::world::{SOON, folder};
use micro_test::process::Signal;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::PathBuf;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::Command;

/// What can be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Etcd,
    Consul,
}

/// One that runs.
pub(crate) struct Server {
    kind: Kind,
    script: PathBuf,
    folder: TempDir,
    /// What the script is told beside its arguments.
    variables: Vec<(&'static str, String)>,
    /// `HOST:PORT` for clients.
    pub(crate) address: String,
}

impl Kind {
    /// The value of `--registry`.
    pub(crate) fn registry(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::Consul => "consul",
        }
    }

    fn script(self) -> &'static str {
        match self {
            Self::Etcd => "MICRO_TEST_ETCD_SCRIPT",
            Self::Consul => "MICRO_TEST_CONSUL_SCRIPT",
        }
    }

    fn says(self) -> &'static str {
        match self {
            Self::Etcd => "export ETCD_ADDR=",
            Self::Consul => "export CONSUL_ADDR=",
        }
    }
}

impl Server {
    pub(crate) async fn start(kind: Kind) -> Self {
        Self::start_with(kind, &[]).await
    }

    /// Starts one with settings of its script.
    pub(crate) async fn start_with(kind: Kind, variables: &[(&'static str, &str)]) -> Self {
        let variables = variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let folder_of_one = tempfile::tempdir().expect("a temporary folder");
        let script = folder(kind.script());
        let mut server = Self { kind, script, folder: folder_of_one, variables, address: String::new() };
        server.address = server.up().await;
        server
    }

    /// Starts the process again, at the same address. Consul has forgotten everything by then, etcd nothing.
    pub(crate) async fn up(&self) -> String {
        let output = self.script("start").await;
        let address = output.lines().find_map(|line| line.strip_prefix(self.kind.says()));
        address.expect("the script says the address").to_owned()
    }

    pub(crate) async fn kill(&self) {
        self.signal(Signal::KILL);
        micro_test::eventually("the server is gone", SOON, async || {
            TcpStream::connect(&self.address).await.is_err()
        })
        .await;
    }

    /// Throws away what it knows; the process must not run.
    pub(crate) fn forget(&self) {
        // A consul for tests keeps nothing on disk.
        if self.kind == Kind::Etcd {
            std::fs::remove_dir_all(self.folder.path().join("data")).expect("etcd's data");
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = std::fs::read_to_string(self.folder.path().join("pid")).expect("the script wrote it");
        let pid = pid.trim().parse().ok().and_then(rustix::process::Pid::from_raw).expect("a process id");
        rustix::process::kill_process(pid, signal).expect("it runs");
    }

    pub(crate) fn socket(&self) -> SocketAddr {
        self.address.parse().expect("an IP address and a port")
    }

    /// `--registry=…` and `--registry_address=…`
    pub(crate) fn flags(&self) -> [String; 2] {
        [format!("--registry={}", self.kind.registry()), format!("--registry_address={}", self.address)]
    }

    async fn script(&self, verb: &str) -> String {
        let variables = self.variables.iter().map(|(name, value)| (*name, value.as_str()));
        let output =
            Command::new(&self.script).envs(variables).arg(verb).arg(self.folder.path()).output().await;
        let output = output.expect("the script runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let stopped = std::process::Command::new(&self.script).arg("stop").arg(self.folder.path()).status();
        let stopped = stopped.is_ok_and(|status| status.success());
        assert!(stopped || std::thread::panicking(), "{:?} did not stop", self.kind);
    }
}

/// A request to a server's API, as an operator would send it with curl. `header` is sent unless it is empty.
pub(crate) async fn http(
    address: &str,
    method: &str,
    path: &str,
    header: &str,
    body: &Value,
) -> (u16, String) {
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--noproxy", "*", "-m", "10", "-X", method, "-w", "\n%{http_code}"]);
    if !header.is_empty() {
        curl.args(["-H", header]);
    }
    if !body.is_null() {
        curl.args(["-d", &body.to_string()]);
    }
    let output = curl.arg(format!("http://{address}{path}")).output().await.expect("curl runs");
    assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').expect("a status");
    (status.parse().expect("a number"), body.to_owned())
}
