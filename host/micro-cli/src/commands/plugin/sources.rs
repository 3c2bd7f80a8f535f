//! Changes to the source of a plugin, or to its file.

use crate::failure::Next;
use anyhow::Context;
use micro_core::Code;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

/// Editors and compilers write in several steps; a change counts when nothing has happened for so long.
const QUIET: Duration = Duration::from_millis(300);
/// In a folder that is never quiet, changes count after this long.
const LATEST: Duration = Duration::from_secs(3);

/// What the tools of the languages leave behind in the folder of a plugin.
const MADE: [&str; 6] = ["target", "build", "node_modules", "__pycache__", "Cargo.lock", "package-lock.json"];

/// A watched folder or file.
#[derive(Debug)]
pub(super) struct Sources {
    changes: mpsc::Receiver<()>,
    _watcher: RecommendedWatcher,
}

impl Sources {
    /// Watches a folder with all that is in it, or one file.
    pub(super) fn watch(what: &Path) -> anyhow::Result<Self> {
        let help = "check the path, and the limit on watched files (fs.inotify.max_user_watches)";
        let is_folder = what.is_dir();
        // A file that is replaced is another one; its folder stays.
        let (folder, mode) = match is_folder {
            true => (what, RecursiveMode::Recursive),
            false => (what.parent().unwrap_or(Path::new(".")), RecursiveMode::NonRecursive),
        };
        let (changed, changes) = mpsc::channel(1);
        let filter = Filter { what: what.to_owned(), is_folder };
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.is_ok_and(|event| filter.matters(&event)) {
                // A full channel means that a change waits already.
                _ = changed.try_send(());
            }
        });
        let watcher = watcher.and_then(|mut watcher| {
            watcher.watch(folder, mode)?;
            Ok(watcher)
        });
        let watcher = watcher.with_context(|| format!("cannot watch {}", what.display()));
        Ok(Self { changes, _watcher: watcher.next_as(Code::AUTHOR_RUN, help)? })
    }

    /// The next change, once nothing else changes for a while. Cancel safe: a change that was heard and not answered
    /// with is followed by its last event.
    pub(super) async fn changed(&mut self) {
        if self.changes.recv().await.is_none() {
            return std::future::pending().await;
        }
        let latest = Instant::now() + LATEST;
        while Instant::now() < latest
            && let Ok(Some(())) = timeout_at(latest.min(Instant::now() + QUIET), self.changes.recv()).await
        {
        }
    }
}

/// Which events mean that the plugin may have changed.
struct Filter {
    what: PathBuf,
    is_folder: bool,
}

impl Filter {
    fn matters(&self, event: &Event) -> bool {
        // Reading is no change; an event without a path says that some were lost.
        !matches!(event.kind, EventKind::Access(_))
            && (event.paths.is_empty() || event.paths.iter().any(|path| self.is_source(path)))
    }

    /// What builds leave behind, and what editors and version control keep, is no source.
    fn is_source(&self, path: &Path) -> bool {
        if !self.is_folder {
            return path == self.what;
        }
        let inner = path.strip_prefix(&self.what).unwrap_or(path);
        let ignored = |part: Component<'_>| {
            let name = part.as_os_str().to_string_lossy();
            MADE.contains(&&*name) || name.starts_with('.') || name.ends_with('~') || name.ends_with(".wasm")
        };
        !inner.components().any(ignored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::{AccessKind, CreateKind};

    #[test]
    fn builds_and_editors_are_not_sources() {
        let filter = Filter { what: PathBuf::from("/p"), is_folder: true };
        let event = |kind, path: &str| Event::new(kind).add_path(PathBuf::from(path));
        let created = EventKind::Create(CreateKind::File);
        for source in ["/p/src/lib.rs", "/p/plugin.toml", "/p/Cargo.toml", "/p/src/targets.rs"] {
            assert!(filter.matters(&event(created, source)), "{source}");
        }
        for other in [
            "/p/target/release/x.wasm",
            "/p/.git/index",
            "/p/src/.lib.rs.swp",
            "/p/src/lib.rs~",
            "/p/.venv/x.py",
            "/p/mine.wasm",
        ] {
            assert!(!filter.matters(&event(created, other)), "{other}");
        }
        assert!(!filter.matters(&event(EventKind::Access(AccessKind::Any), "/p/src/lib.rs")));
        assert!(filter.matters(&Event::new(EventKind::Other)), "events were lost");
        let file = Filter { what: PathBuf::from("/p/x.wasm"), is_folder: false };
        assert!(file.matters(&event(created, "/p/x.wasm")) && !file.matters(&event(created, "/p/y.wasm")));
    }

    #[tokio::test]
    async fn many_changes_are_one() {
        let folder = tempfile::tempdir().expect("writable");
        let mut sources = Sources::watch(folder.path()).expect("it can be watched");
        for number in 0..20 {
            std::fs::write(folder.path().join("lib.rs"), format!("// {number}")).expect("writable");
        }
        let soon = Duration::from_secs(30);
        tokio::time::timeout(soon, sources.changed()).await.expect("a change");
        let second = tokio::time::timeout(2 * QUIET, sources.changed()).await;
        assert!(second.is_err(), "nothing has changed since");
    }
}
