//! Calls by name that brought no answer.

use micro_core::{Code, Coded};
use std::time::Duration;

/// A call of an export that brought no answer. What a plugin answers, errors included, is an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No export of that name.
    #[error("no export {name:?}; there are:{}", lines(exports))]
    Unknown {
        /// As it was typed.
        name: String,
        /// Signatures of all that there are.
        exports: Vec<String>,
    },
    /// Several interfaces export that name.
    #[error("several exports are called {name:?}; write one of:{}", lines(exports))]
    Ambiguous {
        /// As it was typed.
        name: String,
        /// Their full names.
        exports: Vec<String>,
    },
    /// Too many or too few arguments.
    #[error("{export} takes {wanted}, not {given}: {signature}")]
    Count {
        /// The export's name.
        export: String,
        /// `2 arguments`, `1 or 2 arguments`.
        wanted: String,
        /// How many there were.
        given: usize,
        /// Of the export.
        signature: String,
    },
    /// An argument that is no value of its parameter.
    #[error("argument {parameter:?} of {export} is no {of}: {why}{}", lines(types))]
    Argument {
        /// The export's name.
        export: String,
        /// The parameter's name.
        parameter: String,
        /// Its type.
        of: String,
        /// What is wrong with the value.
        why: String,
        /// The types that the type is made of, one definition each.
        types: Vec<String>,
    },
    /// A text that is no call.
    #[error("{text:?} is no call: {why}")]
    Syntax {
        /// As it was typed.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// The guest failed: a panic, a wrong access, too much memory, too much processor time.
    #[error("{export} trapped: {reason}")]
    Trapped {
        /// The export's name.
        export: String,
        /// In one line.
        reason: String,
        /// The guest's stack, innermost frame first.
        backtrace: Option<String>,
        /// The latest of its standard error.
        stderr: String,
    },
    /// The guest ignored its deadline.
    #[error("{export} did not answer within {after:?}")]
    Late {
        /// The export's name.
        export: String,
        /// The call's own limit, and a little more to say that it gave up.
        after: Duration,
        /// The latest of its standard error.
        stderr: String,
    },
    /// The instance ended with an earlier call.
    #[error("the instance ended with an earlier call")]
    Gone,
}

impl Coded for CallError {
    fn code(&self) -> Code {
        match self {
            Self::Unknown { .. } | Self::Ambiguous { .. } => Code::AUTHOR_EXPORT,
            Self::Count { .. } | Self::Argument { .. } | Self::Syntax { .. } => Code::AUTHOR_ARGUMENT,
            Self::Trapped { .. } | Self::Gone => Code::AUTHOR_TRAP,
            Self::Late { .. } => Code::AUTHOR_LATE,
        }
    }
}

/// Each on a line of its own.
fn lines(items: &[String]) -> String {
    items.iter().map(|item| format!("\n  {item}")).collect()
}
