//! Wakes those who wait for the folder to change.

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use parking_lot::Mutex;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How often watchers look by themselves when the system tells of changes: processes end without touching a file.
const SWEEP: Duration = Duration::from_millis(500);
/// How often they look when it does not.
const POLL: Duration = Duration::from_millis(250);
/// When to ask the system again after it refused.
const REFUSED: Duration = Duration::from_secs(60);

/// Tells of changes in one folder, by the system's notifications or, where they cannot be had, by looking often.
#[derive(Debug)]
pub(super) struct Alarm {
    folder: PathBuf,
    rings: watch::Sender<()>,
    source: Mutex<Source>,
}

#[derive(Debug)]
enum Source {
    None,
    /// The folder with this inode; another in its place needs another watch.
    Watching {
        inode: u64,
        _watcher: RecommendedWatcher,
    },
    Refused(Instant),
}

impl Alarm {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, rings: watch::Sender::new(()), source: Mutex::new(Source::None) }
    }

    /// Changes when somebody should look.
    pub(super) fn subscribe(&self) -> watch::Receiver<()> {
        self.rings.subscribe()
    }

    /// Wakes those who wait in this process.
    pub(super) fn ring(&self) {
        self.rings.send_replace(());
    }

    /// Makes sure that changes from now on ring, and tells how long one may trust in that before looking again. Blocks.
    pub(super) fn arm(&self) -> Duration {
        let mut source = self.source.lock();
        let Ok(folder) = std::fs::metadata(&self.folder) else {
            *source = Source::None;
            return POLL;
        };
        match &*source {
            Source::Watching { inode, .. } if *inode == folder.ino() => return SWEEP,
            Source::Refused(since) if since.elapsed() < REFUSED => return POLL,
            _ => {}
        }
        let again = matches!(*source, Source::Refused(_));
        match self.watch() {
            Ok(watcher) => {
                *source = Source::Watching { inode: folder.ino(), _watcher: watcher };
                SWEEP
            }
            Err(error) => {
                if !again {
                    let path = self.folder.display();
                    tracing::warn!(%path, %error, "no notifications for the local registry, looking every 250 ms");
                }
                *source = Source::Refused(Instant::now());
                POLL
            }
        }
    }

    fn watch(&self) -> notify::Result<RecommendedWatcher> {
        let rings = self.rings.clone();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.as_ref().map_or(true, matters) {
                rings.send_replace(());
            }
        })?;
        watcher.watch(&self.folder, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    }
}

/// Reading is told, too, and must not make anybody read. Hidden files are being written or taken away.
fn matters(event: &notify::Event) -> bool {
    let hidden = |path: &Path| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    !matches!(event.kind, EventKind::Access(_))
        && (event.paths.is_empty() || !event.paths.iter().all(|path| hidden(path)))
}
