//! What operators see of a plugin: `micro plugin ps`.

use crate::fault::{Fault, FaultKind};
use crate::stats::Times;
use micro_plugin::Kind;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::SystemTime;

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
    /// It is no plugin but a part of the program, which serves where no component was found.
    Native,
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

impl PluginStatus {
    /// A part of the program that serves in place of a plugin.
    pub fn native(kind: Kind, name: &str, version: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            kind,
            flag: kind.suffix().to_owned(),
            digest: String::new(),
            file: PathBuf::new(),
            locator: name.to_owned(),
            configured: name.to_owned(),
            state: PluginState::Native,
            generation: 0,
            instance: 0,
            instances: 0,
            restarts: 0,
            last_error: None,
            in_flight: 0,
            queued: 0,
            memory_bytes: 0,
            calls: BTreeMap::new(),
            denied: BTreeMap::new(),
            options: BTreeMap::new(),
            draining: 0,
            last_swap: None,
        }
    }
}

impl LastError {
    pub(crate) fn new(at: SystemTime, instance: u64, fault: &Fault) -> Self {
        let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self {
            at: since.as_secs(),
            instance,
            kind: fault.kind,
            reason: fault.reason.clone(),
            backtrace: fault.backtrace.clone(),
            stderr: fault.stderr.clone(),
        }
    }
}
