//! PROTO-RPC envelopes of Go Micro (`go-micro-wire` §2.5) as pure functions over bytes: no IO, no state.
//!
//! ```text
//! length (4 bytes, big-endian) | envelope | length (4 bytes, big-endian) | value
//! ```
//!
//! The envelope is a protobuf message: `service_method` (1, string), `seq` (2, fixed64) and in responses `error` (3,
//! string). Go Micro wrapped every protobuf call in it until 2017, and still does for nodes whose record names no
//! protocol. The value inside is not decoded: [`seal()`] writes what stands before it, [`open()`] says where it is.
//!
//! ```
//! use protorpc_core::{Head, Role, open, seal};
//! let (mut prefix, mut suffix, mut extra) = (Vec::new(), Vec::new(), Vec::new());
//! let head = Head { id: b"5", endpoint: "Say.Hello", error: "" };
//! seal(Role::Request, head, 2, &mut prefix, &mut suffix)?;
//! let message = [&prefix[..], b"hi", &suffix].concat();
//!
//! let opened = open(Role::Request, &message, &mut extra)?;
//! assert_eq!(opened.id.of(&message, &extra), Some(&b"5"[..]));
//! assert_eq!(opened.value.of(&message, &extra), Some(&b"hi"[..]));
//! # Ok::<(), protorpc_core::Error>(())
//! ```
#![warn(missing_docs)]

mod fields;
mod message;
mod open;
mod seal;

pub use message::{Error, Format, Head, Opened, Part, Role};
pub use open::open;
pub use seal::seal;

/// The largest message, so that offsets behind it fit 32 bits.
pub const MAX_MESSAGE: usize = 1 << 30;

/// The longest name of an endpoint. It ends up in headers and error texts.
pub const MAX_ENDPOINT: usize = 1024;

/// The content types of this codec.
pub fn formats() -> &'static [Format] {
    &[Format { content_type: "application/proto-rpc", value: "application/protobuf" }]
}
