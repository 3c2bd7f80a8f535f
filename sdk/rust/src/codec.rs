//! Plugins of the kind `codec`: envelopes that carry a call's identity and error in the body, around the value.
//!
//! ```
//! use micro_sdk::codec::{Codec, Enclosure, Error, Format, Head, Opened, Range};
//! use micro_sdk::hot::{Context, Invalid, NoOptions, Role};
//!
//! /// The endpoint on a line of its own, then the value.
//! struct Lines;
//!
//! impl Codec for Lines {
//!     type Options = NoOptions;
//!
//!     fn configure(_: &Context, _: NoOptions) -> Result<Self, Invalid> {
//!         Ok(Self)
//!     }
//!
//!     fn formats(&self) -> Vec<Format> {
//!         vec![Format::new("application/x-lines", "application/json")]
//!     }
//!
//!     fn seal(&self, _: usize, _: Role, head: Head<'_>, _: u32) -> Result<Enclosure, Error> {
//!         Ok(Enclosure { prefix: format!("{}\n", head.endpoint).into_bytes(), suffix: Vec::new() })
//!     }
//!
//!     fn open(&self, _: usize, _: Role, data: &[u8]) -> Result<Opened, Error> {
//!         let end = data.iter().position(|byte| *byte == b'\n').ok_or(Error::Malformed)?;
//!         let endpoint = Range::new(0, end).ok_or(Error::TooLarge)?;
//!         let value = Range::new(end + 1, data.len() - end - 1).ok_or(Error::TooLarge)?;
//!         Ok(Opened { endpoint, value, ..Opened::default() })
//!     }
//! }
//!
//! micro_sdk::register_codec!(Lines);
//! # fn main() {}
//! ```

use crate::bindings::hot::codec::exports::micro::codec::codec as wit;
use crate::hot::export::{Exported, Slot, call};
use crate::hot::{Context, Invalid, Role};
use serde::de::DeserializeOwned;

/// A codec. It keeps nothing between calls.
pub trait Codec: Sized + 'static {
    /// The options of the manifest, in the types of [`crate::options`]; [`NoOptions`](crate::hot::NoOptions) if it has
    /// none.
    type Options: DeserializeOwned;

    /// Takes the options, for each fresh instance.
    ///
    /// # Errors
    /// [`Invalid`] ends the attempt to put the plugin into service.
    fn configure(context: &Context, options: Self::Options) -> Result<Self, Invalid>;

    /// The content types that it serves. Asked once.
    fn formats(&self) -> Vec<Format>;

    /// What stands around a value of `value_length` bytes. `format` is a position in [`formats`](Self::formats).
    ///
    /// # Errors
    /// See [`Error`].
    fn seal(&self, format: usize, role: Role, head: Head<'_>, value_length: u32) -> Result<Enclosure, Error>;

    /// Opens an envelope. The ranges of endpoint and error must be UTF-8.
    ///
    /// # Errors
    /// See [`Error`].
    fn open(&self, format: usize, role: Role, data: &[u8]) -> Result<Opened, Error>;
}

/// One content type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// Lower case, without parameters: `application/json-rpc`.
    pub content_type: String,
    /// The content type of the value inside: `application/json` or `application/protobuf`.
    pub value: String,
}

impl Format {
    /// Both of them.
    pub fn new(content_type: impl Into<String>, value: impl Into<String>) -> Self {
        Self { content_type: content_type.into(), value: value.into() }
    }
}

/// What an envelope says about its call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head<'a> {
    /// As the format spells it; empty: none, and the plugin writes what the format asks for.
    pub id: &'a [u8],
    /// `Struct.Method`. In responses, of the request.
    pub endpoint: &'a str,
    /// Empty: the call went well. Empty in requests.
    pub error: &'a str,
}

/// What stands before and after the value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Enclosure {
    /// Before it.
    pub prefix: Vec<u8>,
    /// After it.
    pub suffix: Vec<u8>,
}

/// Bytes of a message, counted over the message followed by [`Opened::extra`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// Where they start.
    pub offset: u32,
    /// How many there are.
    pub length: u32,
}

impl Range {
    /// None if a number does not fit into 32 bits.
    pub fn new(offset: usize, length: usize) -> Option<Self> {
        Some(Self { offset: offset.try_into().ok()?, length: length.try_into().ok()? })
    }
}

/// The parts of an envelope. What stands in the message as it is points there; what had to be unescaped points into
/// `extra`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// See [`Head::id`].
    pub id: Range,
    /// See [`Head::endpoint`].
    pub endpoint: Range,
    /// See [`Head::error`].
    pub error: Range,
    /// The value as the sender encoded it; empty where there is none.
    pub value: Range,
    /// Bytes that do not stand in the message.
    pub extra: Vec<u8>,
}

/// A message that cannot be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not an envelope of this format.
    #[error("malformed envelope")]
    Malformed,
    /// Something of the call that this format has no place for.
    #[error("no place for this call")]
    Unsupported,
    /// A length that this format cannot express.
    #[error("too large")]
    TooLarge,
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
            Error::Unsupported => Self::Unsupported,
            Error::TooLarge => Self::TooLarge,
        }
    }
}

impl From<Range> for wit::Range {
    fn from(range: Range) -> Self {
        Self { offset: range.offset, length: range.length }
    }
}

impl<S: Slot<Plugin: Codec>> wit::Guest for Exported<S> {
    fn formats() -> Vec<wit::Format> {
        let format = |it: Format| wit::Format { content_type: it.content_type, value: it.value };
        call::<S, _>(|codec, _| codec.formats()).into_iter().map(format).collect()
    }

    fn seal(
        format: u32,
        role: wit::Role,
        head: wit::Head,
        value_length: u32,
    ) -> Result<wit::Enclosure, wit::Error> {
        let head = Head { id: &head.id, endpoint: &head.endpoint, error: &head.error };
        let Enclosure { prefix, suffix } =
            call::<S, _>(|codec, _| codec.seal(format as usize, role.into(), head, value_length))?;
        Ok(wit::Enclosure { prefix, suffix })
    }

    fn open(format: u32, role: wit::Role, data: Vec<u8>) -> Result<wit::Opened, wit::Error> {
        let opened = call::<S, _>(|codec, _| codec.open(format as usize, role.into(), &data))?;
        Ok(wit::Opened {
            id: opened.id.into(),
            endpoint: opened.endpoint.into(),
            error: opened.error.into(),
            value: opened.value.into(),
            extra: opened.extra,
        })
    }
}

/// Makes a type that implements [`Codec`](crate::codec::Codec) the plugin: `micro_sdk::register_codec!(MyCodec);`, once,
/// in the root of a `cdylib` crate. Natively it exports nothing, so that the crate's tests link.
#[macro_export]
macro_rules! register_codec {
    ($plugin:ty) => {
        $crate::__register_hot!($plugin, $crate::codec::Codec, codec);
    };
}
