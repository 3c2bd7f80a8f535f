//! What each command does.

mod api;
mod call;
mod completion;
mod definitions;
mod describe;
mod endpoint;
mod error;
mod explain;
mod nodes;
mod openapi;
mod plugin;
mod publish;
mod registry;
mod registry_service;
mod stream;
mod subscribe;

use crate::args::{
    self, Cli, Command, Deregister, Format, Get, List, PluginCommand, Register, RegistryCommand,
};
use crate::failure::coded;
use crate::filter_flags::Flagged;
use crate::output;
use micro_core::Code;

/// The code of a failure of this command that has none by itself.
pub(crate) fn code(cli: &Cli) -> Code {
    match &cli.command {
        Some(Command::Api(_)) => Code::SETTINGS,
        Some(Command::Call(_) | Command::Query(_) | Command::Explain(_)) => Code::VALUE,
        Some(Command::Plugin { command: Some(command) }) => match command {
            PluginCommand::Build(_) => Code::AUTHOR_BUILD,
            PluginCommand::Test(_) => Code::AUTHOR_TEST,
            PluginCommand::New(_) => Code::AUTHOR_NEW,
            PluginCommand::Doctor(_) => Code::AUTHOR_TOOLS,
            _ => Code::UNEXPECTED,
        },
        _ => Code::UNEXPECTED,
    }
}

/// Runs what the command line asks for.
pub(crate) async fn run(cli: Cli, filters: &[Flagged]) -> anyhow::Result<()> {
    let Cli { micro: flags, toolkit, output, command, .. } = cli;
    let Some(command) = command else {
        return help(filters, &[]);
    };
    // `micro registry list` is `micro list`.
    let command = match command {
        Command::Registry { serve, command: Some(command) } => {
            if serve.address.is_some() {
                let next = "leave it out, or name a registry with --registry_address";
                return Err(coded(Code::VALUE, "--address is for micro registry without a command", next));
            }
            command.into()
        }
        other => other,
    };
    if output == Format::Raw && !matches!(command, Command::Call(_) | Command::Query(_) | Command::Stream(_))
    {
        let next = "use --output=json or --output=text";
        return Err(coded(Code::OUTPUT_FORM, "--output=raw is for micro call and micro stream", next));
    }
    let is_test = matches!(command, Command::Plugin { command: Some(PluginCommand::Test(_)) });
    if output == Format::Junit && !is_test {
        let next = "use --output=json or --output=text";
        return Err(coded(Code::OUTPUT_FORM, "--output=junit is for micro plugin test", next));
    }
    match command {
        Command::Api(arguments) => api::run(&flags, &toolkit, arguments).await,
        Command::List { what: Some(List::Services) } => registry::list(&flags, output).await,
        Command::Get { what: Some(Get::Service { name }) } => registry::get(&flags, output, name).await,
        Command::Register { what: Some(Register::Service(definition)) } => {
            registry::register(&flags, output, &definition).await
        }
        Command::Deregister { what: Some(Deregister::Service(definition)) } => {
            registry::deregister(&flags, output, &definition).await
        }
        Command::Call(arguments) => call::run(&flags, output, arguments).await,
        Command::Explain(arguments) => explain::run(&flags, output, arguments).await,
        Command::Query(arguments) => {
            tell("Deprecated. Use call instead");
            call::run(&flags, output, arguments).await
        }
        Command::Publish(arguments) => publish::run(&flags, output, arguments).await,
        Command::Subscribe(arguments) => subscribe::run(&flags, output, arguments).await,
        Command::Stream(arguments) => stream::run(&flags, output, arguments).await,
        Command::Openapi(arguments) => openapi::run(&flags, arguments).await,
        Command::Health(arguments) => nodes::health(&flags, output, arguments).await,
        Command::Stats(arguments) => nodes::stats(&flags, output, arguments).await,
        Command::Plugin { command: Some(PluginCommand::Ps) } => plugin::ps(&flags, output).await,
        Command::Plugin { command: Some(PluginCommand::Swap(arguments)) } => {
            plugin::swap(&flags, output, arguments).await
        }
        Command::Plugin { command: Some(PluginCommand::Inspect { file }) } => plugin::inspect(output, &file),
        Command::Plugin { command: Some(PluginCommand::Build(arguments)) } => {
            plugin::build(output, &arguments).await
        }
        Command::Plugin { command: Some(PluginCommand::Call(arguments)) } => {
            plugin::call(&flags, output, &arguments).await
        }
        Command::Plugin { command: Some(PluginCommand::Run(arguments)) } => {
            plugin::run(&flags, output, &arguments).await
        }
        Command::Plugin { command: Some(PluginCommand::Bench(arguments)) } => {
            plugin::bench(&flags, output, &arguments).await
        }
        Command::Error { code } => error::explain(output, code.as_deref()),
        Command::Plugin { command: Some(PluginCommand::Test(arguments)) } => {
            plugin::test(&flags, output, arguments).await
        }
        Command::Plugin { command: Some(PluginCommand::New(arguments)) } => {
            plugin::new(output, &arguments).await
        }
        Command::Plugin { command: Some(PluginCommand::Doctor(arguments)) } => {
            plugin::doctor(output, arguments).await
        }
        Command::Completion { shell } => completion::print(shell, filters),
        // A group alone shows what is in it.
        Command::List { what: None } => help(filters, &["list"]),
        Command::Get { what: None } => help(filters, &["get"]),
        Command::Register { what: None } => help(filters, &["register"]),
        Command::Deregister { what: None } => help(filters, &["deregister"]),
        Command::Registry { serve, .. } => registry_service::run(&flags, serve).await,
        Command::Plugin { command: None } => help(filters, &["plugin"]),
    }
}

impl From<RegistryCommand> for Command {
    fn from(command: RegistryCommand) -> Self {
        match command {
            RegistryCommand::List { what } => Self::List { what },
            RegistryCommand::Get { what } => Self::Get { what },
            RegistryCommand::Register { what } => Self::Register { what },
            RegistryCommand::Deregister { what } => Self::Deregister { what },
        }
    }
}

/// Prints the help of a command to standard output.
fn help(filters: &[Flagged], path: &[&str]) -> anyhow::Result<()> {
    let mut root = args::command(filters);
    root.build();
    let mut command = &mut root;
    for name in path {
        command = command.find_subcommand_mut(name).expect("a command of the table above");
    }
    output::write(command.render_help().to_string().as_bytes())
}

/// A remark to the person, beside the answer.
fn tell(remark: &str) {
    use std::io::Write;
    // Nothing can be done about a closed terminal.
    _ = writeln!(std::io::stderr(), "{remark}");
}
