//! Replacing plugins of a running process: what sets it off beside the admin pages, and what is written down about it.
//!
//! | module | holds |
//! |---|---|
//! | `kept` | swaps that the next start repeats |
//! | `reload` | `--watch_plugins` and SIGHUP |
//! | `drift` | where a process and its files are not the same any more |

#[cfg(feature = "plugins")]
mod drift;
#[cfg(feature = "plugins")]
mod kept;
#[cfg(feature = "plugins")]
mod reload;

#[cfg(feature = "plugins")]
pub(crate) use {drift::Files, kept::Kept};

use crate::backends::Backends;

/// Replaces the plugins of a service when their files change. Does nothing in a program without the plugin host.
#[derive(Debug)]
pub(crate) struct Reloader {
    #[cfg(feature = "plugins")]
    task: reload::Task,
}

impl Reloader {
    /// Starts it: at each change with `watch`, on SIGHUP with `hangup`.
    #[cfg(feature = "plugins")]
    pub(crate) fn start(backends: &Backends, watch: bool, hangup: bool) -> Self {
        Self { task: reload::Task::start(backends.plugin_host().host.clone(), watch, hangup) }
    }

    /// Starts nothing.
    #[cfg(not(feature = "plugins"))]
    pub(crate) fn start(_: &Backends, _watch: bool, _hangup: bool) -> Self {
        Self {}
    }

    /// Ends it. A swap that it began goes on.
    pub(crate) async fn stop(self) {
        #[cfg(feature = "plugins")]
        self.task.stop().await;
    }
}

/// No plugin is larger.
#[cfg(feature = "plugins")]
const MAX_FILE: u64 = 256 << 20;

/// The digest of a file as it is now.
#[cfg(feature = "plugins")]
async fn digest_of(file: std::path::PathBuf) -> std::io::Result<micro_plugin::Digest> {
    use std::io::{Error, ErrorKind, Read};
    let reading = tokio::task::spawn_blocking(move || {
        let opened = std::fs::File::open(file)?;
        if opened.metadata()?.len() > MAX_FILE {
            return Err(Error::from(ErrorKind::FileTooLarge));
        }
        let mut content = Vec::new();
        opened.take(MAX_FILE).read_to_end(&mut content)?;
        Ok(micro_plugin::Digest::of(&content))
    });
    reading.await.map_err(Error::other)?
}
