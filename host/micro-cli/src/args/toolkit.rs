//! Flags of the gateways.

use super::{TOOLKIT, limit};
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

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
