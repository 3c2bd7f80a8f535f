//! The chunked coding of request and response bodies (RFC 9112 §7.1), incrementally.

/// The most bytes of chunk extensions in one body. Nobody uses them; they are read and dropped.
const MAX_EXTENSIONS: usize = 4 << 10;

/// The most bytes of trailers. They are read and dropped: a message has no place for them.
const MAX_TRAILERS: usize = 16 << 10;

/// The most digits of a size: no 64-bit number needs more, and leading zeros could go on for ever.
const MAX_DIGITS: u8 = 16;

/// A chunked body that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// A size that is no hexadecimal number, a trailer that is no field, or a line that does not end in CRLF.
    #[error("malformed chunk")]
    Malformed,
    /// More extensions or trailers than anybody needs.
    #[error("too many chunk extensions or trailers")]
    Overhead,
    /// More data than the limit.
    #[error("body too large")]
    TooLarge,
}

/// Decodes one body, in pieces as they arrive.
#[derive(Debug)]
pub(crate) struct ChunkDecoder {
    state: State,
    extensions: usize,
    trailers: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first digit of a size.
    SizeStart,
    /// After this many digits.
    Size(u64, u8),
    /// White space after a size. Some peers pad with it; only an extension or the end of the line may follow.
    SizeSpace(u64),
    Extension(u64),
    /// CR of the size line seen.
    SizeEnd(u64),
    Data(u64),
    /// After the last byte of a chunk.
    DataCr,
    DataLf,
    /// At the start of a trailer line, or of the empty one that ends the body.
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
    Done,
}

impl ChunkDecoder {
    pub(crate) fn new() -> Self {
        Self { state: State::SizeStart, extensions: 0, trailers: 0 }
    }

    /// Whether the last byte of the body has been seen.
    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Appends the data in `input` to `body`, which must not become longer than `limit`. Returns how much of `input`
    /// belongs to this body: all of it, unless the body is done.
    pub(crate) fn decode(
        &mut self,
        input: &[u8],
        body: &mut Vec<u8>,
        limit: usize,
    ) -> Result<usize, ChunkError> {
        let mut at = 0;
        while at < input.len() && self.state != State::Done {
            if let State::Data(remaining) = self.state {
                let available = &input[at..];
                let take = available.len().min(usize::try_from(remaining).unwrap_or(usize::MAX));
                body.extend_from_slice(&available[..take]);
                at += take;
                let remaining = remaining - take as u64;
                self.state = if remaining == 0 { State::DataCr } else { State::Data(remaining) };
                continue;
            }
            self.state = self.step(input[at], body.len(), limit)?;
            at += 1;
        }
        Ok(at)
    }

    /// The state after one byte that is not data.
    fn step(&mut self, byte: u8, body: usize, limit: usize) -> Result<State, ChunkError> {
        Ok(match (self.state, byte) {
            (State::SizeStart, _) => State::Size(u64::from(hex(byte).ok_or(ChunkError::Malformed)?), 1),
            (State::Size(size, _) | State::SizeSpace(size) | State::Extension(size), b'\r') => {
                State::SizeEnd(size)
            }
            (State::Size(size, _) | State::SizeSpace(size), b' ' | b'\t') => {
                self.extensions = charge(self.extensions, MAX_EXTENSIONS)?;
                State::SizeSpace(size)
            }
            (State::Size(size, _) | State::SizeSpace(size), b';') => State::Extension(size),
            (State::Size(size, digits), _) => {
                let digit = hex(byte).ok_or(ChunkError::Malformed)?;
                let size = size.checked_mul(16).ok_or(ChunkError::TooLarge)? | u64::from(digit);
                if digits == MAX_DIGITS {
                    return Err(ChunkError::Malformed);
                }
                State::Size(size, digits + 1)
            }
            (State::Extension(size), _) if is_text(byte) => {
                self.extensions = charge(self.extensions, MAX_EXTENSIONS)?;
                State::Extension(size)
            }
            (State::SizeEnd(0), b'\n') => State::TrailerStart,
            (State::SizeEnd(size), b'\n') => {
                // Before any of it is read: the size alone says that it is too much.
                let room = limit.saturating_sub(body) as u64;
                if size > room {
                    return Err(ChunkError::TooLarge);
                }
                State::Data(size)
            }
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::SizeStart,
            (State::TrailerStart, b'\r') => State::EndLf,
            (State::TrailerName, b':') => {
                self.trailers = charge(self.trailers, MAX_TRAILERS)?;
                State::TrailerValue
            }
            // A line without a colon is no field but, for instance, the next request of somebody who thinks that the
            // body has ended here.
            (State::TrailerStart | State::TrailerName, _) if is_token(byte) => {
                self.trailers = charge(self.trailers, MAX_TRAILERS)?;
                State::TrailerName
            }
            (State::TrailerValue, b'\r') => State::TrailerLf,
            (State::TrailerValue, _) if is_text(byte) => {
                self.trailers = charge(self.trailers, MAX_TRAILERS)?;
                State::TrailerValue
            }
            (State::TrailerLf, b'\n') => State::TrailerStart,
            (State::EndLf, b'\n') => State::Done,
            _ => return Err(ChunkError::Malformed),
        })
    }
}

fn charge(used: usize, limit: usize) -> Result<usize, ChunkError> {
    if used < limit { Ok(used + 1) } else { Err(ChunkError::Overhead) }
}

/// What a field's name is made of (RFC 9110 §5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Anything but control characters; a tab is none here (RFC 9110 §5.5).
fn is_text(byte: u8) -> bool {
    byte == b'\t' || byte >= b' ' && byte != 0x7f
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes in pieces of `step` bytes; the body, how much was used, and whether it is done.
    fn decode(input: &[u8], step: usize, limit: usize) -> Result<(Vec<u8>, usize, bool), ChunkError> {
        let (mut decoder, mut body, mut used) = (ChunkDecoder::new(), Vec::new(), 0);
        for piece in input.chunks(step) {
            used += decoder.decode(piece, &mut body, limit)?;
        }
        Ok((body, used, decoder.is_done()))
    }

    #[test]
    fn bodies_come_out_whole_however_they_are_cut() {
        for (input, expected, rest) in [
            ("0\r\n\r\n", "", ""),
            ("5\r\nhello\r\n0\r\n\r\n", "hello", ""),
            (
                "5\r\nhello\r\n006;a=b\r\n world\r\n0;x\r\nTrailer: 1\r\nAnother: 2\r\n\r\nGET",
                "hello world",
                "GET",
            ),
            ("A\r\n0123456789\r\n00\r\n\r\n", "0123456789", ""),
            ("1 \r\nx\r\n0\r\n\r\n", "x", ""),
            ("1 \t;a=\"b\"\r\nx\r\n0\r\nA:\r\nB:\t\u{e9}\r\n\r\n", "x", ""),
            ("0000000000000001\r\nx\r\n0\r\n\r\n", "x", ""),
        ] {
            for step in 1..=input.len() {
                let (body, used, done) = decode(input.as_bytes(), step, 100).expect(input);
                assert_eq!(
                    (body.as_slice(), &input[used..], done),
                    (expected.as_bytes(), rest, true),
                    "step {step}"
                );
            }
            let end = input.len() - rest.len();
            for cut in 0..end {
                assert_eq!(
                    decode(&input.as_bytes()[..cut], 3, 100).map(|(.., done)| done),
                    Ok(false),
                    "cut {cut}"
                );
            }
        }
    }

    #[test]
    fn malformed_bodies_are_refused() {
        use ChunkError::{Malformed, Overhead, TooLarge};
        let extension = format!("1;{}\r\n", "x".repeat(MAX_EXTENSIONS + 1));
        let many_extensions = "1;xxxx\r\na\r\n".repeat(MAX_EXTENSIONS / 4 + 1);
        let trailers = format!("0\r\n{}", "a: b\r\n".repeat(MAX_TRAILERS / 4 + 1));
        let spaces = format!("1{}", " ".repeat(MAX_EXTENSIONS + 1));
        for (input, expected) in [
            (spaces.as_str(), Overhead),
            ("\r\n", Malformed),
            ("00000000000000001\r\n", Malformed),
            ("1 x\r\n", Malformed),
            ("1;a\x7f\r\n", Malformed),
            ("1;a\x0b\r\n", Malformed),
            ("0\r\nGET / HTTP/1.1\r\n", Malformed),
            ("0\r\nA : b\r\n", Malformed),
            ("0\r\n: b\r\n", Malformed),
            ("0\r\n A: b\r\n", Malformed),
            ("0\r\nA: b\r\n c\r\n", Malformed),
            ("0\r\nA: \x01\r\n", Malformed),
            ("x\r\n", Malformed),
            (" 1\r\na", Malformed),
            ("-1\r\n", Malformed),
            ("0x1\r\n", Malformed),
            ("1\na\r\n", Malformed),
            ("1\ra", Malformed),
            ("1;\n", Malformed),
            ("1\r\nab", Malformed),
            ("1\r\na\n", Malformed),
            ("0\r\n\n", Malformed),
            ("0\r\na: b\n\r\n", Malformed),
            ("0\r\n\rx", Malformed),
            ("ffffffffffffffff0\r\n", TooLarge),
            ("65\r\n", TooLarge),
            ("64\r\n", Malformed),
            (&extension, Overhead),
            (&many_extensions, Overhead),
            (&trailers, Overhead),
        ] {
            let padded =
                if input == "64\r\n" { format!("64\r\n{}x", "y".repeat(100)) } else { input.to_owned() };
            let limit = if input == many_extensions { 1 << 20 } else { 100 };
            assert_eq!(decode(padded.as_bytes(), 7, limit).map(|_| ()), Err(expected), "{padded:.60}");
        }
    }
}
