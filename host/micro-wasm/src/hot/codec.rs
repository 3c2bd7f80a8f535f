//! Codec plugins: envelopes around values.

use super::generation::{Generation, HotKind, StartError};
use super::slot::{Hot, Refusal, Slot};
use super::state::State;
use bytes::Bytes;
use micro_bindings::hot::exports::micro::codec::codec;
use micro_core::Codec;
use micro_core::codec::{CodecError, Envelope, Format, Opened, Role};
use micro_plugin::Kind;
use std::sync::Arc;
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

/// The largest message that crosses into a codec, in bytes.
const LARGEST: usize = 64 << 20;
/// Formats of one plugin, and bytes of what stands around a value.
const MOST_FORMATS: usize = 32;
const LARGEST_ENCLOSURE: usize = 64 << 10;

pub(crate) struct CodecKind;

impl HotKind for CodecKind {
    const KIND: Kind = Kind::Codec;
    const COPIED: usize = LARGEST + (1 << 20);
    type Indices = codec::GuestIndices;
    type Exports = codec::Guest;
    type Memory = ();

    fn find(pre: &InstancePre<State>) -> wasmtime::Result<Self::Indices> {
        codec::GuestIndices::new(pre)
    }

    fn load(
        indices: &Self::Indices,
        store: &mut Store<State>,
        instance: &Instance,
    ) -> wasmtime::Result<Self::Exports> {
        indices.load(store, instance)
    }

    /// A request in each format, there and back.
    fn smoke(hot: &mut Hot<Self>) -> wasmtime::Result<Result<(), String>> {
        let formats = match formats(hot)? {
            Ok(formats) => formats,
            Err(wrong) => return Ok(Err(wrong)),
        };
        for (at, format) in formats.iter().enumerate() {
            let value: &[u8] =
                if format.value == "application/json" { b"{\"name\":\"a\"}" } else { b"\x0a\x01a" };
            let envelope = Envelope { id: b"1", endpoint: "Say.Hello", error: "" };
            let sealed = match seal(hot, at, Role::Request, envelope, value.len())? {
                Ok(enclosure) => [&enclosure.prefix[..], value, &enclosure.suffix].concat(),
                Err(error) => {
                    return Ok(Err(format!(
                        "{}: it refused an ordinary call: {error:?}",
                        format.content_type
                    )));
                }
            };
            let sealed = Bytes::from(sealed);
            let opened = open(hot, at, Role::Request, &sealed)?.map(|opened| take_apart(&opened, &sealed));
            match opened {
                Ok(Some(opened)) if opened.endpoint == envelope.endpoint && opened.value == value => {}
                other => {
                    let what = format!("{}: it opened its own message as {other:?}", format.content_type);
                    return Ok(Err(what));
                }
            }
        }
        Ok(Ok(()))
    }

    /// Callers know the content types by their positions.
    fn succeeds(next: &Generation<Self>, current: &Generation<Self>) -> Result<(), String> {
        let list = |formats: &[Format]| {
            formats.iter().map(|it| it.content_type.as_str()).collect::<Vec<_>>().join(", ")
        };
        let (next, current) = (served(next)?, served(current)?);
        if next == current {
            return Ok(());
        }
        Err(format!("it serves {}, and the one in service {}", list(&next), list(&current)))
    }
}

/// A codec plugin in service.
#[derive(Debug)]
pub struct PluginCodec {
    pub(crate) slot: Arc<Slot<CodecKind>>,
    /// From the first plugin's manifest.
    pub(crate) name: String,
    pub(crate) formats: Vec<Format>,
    /// Serves while the plugin cannot.
    pub(crate) twin: Option<Arc<dyn Codec>>,
}

impl Codec for PluginCodec {
    fn name(&self) -> &str {
        &self.name
    }

    fn formats(&self) -> &[Format] {
        &self.formats
    }

    fn seal(
        &self,
        format: usize,
        role: Role,
        envelope: Envelope<'_>,
        value: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        let enclosure = match self.slot.call("seal", |hot| seal(hot, format, role, envelope, value.len())) {
            Ok(answer) => answer.map_err(|error| self.explain(format, error))?,
            Err(refusal) => match (refusal, self.twin(format)) {
                (Refusal::Absent(_), Some((twin, at))) => return twin.seal(at, role, envelope, value, out),
                (refusal, _) => return Err(self.failed(&refusal)),
            },
        };
        let codec::Enclosure { prefix, suffix } = enclosure;
        if prefix.len() + suffix.len() > LARGEST_ENCLOSURE + envelope.error.len() + envelope.endpoint.len() {
            let what = format!("it put {} bytes around a value", prefix.len() + suffix.len());
            return Err(self.failed(&self.slot.nonsense(what)));
        }
        out.reserve(prefix.len() + value.len() + suffix.len());
        for part in [&prefix, value, &suffix] {
            out.extend_from_slice(part);
        }
        Ok(())
    }

    fn open(&self, format: usize, role: Role, data: &Bytes) -> Result<Opened, CodecError> {
        if data.len() > LARGEST {
            return Err(CodecError::TooLarge(self.content_type(format)));
        }
        let opened = match self.slot.call("open", |hot| open(hot, format, role, data)) {
            Ok(answer) => answer.map_err(|error| self.explain(format, error))?,
            Err(refusal) => match (refusal, self.twin(format)) {
                (Refusal::Absent(_), Some((twin, at))) => return twin.open(at, role, data),
                (refusal, _) => return Err(self.failed(&refusal)),
            },
        };
        take_apart(&opened, data).ok_or_else(|| {
            let what = "it pointed outside of the message that it opened".to_owned();
            self.failed(&self.slot.nonsense(what))
        })
    }
}

impl PluginCodec {
    fn content_type(&self, format: usize) -> String {
        self.formats.get(format).map_or_else(|| format!("format {format}"), |it| it.content_type.clone())
    }

    fn twin(&self, format: usize) -> Option<(&Arc<dyn Codec>, usize)> {
        let (twin, wanted) = (self.twin.as_ref()?, self.formats.get(format)?);
        Some((twin, twin.formats().iter().position(|it| it == wanted)?))
    }

    fn explain(&self, format: usize, error: codec::Error) -> CodecError {
        let content_type = self.content_type(format);
        match error {
            codec::Error::Malformed => CodecError::Malformed(content_type),
            codec::Error::Unsupported => CodecError::Unsupported(content_type),
            codec::Error::TooLarge => CodecError::TooLarge(content_type),
        }
    }

    fn failed(&self, refusal: &Refusal) -> CodecError {
        CodecError::Failed { codec: self.name.clone(), reason: refusal.to_string() }
    }
}

/// What a generation serves, from an instance that is made for the question.
pub(super) fn served(generation: &Generation<CodecKind>) -> Result<Vec<Format>, String> {
    let mut hot = generation.start().map_err(|error| match error {
        StartError::Invalid(why) => why,
        StartError::Fault(fault) => fault.summary(),
    })?;
    let answer = formats(&mut hot);
    answer.unwrap_or_else(|error| Err(hot.fault(&error).summary()))
}

/// What the plugin serves, or what is wrong with that.
fn formats(hot: &mut Hot<CodecKind>) -> wasmtime::Result<Result<Vec<Format>, String>> {
    let formats = hot.exports.call_formats(&mut hot.store)?;
    if formats.is_empty() || formats.len() > MOST_FORMATS {
        return Ok(Err(format!("it serves {} content types", formats.len())));
    }
    let good = |format: &codec::Format| {
        let plain =
            |text: &str| text.contains('/') && text.bytes().all(|it| it.is_ascii_graphic() && it != b';');
        let lower = !format.content_type.bytes().any(|it| it.is_ascii_uppercase());
        let value = matches!(format.value.as_str(), "application/json" | "application/protobuf");
        plain(&format.content_type) && lower && value
    };
    if let Some(bad) = formats.iter().find(|format| !good(format)) {
        return Ok(Err(format!("it serves {:?} around {:?}", bad.content_type, bad.value)));
    }
    let known = |it: codec::Format| Format { content_type: it.content_type, value: it.value };
    Ok(Ok(formats.into_iter().map(known).collect()))
}

type Answer<T> = wasmtime::Result<Result<T, codec::Error>>;

#[inline]
fn seal(
    hot: &mut Hot<CodecKind>,
    format: usize,
    role: Role,
    envelope: Envelope<'_>,
    length: usize,
) -> Answer<codec::Enclosure> {
    let Ok(length) = u32::try_from(length) else { return Ok(Err(codec::Error::TooLarge)) };
    let head = codec::Head { id: envelope.id, endpoint: envelope.endpoint, error: envelope.error };
    hot.allow_for(head.id.len() + head.endpoint.len() + head.error.len());
    hot.exports.call_seal(&mut hot.store, format as u32, as_wit(role), head, length)
}

#[inline]
fn open(hot: &mut Hot<CodecKind>, format: usize, role: Role, data: &[u8]) -> Answer<codec::Opened> {
    hot.allow_for(data.len());
    hot.exports.call_open(&mut hot.store, format as u32, as_wit(role), data)
}

fn as_wit(role: Role) -> codec::Role {
    match role {
        Role::Request => codec::Role::Request,
        Role::Response => codec::Role::Response,
    }
}

/// The parts that the ranges name; none if one of them is outside, or no text where there must be one.
fn take_apart(opened: &codec::Opened, data: &Bytes) -> Option<Opened> {
    let extra = Bytes::copy_from_slice(&opened.extra);
    let part = |range: codec::Range| {
        let (offset, length) = (range.offset as usize, range.length as usize);
        match offset.checked_sub(data.len()) {
            _ if length == 0 => Some(Bytes::new()),
            None => (length <= data.len() - offset).then(|| data.slice(offset..offset + length)),
            Some(offset) => (offset <= extra.len() && length <= extra.len() - offset)
                .then(|| extra.slice(offset..offset + length)),
        }
    };
    let text = |range| String::from_utf8(part(range)?.into()).ok();
    Some(Opened {
        id: part(opened.id)?,
        endpoint: text(opened.endpoint)?,
        error: text(opened.error)?,
        value: part(opened.value)?,
    })
}
