//! `micro`: gateways and tools for services. Flags become settings here, settings become library calls.
//!
//! | module | holds |
//! |---|---|
//! | [`args`] | the command line |
//! | [`filter_flags`] | what filters in the plugin folders add to it |
//! | [`commands`] | what each command does |
//! | [`session`] | what commands that end need: the registry, a client |
//! | [`output`] | the one way to standard output |
//! | [`failure`] | the one way to standard error and to the exit code |
//! | [`prompt`] | asking a person for permissions |

mod args;
mod commands;
mod failure;
mod filter_flags;
mod output;
mod prompt;
mod session;

use args::Cli;
use clap::FromArgMatches;
use filter_flags::Flagged;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let filters = filter_flags::discover(&arguments);
    let parsed = micro::flags::try_parse_from(args::command(&filters), arguments);
    let parsed = parsed.and_then(|matches| {
        let mut cli = Cli::from_arg_matches(&matches)?;
        filter_flags::apply(&filters, &matches, &mut cli.micro);
        Ok(cli)
    });
    match parsed {
        Ok(cli) => {
            let code = commands::code(&cli);
            match run(cli, &filters) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => failure::report(&error, code),
            }
        }
        Err(error) => failure::report_usage(&error),
    }
}

fn run(cli: Cli, filters: &[Flagged]) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(commands::run(cli, filters));
    // Blocking work that a command left behind, such as a question on the terminal, does not hold up its end.
    runtime.shutdown_background();
    done
}
