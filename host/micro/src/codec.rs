//! Envelopes around values, by content type.
//!
//! The first versions of Go Micro had no `Micro-*` headers: who is called, and what went wrong, stood in the body
//! (`go-micro-wire` §§2.1–2.5). Services that no Go Micro program wrote are called like that to this day, because a
//! node whose record says no `protocol` is taken for one of those.

mod native;

pub use micro_core::codec::{Codec, CodecError, Envelope, Format, Opened, Role};
#[cfg(feature = "plugins")]
pub(crate) use native::native;
pub use native::{JsonRpc, ProtoRpc};

use arc_swap::ArcSwap;
use bytes::Bytes;
use serde_json::value::RawValue;
use std::fmt;
use std::sync::Arc;

/// The codecs of a client or server. Clones share them; a codec can be replaced while calls are running, which end with
/// the one that they began with.
#[derive(Clone)]
pub struct Codecs {
    entries: Arc<ArcSwap<Vec<Sealer>>>,
}

/// One content type: the codec that serves it, and what it calls it.
#[derive(Clone, Debug)]
pub struct Sealer {
    entry: Arc<Entry>,
}

#[derive(Debug)]
struct Entry {
    codec: Arc<dyn Codec>,
    /// Its position among the codec's formats.
    index: usize,
    format: Format,
}

impl Default for Codecs {
    /// [`JsonRpc`] and [`ProtoRpc`].
    fn default() -> Self {
        let codecs = Self::none();
        codecs.insert(Arc::new(JsonRpc::default()));
        codecs.insert(Arc::new(ProtoRpc::default()));
        codecs
    }
}

impl Codecs {
    /// No envelopes at all.
    pub fn none() -> Self {
        Self { entries: Arc::default() }
    }

    /// Adds a codec, in place of those of the same content types.
    pub fn insert(&self, codec: Arc<dyn Codec>) {
        let own = |entry: &Sealer| codec.formats().iter().any(|format| entry.serves(&format.content_type));
        let new = |(index, format): (usize, &Format)| Sealer {
            entry: Arc::new(Entry { codec: codec.clone(), index, format: format.clone() }),
        };
        self.entries.rcu(|entries| {
            let others = entries.iter().filter(|entry| !own(entry)).cloned();
            others.chain(codec.formats().iter().enumerate().map(new)).collect::<Vec<_>>()
        });
    }

    /// What seals and opens messages of a content type. Case and parameters such as `charset` do not matter. None for
    /// content types of bare values.
    pub fn find(&self, content_type: &str) -> Option<Sealer> {
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        self.entries.load().iter().find(|entry| entry.serves(media_type)).cloned()
    }

    /// [`Codecs::find`] where bare values are not an option: the oldest versions named the value and meant the envelope
    /// (`go-micro-wire` §2.1).
    pub fn find_legacy(&self, content_type: &str) -> Option<Sealer> {
        let is_bytes = |name: &str| name.eq_ignore_ascii_case("application/octet-stream");
        match content_type.split(';').next().map(str::trim) {
            Some(name) if is_bytes(name) => self.find("application/proto-rpc"),
            _ => self.find(legacy(content_type)),
        }
    }
}

impl fmt::Debug for Codecs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.entries.load();
        let names = entries.iter().map(|it| (&it.format().content_type, it.entry.codec.name()));
        f.debug_map().entries(names).finish()
    }
}

/// The content type in which a value of this one travels to a node that wants envelopes (`go-micro-wire` §2.3).
pub(crate) fn legacy(content_type: &str) -> &str {
    match crate::Format::of(content_type) {
        Some(crate::Format::Json) => "application/json-rpc",
        Some(crate::Format::Protobuf) => "application/proto-rpc",
        None => content_type,
    }
}

impl Sealer {
    /// The content types outside and inside.
    pub fn format(&self) -> &Format {
        &self.entry.format
    }

    fn serves(&self, media_type: &str) -> bool {
        self.format().content_type.eq_ignore_ascii_case(media_type)
    }

    /// A whole message: the envelope with `value` in it.
    ///
    /// # Errors
    /// [`CodecError::Malformed`], with the content type of values, for a value that is not one JSON document where one
    /// is due: it could end the envelope and begin another call. Otherwise as [`Codec::seal`].
    pub fn seal(&self, role: Role, envelope: Envelope<'_>, value: &[u8]) -> Result<Bytes, CodecError> {
        let value = match &*self.format().value {
            kind @ "application/json" => json(value).ok_or_else(|| CodecError::Malformed(kind.to_owned()))?,
            _ => value,
        };
        let mut message = Vec::new();
        self.entry.codec.seal(self.entry.index, role, envelope, value, &mut message)?;
        Ok(message.into())
    }

    /// The parts of a message.
    ///
    /// # Errors
    /// As [`Codec::open`].
    pub fn open(&self, role: Role, message: &Bytes) -> Result<Opened, CodecError> {
        self.entry.codec.open(self.entry.index, role, message)
    }
}

/// The JSON document without the white space around it, such as the line break behind ours; empty stays empty.
fn json(value: &[u8]) -> Option<&[u8]> {
    if value.trim_ascii().is_empty() {
        return Some(&[]);
    }
    let value: &RawValue = serde_json::from_slice(value).ok()?;
    Some(value.get().as_bytes())
}

#[cfg(test)]
mod tests;
