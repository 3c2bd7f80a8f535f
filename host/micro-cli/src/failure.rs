//! What failed, and what to do next: the one way to standard error and to the exit code.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use micro_core::Code;
use micro_gateway::api::UnknownHandler;
use micro_gateway::cors::CorsError;
use micro_net::client_addr::NetworkError;
use micro_net::error_chain;
use micro_plugin::grant::GrantError;
use std::fmt;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

/// An error together with what the person can do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    error: anyhow::Error,
    next: String,
    /// None: that of the error's type, or else of the command.
    code: Option<Code>,
}

/// A failure from texts: what is wrong, and what to do next. Its code is that of the command.
pub(crate) fn failure(text: impl Into<String>, next: impl Into<String>) -> anyhow::Error {
    with_next(anyhow::Error::msg(text.into()), next)
}

/// A failure from texts, with the code of its kind.
pub(crate) fn coded(code: Code, text: impl Into<String>, next: impl Into<String>) -> anyhow::Error {
    Failure { error: anyhow::Error::msg(text.into()), next: next.into(), code: Some(code) }.into()
}

/// An error, and what to do next.
pub(crate) fn with_next(error: impl Into<anyhow::Error>, next: impl Into<String>) -> anyhow::Error {
    Failure { error: error.into(), next: next.into(), code: None }.into()
}

/// Says what to do next.
pub(crate) trait Next<T> {
    /// Adds what to do next to an error.
    fn next(self, step: impl Into<String>) -> anyhow::Result<T>;

    /// The same for an error whose type has no code.
    fn next_as(self, code: Code, step: impl Into<String>) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> Next<T> for Result<T, E> {
    fn next(self, step: impl Into<String>) -> anyhow::Result<T> {
        self.map_err(|error| with_next(error, step))
    }

    fn next_as(self, code: Code, step: impl Into<String>) -> anyhow::Result<T> {
        self.map_err(|error| Failure { error: error.into(), next: step.into(), code: Some(code) }.into())
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

/// Prints an error with its causes, its code, and what to do next. `usual` is the code of failures that have no other.
pub(crate) fn report(error: &anyhow::Error, usual: Code) -> ExitCode {
    let next =
        error.downcast_ref::<Failure>().map_or("add --log_level=debug to see more", |failure| &failure.next);
    let code = code_of(error).unwrap_or(usual);
    let text = code.mark(&format!("error: {}", error_chain(error.as_ref())));
    complain(&format!("{text}\nnext: {next}\n"))
}

/// The code that was given to an error or to one of its causes, or else that of the first whose type has one.
fn code_of(error: &anyhow::Error) -> Option<Code> {
    error.chain().find_map(|cause| match cause.downcast_ref::<Failure>() {
        Some(failure) => failure.code.or_else(|| code_of(&failure.error)),
        None => of_type(cause),
    })
}

fn of_type(error: &(dyn std::error::Error + 'static)) -> Option<Code> {
    let gateway = || {
        let handler = error.is::<UnknownHandler>().then_some(Code::HANDLER);
        handler.or_else(|| error.is::<CorsError>().then_some(Code::CORS))
    };
    let network = || error.is::<NetworkError>().then_some(Code::PROXIES);
    let permission = || error.is::<GrantError>().then_some(Code::GRANT_FORM);
    micro::code_of(error).or_else(gateway).or_else(network).or_else(permission)
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
        let text = format!("error: Unrecognized micro command: {command}. Please refer to 'micro --help'");
        return complain(&format!("{}\n{next}", Code::COMMAND_UNKNOWN.mark(&text)));
    }
    if !error.use_stderr() {
        // Nothing can be done about a closed terminal.
        _ = error.print();
        return ExitCode::SUCCESS;
    }
    let text = error.render();
    let coloured = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let text = if coloured { text.ansi().to_string() } else { text.to_string() };
    complain(&Code::COMMAND_LINE.mark(&text))
}

fn complain(text: &str) -> ExitCode {
    // Nothing can be done about a closed terminal.
    _ = std::io::stderr().write_all(text.as_bytes());
    ExitCode::FAILURE
}
