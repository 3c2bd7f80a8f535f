//! What the three greeter programs share: the code generated from `proto/`.

#[allow(missing_debug_implementations, unreachable_pub, reason = "generated code")]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/greeter.rs"));
}

pub use generated::go::api;
/// The greeter for HTTP requests.
pub use generated::go::micro::api::greeter as http;
/// The greeter.
pub use generated::go::micro::srv::greeter as srv;

/// Where the greeter is found.
pub const SRV: &str = "go.micro.srv.greeter";
/// Where the greeter for HTTP requests is found.
pub const API: &str = "go.micro.api.greeter";
