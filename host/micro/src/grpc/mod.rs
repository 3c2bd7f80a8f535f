//! What Go Micro makes of gRPC: paths for endpoints, and errors as statuses (`go-micro-wire` §§4, 6.8, 7.5). Both sides
//! of a call need both.

mod descriptors;
mod health;
mod path;
mod reflection;
mod status;
#[cfg(test)]
mod stream_tests;
pub(crate) mod transport;
#[cfg(test)]
mod transport_tests;

pub(crate) use descriptors::Method;
pub use descriptors::{DescriptorError, Descriptors};
pub(crate) use health::handler as health_handler;
pub use health::{HealthCheckRequest, HealthCheckResponse};
pub(crate) use path::{endpoint_of, path_of};
pub(crate) use reflection::handlers as reflection_handlers;
pub(crate) use status::{error_of, status_of};

/// The id of errors about what messages hold.
const CODEC: &str = "go.micro.client.codec";
