//! Everything of `micro` that touches the network.
//!
//! Out: [`dial`] is the one way, through [`resolve`] and [`egress`], with [`tls`] if wanted; [`http_client`] pools HTTP
//! connections on top of it.
#![warn(missing_docs)]

pub mod backoff;
pub mod dial;
pub mod egress;
pub mod http_client;
pub mod resolve;
pub mod stop;
pub mod stream;
pub mod tls;

pub use backoff::Backoff;
pub use dial::{DialError, Dialer, Target};
pub use egress::{EgressDenied, EgressPolicy, Rule};
pub use http_client::{HttpClient, HttpClientOptions, HttpError, HttpErrorKind};
pub use resolve::{Resolver, StaticResolver, SystemResolver};
pub use stop::{Stop, drain};
pub use stream::Stream;

/// An error and its causes on one line, outermost first. A cause whose text its parent repeats is left out.
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let level = error.to_string();
        if !text.ends_with(&level) {
            text.push_str(": ");
            text.push_str(&level);
        }
        cause = error.source();
    }
    text
}
