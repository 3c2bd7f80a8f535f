//! The chunked coding.

// The decoder is private to its crate, and its file needs nothing of it.
#[path = "../../../host/micro-net/src/wire/chunk.rs"]
#[allow(dead_code, unreachable_pub, reason = "written for the crate that it belongs to")]
mod chunk;

use chunk::{ChunkDecoder, ChunkError};

/// What became of a body.
#[derive(Debug, PartialEq)]
struct Decoded {
    body: Vec<u8>,
    used: usize,
    end: Result<bool, ChunkError>,
}

/// A body behind three bytes: the limit, and two lengths of pieces. However it is cut, the same comes out.
pub(crate) fn chunked(data: &[u8]) {
    let [limit, first, second, input @ ..] = data else { return };
    let limit = usize::from(*limit) * 8;
    let whole = decode(input, limit, |_| usize::MAX);
    assert!(whole.body.len() <= limit && whole.used <= input.len());
    let pieces = [usize::from(*first).max(1), usize::from(*second).max(1)];
    assert_eq!(decode(input, limit, |_| 1), whole, "byte by byte");
    assert_eq!(decode(input, limit, |turn| pieces[turn % 2]), whole, "in pieces of {pieces:?}");
    if whole.end == Ok(true) {
        assert_eq!(decode(&input[..whole.used], limit, |_| usize::MAX), whole, "what follows counts");
        let short = decode(&input[..whole.used - 1], limit, |_| usize::MAX);
        assert_eq!(short.end, Ok(false), "done before the last byte");
    } else {
        assert!(whole.end.is_err() || whole.used == input.len(), "bytes are left though more are wanted");
    }
}

/// Decodes in pieces whose lengths `piece` chooses by turn.
fn decode(input: &[u8], limit: usize, piece: impl Fn(usize) -> usize) -> Decoded {
    let (mut decoder, mut body, mut used) = (ChunkDecoder::new(), Vec::new(), 0);
    let mut rest = input;
    for turn in 0.. {
        if rest.is_empty() || decoder.is_done() {
            break;
        }
        let (now, later) = rest.split_at(piece(turn).min(rest.len()));
        match decoder.decode(now, &mut body, limit) {
            Ok(taken) => used += taken,
            // Where in a piece it went wrong is nobody's business, so that is not compared.
            Err(error) => return Decoded { body, used: 0, end: Err(error) },
        }
        rest = later;
    }
    Decoded { body, used, end: Ok(decoder.is_done()) }
}
