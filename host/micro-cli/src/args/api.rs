//! `micro api` and `micro openapi`.

use super::DefinitionArgs;
use clap::Args;

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
