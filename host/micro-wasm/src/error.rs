//! Why a plugin was not loaded.

use micro_core::{Code, Coded};
use std::fmt;

/// A plugin that was not loaded. Its text says which one, at which step, why, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot load plugin {plugin}: {step}: {reason}; {remedy}")]
pub struct LoadError {
    /// As the operator named it.
    pub plugin: String,
    /// Where it stopped.
    pub step: Step,
    /// What is wrong.
    pub reason: String,
    /// What to do about it.
    pub remedy: String,
}

/// The steps of loading, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Finding the file.
    Locate,
    /// Reading it.
    Read,
    /// Comparing its digest with the one that was asked for.
    Digest,
    /// Reading its manifest.
    Manifest,
    /// Is it of the kind that the flag wants?
    Kind,
    /// Is it built for a contract that this host knows?
    Contract,
    /// Checking what the operator typed.
    Options,
    /// Comparing what it asks for with what was granted.
    Grants,
    /// Comparing what it imports with what the host offers.
    Imports,
    /// Making machine code.
    Compile,
    /// Connecting imports and exports.
    Link,
    /// The first instance.
    Start,
    /// The plugin's own check of its options.
    Configure,
    /// A swap only: comparing its health with that of the generation in service.
    Health,
    /// Trying the usual calls once.
    Smoke,
}

impl Step {
    /// One word, for people and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Locate => "locate",
            Self::Read => "read",
            Self::Digest => "digest",
            Self::Manifest => "manifest",
            Self::Kind => "kind",
            Self::Contract => "contract",
            Self::Options => "options",
            Self::Grants => "permissions",
            Self::Imports => "imports",
            Self::Compile => "compile",
            Self::Link => "link",
            Self::Start => "start",
            Self::Configure => "configure",
            Self::Health => "health",
            Self::Smoke => "smoke test",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// By the step at which loading stopped.
impl Coded for LoadError {
    fn code(&self) -> Code {
        match self.step {
            Step::Locate => Code::PLUGIN_NOT_FOUND,
            Step::Read => Code::PLUGIN_UNREADABLE,
            Step::Digest => Code::PLUGIN_DIGEST,
            Step::Manifest => Code::PLUGIN_MANIFEST,
            Step::Kind => Code::PLUGIN_KIND,
            Step::Contract => Code::PLUGIN_CONTRACT,
            Step::Options => Code::PLUGIN_OPTIONS,
            Step::Grants => Code::GRANTS_MISSING,
            Step::Imports => Code::PLUGIN_IMPORTS,
            Step::Compile => Code::PLUGIN_COMPILE,
            Step::Link => Code::PLUGIN_LINK,
            Step::Start => Code::PLUGIN_START,
            Step::Configure => Code::PLUGIN_CONFIGURE,
            Step::Health => Code::PLUGIN_HEALTH,
            Step::Smoke => Code::PLUGIN_SMOKE,
        }
    }
}

impl LoadError {
    pub(crate) fn new(
        plugin: impl fmt::Display,
        step: Step,
        reason: impl fmt::Display,
        remedy: impl Into<String>,
    ) -> Self {
        Self { plugin: plugin.to_string(), step, reason: reason.to_string(), remedy: remedy.into() }
    }
}
