//! What every kind of plugin shares: who it is, what a call carries, and how it fails.

use crate::bindings::exports::micro::plugin::lifecycle as wit;
use crate::bindings::micro::plugin::types;
use std::time::{Duration, Instant};

/// Who this instance is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// The plugin's name, from its manifest.
    pub plugin: String,
    /// Counts the instances of this plugin in this process, from 1. A restart after a fault is a new instance.
    pub instance: u64,
    /// Counts the versions that operators put into service in this process, from 1. A swap is a new generation.
    pub generation: u64,
    /// For instance `0.1.0`.
    pub host_version: String,
}

/// What a call carries besides its arguments.
#[derive(Clone, Debug)]
pub struct Call {
    /// How long the caller waits, counted from the call's start. The sdk answers [`Error::Timeout`] when it is over.
    pub timeout: Duration,
    /// When `timeout` is over.
    pub deadline: Instant,
    /// The W3C `traceparent` of the caller's span, for backends that have a place for it.
    pub traceparent: Option<String>,
    /// The host's log lines about this call carry the same number.
    pub request_id: u64,
    /// Settings of this call alone. Keys that a plugin does not know are ignored.
    pub options: Vec<(String, String)>,
}

/// Why this instance ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DrainReason {
    /// Another instance or version has taken over what was registered: leave it at the backend.
    Replaced,
    /// The process ends. What it registered was deregistered before.
    Shutdown,
    /// A reason that this version of the sdk does not know.
    Other(String),
}

/// What went wrong, by what the host can do about it. The texts are for operators; the host never looks into them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The thing that the call names does not exist. An unknown *service* is an empty answer, not an error.
    #[error("not found")]
    NotFound,
    /// The host's policy or the backend refused. Does not heal by itself.
    #[error("denied: {0}")]
    Denied(String),
    /// The backend cannot be reached or is not able to answer. Another try, later, may work.
    #[error("unavailable: {reason}")]
    Unavailable {
        /// What was tried and how it failed, for instance `127.0.0.1:2379: connection refused`.
        reason: String,
        /// The earliest time at which trying again makes sense. Zero: no opinion.
        retry_after: Duration,
    },
    /// Somebody else changed the same thing. Read again before trying again.
    #[error("conflict: {0}")]
    Conflict(String),
    /// A wrong option or argument. Trying again does not help.
    #[error("invalid: {0}")]
    Invalid(String),
    /// The call's time is over. The plugin is fine.
    #[error("timed out")]
    Timeout,
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl Error {
    /// The backend cannot answer now; the plugin has no opinion on when it will.
    pub fn unavailable(reason: impl Into<String>) -> Self {
        Self::Unavailable { reason: reason.into(), retry_after: Duration::ZERO }
    }

    /// The backend cannot answer now and said when to come back.
    pub fn unavailable_for(retry_after: Duration, reason: impl Into<String>) -> Self {
        Self::Unavailable { reason: reason.into(), retry_after }
    }

    /// The host's policy or the backend refused.
    pub fn denied(reason: impl Into<String>) -> Self {
        Self::Denied(reason.into())
    }

    /// A wrong option or argument.
    pub fn invalid(reason: impl Into<String>) -> Self {
        Self::Invalid(reason.into())
    }

    /// Somebody else changed the same thing.
    pub fn conflict(reason: impl Into<String>) -> Self {
        Self::Conflict(reason.into())
    }

    /// Anything that has no case of its own.
    pub fn other(reason: impl Into<String>) -> Self {
        Self::Other(reason.into())
    }
}

impl From<wit::Context> for Context {
    fn from(context: wit::Context) -> Self {
        Self {
            plugin: context.plugin,
            instance: context.instance,
            generation: context.generation,
            host_version: context.host_version,
        }
    }
}

impl Call {
    pub(crate) fn new(call: types::Call, options: types::Options) -> Self {
        let timeout = Duration::from_millis(call.timeout_ms);
        let now = Instant::now();
        Self {
            timeout,
            // A host that means "for ever" may send a number that no clock reaches.
            deadline: now.checked_add(timeout).unwrap_or_else(|| now + Duration::from_secs(365 * 86_400)),
            traceparent: call.traceparent,
            request_id: call.request_id,
            options,
        }
    }
}

impl DrainReason {
    pub(crate) fn new(reason: String) -> Self {
        match reason.as_str() {
            "replaced" => Self::Replaced,
            "shutdown" => Self::Shutdown,
            _ => Self::Other(reason),
        }
    }
}

impl From<Error> for types::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound => Self::NotFound,
            Error::Denied(reason) => Self::Denied(reason),
            Error::Unavailable { reason, retry_after } => {
                Self::Unavailable(types::Outage { retry_after_ms: millis(retry_after), reason })
            }
            Error::Conflict(reason) => Self::Conflict(reason),
            Error::Invalid(reason) => Self::Invalid(reason),
            Error::Timeout => Self::Timeout,
            Error::Other(reason) => Self::Other(reason),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endless_timeouts_are_a_deadline_all_the_same() {
        let call = types::Call { timeout_ms: u64::MAX, traceparent: None, request_id: 1 };
        assert!(Call::new(call, Vec::new()).deadline > Instant::now() + Duration::from_secs(86_400));
    }

    #[test]
    fn outages_keep_their_reason_and_pause() {
        let error = Error::unavailable_for(Duration::from_millis(1500), "db: refused");
        let types::Error::Unavailable(outage) = types::Error::from(error) else { panic!("another case") };
        assert_eq!((outage.retry_after_ms, outage.reason.as_str()), (1500, "db: refused"));
    }
}
