//! Plugins of the kind `wire`: heads of messages to bytes and back.
//!
//! The host owns sockets, buffers, bodies and chunks. A wire sees one head at a time and keeps nothing between calls, so
//! that it can be replaced in the middle of a connection. `micro:wire/wire` says what the words of a decoded head are and
//! how a head is packed; [`PackedHead`](crate::hot::PackedHead) reads the latter.
//!
//! ```
//! use micro_sdk::hot::{Context, Invalid, NoOptions, PackedHead, Role};
//! use micro_sdk::wire::{Error, Head, Wire};
//!
//! /// A line with a path, and nothing else.
//! struct Gopher(Context);
//!
//! impl Wire for Gopher {
//!     type Options = NoOptions;
//!
//!     fn configure(context: &Context, _: NoOptions) -> Result<Self, Invalid> {
//!         Ok(Self(context.clone()))
//!     }
//!
//!     fn decode(&self, _: Role, _: u32, data: &[u8]) -> Result<Vec<u32>, Error> {
//!         let Some(end) = data.iter().position(|byte| *byte == b'\n') else {
//!             return if data.len() < 1024 { Ok(vec![0]) } else { Err(Error::TooLarge) };
//!         };
//!         // GET, and the line without its end as target; no body, no fields.
//!         Ok(vec![end as u32 + 1, 1, 1, (end as u32) << 16, 0, 0, 0, 0, 0, 0])
//!     }
//!
//!     fn encode(&self, head: Head<'_>) -> Result<Vec<u8>, Error> {
//!         let packed = PackedHead::new(head.role, head.packed, &self.0.names).ok_or(Error::Malformed)?;
//!         Ok([packed.target(), b"\n"].concat())
//!     }
//! }
//!
//! micro_sdk::register_wire!(Gopher);
//! # fn main() {}
//! ```

use crate::bindings::hot::wire::exports::micro::wire::wire as wit;
use crate::hot::export::{Exported, Slot, call};
use crate::hot::{Context, Invalid, Role};
use serde::de::DeserializeOwned;

/// A wire.
pub trait Wire: Sized + 'static {
    /// The options of the manifest, in the types of [`crate::options`]; [`NoOptions`](crate::hot::NoOptions) if it has
    /// none.
    type Options: DeserializeOwned;

    /// Takes the options, for each fresh instance.
    ///
    /// # Errors
    /// [`Invalid`] ends the attempt to put the plugin into service.
    fn configure(context: &Context, options: Self::Options) -> Result<Self, Invalid>;

    /// Reads the head at the start of `data` into words. What follows it is not to be looked at. One word, 0: more bytes
    /// are needed. `method` is the id of the method that a response answers, since it decides whether there is a body; 0
    /// for requests.
    ///
    /// # Errors
    /// See [`Error`]. They cost the connection.
    fn decode(&self, role: Role, method: u32, data: &[u8]) -> Result<Vec<u32>, Error>;

    /// Writes a head, up to and with the empty line. Fields that speak about the connection or the framing are the wire's
    /// to write: those among the packed fields are left out.
    ///
    /// # Errors
    /// See [`Error`].
    fn encode(&self, head: Head<'_>) -> Result<Vec<u8>, Error>;
}

/// A head that is to be written.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// Whose head it is.
    pub role: Role,
    /// The status code of a response; 0 for requests.
    pub status: u16,
    /// Where the body ends.
    pub framing: Framing,
    /// Whether the connection ends with this message, which the head then announces.
    pub close: bool,
    /// Start line and fields, for [`PackedHead`](crate::hot::PackedHead).
    pub packed: &'a [u8],
}

/// Where a body ends (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    None,
    /// After this many bytes.
    Length(u64),
    /// With the last chunk and its trailers.
    Chunked,
    /// With the connection. Responses only.
    UntilClose,
}

/// A head that cannot be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not a head of this protocol, or one that two readers may understand differently.
    #[error("malformed head")]
    Malformed,
    /// Of this protocol, in a version that the plugin does not speak.
    #[error("unsupported version")]
    Version,
    /// More than 64 KiB or 128 fields.
    #[error("head too large")]
    TooLarge,
    /// A coding of the body that the host cannot undo.
    #[error("unsupported coding of the body")]
    Unsupported,
}

impl Framing {
    fn new(framing: u32, length: u64) -> Option<Self> {
        Some(match framing {
            0 => Self::None,
            1 => Self::Length(length),
            2 => Self::Chunked,
            3 => Self::UntilClose,
            _ => return None,
        })
    }
}

impl From<wit::Role> for Role {
    fn from(role: wit::Role) -> Self {
        match role {
            wit::Role::Request => Self::Request,
            wit::Role::Response => Self::Response,
        }
    }
}

impl From<Error> for wit::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Malformed => Self::Malformed,
            Error::Version => Self::Version,
            Error::TooLarge => Self::TooLarge,
            Error::Unsupported => Self::Unsupported,
        }
    }
}

impl<S: Slot<Plugin: Wire>> wit::Guest for Exported<S> {
    fn decode(role: wit::Role, method: u32, data: Vec<u8>) -> Result<Vec<u32>, wit::Error> {
        call::<S, _>(|wire, _| wire.decode(role.into(), method, &data)).map_err(wit::Error::from)
    }

    fn encode(
        role: wit::Role,
        status: u16,
        framing: u32,
        body_length: u64,
        close: bool,
        packed: Vec<u8>,
    ) -> Result<Vec<u8>, wit::Error> {
        let framing = Framing::new(framing, body_length).ok_or(wit::Error::Malformed)?;
        let head = Head { role: role.into(), status, framing, close, packed: &packed };
        call::<S, _>(|wire, _| wire.encode(head)).map_err(wit::Error::from)
    }
}

/// Makes a type that implements [`Wire`](crate::wire::Wire) the plugin: `micro_sdk::register_wire!(MyWire);`, once, in
/// the root of a `cdylib` crate. Natively it exports nothing, so that the crate's tests link.
#[macro_export]
macro_rules! register_wire {
    ($plugin:ty) => {
        $crate::__register_hot!($plugin, $crate::wire::Wire, wire);
    };
}
