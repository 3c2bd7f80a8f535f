//! The command line.

use crate::filter_flags::{self, Flagged};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use micro_test::conformance::{Level, Suite, WireFault};
use std::path::PathBuf;
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

/// Flags of the gateways, which may stand in front of the command.
#[derive(Args, Debug)]
#[command(next_help_heading = TOOLKIT)]
pub(crate) struct ToolkitFlags {
    /// Address of the API gateway
    #[arg(
        long = "api_address",
        env = "MICRO_API_ADDRESS",
        default_value = ":8080",
        global = true,
        value_name = "ADDRESS"
    )]
    pub(crate) api_address: String,
    /// How the API gateway serves requests: meta, api, rpc, http, proxy or web
    #[arg(
        long = "api_handler",
        env = "MICRO_API_HANDLER",
        default_value = "meta",
        global = true,
        value_name = "HANDLER"
    )]
    pub(crate) api_handler: String,
    /// What stands in front of service names in the API gateway
    #[arg(
        long = "api_namespace",
        env = "MICRO_API_NAMESPACE",
        default_value = "go.micro.api",
        global = true,
        value_name = "NAME"
    )]
    pub(crate) api_namespace: String,
    /// Largest request body of the API gateway in bytes
    #[arg(long = "api_body_limit", env = "MICRO_API_BODY_LIMIT", default_value_t = micro_gateway::api::DEFAULT_BODY_LIMIT, global = true, value_name = "BYTES")]
    pub(crate) api_body_limit: usize,
    /// Serve /rpc on the API gateway, through which services are called by name
    #[arg(long = "enable_rpc", env = "MICRO_API_ENABLE_RPC", global = true)]
    pub(crate) enable_rpc: bool,
    /// What may be called through /rpc: SERVICE or SERVICE:ENDPOINT, with * at the end for anything. Repeatable
    #[arg(
        long = "rpc_allow",
        env = "MICRO_API_RPC_ALLOW",
        value_delimiter = ',',
        global = true,
        value_name = "PATTERN"
    )]
    pub(crate) rpc_allow: Vec<String>,
    /// How long a client of the API gateway may be silent within a request or between two, or take nothing of an answer
    #[arg(long = "api_client_timeout", env = "MICRO_API_CLIENT_TIMEOUT", default_value = "30s", value_parser = limit, global = true, value_name = "DURATION")]
    pub(crate) api_client_timeout: Duration,
    /// How long a service may take for an answer to a request that the API gateway passes on as it is
    #[arg(long = "api_proxy_timeout", env = "MICRO_API_PROXY_TIMEOUT", default_value = "60s", value_parser = limit, global = true, value_name = "DURATION")]
    pub(crate) api_proxy_timeout: Duration,
    /// How long a websocket through the API gateway may be silent
    #[arg(long = "api_websocket_timeout", env = "MICRO_API_WEBSOCKET_TIMEOUT", default_value = "10m", value_parser = limit, global = true, value_name = "DURATION")]
    pub(crate) api_websocket_timeout: Duration,
    /// Most connections to the API gateway at a time; others wait
    #[arg(
        long = "api_max_connections",
        env = "MICRO_API_MAX_CONNECTIONS",
        default_value_t = 16_384,
        global = true,
        value_name = "NUMBER"
    )]
    pub(crate) api_max_connections: usize,
    /// Answer the cross-origin questions of browsers
    #[arg(
        long = "enable_cors",
        env = "MICRO_API_ENABLE_CORS",
        default_value = "true",
        default_missing_value = "true",
        num_args = 0..=1,
        require_equals = true,
        action = clap::ArgAction::Set,
        global = true,
        value_name = "BOOL"
    )]
    pub(crate) enable_cors: bool,
    /// Origins (scheme://host:port) whose scripts may call the API gateway; * is any, and then any site may call
    /// it with the cookies of whoever looks at that site. Repeatable
    #[arg(
        long = "api_cors",
        alias = "cors-allowed-origins",
        env = "MICRO_API_CORS",
        default_value = "*",
        value_delimiter = ',',
        global = true,
        value_name = "ORIGIN"
    )]
    pub(crate) api_cors: Vec<String>,
    /// Methods that such scripts may use; * is any. Repeatable [default: those of REST]
    #[arg(
        long = "cors_allowed_methods",
        alias = "cors-allowed-methods",
        env = "CORS_ALLOWED_METHODS",
        value_delimiter = ',',
        global = true,
        value_name = "METHOD"
    )]
    pub(crate) cors_allowed_methods: Vec<String>,
    /// Header fields that such scripts may send; * is any. Repeatable [default: the usual ones]
    #[arg(
        long = "cors_allowed_headers",
        alias = "cors-allowed-headers",
        env = "CORS_ALLOWED_HEADERS",
        value_delimiter = ',',
        global = true,
        value_name = "NAME"
    )]
    pub(crate) cors_allowed_headers: Vec<String>,
    /// Serve figures about requests at /stats, and for Prometheus at /metrics
    #[arg(long = "enable_stats", env = "MICRO_ENABLE_STATS", global = true)]
    pub(crate) enable_stats: bool,
    /// Serve TLS with --tls_cert_file and --tls_key_file, which are read again when they change
    #[arg(long = "enable_tls", env = "MICRO_ENABLE_TLS", global = true)]
    pub(crate) enable_tls: bool,
    /// Certificate of the gateways, followed by its intermediates, in PEM
    #[arg(long = "tls_cert_file", env = "MICRO_TLS_CERT_FILE", global = true, value_name = "FILE")]
    pub(crate) tls_cert_file: Option<PathBuf>,
    /// Private key of the gateways in PEM
    #[arg(long = "tls_key_file", env = "MICRO_TLS_KEY_FILE", global = true, value_name = "FILE")]
    pub(crate) tls_key_file: Option<PathBuf>,
    /// Authorities in PEM; clients of the gateways must then present a certificate of one of them
    #[arg(long = "tls_client_ca_file", env = "MICRO_TLS_CLIENT_CA_FILE", global = true, value_name = "FILE")]
    pub(crate) tls_client_ca_file: Option<PathBuf>,
    /// Proxies in front whose X-Forwarded-For and Forwarded count: addresses or networks such as 10.0.0.0/8. Repeatable
    #[arg(
        long = "trusted_proxies",
        env = "MICRO_TRUSTED_PROXIES",
        value_delimiter = ',',
        global = true,
        value_name = "NETWORK"
    )]
    pub(crate) trusted_proxies: Vec<String>,
    /// Expect the PROXY protocol (version 1 or 2) from the trusted proxies
    #[arg(long = "proxy_protocol", env = "MICRO_PROXY_PROTOCOL", global = true)]
    pub(crate) proxy_protocol: bool,
    /// Write no access log
    #[arg(long = "no_access_log", env = "MICRO_NO_ACCESS_LOG", global = true)]
    pub(crate) no_access_log: bool,
}

/// A duration in which something can happen.
fn limit(text: &str) -> Result<Duration, String> {
    let limit = micro::flags::duration(text)?;
    if limit.is_zero() { Err("no time at all: write for instance 30s".to_owned()) } else { Ok(limit) }
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
    Explain(CallArgs),
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

/// `micro registry`.
#[derive(Debug, Args)]
pub(crate) struct RegistryArgs {
    /// Where to serve, as --server_address [default: :8000, where Go programs look]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) address: Option<String>,
}

/// `micro registry …`.
#[derive(Debug, Subcommand)]
pub(crate) enum RegistryCommand {
    /// List what the registry knows
    List {
        #[command(subcommand)]
        what: Option<List>,
    },
    /// Show one thing of the registry
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
}

#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum List {
    /// The names of all services, one on a line
    Services,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Get {
    /// Versions, nodes and endpoints of a service
    Service {
        /// The service's name
        name: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Register {
    /// Add the nodes of a service, as `micro get service NAME --output json` prints them
    Service(Definition),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Deregister {
    /// Remove the nodes of a service
    Service(Definition),
}

#[derive(Debug, Args)]
pub(crate) struct Definition {
    /// {"name": "…", "version": "…", "nodes": [{"id": "…", "address": "host:port"}]}
    #[arg(value_name = "JSON")]
    pub(crate) json: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ApiArgs {
    /// As --api_address
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) address: Option<String>,
    /// As --api_handler
    #[arg(long, value_name = "HANDLER")]
    pub(crate) handler: Option<String>,
    /// As --api_namespace
    #[arg(long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// As --api_cors
    #[arg(long, value_delimiter = ',', value_name = "ORIGIN")]
    pub(crate) cors: Vec<String>,
    /// Stand in front of this gRPC server, without a registry; its routes are those of its google.api.http options,
    /// and POST /pkg.Service/Method for methods without. Repeatable
    #[arg(long, env = "MICRO_API_ENDPOINT", value_delimiter = ',', value_name = "HOST:PORT")]
    pub(crate) endpoint: Vec<String>,
    #[command(flatten)]
    pub(crate) definitions: DefinitionArgs,
    /// Where the OpenAPI document of the routes is served; empty for nowhere
    #[arg(
        long = "openapi_path",
        env = "MICRO_API_OPENAPI_PATH",
        default_value = "/openapi.json",
        value_name = "PATH"
    )]
    pub(crate) openapi_path: String,
    /// Answers to routes of google.api.http options have the names and numbers that services send to each other, not
    /// those of protobuf's JSON
    #[arg(long = "rpc_json", env = "MICRO_API_RPC_JSON")]
    pub(crate) rpc_json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CallArgs {
    /// The service's name
    pub(crate) service: Option<String>,
    /// Struct.Method, or pkg.Service/Method of a gRPC service
    pub(crate) endpoint: Option<String>,
    /// The request; words are joined with spaces [default: {}]
    #[arg(value_name = "JSON", allow_negative_numbers = true)]
    pub(crate) request: Vec<String>,
    /// Call this node, without asking the registry
    #[arg(long, env = "MICRO_ADDRESS", value_name = "HOST:PORT")]
    pub(crate) address: Option<String>,
    /// Metadata of the call. Repeatable
    #[arg(long, env = "MICRO_METADATA", value_delimiter = ',', value_name = "KEY=VALUE")]
    pub(crate) metadata: Vec<String>,
    /// Time for the whole call, as --client_request_timeout
    #[arg(long, value_parser = micro::flags::duration, value_name = "DURATION")]
    pub(crate) timeout: Option<Duration>,
    /// What the node is called in, whatever its record says: mucp, grpc (JSON is converted), grpc+json or envelope
    #[arg(long, value_name = "PROTOCOL")]
    pub(crate) protocol: Option<micro::Protocol>,
    #[command(flatten)]
    pub(crate) definitions: DefinitionArgs,
}

#[derive(Debug, Args)]
#[command(after_long_help = STREAM_HELP)]
pub(crate) struct StreamArgs {
    #[command(flatten)]
    pub(crate) call: CallArgs,
}

const STREAM_HELP: &str = r#"The request is the first message, and the last; {} if none is given. With - in its place, each line of standard input
is a message, sent as it comes, and the end of the input is the end of the requests.

Examples:
  micro stream go.micro.srv.stream Streamer.ServerStream '{"count": 10}'
  micro stream go.micro.srv.chat Chat.Talk - < messages.ndjson

It ends with the stream, with an error of the service (exit code 1), or with Ctrl-C."#;

#[derive(Debug, Args)]
pub(crate) struct OpenapiArgs {
    /// The service's name
    #[arg(required_unless_present_any = ["proto", "descriptor_set"])]
    pub(crate) service: Option<String>,
    #[command(flatten)]
    pub(crate) definitions: DefinitionArgs,
    /// Names and numbers as services send them to each other, not as protobuf's JSON has them
    #[arg(long = "rpc_json")]
    pub(crate) rpc_json: bool,
}

/// Files with the definitions of services.
#[derive(Debug, Args)]
pub(crate) struct DefinitionArgs {
    /// File with the definitions of a service, in place of asking it. Repeatable
    #[arg(long, value_name = "FILE", conflicts_with = "descriptor_set")]
    pub(crate) proto: Vec<PathBuf>,
    /// Folder in which --proto files and their imports are looked for. Repeatable [default: the folders of the files]
    #[arg(long = "proto_path", value_name = "FOLDER", requires = "proto")]
    pub(crate) proto_path: Vec<PathBuf>,
    /// The same as a FileDescriptorSet: protoc --include_imports --descriptor_set_out
    #[arg(long = "descriptor_set", value_name = "FILE")]
    pub(crate) descriptor_set: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct PublishArgs {
    /// What it is published under
    pub(crate) topic: Option<String>,
    /// The event; words are joined with spaces, and - is standard input
    #[arg(value_name = "JSON", allow_negative_numbers = true)]
    pub(crate) event: Vec<String>,
    /// Header of the event, which subscribers find in their metadata. Repeatable
    #[arg(long, alias = "metadata", env = "MICRO_METADATA", value_delimiter = ',', value_name = "KEY=VALUE")]
    pub(crate) header: Vec<String>,
    /// What the event is, where it is no JSON
    #[arg(long = "content_type", default_value = "application/json", value_name = "TYPE")]
    pub(crate) content_type: String,
    /// Each line of standard input is an event
    #[arg(long)]
    pub(crate) lines: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SubscribeArgs {
    /// The topic
    pub(crate) topic: Option<String>,
    /// Share the events with all subscribers of this queue
    #[arg(long, value_name = "NAME")]
    pub(crate) queue: Option<String>,
    /// End after so many events
    #[arg(long, value_name = "NUMBER")]
    pub(crate) count: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct NodesArgs {
    /// The service's name
    pub(crate) service: Option<String>,
}

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

const NEW_HELP: &str = "\
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command(&[]).debug_assert();
    }
}
