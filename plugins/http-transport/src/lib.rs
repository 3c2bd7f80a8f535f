//! HTTP/1.1 (RFC 9112): the component around [`http1_core`]. It has no options.

mod wire;

use wire::HttpTransport;

micro_sdk::arena!();
micro_sdk::register_wire!(HttpTransport);
