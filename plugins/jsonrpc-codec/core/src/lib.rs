//! JSON-RPC envelopes of Go Micro (`go-micro-wire` §2.4) as pure functions over bytes: no IO, no state.
//!
//! ```text
//! {"method":"Say.Hello","params":[{"name":"John"}],"id":0}
//! {"id":0,"result":{"msg":"Hello John"},"error":null}
//! ```
//!
//! That is JSON-RPC 1.0 with exactly one parameter. Go Micro wrapped every JSON call in it until 2017, and still does
//! for nodes whose record names no protocol. Answers in the manner of JSON-RPC 2.0, which leaves out `error` or
//! `result`, are read as well.
//!
//! The value inside is not decoded: [`seal()`] writes what stands before and after it, [`open()`] says where it is. An
//! opened value is one well-formed JSON document; what is sealed has to be one, or it could end the envelope early.
//!
//! ```
//! use jsonrpc_core::{Head, Role, open, seal};
//! let (mut prefix, mut suffix, mut extra) = (Vec::new(), Vec::new(), Vec::new());
//! let value = br#"{"name":"John"}"#;
//! let head = Head { id: b"7", endpoint: "Say.Hello", error: "" };
//! seal(Role::Request, head, value.len(), &mut prefix, &mut suffix)?;
//! let message = [&prefix[..], value, &suffix].concat();
//! assert_eq!(message, b"{\"method\":\"Say.Hello\",\"params\":[{\"name\":\"John\"}],\"id\":7}\n");
//!
//! let opened = open(Role::Request, &message, &mut extra)?;
//! assert_eq!(opened.endpoint.of(&message, &extra), Some(&b"Say.Hello"[..]));
//! assert_eq!(opened.value.of(&message, &extra), Some(&value[..]));
//! # Ok::<(), jsonrpc_core::Error>(())
//! ```
#![warn(missing_docs)]

mod message;
mod open;
mod scan;
mod seal;
mod text;

pub use message::{Error, Format, Head, Opened, Part, Role};
pub use open::open;
pub use scan::MAX_DEPTH;
pub use seal::seal;

/// The largest message, so that offsets behind it fit 32 bits.
pub const MAX_MESSAGE: usize = 1 << 30;

/// The longest id that is echoed.
pub const MAX_ID: usize = 256;

/// The longest name of an endpoint, as it is spelled. It ends up in headers and error texts.
pub const MAX_ENDPOINT: usize = 1024;

/// The content types of this codec.
pub fn formats() -> &'static [Format] {
    &[Format { content_type: "application/json-rpc", value: "application/json" }]
}
