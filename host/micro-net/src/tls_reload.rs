//! A server's TLS settings that follow their files: certificates are renewed while the server runs.

use crate::stop::Stop;
use crate::tls::{ServerTls, TlsError, server_config};
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// How often the files are read. Their contents decide: events and times of change differ between file systems, and
/// are lost where a volume is swapped under its mount point.
const POLL: Duration = Duration::from_secs(1);
/// What is compared of a file, in bytes. Chains of certificates take some ten thousand.
const LONGEST: u64 = 1 << 20;

/// TLS settings of a [`Listener`](crate::Listener) that are read again when their files change. Connections keep the
/// settings that they began with.
pub struct ReloadingTls {
    settings: ServerTls,
    alpn: Vec<String>,
    current: Arc<ArcSwap<ServerConfig>>,
    loaded: Contents,
}

/// The files as they were read; an unreadable one is none.
type Contents = Vec<Option<Vec<u8>>>;

impl ReloadingTls {
    /// Reads the files for the first time. ALPN as for [`server_config`].
    ///
    /// # Errors
    /// A file cannot be used; see [`TlsError`].
    pub fn load(settings: ServerTls, alpn: &[&str]) -> Result<Self, TlsError> {
        // Before they are used: what changes in between is seen as a change.
        let loaded = contents(&settings);
        let current = Arc::new(ArcSwap::new(server_config(&settings, alpn)?));
        let alpn = alpn.iter().map(|&protocol| protocol.to_owned()).collect();
        Ok(Self { settings, alpn, current, loaded })
    }

    pub(crate) fn current(&self) -> Arc<ArcSwap<ServerConfig>> {
        Arc::clone(&self.current)
    }

    /// Follows the files until `stop.soon`. Files that cannot be used are named in the log once, and what was served
    /// before stays.
    pub async fn follow(mut self, stop: Stop) {
        let mut ticks = tokio::time::interval(POLL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seen = self.loaded.clone();
        loop {
            tokio::select! {
                () = stop.soon.cancelled() => return,
                () = stop.now.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let settings = self.settings.clone();
            let Ok(now) = tokio::task::spawn_blocking(move || contents(&settings)).await else { continue };
            // Certificate and key are two files, and whoever writes them may be between the two.
            let settled = std::mem::replace(&mut seen, now) == seen;
            if settled && seen != self.loaded {
                self.reload();
                self.loaded.clone_from(&seen);
            }
        }
    }

    fn reload(&self) {
        let alpn: Vec<&str> = self.alpn.iter().map(String::as_str).collect();
        let certificate = &self.settings.identity.certificate;
        match server_config(&self.settings, &alpn) {
            Ok(config) => {
                self.current.store(config);
                tracing::info!(?certificate, "certificate read again");
            }
            Err(error) => {
                let error = crate::error_chain(&error);
                tracing::error!(
                    ?certificate,
                    error,
                    "the new certificate cannot be used, serving the old one"
                );
            }
        }
    }
}

impl fmt::Debug for ReloadingTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReloadingTls").field("settings", &self.settings).finish_non_exhaustive()
    }
}

fn contents(settings: &ServerTls) -> Contents {
    let files =
        [&settings.identity.certificate, &settings.identity.key].into_iter().chain(&settings.client_roots);
    files.map(|path| read(path)).collect()
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path).and_then(|file| file.take(LONGEST).read_to_end(&mut bytes)).ok()?;
    Some(bytes)
}
