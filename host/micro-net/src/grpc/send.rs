//! Sending bytes on a stream as its windows open.

use super::frame::Framed;
use bytes::Bytes;
use std::future::poll_fn;

/// So much is handed over at a time, so that a peer that takes nothing holds no more than this in the connection's
/// buffers.
const PIECE: usize = 64 << 10;

/// Sends a message; false if the peer wants no more of it. Takes as long as the peer does: put a limit around it. A dropped
/// future leaves the message unfinished.
///
/// # Errors
/// The stream or its connection ended.
pub(super) async fn send_all(
    stream: &mut h2::SendStream<Bytes>,
    message: Framed,
    end_of_stream: bool,
) -> Result<bool, h2::Error> {
    let Framed { start, rest } = message;
    let alone = rest.is_empty();
    let wanted = send_bytes(stream, start, end_of_stream && alone).await?;
    if alone || !wanted { Ok(wanted) } else { send_bytes(stream, rest, end_of_stream).await }
}

async fn send_bytes(
    stream: &mut h2::SendStream<Bytes>,
    mut bytes: Bytes,
    end_of_stream: bool,
) -> Result<bool, h2::Error> {
    while !bytes.is_empty() {
        stream.reserve_capacity(bytes.len().min(PIECE));
        // Polling tells of changes only, so what is there already has to be asked for.
        let capacity = match stream.capacity() {
            0 => match poll_fn(|cx| stream.poll_capacity(cx)).await {
                Some(capacity) => capacity?,
                // It is closed already: the peer has answered, or reset it, and what it said is to be read.
                None => return Ok(false),
            },
            capacity => capacity,
        };
        let piece = bytes.split_to(capacity.min(bytes.len()));
        let last = end_of_stream && bytes.is_empty();
        if !piece.is_empty() || last {
            stream.send_data(piece, last)?;
        }
    }
    Ok(true)
}
