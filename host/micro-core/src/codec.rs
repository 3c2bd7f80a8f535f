//! Envelopes: protocols that carry a call's identity and error in the body, around the value.

use bytes::Bytes;
use std::fmt;

/// One content type that a codec serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// Lower case, without parameters: `application/json-rpc`.
    pub content_type: String,
    /// The content type of the value inside the envelope: `application/json` or `application/protobuf`.
    pub value: String,
}

/// Which half of an exchange a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Client to server.
    Request,
    /// Server to client.
    Response,
}

/// What an envelope says about its call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// As the format spells it, so that an answer echoes what a caller sent with its type. Empty: none.
    pub id: &'a [u8],
    /// `Struct.Method`; in responses, of the request.
    pub endpoint: &'a str,
    /// Empty: the call went well. Empty in requests.
    pub error: &'a str,
}

/// A message without its envelope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// See [`Envelope::id`].
    pub id: Bytes,
    /// See [`Envelope::endpoint`].
    pub endpoint: String,
    /// See [`Envelope::error`].
    pub error: String,
    /// The value's bytes, as the sender encoded them. Empty where there is none.
    pub value: Bytes,
}

/// A message that a codec cannot read or write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Not an envelope of this format.
    #[error("the body is no {0} message")]
    Malformed(String),
    /// Something of the call that the format has no place for.
    #[error("{0} has no place for this call")]
    Unsupported(String),
    /// A length that the format cannot express.
    #[error("the value is too large for {0}")]
    TooLarge(String),
    /// The codec itself failed; the text says how.
    #[error("codec {codec} failed: {reason}")]
    Failed {
        /// Its name.
        codec: String,
        /// For operators.
        reason: String,
    },
}

/// A protocol that wraps values. The core writes and reads the values themselves, in protobuf or JSON. Pure and
/// synchronous, because it runs for every call.
pub trait Codec: Send + Sync + fmt::Debug {
    /// The codec's name: `jsonrpc`.
    fn name(&self) -> &str;

    /// The content types it serves. Never changes.
    fn formats(&self) -> &[Format];

    /// Appends a whole message to `out`: the envelope with `value` in it. `format` is a position in
    /// [`Codec::formats`].
    ///
    /// # Errors
    /// See [`CodecError`]; `out` is then as it was.
    fn seal(
        &self,
        format: usize,
        role: Role,
        envelope: Envelope<'_>,
        value: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), CodecError>;

    /// Opens an envelope.
    ///
    /// # Errors
    /// See [`CodecError`].
    fn open(&self, format: usize, role: Role, data: &Bytes) -> Result<Opened, CodecError>;
}
