//! Command-line flags and `MICRO_*` variables that every program built on `micro` has (`go-micro-wire` §11).
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! #[derive(clap::Parser)]
//! struct Arguments {
//!     #[command(flatten)]
//!     micro: micro::Flags,
//!     /// A flag of your own.
//!     #[arg(long)]
//!     greeting: Option<String>,
//! }
//!
//! let arguments: Arguments = micro::flags::parse();
//! micro::Service::builder("go.micro.srv.greeter").flags(&arguments.micro).build().await?.run().await?;
//! # Ok(()) }
//! ```

mod proxy;
mod tls;

pub use proxy::ProxyFlags;
pub use tls::TlsFlags;

use crate::client::{Protocol, ProtocolRules};
use clap::builder::{BoolishValueParser, Resettable};
use clap::{Args, Command, CommandFactory, FromArgMatches, ValueEnum};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

/// The framework's flags. `-` and `_` are the same in their names, `-name` works like `--name`, a flag wins over its
/// variable, and both win over code.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Framework options")]
pub struct Flags {
    /// Registry: a name (local, memory, etcd), a .wasm file, or a comma list of them [default: local]
    #[arg(long, env = "MICRO_REGISTRY", global = true, value_name = "LOCATOR")]
    pub registry: Option<String>,

    /// Addresses of the registry, separated by commas
    #[arg(
        long = "registry_address",
        env = "MICRO_REGISTRY_ADDRESS",
        global = true,
        value_name = "ADDRESSES"
    )]
    pub registry_address: Option<String>,

    /// Option of the registry plugin; values may be file:PATH or env:NAME. Repeatable
    #[arg(long = "registry_opt", env = "MICRO_REGISTRY_OPT", value_delimiter = None, global = true, value_name = "KEY=VALUE")]
    pub registry_opt: Vec<String>,

    /// What the registry plugin may do beyond its own addresses, for instance net:HOST:PORT. Repeatable
    #[arg(
        long = "registry_allow",
        env = "MICRO_REGISTRY_ALLOW",
        value_delimiter = ',',
        global = true,
        value_name = "GRANT"
    )]
    pub registry_allow: Vec<String>,

    /// PEM file with the certificates that the registry's servers are checked against [default: the system's]
    #[arg(
        long = "registry_tls_ca_file",
        env = "MICRO_REGISTRY_TLS_CA_FILE",
        global = true,
        value_name = "FILE"
    )]
    pub registry_tls_ca_file: Option<PathBuf>,

    /// PEM file with the certificate to show to the registry; the plugin never sees it
    #[arg(
        long = "registry_tls_cert_file",
        env = "MICRO_REGISTRY_TLS_CERT_FILE",
        global = true,
        value_name = "FILE"
    )]
    pub registry_tls_cert_file: Option<PathBuf>,

    /// PEM file with the key of that certificate
    #[arg(
        long = "registry_tls_key_file",
        env = "MICRO_REGISTRY_TLS_KEY_FILE",
        global = true,
        value_name = "FILE"
    )]
    pub registry_tls_key_file: Option<PathBuf>,

    /// Trust any certificate of the registry. For experiments only
    #[arg(long = "registry_tls_skip_verify", env = "MICRO_REGISTRY_TLS_SKIP_VERIFY", global = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub registry_tls_skip_verify: Option<bool>,

    /// Folders to search for plugins, separated by colons, before the user's own
    #[arg(long = "plugin_path", env = "MICRO_PLUGIN_PATH", global = true, value_name = "FOLDERS")]
    pub plugin_path: Option<OsString>,

    /// Replace plugins while calls run as soon as their files change
    #[arg(long = "watch_plugins", env = "MICRO_WATCH_PLUGINS", value_parser = BoolishValueParser::new(), global = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub watch_plugins: Option<bool>,

    /// How messages look on a connection: a name or a .wasm file [default: http]
    #[arg(long, env = "MICRO_TRANSPORT", global = true, value_name = "LOCATOR")]
    pub transport: Option<String>,

    /// Option of the transport plugin. Repeatable
    #[arg(long = "transport_opt", env = "MICRO_TRANSPORT_OPT", value_delimiter = None, global = true, value_name = "KEY=VALUE")]
    pub transport_opt: Vec<String>,

    /// How events get from publishers to subscribers: http or memory [default: http]
    #[arg(long, env = "MICRO_BROKER", global = true, value_name = "NAME")]
    pub broker: Option<String>,

    /// Where the http broker receives events, instead of on the service's own port: host:port, :port, or host:min-max
    #[arg(long = "broker_address", env = "MICRO_BROKER_ADDRESS", global = true, value_name = "ADDRESS")]
    pub broker_address: Option<String>,

    /// PEM file with the authorities of subscribers that speak TLS [default: the system's]
    #[arg(long = "broker_tls_ca_file", env = "MICRO_BROKER_TLS_CA_FILE", global = true, value_name = "FILE")]
    pub broker_tls_ca_file: Option<PathBuf>,

    /// Trust any certificate of a subscriber, such as those that Go Micro makes up by itself
    #[arg(long = "broker_tls_skip_verify", env = "MICRO_BROKER_TLS_SKIP_VERIFY", value_parser = BoolishValueParser::new(), global = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub broker_tls_skip_verify: Option<bool>,

    /// How a node is chosen: a name (random, roundrobin, leastconn, p2c) or a .wasm file [default: random]
    #[arg(long, env = "MICRO_SELECTOR", global = true, value_name = "LOCATOR")]
    pub selector: Option<String>,

    /// Option of the selector plugin. Repeatable
    #[arg(long = "selector_opt", env = "MICRO_SELECTOR_OPT", value_delimiter = None, global = true, value_name = "KEY=VALUE")]
    pub selector_opt: Vec<String>,

    /// Codecs for content types beyond those built in, or in their place: names or .wasm files. Repeatable
    #[arg(long, env = "MICRO_CODEC", value_delimiter = ',', global = true, value_name = "LOCATORS")]
    pub codec: Vec<String>,

    /// Option of a codec plugin: KEY=VALUE for the only one, else NAME.KEY=VALUE. Repeatable
    #[arg(long = "codec_opt", env = "MICRO_CODEC_OPT", value_delimiter = None, global = true, value_name = "[NAME.]KEY=VALUE")]
    pub codec_opt: Vec<String>,

    /// Filters in front of every HTTP request of a gateway, in this order: names or .wasm files. Repeatable
    #[arg(long, env = "MICRO_FILTER", value_delimiter = ',', global = true, value_name = "LOCATORS")]
    pub filter: Vec<String>,

    /// Option of a filter plugin: KEY=VALUE for the only one, else NAME.KEY=VALUE. Repeatable
    #[arg(long = "filter_opt", env = "MICRO_FILTER_OPT", value_delimiter = None, global = true, value_name = "[NAME.]KEY=VALUE")]
    pub filter_opt: Vec<String>,

    /// Time for a whole call [default: 5s]
    #[arg(long = "client_request_timeout", env = "MICRO_CLIENT_REQUEST_TIMEOUT", value_parser = duration, global = true, value_name = "DURATION")]
    pub client_request_timeout: Option<Duration>,

    /// Time for connecting to a node [default: 1s]
    #[arg(long = "client_connect_timeout", env = "MICRO_CLIENT_CONNECT_TIMEOUT", value_parser = duration, global = true, value_name = "DURATION")]
    pub client_connect_timeout: Option<Duration>,

    /// Attempts after the first one, where there is a reason for them [default: 1]
    #[arg(long = "client_retries", env = "MICRO_CLIENT_RETRIES", global = true, value_name = "COUNT")]
    pub client_retries: Option<u32>,

    /// Idle connections kept for each address; 0 keeps none [default: 100]
    #[arg(long = "client_pool_size", env = "MICRO_CLIENT_POOL_SIZE", global = true, value_name = "COUNT")]
    pub client_pool_size: Option<usize>,

    /// How long an idle connection is kept [default: 1m]
    #[arg(long = "client_pool_ttl", env = "MICRO_CLIENT_POOL_TTL", value_parser = duration, global = true, value_name = "DURATION")]
    pub client_pool_ttl: Option<Duration>,

    /// What the nodes of a service are called in whose records do not say it: mucp, grpc (JSON is converted), grpc+json
    /// or envelope; * at the end of the name stands for anything. Repeatable
    #[arg(long = "service_protocol", env = "MICRO_SERVICE_PROTOCOL", value_parser = ProtocolRules::parse, value_delimiter = ',', global = true, value_name = "NAME=PROTOCOL")]
    pub service_protocol: Vec<(String, Protocol)>,

    /// A proxy in front of all services.
    #[command(flatten)]
    pub proxy: ProxyFlags,

    /// TLS between services.
    #[command(flatten)]
    pub tls: TlsFlags,

    /// Life of a registration without a heartbeat, in seconds or as a duration [default: 60]
    #[arg(long = "register_ttl", env = "MICRO_REGISTER_TTL", value_parser = seconds, global = true, value_name = "SECONDS")]
    pub register_ttl: Option<Duration>,

    /// Time between heartbeats, in seconds or as a duration [default: 30]
    #[arg(long = "register_interval", env = "MICRO_REGISTER_INTERVAL", value_parser = seconds, global = true, value_name = "SECONDS")]
    pub register_interval: Option<Duration>,

    /// Name to register under
    #[arg(long = "server_name", env = "MICRO_SERVER_NAME", global = true, value_name = "NAME")]
    pub server_name: Option<String>,

    /// Version to register
    #[arg(long = "server_version", env = "MICRO_SERVER_VERSION", global = true, value_name = "VERSION")]
    pub server_version: Option<String>,

    /// Id of this node [default: a random UUID]
    #[arg(long = "server_id", env = "MICRO_SERVER_ID", global = true, value_name = "ID")]
    pub server_id: Option<String>,

    /// Address to serve RPC on: host:port, :port, or host:min-max [default: :0]
    #[arg(long = "server_address", env = "MICRO_SERVER_ADDRESS", global = true, value_name = "ADDRESS")]
    pub server_address: Option<String>,

    /// Address to register in place of the one served on; what it leaves out of host:port is filled in, and
    /// interface:NAME stands for the host of that network interface
    #[arg(long = "server_advertise", env = "MICRO_SERVER_ADVERTISE", global = true, value_name = "ADDRESS")]
    pub server_advertise: Option<String>,

    /// Metadata of this node. Repeatable
    #[arg(
        long = "server_metadata",
        env = "MICRO_SERVER_METADATA",
        value_delimiter = ',',
        global = true,
        value_name = "KEY=VALUE"
    )]
    pub server_metadata: Vec<String>,

    /// How long to go on serving after deregistering, while callers' caches are stale [default: 2s]
    #[arg(long = "drain_delay", env = "MICRO_DRAIN_DELAY", value_parser = duration, global = true, value_name = "DURATION")]
    pub drain_delay: Option<Duration>,

    /// How long running requests may take at shutdown [default: 10s]
    #[arg(long = "drain_timeout", env = "MICRO_DRAIN_TIMEOUT", value_parser = duration, global = true, value_name = "DURATION")]
    pub drain_timeout: Option<Duration>,

    /// Loopback address for the admin pages, beside the admin socket
    #[arg(long = "admin_address", env = "MICRO_ADMIN_ADDRESS", global = true, value_name = "ADDRESS")]
    pub admin_address: Option<String>,

    /// Folder for state, plugins and caches, in place of the user's own
    #[arg(long = "home", env = "MICRO_HOME", global = true, value_name = "FOLDER")]
    pub home: Option<PathBuf>,

    /// trace, debug, info, warn, error, off, or a list of target=level
    #[arg(long = "log_level", env = "MICRO_LOG_LEVEL", global = true, value_name = "LEVEL")]
    pub log_level: Option<String>,

    /// Form of log lines on standard error
    #[arg(long = "log_format", env = "MICRO_LOG_FORMAT", global = true, value_name = "FORMAT", value_enum)]
    pub log_format: Option<LogFormat>,
}

/// Form of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One object a line.
    Json,
}

/// Parses the program's arguments, and ends the program where clap would: 0 after help, 1 on a usage error.
pub fn parse<T: CommandFactory + FromArgMatches>() -> T {
    let parsed = try_parse_from(T::command(), std::env::args_os());
    let outcome = parsed.and_then(|matches| T::from_arg_matches(&matches));
    outcome.unwrap_or_else(|error| {
        // Nothing can be done about a closed terminal.
        _ = error.print();
        std::process::exit(i32::from(error.use_stderr()));
    })
}

/// [`parse`] for programs without flags of their own.
pub fn parse_flags() -> Flags {
    #[derive(clap::Parser)]
    struct Only {
        #[command(flatten)]
        flags: Flags,
    }
    parse::<Only>().flags
}

/// Parses arguments by the rules of [`Flags`]: `-name` is `--name`, `-` in names is `_`, an empty variable is unset, the
/// last of several values counts.
///
/// # Errors
/// clap's own, which know how to print themselves.
pub fn try_parse_from(
    command: Command,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<clap::ArgMatches, clap::Error> {
    with_our_rules(command).try_get_matches_from(normalize(arguments))
}

/// An empty variable is unset, and of a flag given twice the last one counts: scripts put their own behind those of
/// their caller.
fn with_our_rules(command: Command) -> Command {
    let empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
    command
        .args_override_self(true)
        .mut_args(|argument| match argument.get_env().is_some_and(empty) {
            true => argument.env(Resettable::Reset),
            false => argument,
        })
        .mut_subcommands(with_our_rules)
}

/// `-registry-address=x` becomes `--registry_address=x`. What follows `--`, single letters, negative numbers and lone
/// dashes stay as they are.
pub fn normalize(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments = arguments.into_iter();
    let mut normal: Vec<OsString> = arguments.next().into_iter().collect();
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            normal.push(argument);
            normal.extend(arguments);
            break;
        }
        let flag = argument.to_str().and_then(normal_flag);
        normal.push(flag.map_or(argument, OsString::from));
    }
    normal
}

fn normal_flag(argument: &str) -> Option<String> {
    let flag = argument.strip_prefix('-')?;
    let flag = flag.strip_prefix('-').unwrap_or(flag);
    let (name, value) = flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value)));
    let letters = name.starts_with(|first: char| first.is_ascii_alphabetic()) && name.len() > 1;
    let plain = name.chars().all(|it| it.is_ascii_alphanumeric() || it == '-' || it == '_');
    if !letters || !plain {
        return None;
    }
    let name = name.replace('-', "_");
    Some(value.map_or_else(|| format!("--{name}"), |value| format!("--{name}={value}")))
}

/// A duration in Go's notation: `500ms`, `1.5s`, `1m30s`, `2h`.
///
/// # Errors
/// A text that says what is expected.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("not a duration: write for instance 500ms, 5s or 1m30s, not {text:?}");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|it: char| !it.is_ascii_digit() && it != '.').ok_or_else(wrong)?;
        let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let letters = rest.find(|it: char| it.is_ascii_digit() || it == '.').unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(wrong()),
        };
        seconds += number * unit;
        rest = &rest[letters..];
    }
    match text.is_empty() {
        true => Err(wrong()),
        false => Duration::try_from_secs_f64(seconds).map_err(|_| wrong()),
    }
}

/// Whole seconds, as Go Micro takes them, or a duration.
fn seconds(text: &str) -> Result<Duration, String> {
    text.parse().map(Duration::from_secs).or_else(|_| duration(text))
}

/// Splits `key=value`. The value may hold `=`.
///
/// # Errors
/// A text that names the flag and the item.
pub fn key_value(flag: &str, item: &str) -> Result<(String, String), String> {
    let pair = item.split_once('=').filter(|(key, _)| !key.trim().is_empty());
    let (key, value) = pair.ok_or_else(|| format!("--{flag} takes key=value, not {item:?}"))?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser, Debug)]
    struct Program {
        #[command(flatten)]
        micro: Flags,
        #[arg(trailing_var_arg = true)]
        rest: Vec<String>,
    }

    fn program(arguments: &[&str]) -> Result<Program, clap::Error> {
        let arguments = ["program"].iter().chain(arguments).map(OsString::from);
        Program::from_arg_matches(&try_parse_from(Program::command(), arguments)?)
    }

    #[test]
    fn spellings_of_go_programs_are_understood() {
        for spelling in ["--registry_address", "-registry_address", "--registry-address", "-registry-address"]
        {
            let joined = program(&[&format!("{spelling}=a-b,c_d")]).expect("valid");
            assert_eq!(joined.micro.registry_address.as_deref(), Some("a-b,c_d"), "{spelling}");
            let apart = program(&[spelling, "x"]).expect("valid");
            assert_eq!(apart.micro.registry_address.as_deref(), Some("x"), "{spelling}");
        }
        let rest = program(&["--", "-registry-address"]).expect("valid").rest;
        assert_eq!(rest, ["-registry-address"]);
    }

    #[test]
    fn lists_and_times() {
        let flags = program(&[
            "--server_metadata=a=1,b=2=3",
            "--server_metadata=c=4",
            "--registry_opt=x=1,2",
            "--register_ttl=90",
            "--register_interval=500ms",
        ]);
        let flags = flags.expect("valid").micro;
        assert_eq!(flags.server_metadata, ["a=1", "b=2=3", "c=4"]);
        assert_eq!(flags.registry_opt, ["x=1,2"]);
        assert_eq!(flags.register_ttl, Some(Duration::from_secs(90)));
        assert_eq!(flags.register_interval, Some(Duration::from_millis(500)));
        assert_eq!(key_value("server_metadata", "b=2=3"), Ok(("b".to_owned(), "2=3".to_owned())));
        assert!(key_value("server_metadata", "b").expect_err("no value").contains("--server_metadata"));
    }

    #[test]
    fn switches_may_have_a_value() {
        let watch = |arguments: &[&str]| program(arguments).expect("valid").micro.watch_plugins;
        assert_eq!(watch(&["--watch-plugins"]), Some(true));
        assert_eq!(watch(&["-watch_plugins=1"]), Some(true));
        assert_eq!(watch(&["--watch_plugins=false"]), Some(false));
        assert_eq!(watch(&["--watch_plugins", "rest"]), Some(true));
    }

    #[test]
    fn the_last_value_counts_and_lists_grow() {
        let flags = program(&["--server_id=a", "--server_id=b", "--registry_opt=x=1", "--registry_opt=y=2"]);
        let flags = flags.expect("valid").micro;
        assert_eq!((flags.server_id.as_deref(), flags.registry_opt.len()), (Some("b"), 2));
    }

    #[test]
    fn durations_in_the_notation_of_go() {
        let ms = |text| duration(text).map(|it| it.as_millis()).ok();
        let cases =
            [("500ms", 500), ("5s", 5000), ("1m30s", 90_000), ("1.5s", 1500), ("2h", 7_200_000), ("0", 0)];
        for (text, expected) in cases {
            assert_eq!(ms(text), Some(expected), "{text}");
        }
        for text in ["", "5", "s", "5x", "-1s", "1s2", "1..5s", "99999999999999999999h", "five"] {
            assert_eq!(ms(text), None, "{text}");
        }
    }

    #[test]
    fn normalizing_leaves_values_alone() {
        let same = ["p", "-", "-o", "-5", "{\"a\":-1}", "--", "-x-y"].map(OsString::from);
        assert_eq!(normalize(same.clone()), same);
    }
}
