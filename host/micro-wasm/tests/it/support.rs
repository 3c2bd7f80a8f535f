//! Hosts, plugins and logs for tests.

use micro_core::{Node, Registry, Service};
use micro_plugin::{Locator, Manifest, SearchPlaces};
use micro_wasm::{Host, HostConfig, LoadError, PluginRequest, PluginState, PluginStatus, Settings};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, OnceLock};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);
/// What a call is given in tests of deadlines.
pub(crate) const SHORT: Duration = Duration::from_millis(300);

/// A host, and a folder of plugins of its own.
pub(crate) struct Lab {
    pub(crate) host: Host,
    pub(crate) folder: TempDir,
}

/// Patient enough for a loaded machine, impatient enough for a test.
pub(crate) fn settings() -> Settings {
    Settings {
        restart_first: Duration::from_millis(5),
        restart_max: Duration::from_millis(50),
        probe_every: Duration::from_millis(200),
        health_every: Duration::from_millis(50),
        health_retry: Duration::from_millis(50),
        grace: Duration::from_millis(300),
        ..Settings::default()
    }
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut HostConfig)) -> Self {
        start_log();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let places =
            SearchPlaces { working: folder.path().to_owned(), folders: vec![folder.path().join("plugins")] };
        let mut config = HostConfig::new(places);
        config.cache_dir = Some(shared_cache());
        config.settings = settings();
        change(&mut config);
        Self { host: Host::new(config).expect("a host"), folder }
    }

    /// Puts a file into the folder.
    pub(crate) fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).expect("writable");
        path
    }

    /// The registry of faults, under a name of its own so that its lines in the log can be told from others'.
    pub(crate) async fn faulty(&self, name: &str, fault: &str) -> (Arc<dyn Registry>, String) {
        self.faulty_with(name, fault, |_| {}).await
    }

    pub(crate) async fn faulty_with(
        &self,
        name: &str,
        fault: &str,
        change: impl FnOnce(&mut Manifest),
    ) -> (Arc<dyn Registry>, String) {
        let registry = self.try_faulty(name, fault, change).await;
        (registry.expect("it loads"), name.to_owned())
    }

    pub(crate) async fn try_faulty(
        &self,
        name: &str,
        fault: &str,
        change: impl FnOnce(&mut Manifest),
    ) -> Result<Arc<dyn Registry>, LoadError> {
        let wasm = refinished("fault-registry", |manifest| {
            name.clone_into(&mut manifest.name);
            change(manifest);
        });
        let file = self.file(&format!("{name}.wasm"), &wasm);
        let mut request = request(&file).option("fault", fault);
        request.timeout = SHORT;
        self.host.load_registry(request).await
    }

    pub(crate) async fn load(&self, file: &Path) -> Result<Arc<dyn Registry>, LoadError> {
        self.host.load_registry(request(file)).await
    }

    /// Why a file was refused. The message must name the plugin, the step and a remedy.
    pub(crate) async fn refusal(&self, request: PluginRequest) -> LoadError {
        let plugin = request.locator.to_string();
        let error = self.host.load_registry(request).await.expect_err("it must be refused");
        let text = error.to_string();
        assert!(text.contains(&plugin) && text.contains(error.step.as_str()), "{text}");
        assert!(!error.reason.is_empty() && !error.remedy.is_empty(), "{error:?}");
        assert!(self.host.plugins().is_empty(), "nothing half-loaded stays");
        error
    }

    pub(crate) fn status(&self) -> PluginStatus {
        self.host.plugins().into_iter().next_back().expect("a plugin")
    }

    /// Waits until the latest plugin is as it should be.
    pub(crate) async fn until(&self, what: &str, wanted: impl Fn(&PluginStatus) -> bool) -> PluginStatus {
        eventually(what, || Some(self.status()).filter(|status| wanted(status))).await
    }

    pub(crate) async fn ready(&self) -> PluginStatus {
        self.until("it is ready", |status| status.state == PluginState::Ready).await
    }
}

pub(crate) fn request(file: &Path) -> PluginRequest {
    PluginRequest::new("registry", Locator::file(file))
}

/// Waits for something that must come.
pub(crate) async fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "still waiting that {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A finished plugin of this repository.
pub(crate) fn plugin(name: &str) -> Vec<u8> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/target/plugins");
    let folder = std::env::var_os("MICRO_TEST_PLUGINS").map_or_else(default, PathBuf::from);
    let file = folder.join(format!("{name}.wasm"));
    std::fs::read(&file)
        .unwrap_or_else(|error| panic!("{}: {error}; run `cargo xtask plugins`", file.display()))
}

/// The same with another manifest.
pub(crate) fn refinished(name: &str, change: impl FnOnce(&mut Manifest)) -> Vec<u8> {
    let wasm = plugin(name);
    let mut manifest = micro_plugin::section::read(&wasm).expect("finished");
    change(&mut manifest);
    micro_plugin::finish(&wasm, &manifest).expect("a component")
}

/// Compiling once is enough for all tests.
fn shared_cache() -> PathBuf {
    static CACHE: OnceLock<PathBuf> = OnceLock::new();
    CACHE.get_or_init(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled")).clone()
}

pub(crate) fn greeter(node: &str) -> Service {
    let node = Node { id: node.to_owned(), address: "127.0.0.1:9000".to_owned(), ..Node::default() };
    let name = "greeter".to_owned();
    Service { name, version: "1.0.0".to_owned(), nodes: vec![node], ..Service::default() }
}

pub(crate) fn node_ids(services: &[Service]) -> Vec<&str> {
    services.iter().flat_map(|service| &service.nodes).map(|node| node.id.as_str()).collect()
}

static LOG: LazyLock<Mutex<Vec<u8>>> = LazyLock::new(Mutex::default);

struct Writer;

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.lock().expect("no panic while held").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn start_log() {
    static STARTED: OnceLock<()> = OnceLock::new();
    STARTED.get_or_init(|| {
        tracing_subscriber::fmt().with_ansi(false).with_writer(|| Writer).init();
    });
}

/// The lines of the log so far that speak of `plugin`.
pub(crate) fn log_of(plugin: &str) -> Vec<String> {
    let log = LOG.lock().expect("no panic while held");
    let named = format!("plugin.name=\"{plugin}\"");
    String::from_utf8_lossy(&log).lines().filter(|line| line.contains(&named)).map(str::to_owned).collect()
}

/// Waits for a line about `plugin` that contains `text`.
pub(crate) async fn logged(plugin: &str, text: &str) -> String {
    eventually(&format!("the log says {text:?}"), || {
        log_of(plugin).into_iter().find(|line| line.contains(text))
    })
    .await
}
