//! The command line.

mod api;
mod call;
mod develop;
mod events;
mod plugin;
mod registry;
mod toolkit;

pub(crate) use api::{ApiArgs, OpenapiArgs};
pub(crate) use call::{CallArgs, DefinitionArgs, ExplainArgs, NodesArgs, StreamArgs};
pub(crate) use develop::{BuildArgs, DoctorArgs, NewArgs, PluginRunArgs, TestArgs};
pub(crate) use events::{PublishArgs, SubscribeArgs};
pub(crate) use plugin::{PluginBenchArgs, PluginCallArgs, PluginCommand, ProbedPlugin, SwapArgs};
pub(crate) use registry::{Definition, Deregister, Get, List, Register, RegistryArgs, RegistryCommand};
pub(crate) use toolkit::ToolkitFlags;

use crate::filter_flags::{self, Flagged};
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use std::time::Duration;

const TEMPLATE: &str = concat!(
    "NAME:\n  micro - {about}\n\n",
    "USAGE:\n  {usage}\n\n",
    "VERSION:\n  ",
    env!("CARGO_PKG_VERSION"),
    "\n\nCOMMANDS:\n{subcommands}\n\n",
    "GLOBAL OPTIONS:\n{options}{after-help}",
);

/// The command line for parsing and for help. The options that every command has are left to the long help; values of
/// variables may be secrets and are never shown.
pub(crate) fn command(filters: &[Flagged]) -> clap::Command {
    filter_flags::extend(Cli::command(), filters).mut_args(|argument| {
        let headings = [FRAMEWORK, TOOLKIT, filter_flags::HEADING];
        let everywhere = argument.get_help_heading().is_some_and(|it| headings.contains(&it));
        argument.hide_env_values(true).hide_short_help(everywhere)
    })
}

/// The heading of [`micro::Flags`].
const FRAMEWORK: &str = "Framework options";
/// The heading of [`ToolkitFlags`].
const TOOLKIT: &str = "Toolkit options";

/// A microservice toolkit whose backends are plugins
#[derive(Debug, Parser)]
#[command(
    name = "micro",
    version = concat!("version ", env!("CARGO_PKG_VERSION")),
    disable_version_flag = true,
    help_template = TEMPLATE,
    override_usage = "micro [global options] command [command options] [arguments...]",
    after_help = "micro --help shows all options, of which most also work behind a command; micro error CODE explains an error.",
    after_long_help = "Where [env: NAME] is shown, the variable does the same as the flag; a flag wins over its variable."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) micro: micro::Flags,
    #[command(flatten)]
    pub(crate) toolkit: ToolkitFlags,
    /// Form of the answer on standard output
    #[arg(
        long,
        short,
        env = "MICRO_OUTPUT",
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORM"
    )]
    pub(crate) output: Format,
    /// Print the version
    #[arg(long, short = 'v', action = clap::ArgAction::Version)]
    version: Option<bool>,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// Form of the answer on standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Text,
    /// One JSON document
    Json,
    /// The bytes of the answer as they came; for `call` only
    Raw,
    /// JUnit XML; for micro plugin test
    Junit,
}

/// Every command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the API gateway: HTTP in front, calls to services behind
    Api(ApiArgs),
    /// List what the registry knows
    #[command(subcommand_required = false)]
    List {
        #[command(subcommand)]
        what: Option<List>,
    },
    /// Show one thing of the registry
    #[command(alias = "describe")]
    Get {
        #[command(subcommand)]
        what: Option<Get>,
    },
    /// Add something to the registry
    Register {
        #[command(subcommand)]
        what: Option<Register>,
    },
    /// Remove something from the registry
    Deregister {
        #[command(subcommand)]
        what: Option<Deregister>,
    },
    /// Run the registry as a service, for Go programs with MICRO_REGISTRY=service; or its commands, in a group
    Registry {
        #[command(flatten)]
        serve: RegistryArgs,
        #[command(subcommand)]
        command: Option<RegistryCommand>,
    },
    /// Call an endpoint of a service
    Call(CallArgs),
    /// Show what a call does, step by step; without a request nothing is sent
    Explain(ExplainArgs),
    /// Older name of call
    #[command(hide = true)]
    Query(CallArgs),
    /// Publish an event
    Publish(PublishArgs),
    /// Print events as they come
    Subscribe(SubscribeArgs),
    /// Open a stream to an endpoint, and print each message that comes back as a line
    Stream(StreamArgs),
    /// Print the OpenAPI document of the HTTP routes of a service, or of proto files
    Openapi(OpenapiArgs),
    /// Ask each node of a service whether it is well
    Health(NodesArgs),
    /// Show the figures of each node of a service
    Stats(NodesArgs),
    /// Build plugins, look at them, replace them
    Plugin {
        #[command(subcommand)]
        command: Option<PluginCommand>,
    },
    /// Explain an error code; without one, list them all
    Error {
        /// As it stands behind an error: MICRO-0101
        code: Option<String>,
    },
    /// Print a completion script
    Completion {
        /// The shell it is for
        shell: Shell,
    },
}

/// A duration in which something can happen.
fn limit(text: &str) -> Result<Duration, String> {
    let limit = micro::flags::duration(text)?;
    if limit.is_zero() { Err("no time at all: write for instance 30s".to_owned()) } else { Ok(limit) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command(&[]).debug_assert();
    }
}
