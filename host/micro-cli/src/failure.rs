//! What failed, and what to do next: the one way to standard error and to the exit code.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use micro_net::error_chain;
use std::fmt;
use std::io::Write;
use std::process::ExitCode;

/// An error together with what the person can do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    error: anyhow::Error,
    next: String,
}

/// A failure from texts: what is wrong, and what to do next.
pub(crate) fn failure(text: impl Into<String>, next: impl Into<String>) -> anyhow::Error {
    Failure { error: anyhow::Error::msg(text.into()), next: next.into() }.into()
}

/// An error, and what to do next.
pub(crate) fn with_next(error: impl Into<anyhow::Error>, next: impl Into<String>) -> anyhow::Error {
    Failure { error: error.into(), next: next.into() }.into()
}

/// Says what to do next.
pub(crate) trait Next<T> {
    /// Adds what to do next to an error.
    fn next(self, step: impl Into<String>) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> Next<T> for Result<T, E> {
    fn next(self, step: impl Into<String>) -> anyhow::Result<T> {
        self.map_err(|error| with_next(error, step))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

/// Prints an error with its causes, and what to do next.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    let next =
        error.downcast_ref::<Failure>().map_or("add --log_level=debug to see more", |failure| &failure.next);
    complain(&format!("error: {}\nnext: {next}\n", error_chain(error.as_ref())))
}

/// Prints help and versions to standard output, and complaints about the command line to standard error.
pub(crate) fn report_usage(error: &clap::Error) -> ExitCode {
    if error.kind() == ErrorKind::InvalidSubcommand
        && let Some(ContextValue::String(command)) = error.get(ContextKind::InvalidSubcommand)
    {
        let similar = match error.get(ContextKind::SuggestedSubcommand) {
            Some(ContextValue::Strings(names)) => names.join(", "),
            Some(ContextValue::String(name)) => name.clone(),
            _ => String::new(),
        };
        let next =
            if similar.is_empty() { String::new() } else { format!("next: did you mean {similar}?\n") };
        return complain(&format!(
            "error: Unrecognized micro command: {command}. Please refer to 'micro --help'\n{next}"
        ));
    }
    // Nothing can be done about a closed terminal.
    _ = error.print();
    if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn complain(text: &str) -> ExitCode {
    // Nothing can be done about a closed terminal.
    _ = std::io::stderr().write_all(text.as_bytes());
    ExitCode::FAILURE
}
