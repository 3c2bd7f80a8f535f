//! HTTP/1.1 message heads (RFC 9112) as pure functions over bytes: no IO, no bodies, no state.
//!
//! [`decode()`] turns the bytes of a head into words and offsets, [`encode()`] writes a head. Both have the flat form that
//! crosses a WebAssembly boundary cheaply, so the same code serves linked natively and as a component. Whoever calls
//! owns the socket, the body and the chunked coding.
//!
//! The decoder is strict where two readers of one connection could disagree about where a message ends: it refuses
//! rather than repairs.
//!
//! ```
//! use http1_core::{Framing, Head, Method, Role, decode};
//! let data = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";
//! let mut words = Vec::new();
//! let consumed = decode(Role::Request, Method::NONE, data, &mut words)?;
//! let head = Head::new(&words, data).expect("offsets of our own decoder are good");
//! assert_eq!((consumed, head.method(), head.path()), (data.len() - 2, "POST", &b"/x"[..]));
//! assert_eq!(head.framing(), Framing::Length(2));
//! # Ok::<(), http1_core::Error>(())
//! ```
#![warn(missing_docs)]

mod decode;
mod encode;
pub mod layout;
pub mod names;

pub use decode::decode;
pub use encode::{End, PackedFields, Start, encode, encode_packed, pack, unpack};
pub use layout::{Framing, Head, Method, Role};

/// The longest head, from the first byte of the start line to the last of the empty line. Every offset into a head of
/// exactly this length is below 2^16.
pub const MAX_HEAD: usize = 1 << 16;

/// The most fields of a head.
pub const MAX_FIELDS: usize = 128;

/// A head that cannot be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not HTTP/1, or a head that different readers may understand differently.
    #[error("malformed head")]
    Malformed,
    /// HTTP, but neither 1.0 nor 1.1.
    #[error("unsupported HTTP version")]
    Version,
    /// More than [`MAX_HEAD`] bytes or [`MAX_FIELDS`] fields.
    #[error("head too large")]
    TooLarge,
    /// A transfer coding other than `chunked` alone.
    #[error("unsupported transfer coding")]
    Unsupported,
}
