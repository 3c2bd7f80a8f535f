//! A registry of files that the processes of one machine share: no server, no permission, no settings.
//!
//! One file per node. Its record counts until the time it was given is over, until its process has ended, even by
//! SIGKILL, or until it is deregistered, whichever comes first. Processes may come, go, crash and write at the same time:
//! every file is replaced in one step, and files that are no records are skipped.

mod alarm;
mod folder;
mod host;
mod record;
mod store;

pub use folder::Environment;

use super::view::{View, says_nothing};
use alarm::Alarm;
use async_trait::async_trait;
use host::{Moment, Origin, Process};
use micro_core::{Batch, Registry, RegistryError, Service, Snapshot};
use parking_lot::Mutex;
use record::Record;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use tokio::time::Instant;

/// Time for what the file system should do at once, unless the folder is on a network that is down.
const DEADLINE: Duration = Duration::from_secs(5);
/// Changes that come this close together are read together.
const BURST: Duration = Duration::from_millis(5);

/// The registry in a folder. Clones share what was read.
#[derive(Clone, Debug)]
pub struct LocalRegistry {
    shared: Arc<Shared>,
    /// None: what is registered does not end with this process.
    owner: Option<Process>,
}

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    here: Origin,
    alarm: Alarm,
    content: Mutex<Content>,
}

#[derive(Debug)]
struct Content {
    store: Store,
    view: View,
}

/// What one look at the folder gave a watcher.
struct Look {
    batch: Batch,
    /// When to look again even if nothing rings.
    again: Duration,
}

impl LocalRegistry {
    /// The registry in `folder`, which need not exist yet. What is registered ends with this process.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        let (folder, here) = (folder.into(), Origin::here());
        let content = Content { store: Store::new(folder.clone(), here.clone()), view: View::new() };
        let alarm = Alarm::new(folder.clone());
        let shared = Shared { folder, here, alarm, content: Mutex::new(content) };
        Self { shared: Arc::new(shared), owner: Some(Process::this()) }
    }

    /// The same registry, for commands that end at once: what is registered stays until its TTL is over, or for ever
    /// without one.
    #[must_use]
    pub fn detached(self) -> Self {
        Self { owner: None, ..self }
    }

    /// Where the files are.
    pub fn folder(&self) -> &Path {
        &self.shared.folder
    }

    /// Looks at the folder and runs `work` on what counts now.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&View) -> T + Send + 'static,
    ) -> Result<T, RegistryError> {
        self.blocking(|shared| {
            let mut content = shared.content.lock();
            content.look()?;
            Ok(work(&content.view))
        })
        .await
    }

    async fn look(&self, name: Option<&str>, after: Option<&str>) -> Result<Look, RegistryError> {
        let (name, after) = (name.map(str::to_owned), after.map(str::to_owned));
        self.blocking(move |shared| {
            // Before looking, so that nothing falls in between.
            let trust = shared.alarm.arm();
            let mut content = shared.content.lock();
            let expires = content.look()?;
            let again = expires.map_or(trust, |expires| expires.min(trust));
            Ok(Look { batch: content.view.since(name.as_deref(), after.as_deref()), again })
        })
        .await
    }

    /// Runs `work`, which uses the file system, where it may block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> io::Result<T> + Send + 'static,
    ) -> Result<T, RegistryError> {
        let shared = self.shared.clone();
        let done = tokio::time::timeout(DEADLINE, tokio::task::spawn_blocking(move || work(&shared))).await;
        match done {
            Ok(Ok(Ok(value))) => Ok(value),
            Ok(Ok(Err(error))) => Err(self.error(&error)),
            Ok(Err(error)) => {
                Err(RegistryError::Other { registry: "local".to_owned(), reason: error.to_string() })
            }
            Err(_) => Err(RegistryError::Timeout { registry: "local".to_owned(), after: DEADLINE }),
        }
    }

    fn error(&self, error: &io::Error) -> RegistryError {
        let registry = "local".to_owned();
        let reason = format!("{}: {error}", self.shared.folder.display());
        match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                RegistryError::Denied { registry, reason }
            }
            ErrorKind::InvalidInput | ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
                RegistryError::Invalid { registry, reason }
            }
            _ => RegistryError::Unavailable { registry, reason, retry_after: Duration::from_secs(1) },
        }
    }
}

impl Content {
    /// Brings the view in line with the folder and tells how long until the first record expires.
    fn look(&mut self) -> io::Result<Option<Duration>> {
        let scan = self.store.scan()?;
        for name in self.view.names() {
            if !scan.services.contains_key(&name) {
                self.view.set(&name, Vec::new());
            }
        }
        for (name, services) in scan.services {
            self.view.set(&name, services);
        }
        Ok(scan.expires)
    }
}

#[async_trait]
impl Registry for LocalRegistry {
    fn name(&self) -> &str {
        "local"
    }

    fn location(&self) -> String {
        self.shared.folder.display().to_string()
    }

    async fn register(&self, service: &Service, ttl: Duration) -> Result<(), RegistryError> {
        super::check("local", service)?;
        let (service, owner) = (service.clone(), self.owner);
        self.blocking(move |shared| {
            let expires = (!ttl.is_zero()).then(|| Moment::now().after(ttl));
            for node in &service.nodes {
                let service = Service { nodes: vec![node.clone()], ..service.without_nodes() };
                let record = Record { service, expires, owner, origin: shared.here.clone() };
                store::write(&shared.folder, &record, &node.id)?;
            }
            shared.alarm.ring();
            Ok(())
        })
        .await
    }

    async fn deregister(&self, service: &Service) -> Result<(), RegistryError> {
        let service = service.clone();
        self.blocking(move |shared| {
            for node in &service.nodes {
                store::remove(&shared.folder, &service.name, &node.id)?;
            }
            shared.alarm.ring();
            Ok(())
        })
        .await
    }

    async fn get_service(&self, name: &str) -> Result<Snapshot, RegistryError> {
        let name = name.to_owned();
        self.read(move |view| view.snapshot(&name)).await
    }

    async fn list_services(&self) -> Result<Vec<String>, RegistryError> {
        self.read(View::names).await
    }

    async fn changes(
        &self,
        name: Option<&str>,
        after: Option<&str>,
        wait: Duration,
    ) -> Result<Batch, RegistryError> {
        let mut rings = self.shared.alarm.subscribe();
        let start = Instant::now();
        loop {
            rings.borrow_and_update();
            let look = self.look(name, after).await?;
            let left = wait.saturating_sub(start.elapsed());
            if !says_nothing(&look.batch) || left.is_zero() {
                return Ok(look.batch);
            }
            tokio::select! {
                _ = rings.changed() => tokio::time::sleep(BURST).await,
                () = tokio::time::sleep(look.again.min(left)) => {}
            }
        }
    }

    async fn health(&self) -> Result<(), RegistryError> {
        self.blocking(|shared| {
            folder::prepare(&shared.folder)?;
            std::fs::read_dir(&shared.folder).map(drop)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use micro_core::Node;

    const LONG: Duration = Duration::from_secs(300);

    #[tokio::test]
    async fn changes_are_seen_without_notifications() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (watcher, writer) = (LocalRegistry::new(folder.path()), LocalRegistry::new(folder.path()));
        watcher.shared.alarm.refuse();
        let node = Node { id: "n".into(), address: "127.0.0.1:1".into(), ..Node::default() };
        let service = Service { name: "a".into(), nodes: vec![node], ..Service::default() };
        let cursor = watcher.changes(None, None, LONG).await.expect("everything").cursor;
        let watch = watcher.changes(None, Some(&cursor), LONG);
        let (batch, registered) = tokio::join!(watch, writer.register(&service, LONG));
        registered.expect("register");
        assert_eq!(batch.expect("changes").entries[0].services, [service]);
    }

    #[tokio::test]
    async fn a_record_beyond_the_limit_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let registry = LocalRegistry::new(folder.path());
        let mut node = Node { id: "n".into(), ..Node::default() };
        node.metadata.insert("large".into(), "x".repeat(2 << 20));
        let service = Service { name: "a".into(), nodes: vec![node], ..Service::default() };
        let refused = registry.register(&service, LONG).await.expect_err("refused");
        assert!(matches!(refused, RegistryError::Invalid { .. }), "{refused}");
        assert_eq!(std::fs::read_dir(folder.path()).map(Iterator::count).unwrap_or_default(), 0);
    }
}
