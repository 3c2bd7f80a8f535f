//! What reads and writes here, as plain functions: for programs that make up what there is to read. No part of the API.

use super::frame::{Deframer, Framed};
use super::status::Status;
use super::{metadata, timeout};
use bytes::Bytes;
use http::HeaderMap;
use micro_core::Headers;
use std::time::Duration;

/// What became of a stream of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deframed {
    /// In the order in which they came.
    pub messages: Vec<Bytes>,
    /// What was wrong with the rest.
    pub error: Option<String>,
    /// The most bytes that were held when nothing more could be taken out of them.
    pub most_held: usize,
}

/// A message as it travels.
///
/// # Errors
/// The message is too long.
pub fn frame(message: &Bytes) -> Result<Vec<u8>, String> {
    let framed = Framed::new(message).map_err(|error| error.to_string())?;
    Ok([framed.start, framed.rest].concat())
}

/// The messages in bytes that come in pieces; none of them longer than `limit`.
pub fn deframe(pieces: impl IntoIterator<Item = Bytes>, limit: usize) -> Deframed {
    let mut deframer = Deframer::new(limit);
    let mut deframed = Deframed { messages: Vec::new(), error: None, most_held: 0 };
    for piece in pieces {
        deframer.push(piece);
        loop {
            match deframer.next() {
                Ok(Some(message)) => deframed.messages.push(message),
                Ok(None) => break,
                Err(error) => {
                    deframed.error = Some(error.to_string());
                    return deframed;
                }
            }
        }
        deframed.most_held = deframed.most_held.max(deframer.held());
    }
    deframed.error = deframer.finish().err().map(|error| error.to_string());
    deframed
}

/// Metadata as header fields.
///
/// # Errors
/// The name of a field that cannot be sent.
pub fn write_metadata(metadata: &Headers) -> Result<HeaderMap, String> {
    let mut fields = HeaderMap::new();
    metadata::write(metadata, &mut fields)?;
    Ok(fields)
}

/// The metadata among header fields.
pub fn read_metadata(fields: &HeaderMap) -> Headers {
    let mut metadata = Headers::new();
    metadata::read(fields, &mut metadata);
    metadata
}

/// The text of a timeout.
pub fn write_timeout(timeout: Duration) -> String {
    timeout::format(timeout)
}

/// The timeout in a text; none for what is no timeout.
pub fn read_timeout(text: &str) -> Option<Duration> {
    timeout::parse(text)
}

/// An outcome as trailers.
pub fn write_status(outcome: Result<(), &Status>) -> HeaderMap {
    let mut fields = HeaderMap::new();
    Status::write(outcome, &mut fields);
    fields
}

/// The outcome in trailers; none without one.
pub fn read_status(fields: &HeaderMap) -> Option<Result<(), Status>> {
    Status::read(fields)
}
