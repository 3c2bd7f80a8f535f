//! Wakes those who wait for the folder to change.

use notify::event::ModifyKind;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use parking_lot::Mutex;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Acquire, Ordering::Release};
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
        /// The folder was removed or moved. Its inode may be that of its successor.
        gone: Arc<AtomicBool>,
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
            Source::Watching { inode, gone, .. } if *inode == folder.ino() && !gone.load(Acquire) => {
                return SWEEP;
            }
            Source::Refused(since) if since.elapsed() < REFUSED => return POLL,
            _ => {}
        }
        let again = matches!(*source, Source::Refused(_));
        let gone = Arc::default();
        match self.watch(&gone) {
            Ok(watcher) => {
                *source = Source::Watching { inode: folder.ino(), gone, _watcher: watcher };
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

    /// As if the system had refused.
    #[cfg(test)]
    pub(super) fn refuse(&self) {
        *self.source.lock() = Source::Refused(Instant::now());
    }

    fn watch(&self, gone: &Arc<AtomicBool>) -> notify::Result<RecommendedWatcher> {
        let (rings, folder, gone) = (self.rings.clone(), self.folder.clone(), gone.clone());
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let moves = |kind| matches!(kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)));
            if let Ok(event) = &event
                && moves(event.kind)
                && event.paths.contains(&folder)
            {
                gone.store(true, Release);
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::{AccessKind, CreateKind};

    #[test]
    fn reading_and_hidden_files_ring_nobody() {
        let event = |kind, path: &str| notify::Event::new(kind).add_path(PathBuf::from(path));
        assert!(matters(&event(EventKind::Create(CreateKind::File), "/f/a.json")));
        assert!(!matters(&event(EventKind::Create(CreateKind::File), "/f/.micro-1")));
        assert!(!matters(&event(EventKind::Access(AccessKind::Read), "/f/a.json")));
        assert!(matters(&notify::Event::new(EventKind::Other)), "an overflow has no path");
        let renamed = event(EventKind::Modify(notify::event::ModifyKind::Any), "/f/.micro-1");
        assert!(matters(&renamed.add_path(PathBuf::from("/f/a.json"))));
    }

    fn wait_for(what: &str, condition: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(10);
        while !condition() {
            assert!(Instant::now() < end, "{what}");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_folder_in_the_place_of_another_is_watched_anew() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let folder = home.path().join("registry");
        let alarm = Alarm::new(folder.clone());
        assert_eq!(alarm.arm(), POLL, "there is nothing to watch");
        for _ in 0..2 {
            std::fs::create_dir(&folder).expect("create");
            assert_eq!(alarm.arm(), SWEEP);
            let rings = alarm.subscribe();
            std::fs::write(folder.join("a.json"), "").expect("write");
            wait_for("it does not ring", || rings.has_changed().expect("the alarm is there"));
            // Most file systems give the next folder the same inode, so this has to be noticed by itself.
            std::fs::remove_dir_all(&folder).expect("remove");
            let is_gone = |source: &Source| match source {
                Source::Watching { gone, .. } => gone.load(Acquire),
                _ => false,
            };
            wait_for("the removal is not noticed", || is_gone(&alarm.source.lock()));
        }
    }
}
