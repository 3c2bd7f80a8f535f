//! Replacing plugins whose files have changed: at once with `--watch_plugins`, and on SIGHUP.

use super::digest_of;
use micro_plugin::Kind;
use micro_wasm::{Host, PluginStatus, Target};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// A file is looked at when its folder has been quiet for so long: whoever writes it may not be done.
const QUIET: Duration = Duration::from_millis(300);
/// In a folder that is never quiet, files are looked at after this long.
const LATEST: Duration = Duration::from_secs(3);
/// How often it is looked whether other files are in service than before.
const FOLLOW: Duration = Duration::from_secs(1);

/// The task that looks after the files of plugins.
#[derive(Debug)]
pub(super) struct Task {
    stop: CancellationToken,
    task: JoinHandle<Option<()>>,
}

impl Task {
    /// Starts it. `hangup` takes SIGHUP over from the system, unless the process has a terminal, whose end it means
    /// then; a process without plugins takes it over too, so that what the signal does is not a matter of flags.
    pub(super) fn start(host: Option<Arc<Host>>, watch: bool, hangup: bool) -> Self {
        let terminal = std::io::stdin().is_terminal() || std::io::stderr().is_terminal();
        // Taken over before anybody could send it to a process that says it has started.
        let hangup = (hangup && !terminal).then(|| signal(SignalKind::hangup()));
        let hangup = hangup.and_then(|signal| {
            signal.inspect_err(|error| tracing::warn!(%error, "cannot handle SIGHUP")).ok()
        });
        let stop = CancellationToken::new();
        let task = tokio::spawn(stop.clone().run_until_cancelled_owned(run(host, watch, hangup)));
        Self { stop, task }
    }

    /// Ends it. A swap that it began goes on.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        _ = self.task.await; // It has no result, and a panic in it was logged.
    }
}

async fn run(host: Option<Arc<Host>>, watch: bool, mut hangup: Option<Signal>) {
    let plugins = || host.as_ref().map(|host| host.plugins()).unwrap_or_default();
    let (changed, mut changes) = mpsc::channel(1);
    let mut folders = watch.then(|| Folders::new(changed)).flatten();
    let mut tried = Tried::default();
    loop {
        if let Some(folders) = &mut folders {
            folders.follow(&plugins());
        }
        let signalled = async {
            match &mut hangup {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(()) = signalled => {
                tracing::info!("SIGHUP: looking for plugins whose files have changed");
                tried.clear();
                reload(host.as_deref(), &mut tried).await;
            }
            Some(()) = changes.recv() => {
                settle(&mut changes).await;
                reload(host.as_deref(), &mut tried).await;
            }
            () = tokio::time::sleep(FOLLOW), if folders.is_some() => {}
        }
    }
}

/// Waits until nothing has changed for a while.
async fn settle(changes: &mut mpsc::Receiver<()>) {
    let latest = Instant::now() + LATEST;
    while Instant::now() < latest
        && let Ok(Some(())) = timeout_at(latest.min(Instant::now() + QUIET), changes.recv()).await
    {}
}

/// Files that were tried already, by plugin: one that is refused is not tried again until it changes.
type Tried = BTreeMap<(Kind, String), String>;

/// Replaces every plugin whose file is not the one that it was loaded from.
async fn reload(host: Option<&Host>, tried: &mut Tried) {
    let Some(host) = host else { return };
    for plugin in host.plugins() {
        let name = plugin.name.as_str();
        let digest = match digest_of(plugin.file.clone()).await {
            Ok(digest) => digest.to_string(),
            Err(error) => {
                tracing::debug!(plugin.name = name, file = %plugin.file.display(), %error, "no new file");
                continue;
            }
        };
        let key = (plugin.kind, plugin.name.clone());
        if digest == plugin.digest || tried.get(&key) == Some(&digest) {
            continue;
        }
        tried.insert(key, digest);
        tracing::info!(plugin.name = name, file = %plugin.file.display(), "the file of a plugin has changed");
        let Ok(locator) = plugin.locator.parse() else { continue };
        let target = Target { kind: plugin.kind, name: Some(plugin.name.clone()) };
        if let Err(error) = host.swap(&target, locator).await {
            // The host has said why, unless it did not come so far.
            tracing::debug!(plugin.name = name, %error, "the plugin in service stays");
        }
    }
}

/// The folders of all plugin files. Folders rather than files, because files are replaced by renaming.
struct Folders {
    watcher: RecommendedWatcher,
    changed: mpsc::Sender<()>,
    /// With device and inode: a folder that was replaced by another is watched anew.
    watched: BTreeMap<PathBuf, (u64, u64)>,
    failed: BTreeSet<PathBuf>,
}

impl Folders {
    fn new(changed: mpsc::Sender<()>) -> Option<Self> {
        let wake = changed.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // An error may hide a change. Reading changes nothing, and this program reads them itself.
            if !event.is_ok_and(|event| event.kind.is_access()) {
                _ = wake.try_send(()); // Full: it is known already.
            }
        });
        match watcher {
            Ok(watcher) => Some(Self { watcher, changed, watched: BTreeMap::new(), failed: BTreeSet::new() }),
            Err(error) => {
                tracing::error!(%error, "--watch_plugins: cannot watch files; send SIGHUP after changing one");
                None
            }
        }
    }

    /// Watches the folders of these plugins, and no others.
    fn follow(&mut self, plugins: &[PluginStatus]) {
        let wanted: BTreeSet<PathBuf> = plugins.iter().flat_map(|plugin| folders_of(&plugin.file)).collect();
        let watcher = &mut self.watcher;
        self.watched.retain(|folder, known| {
            let keep = wanted.contains(folder) && identity(folder).as_ref() == Some(known);
            if !keep {
                _ = watcher.unwatch(folder); // It may be gone.
            }
            keep
        });
        for folder in wanted {
            if self.watched.contains_key(&folder) {
                continue;
            }
            // Before watching it, so that one that is replaced meanwhile is seen to be another.
            let Some(identity) = identity(&folder) else { continue };
            match self.watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    tracing::debug!(folder = %folder.display(), "watching for changed plugins");
                    self.failed.remove(&folder);
                    self.watched.insert(folder, identity);
                    // What happened before it was watched; full means that it is known already.
                    _ = self.changed.try_send(());
                }
                Err(error) if self.failed.insert(folder.clone()) => {
                    tracing::warn!(folder = %folder.display(), %error, "cannot watch for changed plugins");
                }
                Err(_known) => {}
            }
        }
    }
}

fn identity(folder: &Path) -> Option<(u64, u64)> {
    let found = std::fs::metadata(folder).ok()?;
    Some((found.dev(), found.ino()))
}

/// The folder of a file, and where it is a link that of what it leads to.
fn folders_of(file: &Path) -> Vec<PathBuf> {
    let real = file.canonicalize().ok();
    let mut folders: Vec<PathBuf> = [Some(file), real.as_deref()]
        .into_iter()
        .flatten()
        .filter_map(Path::parent)
        .map(Path::to_owned)
        .collect();
    folders.dedup();
    folders
}
