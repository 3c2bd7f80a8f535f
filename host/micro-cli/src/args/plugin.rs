//! `micro plugin`.

use super::develop::{BuildArgs, DoctorArgs, NEW_HELP, NewArgs, PluginRunArgs, TestArgs};
use super::limit;
use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

/// `micro plugin …`.
#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Show the plugins of all running processes of this user
    Ps,
    /// Replace a plugin of a running process while its calls run
    Swap(SwapArgs),
    /// Show what a plugin file is: manifest, options, permissions, exports, imports
    Inspect {
        /// A .wasm file
        file: PathBuf,
    },
    /// Build a plugin in its language and finish it with its plugin.toml
    Build(BuildArgs),
    /// Call exports of a plugin by name, or list them
    Call(PluginCallArgs),
    /// Run micro with a plugin in its place; with --watch, replace it whenever its source changes
    Run(PluginRunArgs),
    /// Measure what a plugin costs: compiling, starting, memory, calls
    Bench(PluginBenchArgs),
    /// Hold a plugin file to the rules of its kind
    Test(TestArgs),
    /// Make a folder with a plugin that works, to start from
    #[command(after_help = NEW_HELP)]
    New(NewArgs),
    /// Show which languages plugins can be built in here, and what is missing for the others
    Doctor(DoctorArgs),
}

#[derive(Debug, Args)]
pub(crate) struct SwapArgs {
    /// What to replace: registry, or registry:NAME where a process has several
    pub(crate) kind: String,
    /// The new one, as behind --registry: a name, a .wasm file, a path, each perhaps with @sha256:DIGEST
    pub(crate) locator: String,
    /// The process [default: the only one that has such a plugin]
    #[arg(long, short, value_name = "PID")]
    pub(crate) process: Option<u32>,
    /// Write it down, so that the next start of the service uses it too
    #[arg(long)]
    pub(crate) persist: bool,
}

#[derive(Debug, Args)]
#[command(after_long_help = PLUGIN_CALL_HELP)]
pub(crate) struct PluginCallArgs {
    /// A .wasm file, or the name of a plugin such as etcd-registry
    pub(crate) plugin: String,
    /// A function, alone or behind its interface; or whole calls: 'NAME(ARGUMENT, …)' [default: list them]
    pub(crate) export: Option<String>,
    /// Its arguments, or further calls; - is standard input
    #[arg(allow_negative_numbers = true)]
    pub(crate) arguments: Vec<String>,
    #[command(flatten)]
    pub(crate) probed: ProbedPlugin,
    /// Calls on the same instance, one on a line; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "export")]
    pub(crate) script: Option<PathBuf>,
    /// Show what the plugin asks of the host
    #[arg(long)]
    pub(crate) trace: bool,
    /// Time for each call; processor time for kinds that run per request [default: 5s, 10ms]
    #[arg(long, value_parser = limit, value_name = "DURATION")]
    pub(crate) timeout: Option<Duration>,
    /// How often each call is made; the last answer is shown
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..), value_name = "NUMBER")]
    pub(crate) repeat: u32,
}

const PLUGIN_CALL_HELP: &str = r#"The plugin is loaded as for service: the same checks, permissions and limits, its options handed to configure.

Arguments are values in WAVE, the notation of the component model, or in JSON:
  text      greeter or '"greeter"'      number   5            bool    true
  list      '[1, 2]'                    tuple    '(1, "a")'   enum    passing
  record    '{name: "a", zone: none}'   option   'some(1)'    case    'unavailable({…})'
  bytes     '[104, 105]' or '"hi"' or hi
Fields of type option may be left out, and so may the call record that calls begin with and options at the end.

Examples:
  micro plugin call etcd.wasm
  micro plugin call etcd.wasm get-service greeter --address 127.0.0.1:2379 --trace
  micro plugin call random-selector.wasm 'set-candidates(1, [{id: 7, weight: 1000, metadata: []}])' 'pick(1, 0, 0, [])'
  micro plugin call header.wasm request 10.0.0.1 - < head.bin

Exit code 1 when an answer is the error case of a result, and when a plugin fails."#;

#[derive(Debug, Args)]
pub(crate) struct PluginBenchArgs {
    /// A .wasm file, or the name of a plugin such as random-selector
    pub(crate) plugin: String,
    /// Another one, measured in turns with the first and compared with it
    pub(crate) other: Option<String>,
    #[command(flatten)]
    pub(crate) probed: ProbedPlugin,
    /// Measure this in place of the usual calls of the kind, as micro plugin call takes it. Repeatable: each is made
    /// once, in this order, before any is measured
    #[arg(long = "call", value_name = "NAME(ARGUMENT, …)")]
    pub(crate) calls: Vec<String>,
    /// How many turns each call gets
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=1000), value_name = "NUMBER")]
    pub(crate) rounds: u32,
}

/// A plugin outside of service.
#[derive(Debug, Args)]
pub(crate) struct ProbedPlugin {
    /// As --registry_address: goes to the plugin's option for addresses
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) address: Option<String>,
    /// An option of the plugin. Repeatable
    #[arg(long = "opt", value_name = "KEY=VALUE")]
    pub(crate) options: Vec<String>,
    /// What the plugin may reach, as behind --registry_allow. Repeatable
    #[arg(long, value_delimiter = ',', value_name = "PERMISSION")]
    pub(crate) allow: Vec<String>,
}
