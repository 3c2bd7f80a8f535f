//! Bytes of a content type to and from the bytes of another.

use crate::error::Error;
use bytes::Bytes;
use std::fmt;

/// A content type that the core does not know by itself. The core writes and reads protobuf and JSON; a codec turns the
/// canonical JSON of a value into its own bytes and back.
pub trait Codec: Send + Sync + fmt::Debug {
    /// The content types it serves, lower case and without parameters.
    fn content_types(&self) -> &[String];

    /// Canonical JSON to bytes of `content_type`.
    ///
    /// # Errors
    /// Code 500, id `go.micro.client.codec` or `go.micro.server.codec`, when the value cannot be expressed.
    fn encode(&self, content_type: &str, json: &[u8]) -> Result<Bytes, Error>;

    /// Bytes of `content_type` to canonical JSON.
    ///
    /// # Errors
    /// Code 400 when the bytes are malformed.
    fn decode(&self, content_type: &str, data: &[u8]) -> Result<Bytes, Error>;
}
