//! What the operator asks for.

use crate::limits::MAX_MEMORY;
use micro_net::tls::ClientTls;
use micro_plugin::grant::Request;
use micro_plugin::{Grant, Locator, Manifest};
use std::fmt;
use std::time::Duration;

/// Somebody who can be asked for permissions.
pub trait GrantPrompt: Send + Sync + fmt::Debug {
    /// Whether `plugin` may have all of `missing`. May block for as long as a person thinks.
    fn ask(&self, plugin: &str, missing: &[Request]) -> bool;
}

/// A plugin that is to be put into service.
#[derive(Clone, Debug)]
pub struct PluginRequest {
    /// The flag that it was given to, without dashes: `registry`. Messages about permissions and options name it. Empty
    /// where flags such as `--opt` are about one plugin only.
    pub flag: String,
    /// Which plugin.
    pub locator: Locator,
    /// What the configuration names, where `locator` is from a swap that was written down.
    pub configured: Option<Locator>,
    /// `--registry_address`: goes to the plugin's option of type `address-list`.
    pub address: Option<String>,
    /// `--registry_opt name=value`, in the order in which they were typed.
    pub options: Vec<(String, String)>,
    /// `--registry_allow`.
    pub allow: Vec<Grant>,
    /// How the plugin's `https` connections are made. None: the roots of the operating system, no certificate.
    pub tls: Option<ClientTls>,
    /// How long a call that does not wait on purpose may take.
    pub timeout: Duration,
    /// Linear memory of one instance in bytes, in place of what the manifest says.
    pub memory_limit: Option<usize>,
}

impl PluginRequest {
    /// No options, no permissions, 5 s per call.
    pub fn new(flag: impl Into<String>, locator: Locator) -> Self {
        Self {
            flag: flag.into(),
            locator,
            configured: None,
            address: None,
            options: Vec::new(),
            allow: Vec::new(),
            tls: None,
            timeout: Duration::from_secs(5),
            memory_limit: None,
        }
    }

    /// With `--registry_address`.
    #[must_use]
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.address = Some(address.into());
        self
    }

    /// With one more `--registry_opt`.
    #[must_use]
    pub fn option(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.push((name.into(), value.into()));
        self
    }

    /// With one more `--registry_allow`.
    #[must_use]
    pub fn allow(mut self, grant: Grant) -> Self {
        self.allow.push(grant);
        self
    }

    /// The flag for `what` about this plugin: `--registry_opt` for `opt`.
    pub(crate) fn flag_for(&self, what: &str) -> String {
        match self.flag.as_str() {
            "" => format!("--{what}"),
            flag => format!("--{flag}_{what}"),
        }
    }

    /// Linear memory of one instance in bytes, where its kind has `default`.
    pub(crate) fn memory(&self, manifest: &Manifest, default: usize) -> usize {
        let wanted = manifest.limits.memory_mib.map(|mib| (mib as usize) << 20);
        self.memory_limit.or(wanted.map(|it| it.min(MAX_MEMORY))).unwrap_or(default)
    }
}
