//! What goes into an envelope and what comes out of one.

/// One content type of this codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// Lower case, without parameters.
    pub content_type: &'static str,
    /// The content type of the value inside.
    pub value: &'static str,
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
pub struct Head<'a> {
    /// Decimal digits of a 64-bit number. Empty: 0.
    pub id: &'a [u8],
    /// `Struct.Method`; in responses, of the request.
    pub endpoint: &'a str,
    /// Empty: the call went well. Requests have no place for it.
    pub error: &'a str,
}

/// Bytes of a message, `offset` counted over the message followed by what was unescaped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Of the first byte.
    pub offset: u32,
    /// In bytes; 0: there is no such part.
    pub length: u32,
}

impl Part {
    /// The bytes. None if the part was not made for these.
    pub fn of<'a>(self, data: &'a [u8], extra: &'a [u8]) -> Option<&'a [u8]> {
        let (offset, length) = (self.offset as usize, self.length as usize);
        match offset.checked_sub(data.len()) {
            _ if length == 0 => Some(&[]),
            None => data.get(offset..)?.get(..length),
            Some(offset) => extra.get(offset..)?.get(..length),
        }
    }
}

/// The parts of an envelope. `endpoint` and `error` are UTF-8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// See [`Head::id`].
    pub id: Part,
    /// See [`Head::endpoint`].
    pub endpoint: Part,
    /// See [`Head::error`].
    pub error: Part,
    /// The value.
    pub value: Part,
}

/// A message that cannot be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not an envelope of this format.
    #[error("malformed envelope")]
    Malformed,
    /// Something of the call that this format has no place for.
    #[error("no place in this envelope")]
    Unsupported,
    /// A length that this format, or an offset, cannot express.
    #[error("too large for this envelope")]
    TooLarge,
}
