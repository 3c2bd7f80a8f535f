//! Where a running plugin is not what a start would load now.

use super::Kept;
use super::digest_of;
use micro_wasm::PluginStatus;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Digests of files by what the file system says of them, so that looking again is cheap.
#[derive(Debug, Default)]
pub(crate) struct Files(Mutex<HashMap<PathBuf, (Stamp, String)>>);

/// Files that are remembered; more than a process has plugins.
const REMEMBERED: usize = 64;

/// Device, inode, length, and time of the last change in seconds and nanoseconds.
type Stamp = (u64, u64, u64, i64, i64);

impl Files {
    /// The digest of a file now.
    pub(crate) async fn digest(&self, file: &Path) -> std::io::Result<String> {
        let found = tokio::fs::metadata(file).await?;
        let stamp = (found.dev(), found.ino(), found.len(), found.mtime(), found.mtime_nsec());
        if let Some((known, digest)) = self.0.lock().get(file)
            && *known == stamp
        {
            return Ok(digest.clone());
        }
        let digest = digest_of(file.to_owned()).await?.to_string();
        let mut known = self.0.lock();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(file.to_owned(), (stamp, digest.clone()));
        Ok(digest)
    }

    /// What differs, in words; none if a start would load what runs.
    pub(crate) async fn drift(&self, kept: Option<&Kept>, plugin: &PluginStatus) -> Option<String> {
        let file = plugin.file.display();
        match self.digest(&plugin.file).await {
            Err(error) => return Some(format!("its file {file} cannot be read: {error}")),
            Ok(digest) if digest != plugin.digest => {
                return Some(format!("its file {file} has changed; now it is {digest}"));
            }
            Ok(_same) => {}
        }
        let next = kept.and_then(|kept| kept.find(plugin.kind, &plugin.configured));
        match next {
            None if plugin.locator == plugin.configured => None,
            None => Some(format!("the configuration names {}; the next start uses that", plugin.configured)),
            Some(kept) if kept.digest == plugin.digest => None,
            Some(kept) => Some(format!("the next start uses {}, which was written down", kept.locator)),
        }
    }
}
