//! What operators see of a plugin: `micro plugin ps`.

use crate::fault::FaultKind;
use crate::stats::Times;
use micro_plugin::Kind;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// One plugin at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct PluginStatus {
    /// From its manifest.
    pub name: String,
    /// From its manifest.
    pub version: String,
    /// From its manifest.
    pub kind: Kind,
    /// The flag under which it was loaded: `registry`.
    pub flag: String,
    /// SHA-256 of its file when it was loaded.
    pub digest: String,
    /// Where it was loaded from.
    pub file: PathBuf,
    /// How the operator named it: the latest swap, or else the configuration.
    pub locator: String,
    /// How the configuration named it when the process started.
    pub configured: String,
    /// How it is.
    pub state: PluginState,
    /// Counts the versions that operators put into service, from 1.
    pub generation: u64,
    /// The number of the instance that gets calls; 0 while there is none.
    pub instance: u64,
    /// Instances that exist, with those that only finish what they have.
    pub instances: usize,
    /// Instances that were started to replace one that failed.
    pub restarts: u64,
    /// The latest fault.
    pub last_error: Option<LastError>,
    /// Calls that run now.
    pub in_flight: usize,
    /// Calls that wait for their turn now.
    pub queued: usize,
    /// Linear memory of all its instances, in bytes.
    pub memory_bytes: usize,
    /// Per export that was called.
    pub calls: BTreeMap<String, Times>,
    /// Permissions that it missed, and how often.
    pub denied: BTreeMap<String, u64>,
    /// Its options, secrets hidden.
    pub options: BTreeMap<String, String>,
    /// Earlier generations that still finish their calls.
    pub draining: usize,
    /// The latest attempt to replace it.
    pub last_swap: Option<LastSwap>,
}

/// An attempt to replace a plugin.
#[derive(Clone, Debug, Serialize)]
pub struct LastSwap {
    /// Seconds since 1970.
    pub at: u64,
    /// By what.
    pub locator: String,
    /// Why it was not replaced; none if it was.
    pub error: Option<String>,
}

/// How a plugin is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state", content = "reason")]
pub enum PluginState {
    /// No instance yet, or not asked yet about its backend.
    Starting,
    /// It works.
    Ready,
    /// It works, its backend does not.
    Degraded(String),
    /// The last instance failed, the next one is on its way.
    Restarting(String),
    /// It failed too often, or does not accept its options.
    Quarantined(String),
    /// It was shut down.
    Stopped,
}

/// The end of an instance.
#[derive(Clone, Debug, Serialize)]
pub struct LastError {
    /// Seconds since 1970.
    pub at: u64,
    /// Which instance it was.
    pub instance: u64,
    /// Whose fault it was.
    pub kind: FaultKind,
    /// What happened.
    pub reason: String,
    /// The guest's stack, innermost frame first.
    pub backtrace: Option<String>,
    /// The latest of its standard error.
    pub stderr: String,
}
