//! The words of a decoded head, and a view that reads them without trusting them.
//!
//! | word | holds |
//! |---|---|
//! | [`CONSUMED`] | length of the head in bytes; 0: more bytes are needed, and no other word counts |
//! | [`VERSION`] | 0 for HTTP/1.0, 1 for HTTP/1.1 |
//! | [`METHOD`] | request: an id of [`Method`], or the range of another method |
//! | [`PATH`] | request: the range of the target as it was sent |
//! | [`STATUS`] | response: the code |
//! | [`REASON`] | response: the range of the phrase |
//! | [`FRAMING`] | where the body ends, see [`Framing`] |
//! | [`LENGTH_LOW`], [`LENGTH_HIGH`] | the length of the body, if that is how it ends |
//! | [`FLAGS`] | bits [`KEEP_ALIVE`], [`EXPECT_CONTINUE`], [`UPGRADE`] |
//! | from [`FIELDS`] | per field a name, then a value |
//!
//! A *range* is `length << 16 | offset` into the bytes that were decoded; an empty one is 0. A name is an id of
//! [`names::NAMES`] when it is below 65536, else a range; a value is a range.

use crate::names;

/// Index of the length of the head.
pub const CONSUMED: usize = 0;
/// Index of the minor version.
pub const VERSION: usize = 1;
/// Index of the method.
pub const METHOD: usize = 2;
/// Index of the request target.
pub const PATH: usize = 3;
/// Index of the status code.
pub const STATUS: usize = 4;
/// Index of the reason phrase.
pub const REASON: usize = 5;
/// Index of the framing.
pub const FRAMING: usize = 6;
/// Index of the lower half of the body's length.
pub const LENGTH_LOW: usize = 7;
/// Index of the upper half of the body's length.
pub const LENGTH_HIGH: usize = 8;
/// Index of the flags.
pub const FLAGS: usize = 9;
/// Index of the first field.
pub const FIELDS: usize = 10;

/// The connection may carry another message after this one.
pub const KEEP_ALIVE: u32 = 1;
/// The client waits for `100 Continue` before it sends the body.
pub const EXPECT_CONTINUE: u32 = 2;
/// The client would rather speak another protocol.
pub const UPGRADE: u32 = 4;

/// Which half of an exchange a head belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Client to server.
    Request,
    /// Server to client.
    Response,
}

/// The id of a method; what a decoder of responses must know of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method(u32);

/// The methods by id (RFC 9110 §9.3, RFC 5789).
const METHODS: [&str; 10] =
    ["", "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

impl Method {
    /// No method, or one that is not in the table.
    pub const NONE: Self = Self(0);
    /// A request whose response has no body.
    pub const HEAD: Self = Self(2);
    /// What a message is sent with.
    pub const POST: Self = Self(3);
    /// A request whose successful response turns the connection into a tunnel.
    pub const CONNECT: Self = Self(6);

    /// The id of a method; [`NONE`](Self::NONE) if it is not in the table. Methods are case-sensitive.
    pub fn from_name(name: &str) -> Self {
        Self(METHODS.iter().skip(1).position(|known| *known == name).map_or(0, |index| index as u32 + 1))
    }

    /// A method from its word; [`NONE`](Self::NONE) if it is not in the table.
    pub fn from_word(word: u32) -> Self {
        if (word as usize) < METHODS.len() { Self(word) } else { Self::NONE }
    }

    /// The word of this method.
    pub fn word(self) -> u32 {
        self.0
    }

    /// The method as it is written; empty for [`NONE`](Self::NONE).
    pub fn name(self) -> &'static str {
        METHODS[self.0 as usize]
    }
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

impl Framing {
    /// The words [`FRAMING`], [`LENGTH_LOW`], [`LENGTH_HIGH`].
    pub fn words(self) -> [u32; 3] {
        match self {
            Self::None => [0, 0, 0],
            Self::Length(length) => [1, length as u32, (length >> 32) as u32],
            Self::Chunked => [2, 0, 0],
            Self::UntilClose => [3, 0, 0],
        }
    }

    /// The framing of three words, if they are one.
    pub fn from_words(words: [u32; 3]) -> Option<Self> {
        Some(match words {
            [0, ..] => Self::None,
            [1, low, high] => Self::Length(u64::from(high) << 32 | u64::from(low)),
            [2, ..] => Self::Chunked,
            [3, ..] => Self::UntilClose,
            _ => return None,
        })
    }
}

/// The range of a part of a head that starts at `offset`.
pub(crate) fn range(offset: usize, length: usize) -> u32 {
    if length == 0 { 0 } else { (length as u32) << 16 | offset as u32 }
}

/// A decoded head over the bytes that it was decoded from. All words were checked once, so that a decoder that is not
/// trusted can at worst describe a different head.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    words: &'a [u32],
    data: &'a [u8],
    framing: Framing,
}

impl<'a> Head<'a> {
    /// A view of `words` over `data`, the bytes that were given to the decoder. `None` if a word points outside of
    /// the head, or is no value of its kind.
    pub fn new(words: &'a [u32], data: &'a [u8]) -> Option<Self> {
        let fields = words.get(FIELDS..)?;
        let data = data.get(..words[CONSUMED] as usize).filter(|head| !head.is_empty())?;
        let fits = |word: u32| (word >> 16) as usize + (word & 0xffff) as usize <= data.len();
        let name_fits = |word: u32| match word {
            0 => false,
            id @ 1..0x1_0000 => (id as usize) < names::NAMES.len(),
            range => fits(range) && text(data, range).is_some(),
        };
        let method_fits = match words[METHOD] {
            id @ 0..0x1_0000 => (id as usize) < METHODS.len(),
            range => fits(range) && text(data, range).is_some(),
        };
        let good = method_fits
            && fits(words[PATH])
            && fits(words[REASON])
            && words[STATUS] < 1000
            && fields.len().is_multiple_of(2)
            && fields.chunks_exact(2).all(|field| name_fits(field[0]) && fits(field[1]));
        let framing = Framing::from_words([words[FRAMING], words[LENGTH_LOW], words[LENGTH_HIGH]])?;
        good.then_some(Self { words, data, framing })
    }

    /// The length of the head in bytes.
    pub fn consumed(&self) -> usize {
        self.data.len()
    }

    /// The method; empty for a response.
    pub fn method(&self) -> &'a str {
        match self.words[METHOD] {
            word if word < 0x1_0000 => Method::from_word(word).name(),
            range => text(self.data, range).unwrap_or_default(),
        }
    }

    /// The request target as it was sent; empty for a response.
    pub fn path(&self) -> &'a [u8] {
        slice(self.data, self.words[PATH])
    }

    /// The status code; 0 for a request.
    pub fn status(&self) -> u16 {
        self.words[STATUS] as u16
    }

    /// The reason phrase; empty for a request.
    pub fn reason(&self) -> &'a [u8] {
        slice(self.data, self.words[REASON])
    }

    /// Where the body ends.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Whether the connection may carry another message after this one.
    pub fn keep_alive(&self) -> bool {
        self.words[FLAGS] & KEEP_ALIVE != 0
    }

    /// Whether the client waits for `100 Continue`.
    pub fn expects_continue(&self) -> bool {
        self.words[FLAGS] & EXPECT_CONTINUE != 0
    }

    /// Whether the client would rather speak another protocol.
    pub fn wants_upgrade(&self) -> bool {
        self.words[FLAGS] & UPGRADE != 0
    }

    /// The fields in order: id (0 if it is not well known), name, value. Well-known names come in their usual
    /// spelling, others as they were sent.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = (u32, &'a str, &'a [u8])> + use<'a> {
        let data = self.data;
        self.words[FIELDS..].chunks_exact(2).map(move |field| {
            let value = slice(data, field[1]);
            match field[0] {
                id @ 0..0x1_0000 => (id, names::NAMES.get(id as usize).copied().unwrap_or_default(), value),
                range => (0, text(data, range).unwrap_or_default(), value),
            }
        })
    }
}

fn slice(data: &[u8], range: u32) -> &[u8] {
    data.get((range & 0xffff) as usize..)
        .and_then(|data| data.get(..(range >> 16) as usize))
        .unwrap_or_default()
}

fn text(data: &[u8], range: u32) -> Option<&str> {
    std::str::from_utf8(slice(data, range)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_words_are_refused() {
        let data = b"GET / HTTP/1.1\r\n\r\nrest";
        let good = [18, 1, 1, range(4, 1), 0, 0, 0, 0, 0, 0, 2, range(4, 1)];
        assert!(Head::new(&good, data).is_some());
        for (index, word) in [
            (CONSUMED, 0),
            (CONSUMED, 23),
            (CONSUMED, u32::MAX),
            (METHOD, 10),
            (METHOD, range(18, 1)),
            (PATH, range(18, 1)),
            (PATH, range(0xffff, 0xffff)),
            (STATUS, 1000),
            (REASON, range(0, 19)),
            (FRAMING, 4),
            (FIELDS, 0),
            (FIELDS, 42),
            (FIELDS, 0xffff),
            (FIELDS, range(17, 2)),
            (FIELDS + 1, range(17, 2)),
        ] {
            let mut words = good;
            words[index] = word;
            assert!(Head::new(&words, data).is_none(), "word {index} = {word}");
        }
        for length in 0..FIELDS {
            assert!(Head::new(&good[..length], data).is_none(), "{length} words");
        }
        assert!(Head::new(&good[..FIELDS + 1], data).is_none(), "a name without a value");
    }

    #[test]
    fn framing_survives_its_words() {
        for framing in [
            Framing::None,
            Framing::Length(0),
            Framing::Length(u64::MAX),
            Framing::Length(1 << 32),
            Framing::Chunked,
            Framing::UntilClose,
        ] {
            assert_eq!(Framing::from_words(framing.words()), Some(framing));
        }
    }
}
