//! Messages in a stream of bytes: a flag, the length in four bytes, the message.

use bytes::{BufMut, Bytes, BytesMut};

/// Flag and length.
const HEAD: usize = 5;

/// Bytes that are no messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FrameError {
    #[error("the message is compressed, and no compression was agreed on")]
    Compressed,
    #[error("a message of {length} bytes is announced, more than the {limit} that are taken")]
    TooLarge { length: usize, limit: usize },
    #[error("the stream ends in the middle of a message")]
    Truncated,
}

/// A message as it travels: its beginning behind its head, and the rest, which need not be copied.
#[derive(Clone, Debug)]
pub(super) struct Framed {
    pub(super) start: Bytes,
    pub(super) rest: Bytes,
}

/// What fits into one frame of HTTP/2 of the size that everybody takes (RFC 9113 §4.2).
const TOGETHER: usize = 16 << 10;

impl Framed {
    /// Shares what is large. Messages are far below 4 GiB: whoever sends one has it in memory.
    pub(super) fn new(message: &Bytes) -> Result<Self, FrameError> {
        let (start, rest) = message.split_at(message.len().min(TOGETHER - HEAD));
        Ok(Self { start: Self::behind_head(start, message.len())?, rest: message.slice_ref(rest) })
    }

    /// Copies all of it.
    pub(super) fn copied(message: &[u8]) -> Result<Self, FrameError> {
        Ok(Self { start: Self::behind_head(message, message.len())?, rest: Bytes::new() })
    }

    fn behind_head(start: &[u8], length: usize) -> Result<Bytes, FrameError> {
        let announced =
            u32::try_from(length).map_err(|_| FrameError::TooLarge { length, limit: u32::MAX as usize })?;
        let mut framed = BytesMut::with_capacity(HEAD + start.len());
        framed.put_u8(0);
        framed.put_u32(announced);
        framed.put_slice(start);
        Ok(framed.freeze())
    }
}

/// Memory is taken for so many times what has arrived of a message, if that much is announced.
const AHEAD: usize = 16;

/// Finds the messages in bytes that arrive in pieces. It holds at most one message and a piece, and takes memory by what
/// has arrived, never by what is announced alone.
#[derive(Debug)]
pub(super) struct Deframer {
    limit: usize,
    /// Of a message that is not complete.
    begun: BytesMut,
    /// The last piece, while `begun` is empty: usually a whole message, which need not be copied.
    piece: Bytes,
}

impl Deframer {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, begun: BytesMut::new(), piece: Bytes::new() }
    }

    /// Adds what has arrived.
    pub(super) fn push(&mut self, bytes: Bytes) {
        if self.begun.is_empty() && self.piece.is_empty() {
            self.piece = bytes;
            return;
        }
        let arrived = self.held() + bytes.len();
        let wanted = self.announced().map_or(0, |length| HEAD + length.min(self.limit));
        self.begun.reserve(wanted.min(AHEAD * arrived).max(arrived) - self.begun.len());
        self.begun.extend_from_slice(&std::mem::take(&mut self.piece));
        self.begun.extend_from_slice(&bytes);
    }

    /// The length of the message that has begun.
    fn announced(&self) -> Option<usize> {
        let waiting = if self.begun.is_empty() { &self.piece[..] } else { &self.begun[..] };
        let [_flag, length @ ..] = waiting.first_chunk::<HEAD>()?;
        Some(u32::from_be_bytes(*length) as usize)
    }

    /// The next message that is complete.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, FrameError> {
        let waiting = if self.begun.is_empty() { &self.piece[..] } else { &self.begun[..] };
        let Some((&[flag, a, b, c, d], rest)) = waiting.split_first_chunk::<HEAD>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if length > self.limit {
            return Err(FrameError::TooLarge { length, limit: self.limit });
        }
        if flag != 0 {
            return Err(FrameError::Compressed);
        }
        if rest.len() < length {
            return Ok(None);
        }
        let mut framed = match self.begun.is_empty() {
            true => self.piece.split_to(HEAD + length),
            false => self.begun.split_to(HEAD + length).freeze(),
        };
        Ok(Some(framed.split_off(HEAD)))
    }

    /// How many bytes are held.
    pub(super) fn held(&self) -> usize {
        self.begun.len() + self.piece.len()
    }

    /// Whether the stream may end here.
    pub(super) fn finish(&self) -> Result<(), FrameError> {
        if self.held() == 0 { Ok(()) } else { Err(FrameError::Truncated) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(deframer: &mut Deframer) -> Vec<Bytes> {
        std::iter::from_fn(|| deframer.next().expect("well formed")).collect()
    }

    #[test]
    fn messages_survive_any_cut() {
        let sent = [&b""[..], b"a", b"hello there"];
        let framed = |message: &&[u8]| Framed::copied(message).expect("small").start;
        let stream: Vec<u8> = sent.iter().flat_map(framed).collect();
        for size in 1..=stream.len() {
            let mut deframer = Deframer::new(64);
            let mut received = Vec::new();
            for piece in stream.chunks(size) {
                deframer.push(Bytes::copy_from_slice(piece));
                received.extend(messages(&mut deframer));
            }
            assert_eq!(received, sent, "pieces of {size}");
            assert_eq!(deframer.finish(), Ok(()));
        }
    }

    #[test]
    fn large_messages_are_shared_and_small_ones_are_one_piece() {
        for length in [0, TOGETHER - HEAD, TOGETHER - HEAD + 1, 1 << 20] {
            let message = Bytes::from(vec![7; length]);
            let Framed { start, rest } = Framed::new(&message).expect("small");
            assert_eq!(rest.is_empty(), length <= TOGETHER - HEAD, "{length}");
            assert!(rest.is_empty() || rest.as_ptr_range().end == message.as_ptr_range().end);
            let mut deframer = Deframer::new(1 << 20);
            deframer.push(start);
            for piece in rest.chunks(TOGETHER) {
                deframer.push(Bytes::copy_from_slice(piece));
            }
            assert_eq!(messages(&mut deframer), [message]);
        }
    }

    #[test]
    fn memory_is_taken_by_what_has_arrived() {
        let mut deframer = Deframer::new(64 << 20);
        deframer.push(Bytes::from_static(b"\0\x01\0\0\0"));
        deframer.push(Bytes::from_static(b"x"));
        assert!(deframer.begun.capacity() < 1 << 10, "{}", deframer.begun.capacity());
    }

    #[test]
    fn what_is_no_message_is_refused_before_it_has_arrived() {
        for (bytes, expected) in [
            (&b"\0\x40\0\0\0"[..], FrameError::TooLarge { length: 1 << 30, limit: 64 }),
            (b"\0\0\0\0\x41", FrameError::TooLarge { length: 65, limit: 64 }),
            (b"\x01\0\0\0\0", FrameError::Compressed),
            (b"\xff\0\0\0\x01x", FrameError::Compressed),
        ] {
            let mut deframer = Deframer::new(64);
            deframer.push(Bytes::from_static(bytes));
            assert_eq!(deframer.next(), Err(expected), "{bytes:?}");
        }
        for bytes in [&b"\0"[..], b"\0\0\0\0\x02x"] {
            let mut deframer = Deframer::new(64);
            deframer.push(Bytes::from_static(bytes));
            assert_eq!(deframer.next(), Ok(None));
            assert_eq!(deframer.finish(), Err(FrameError::Truncated));
        }
    }
}
