//! What is sent, and what comes back.

use super::Codec;
use bytes::Bytes;
use micro_core::Headers;
use std::time::Duration;

/// What is called, and everything about it but messages.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// `/pkg.Service/Method`.
    pub path: &'a str,
    /// How messages are encoded.
    pub codec: Codec,
    /// Names that belong to the protocol are left out.
    pub metadata: &'a Headers,
    /// What the callee is told about the time that is left. Nothing here ends a call: drop it.
    pub timeout: Option<Duration>,
}

/// A call with one message each way.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// `/pkg.Service/Method`.
    pub path: &'a str,
    /// How messages are encoded.
    pub codec: Codec,
    /// Names that belong to the protocol are left out.
    pub metadata: &'a Headers,
    /// What the callee is told about the time that is left. Nothing here ends a call: drop the future.
    pub timeout: Option<Duration>,
    /// The encoded message.
    pub message: &'a Bytes,
}

impl<'a> Call<'a> {
    pub(super) fn opening(&self) -> Opening<'a> {
        let Self { path, codec, metadata, timeout, .. } = *self;
        Opening { path, codec, metadata, timeout }
    }
}

/// The answer to a call.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// Of the answer's head and of its end.
    pub metadata: Headers,
    /// As the callee wrote it.
    pub content_type: String,
    /// The encoded message.
    pub message: Bytes,
}
