//! The commands of `micro plugin` for those who write one.

use clap::Args;
use micro_test::conformance::{Level, Suite, WireFault};
use std::path::PathBuf;

pub(super) const NEW_HELP: &str = "\
Languages and kinds:
  rust    registry, selector, codec, filter
  python  registry, selector, codec, filter
  js      registry, selector, codec, filter
  c       registry, selector, codec, filter
  go      none: its bindings need a module that the Go module proxy does not serve
A wire is a whole protocol: start from a copy of plugins/http-transport, in Rust, or in C with
its contract. The kinds broker, transport and middleware have no contract yet.";

#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    /// What the plugin is called; -KIND is appended where it is missing
    pub(crate) name: String,
    /// Its kind: registry, selector, codec, filter
    #[arg(long, short)]
    pub(crate) kind: micro_plugin::Kind,
    /// Its language: rust, python, js, c
    #[arg(long, short)]
    pub(crate) lang: micro_scaffold::Language,
    /// The folder to make [default: the plugin's name]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// One language; the exit code says whether plugins can be built in it
    #[arg(long, short)]
    pub(crate) lang: Option<micro_scaffold::Language>,
    /// Install what needs no root: a Rust target, or the tools of the plugin in this folder
    #[arg(long)]
    pub(crate) install: bool,
    /// The plugin's folder, where tools may be installed
    #[arg(default_value = ".")]
    pub(crate) folder: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct BuildArgs {
    /// The folder with plugin.toml
    #[arg(default_value = ".")]
    pub(crate) folder: PathBuf,
    /// Install the language's pinned tools into the folder where they are missing
    #[arg(long)]
    pub(crate) install: bool,
    /// Finish this component instead of building one
    #[arg(long, value_name = "FILE")]
    pub(crate) wasm: Option<PathBuf>,
    /// Where to write the plugin: a file or an existing folder [default: NAME.wasm]
    #[arg(long, value_name = "PATH")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct PluginRunArgs {
    /// The folder of a plugin crate, or a .wasm file
    #[arg(default_value = ".", value_name = "FOLDER|FILE")]
    pub(crate) source: PathBuf,
    /// Build and replace the plugin whenever its source changes; what does not build leaves the running one in place
    #[arg(long)]
    pub(crate) watch: bool,
    /// What micro is to do, behind --: options of the plugin such as --registry_address, a command [default: api]
    #[arg(last = true, value_name = "ARGUMENT")]
    pub(crate) arguments: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// A .wasm file
    #[arg(required_unless_present = "list")]
    pub(crate) file: Option<PathBuf>,
    /// A backend that works for the plugin, as behind --registry_address; services of the test are registered there
    #[arg(long, value_name = "ADDRESSES")]
    pub(crate) address: Option<String>,
    /// An option of the plugin; several times
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) opt: Vec<String>,
    /// A permission beyond those that it asks for; several times
    #[arg(long, value_name = "PERMISSION")]
    pub(crate) allow: Vec<String>,
    /// Only these suites: static, contract, property, behaviour, performance, faults
    #[arg(long, value_name = "SUITES", value_delimiter = ',')]
    pub(crate) suite: Vec<Suite>,
    /// Only rules whose names contain this
    #[arg(long, value_name = "TEXT")]
    pub(crate) case: Option<String>,
    /// The level that must be reached: alpha, beta or stable [default: everything that runs must hold]
    #[arg(long)]
    pub(crate) level: Option<Level>,
    /// Only these faults of the network: latency, reset, partition
    #[arg(long, value_name = "FAULTS", value_delimiter = ',')]
    pub(crate) faults: Vec<WireFault>,
    /// Where random things begin [default: anywhere; the report says where]
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// What a backend may do otherwise: ttl=1s, expiry-slack=3s, reaction=5s, record-size=65536, names=false,
    /// service-metadata=false; several times
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) expect: Vec<String>,
    /// Write the report to a file as well: .json, .xml (JUnit) or text by its ending
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Show the rules, of the file's kind if there is one, and run nothing
    #[arg(long)]
    pub(crate) list: bool,
}
