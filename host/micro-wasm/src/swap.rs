//! Replacing a plugin in service, for all kinds: who is meant, one swap at a time, and what came of it.
//!
//! What a swap does is the kind's own ([`Swappable::swap`]); everything here is the same for all of them. A swap that
//! fails at any step leaves the plugin as it was.

use crate::convert::millis;
use crate::error::LoadError;
use crate::health::Health;
use crate::request::PluginRequest;
use crate::status::{LastSwap, PluginStatus};
use async_trait::async_trait;
use micro_core::{Code, Coded};
use micro_plugin::{Kind, Locator};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

/// A plugin in service whose code can be replaced while calls run. One implementation per kind.
#[async_trait]
pub(crate) trait Swappable: Send + Sync + fmt::Debug {
    fn kind(&self) -> Kind;

    /// From the manifest of the generation in service.
    fn name(&self) -> String;

    /// What the generation in service was loaded with, and granted. A swap takes it over with another locator.
    fn request(&self) -> PluginRequest;

    /// Puts the next generation into service and lets the current one finish what it has. Never called twice at a
    /// time.
    ///
    /// # Errors
    /// The current generation stays, as if nothing had been asked.
    async fn swap(&self, request: PluginRequest) -> Result<(), LoadError>;

    fn status(&self) -> PluginStatus;

    /// Replaces its instances. Those of plugins that run per request have nothing to lose: each thread has its own.
    fn restart(&self) {}

    /// Whether it and its backend answer now.
    async fn health(&self, limit: std::time::Duration) -> Health;

    /// Drains and ends it, at the latest at `deadline`.
    async fn shutdown(&self, deadline: Instant);
}

/// Which plugin of a process: `registry`, or `registry:etcd` where there are several of the kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its kind.
    pub kind: Kind,
    /// Its name, from its manifest, with or without the kind behind it.
    pub name: Option<String>,
}

/// A text that says no [`Target`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no kind of plugin: write for instance registry, or registry:etcd")]
pub struct TargetError {
    text: String,
}

/// A plugin that was replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swapped {
    /// Its name, from the new manifest.
    pub plugin: String,
    /// Its kind.
    pub kind: Kind,
    /// What was in service.
    pub from: Version,
    /// What is in service.
    pub to: Version,
    /// How the configuration named it when the process started.
    pub configured: String,
    /// How the swap named it.
    pub locator: String,
    /// How long it took until the new one was in service.
    pub took_ms: u64,
}

/// One generation of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Counts from 1.
    pub generation: u64,
    /// SHA-256 of its file.
    pub digest: String,
    /// From its manifest.
    pub version: String,
    /// Where it was loaded from.
    pub file: PathBuf,
}

/// A plugin that was not replaced. The one in service is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SwapError {
    /// The new one cannot be used.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Nothing is there to be replaced.
    #[error("no {wanted} plugin is in service, {}", each(.loaded))]
    NotLoaded {
        /// As it was asked for.
        wanted: String,
        /// Those that are, as `KIND:NAME`.
        loaded: Vec<String>,
    },
    /// Several could be meant.
    #[error("several {kind} plugins are in service; say which one: {}", .names.join(", "))]
    Ambiguous {
        /// The kind that was asked for.
        kind: Kind,
        /// How to write each of them.
        names: Vec<String>,
    },
    /// A later request was carried out in its place.
    #[error("plugin {plugin} was not replaced by {locator}: {by} was asked for after it")]
    Superseded {
        /// Which plugin.
        plugin: String,
        /// What was asked for.
        locator: String,
        /// What was asked for last.
        by: String,
    },
    /// The process ends, or the swap failed in a way that it should not.
    #[error("plugin {plugin} was not replaced: the swap was given up; look into the log")]
    GivenUp {
        /// Which plugin.
        plugin: String,
    },
}

impl Coded for SwapError {
    fn code(&self) -> Code {
        match self {
            Self::Load(error) => error.code(),
            Self::NotLoaded { .. } => Code::SWAP_NO_PLUGIN,
            Self::Ambiguous { .. } => Code::SWAP_AMBIGUOUS,
            Self::Superseded { .. } => Code::SWAP_SUPERSEDED,
            Self::GivenUp { .. } => Code::SWAP_GIVEN_UP,
        }
    }
}

fn each(loaded: &[String]) -> String {
    match loaded {
        [] => {
            "and no other plugin either; backends that are part of the program cannot be replaced".to_owned()
        }
        some => format!("but {} can be replaced", some.join(", ")),
    }
}

impl Target {
    /// Whether it can mean a plugin of this kind and name.
    pub fn fits(&self, kind: Kind, name: &str) -> bool {
        let short = name.strip_suffix(&format!("-{}", kind.suffix())).unwrap_or(name);
        kind == self.kind && self.name.as_ref().is_none_or(|wanted| wanted == name || wanted == short)
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let (kind, name) = text.split_once(':').map_or((text, None), |(kind, name)| (kind, Some(name)));
        let kind = kind.parse().map_err(|_| TargetError { text: text.to_owned() })?;
        Ok(Self { kind, name: name.filter(|name| !name.is_empty()).map(str::to_owned) })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{}:{name}", self.kind),
            None => write!(f, "{}", self.kind),
        }
    }
}

type Outcome = Result<Swapped, SwapError>;

/// A plugin of the host, and the swaps that wait for it.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) plugin: Arc<dyn Swappable>,
    /// How the configuration named it.
    configured: String,
    queue: Mutex<Queue>,
    last: Mutex<Option<LastSwap>>,
}

/// At most one swap runs and at most one waits: of those that wait only the last is carried out.
#[derive(Debug, Default)]
struct Queue {
    running: bool,
    next: Option<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    locator: Locator,
    answers: Vec<oneshot::Sender<Outcome>>,
}

impl Seat {
    pub(crate) fn new(plugin: Arc<dyn Swappable>) -> Arc<Self> {
        let PluginRequest { locator, configured, .. } = plugin.request();
        let configured = configured.unwrap_or(locator).to_string();
        Arc::new(Self { plugin, configured, queue: Mutex::default(), last: Mutex::default() })
    }

    pub(crate) fn status(&self) -> PluginStatus {
        PluginStatus {
            configured: self.configured.clone(),
            last_swap: self.last.lock().clone(),
            ..self.plugin.status()
        }
    }

    /// `registry:etcd-registry`.
    pub(crate) fn target(&self) -> String {
        format!("{}:{}", self.plugin.kind(), self.plugin.name())
    }

    /// Replaces the plugin, after the swap that runs now. Requests for the same file that wait together are one.
    ///
    /// Cancel safe: a swap that was begun is finished.
    pub(crate) async fn swap(self: &Arc<Self>, tasks: &TaskTracker, locator: Locator) -> Outcome {
        let (answer, answered) = oneshot::channel();
        self.enqueue(tasks, locator, answer);
        answered.await.unwrap_or_else(|_| Err(SwapError::GivenUp { plugin: self.plugin.name() }))
    }

    fn enqueue(self: &Arc<Self>, tasks: &TaskTracker, locator: Locator, answer: oneshot::Sender<Outcome>) {
        let mut queue = self.queue.lock();
        match &mut queue.next {
            Some(waiting) if waiting.locator == locator => waiting.answers.push(answer),
            next => {
                let by = locator.to_string();
                if let Some(old) = next.replace(Waiting { locator, answers: vec![answer] }) {
                    let (plugin, locator) = (self.plugin.name(), old.locator.to_string());
                    old.answer(&Err(SwapError::Superseded { plugin, locator, by }));
                }
            }
        }
        if !std::mem::replace(&mut queue.running, true) {
            tasks.spawn(Running(self.clone()).run());
        }
    }

    async fn once(&self, locator: Locator) -> Outcome {
        let (before, begun) = (self.plugin.status(), Instant::now());
        let name = locator.to_string();
        let request = PluginRequest { locator, ..self.plugin.request() };
        let outcome = self.plugin.swap(request).await;
        let at = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
        let error = outcome.as_ref().err().map(ToString::to_string);
        *self.last.lock() = Some(LastSwap { at, locator: name.clone(), error });
        if let Err(error) = &outcome {
            tracing::warn!(plugin.name = before.name, generation = before.generation, %error, "plugin not replaced");
        }
        outcome?;
        let (after, took_ms) = (self.plugin.status(), millis(begun.elapsed()));
        tracing::info!(
            plugin.name = after.name, version = after.version, generation = after.generation,
            digest = after.digest, file = %after.file.display(), took_ms, "plugin replaced"
        );
        Ok(Swapped {
            plugin: after.name.clone(),
            kind: after.kind,
            from: Version::of(before),
            to: Version::of(after),
            configured: self.configured.clone(),
            locator: name,
            took_ms,
        })
    }
}

impl Version {
    fn of(status: PluginStatus) -> Self {
        let PluginStatus { generation, digest, version, file, .. } = status;
        Self { generation, digest, version, file }
    }
}

impl Waiting {
    fn answer(self, outcome: &Outcome) {
        for answer in self.answers {
            let _ = answer.send(outcome.clone()); // the one who asked may be gone
        }
    }
}

/// Carries out the swaps of a seat until none waits.
struct Running(Arc<Seat>);

impl Running {
    async fn run(self) {
        while let Some(waiting) = self.next() {
            let outcome = self.0.once(waiting.locator.clone()).await;
            waiting.answer(&outcome);
        }
    }

    fn next(&self) -> Option<Waiting> {
        let mut queue = self.0.queue.lock();
        queue.running = queue.next.is_some();
        queue.next.take()
    }
}

impl Drop for Running {
    /// After a panic in a swap, or at the end of the runtime, the next request starts afresh.
    fn drop(&mut self) {
        if std::thread::panicking() {
            *self.0.queue.lock() = Queue::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_kinds_and_names() {
        let target = |text: &str| text.parse::<Target>();
        let any = target("registry").expect("a kind");
        assert!(any.fits(Kind::Registry, "etcd-registry") && !any.fits(Kind::Broker, "etcd-broker"));
        for text in ["registry:etcd", "registry:etcd-registry"] {
            let one = target(text).expect("a kind and a name");
            assert_eq!(one.to_string(), text);
            assert!(
                one.fits(Kind::Registry, "etcd-registry") && !one.fits(Kind::Registry, "consul-registry")
            );
        }
        let wrong = target("registrar").expect_err("no kind").to_string();
        assert!(wrong.contains("registry:etcd"), "{wrong}");
    }
}
