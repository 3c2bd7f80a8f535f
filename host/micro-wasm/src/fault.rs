//! What went wrong with a plugin, as opposed to what a plugin said went wrong.

use crate::limits::Usage;
use crate::log::GuestLog;
use serde::Serialize;
use std::time::Duration;
use wasmtime::WasmBacktrace;

/// The end of an instance.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    pub(crate) reason: String,
    /// The guest's stack, innermost frame first.
    pub(crate) backtrace: Option<String>,
    /// The latest of its standard error: a panic's text is only there.
    pub(crate) stderr: String,
}

/// Whose fault it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// The guest's code trapped: a panic, a wrong access, a wrong answer.
    Trap,
    /// The guest wanted more memory than it may have, and then trapped.
    Memory,
    /// The guest ignored a deadline.
    Deadline,
    /// The guest answered what its contract does not allow.
    Answer,
    /// The host's own code panicked while it ran the guest.
    Host,
}

impl Fault {
    /// A trap, or another failure of wasmtime to go on.
    pub(crate) fn trap(error: &wasmtime::Error, usage: &Usage, log: &GuestLog) -> Self {
        let memory = usage.was_refused();
        let cause = error.root_cause().to_string();
        Self {
            kind: if memory { FaultKind::Memory } else { FaultKind::Trap },
            reason: if memory { format!("it ran out of memory ({cause})") } else { cause },
            backtrace: error.downcast_ref::<WasmBacktrace>().map(ToString::to_string),
            stderr: log.tail(),
        }
    }

    /// [`Fault::trap`] of a plugin whose calls are ended by their use of the processor.
    pub(crate) fn hot(error: &wasmtime::Error, usage: &Usage, log: &GuestLog) -> Self {
        let fault = Self::trap(error, usage, log);
        match error.downcast_ref::<wasmtime::Trap>() {
            Some(wasmtime::Trap::Interrupt) => {
                let reason = "a call took more processor time than it may".to_owned();
                Self { kind: FaultKind::Deadline, reason, ..fault }
            }
            _ => fault,
        }
    }

    /// An answer that the contract does not allow.
    pub(crate) fn answer(reason: String) -> Self {
        Self { kind: FaultKind::Answer, reason, backtrace: None, stderr: String::new() }
    }

    pub(crate) fn deadline(what: &str, after: Duration, log: &GuestLog) -> Self {
        let reason = format!("{what} was not answered within {after:?}");
        Self { kind: FaultKind::Deadline, reason, backtrace: None, stderr: log.tail() }
    }

    pub(crate) fn host(reason: String) -> Self {
        Self { kind: FaultKind::Host, reason, backtrace: None, stderr: String::new() }
    }

    /// The reason, with the last line of standard error when there is one.
    pub(crate) fn summary(&self) -> String {
        match telling(&self.stderr) {
            Some(line) if self.kind != FaultKind::Deadline => format!("{} ({})", self.reason, line.trim()),
            _ => self.reason.clone(),
        }
    }
}

/// The line of standard error that says most: an exception where an interpreter wrote one before it panicked, else the last
/// one.
fn telling(stderr: &str) -> Option<&str> {
    let said = |line: &&str| !line.trim().is_empty() && !line.starts_with("note: ");
    // QuickJS shows a thrown value as Rust would.
    if let Some(exception) = stderr.lines().rev().find(|line| line.starts_with("Exception { message: ")) {
        return Some(exception);
    }
    // CPython ends a traceback with the exception; then comes the panic, which says only that there was one.
    if let Some((_, after)) = stderr.rsplit_once("Traceback (most recent call last):") {
        let traceback = after.lines().take_while(|line| !line.starts_with("thread '"));
        if let Some(exception) = traceback.filter(said).last() {
            return Some(exception);
        }
    }
    stderr.lines().rev().find(said)
}

/// A call that brought no answer from the guest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// The guest ignored its deadline. Its instance is being replaced.
    #[error("no answer within {0:?}, and it ignored its deadline")]
    Deadline(Duration),
    /// This call, and no other, was running when the instance trapped.
    #[error("it trapped: {0}")]
    Trapped(String),
    /// The instance ended under the call, perhaps through no fault of the call.
    #[error("its instance ended under the call: {0}")]
    InstanceLost(String),
    /// Too many calls wait already, or this one waited for all of its time.
    #[error("too many calls are waiting for it")]
    Overloaded,
    /// There was no instance in time.
    #[error("it is restarting: {0}")]
    NotReady(String),
    /// It failed too often.
    #[error("it is quarantined: {0}")]
    Quarantined(String),
    /// It does not accept its options.
    #[error("it does not accept its options: {0}")]
    Refused(String),
    /// The host is ending.
    #[error("it is shut down")]
    Stopped,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tells_most_is_shown() {
        let panic = "thread '<unnamed>' (1) panicked at src/lib.rs:1:\n";
        for (stderr, line) in [
            ("", None),
            ("one\n\nnote: run with\n", Some("one")),
            (&*format!("{panic}it broke\nnote: x\n"), Some("it broke")),
            (
                &*format!(
                    "Traceback (most recent call last):\n  File \"/0/a.py\"\nKeyError: 'a'\n\n{panic}it threw\n"
                ),
                Some("KeyError: 'a'"),
            ),
            (
                &*format!("{panic}Call failed: Value(\nException {{ message: Some(\"a\") }}\n)\nnote: x\n"),
                Some("Exception { message: Some(\"a\") }"),
            ),
        ] {
            assert_eq!(telling(stderr), line, "{stderr}");
        }
    }
}
