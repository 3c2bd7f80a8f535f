//! Commands that call services, and the files that define these.

use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

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

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) call: CallArgs,
    /// Open a stream and follow it until it ends or the time is over [default: where the record or the definitions say
    /// that the endpoint is a stream]
    #[arg(long)]
    pub(crate) stream: bool,
}

const STREAM_HELP: &str = r#"The request is the first message, and the last; {} if none is given. With - in its place, each line of standard input
is a message, sent as it comes, and the end of the input is the end of the requests.

Examples:
  micro stream go.micro.srv.stream Streamer.ServerStream '{"count": 10}'
  micro stream go.micro.srv.chat Chat.Talk - < messages.ndjson

It ends with the stream, with an error of the service (exit code 1), or with Ctrl-C."#;

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
pub(crate) struct NodesArgs {
    /// The service's name
    pub(crate) service: Option<String>,
}
