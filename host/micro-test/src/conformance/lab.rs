//! Hosts that run the plugin under test, a fresh one for each case: what one case does to a plugin is no matter of the next.

use super::hot::Hot;
use super::{Failure, Subject, Verdict};
use micro_core::Registry;
use micro_plugin::locator::Target as Place;
use micro_plugin::{Kind, Locator, SearchPlaces};
use micro_wasm::{
    FaultKind, Host, HostConfig, LastError, LoadError, PluginRequest, PluginStatus, Settings, Target,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// What a call that does not wait on purpose may take, unless the case is about that.
pub(super) const CALL: Duration = Duration::from_secs(5);
/// Where nobody listens: ports below 1024 are root's, and this one is nobody's.
pub(super) const NOBODY: &str = "127.0.0.1:1";
/// How long the end of a host may take.
const END: Duration = Duration::from_secs(3);

/// A host with nothing but the plugin under test.
#[derive(Debug)]
pub(super) struct Lab {
    pub(super) host: Host,
    pub(super) request: PluginRequest,
    /// The test itself had instances replaced, which the host notes as its own doing.
    restarted: AtomicBool,
}

impl Lab {
    /// Nothing is loaded yet.
    pub(super) fn new(subject: &Subject) -> Result<Self, Failure> {
        Self::with_cache(subject, subject.cache_dir.clone())
    }

    fn with_cache(subject: &Subject, cache_dir: Option<PathBuf>) -> Result<Self, Failure> {
        let places = SearchPlaces { working: ".".into(), folders: Vec::new() };
        let mut config = HostConfig::new(places);
        config.cache_dir = cache_dir;
        config.settings = Settings {
            restart_first: Duration::from_millis(20),
            health_every: Duration::from_millis(500),
            health_retry: Duration::from_millis(100),
            ..Settings::default()
        };
        let host = Host::new(config).map_err(|error| Failure(error.to_string()))?;
        let kind = subject.kind().unwrap_or(Kind::Registry);
        let mut request = PluginRequest::new(kind.suffix(), locator(subject));
        request.options.clone_from(&subject.options);
        request.allow.clone_from(&subject.allow);
        // What it asks for it gets: whether it should be trusted is the operator's to say, not the test's.
        if let Some(manifest) = subject.manifest() {
            request.allow.extend(manifest.grants.iter().map(|it| it.grant.clone()));
        }
        request.address.clone_from(&subject.address);
        request.timeout = CALL;
        Ok(Self { host, request, restarted: AtomicBool::new(false) })
    }

    /// The same with compiled code in a folder of its own.
    pub(super) fn in_cache(subject: &Subject, folder: &Path) -> Result<Self, Failure> {
        let lab = Self::with_cache(subject, Some(folder.to_owned()))?;
        Ok(if subject.lacks_backend() { lab.with_address(NOBODY) } else { lab })
    }

    /// Loads it as what it is.
    pub(super) async fn load_any(&self, subject: &Subject) -> Verdict {
        match subject.kind() {
            Some(Kind::Registry) => self.registry().await.map(|_| None),
            _ => Hot::load(self, subject).await.map(|_| None),
        }
    }

    /// The same with another backend.
    pub(super) fn with_address(mut self, address: impl Into<String>) -> Self {
        self.request.address = Some(address.into());
        self
    }

    /// The same with less time for calls.
    pub(super) fn with_timeout(mut self, timeout: Duration) -> Self {
        self.request.timeout = timeout;
        self
    }

    /// Loads it as a registry.
    pub(super) async fn registry(&self) -> Result<Arc<dyn Registry>, Failure> {
        self.host.load_registry(self.request.clone()).await.map_err(unloadable)
    }

    /// Replaces it by itself: the same file makes another generation.
    pub(super) async fn swap(&self, subject: &Subject) -> Result<(), Failure> {
        let kind = subject.kind().unwrap_or(Kind::Registry);
        let swapped = self.host.swap(&Target { kind, name: None }, locator(subject)).await;
        swapped.map(drop).map_err(|error| Failure(format!("it was not replaced by itself: {error}")))
    }

    /// How the plugin is.
    pub(super) fn status(&self) -> Result<PluginStatus, Failure> {
        self.host.plugins().into_iter().next().ok_or_else(|| Failure("nothing is loaded".to_owned()))
    }

    /// The memory of all instances, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.status().map_or(0, |status| status.memory_bytes)
    }

    /// Has the instances replaced, and waits until they are.
    pub(super) async fn restart(&self) -> Result<(), Failure> {
        let before = self.status()?.instance;
        self.restarted.store(true, Relaxed);
        self.host.restart();
        let replaced = crate::wait_until(CALL, async || {
            let instance = self.status().ok()?.instance;
            (instance != before && instance != 0).then_some(())
        });
        replaced.await.ok_or_else(|| Failure(format!("no fresh instance within {CALL:?}")))
    }

    /// Ends the plugin. A case that went well fails all the same if the plugin failed in it: the host hides much.
    pub(super) async fn end(self, verdict: Verdict) -> Verdict {
        let asked = |last: &LastError| last.kind == FaultKind::Host && self.restarted.load(Relaxed);
        let last = self.status().ok().and_then(|status| status.last_error).filter(|last| !asked(last));
        let fault = last.map(|last| in_words(&last));
        self.host.shutdown(END).await;
        match (verdict, fault) {
            (verdict, None) => verdict,
            (Ok(_), Some(fault)) => Err(Failure(fault)),
            (Err(Failure(seen)), Some(fault)) if seen.contains(&fault) => Err(Failure(seen)),
            (Err(Failure(seen)), Some(fault)) => Err(Failure(format!("{seen}; {fault}"))),
        }
    }
}

/// A fault of the plugin itself.
fn in_words(last: &LastError) -> String {
    let stderr =
        last.stderr.lines().rev().find(|line| !line.trim().is_empty() && !line.starts_with("note: "));
    let said = stderr.map(|line| format!(" ({})", line.trim())).unwrap_or_default();
    format!("the plugin failed in a call: {}{said}", last.reason)
}

pub(super) fn unloadable(error: LoadError) -> Failure {
    // The remedy speaks of flags that the test has under other names.
    Failure(format!("it does not load: {}: {}", error.step, error.reason))
}

fn locator(subject: &Subject) -> Locator {
    Locator { target: Place::Path(subject.file.clone()), digest: None }
}
