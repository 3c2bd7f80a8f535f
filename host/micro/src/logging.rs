//! Log lines on standard error.

use crate::flags::LogFormat;
use std::io::IsTerminal;
use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::fmt;
use tracing_subscriber::prelude::*;

/// What is logged when nothing was said.
const DEFAULT_LEVEL: &str = "info";

/// Starts logging to standard error. Does nothing if the program has a subscriber already.
///
/// # Errors
/// A `level` that is neither a level nor a list of `target=level`.
pub fn init(level: Option<&str>, format: LogFormat) -> Result<(), ParseError> {
    let filter = EnvFilter::builder().parse(level.unwrap_or(DEFAULT_LEVEL))?;
    let registry = tracing_subscriber::registry().with(filter);
    // An error means that somebody else logs already, which is fine.
    _ = match format {
        LogFormat::Text => {
            let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            registry
                .with(fmt::layer().with_writer(std::io::stderr).with_ansi(colours).with_target(false))
                .try_init()
        }
        LogFormat::Json => {
            registry.with(fmt::layer().json().flatten_event(true).with_writer(std::io::stderr)).try_init()
        }
    };
    Ok(())
}
