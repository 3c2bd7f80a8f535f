//! Wire plugins: heads of messages to bytes and back.

use super::generation::HotKind;
use super::slot::{Hot, Refusal, Slot};
use super::state::State;
use http1_core::{End, Framing, Head, MAX_FIELDS, MAX_HEAD, Method, Role, Start, layout};
use micro_bindings::hot::exports::micro::wire::wire;
use micro_net::wire::{HeadError, NativeWire, Wire};
use micro_plugin::Kind;
use std::cell::RefCell;
use std::sync::Arc;
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

/// The most words of a head.
const WORDS: usize = layout::FIELDS + 2 * MAX_FIELDS;

thread_local! {
    /// What crosses into the guest. Reused: a call is too short to allocate for.
    static PACKED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

pub(crate) struct WireKind;

impl HotKind for WireKind {
    const KIND: Kind = Kind::Wire;
    const COPIED: usize = 2 * MAX_HEAD;
    type Indices = wire::GuestIndices;
    type Exports = wire::Guest;
    type Memory = ();

    fn find(pre: &InstancePre<State>) -> wasmtime::Result<Self::Indices> {
        wire::GuestIndices::new(pre)
    }

    fn load(
        indices: &Self::Indices,
        store: &mut Store<State>,
        instance: &Instance,
    ) -> wasmtime::Result<Self::Exports> {
        indices.load(store, instance)
    }

    /// A request and its answer, there and back.
    fn smoke(hot: &mut Hot<Self>) -> wasmtime::Result<Result<(), String>> {
        let request = Start::Request { method: "POST", path: b"/", host: b"localhost:1" };
        let response = Start::Response { status: 200, reason: b"OK" };
        for (start, role) in [(request, Role::Request), (response, Role::Response)] {
            let mut packed = Vec::new();
            let field = (&b"Micro-Endpoint"[..], &b"Say.Hello"[..]);
            if http1_core::pack(start, [field], &mut packed).is_err() {
                continue;
            }
            let end = End { framing: Framing::Length(2), close: false };
            let bytes = match encode(hot, role, status(start), end, &packed)? {
                Ok(bytes) => bytes,
                Err(error) => return Ok(Err(format!("it refused to write an ordinary head: {error:?}"))),
            };
            let words = match decode(hot, role, Method::POST, &bytes)? {
                Ok(words) => words,
                Err(error) => return Ok(Err(format!("it refused to read its own head: {error:?}"))),
            };
            let read = check(&words, &bytes).and_then(|_| Head::new(&words, &bytes));
            let same = read.is_some_and(|head| {
                let endpoint = head.fields().find(|(_, name, _)| name.eq_ignore_ascii_case("Micro-Endpoint"));
                head.framing() == end.framing && endpoint.is_some_and(|(_, _, value)| value == field.1)
            });
            if !same {
                return Ok(Err("it reads from its own head something else than it wrote".to_owned()));
            }
        }
        Ok(Ok(()))
    }
}

/// A wire plugin in service. While it cannot serve, the wire that is part of the program does.
#[derive(Clone, Debug)]
pub struct PluginWire {
    pub(crate) slot: Arc<Slot<WireKind>>,
}

impl Wire for PluginWire {
    fn decode(
        &self,
        role: Role,
        method: Method,
        data: &[u8],
        words: &mut Vec<u32>,
    ) -> Result<usize, HeadError> {
        let head = &data[..data.len().min(MAX_HEAD)];
        let answer = match self.slot.call("decode", |hot| decode(hot, role, method, head)) {
            Ok(answer) => answer,
            Err(Refusal::Absent(_)) => return NativeWire.decode(role, method, data, words),
            Err(refusal) => return Err(HeadError::Plugin(Box::new(refusal))),
        };
        words.clear();
        *words = answer.map_err(protocol)?;
        match check(words, head) {
            Some(0) if head.len() == MAX_HEAD => Err(http1_core::Error::TooLarge.into()),
            Some(consumed) => Ok(consumed),
            None => {
                words.clear();
                Err(self.refuted())
            }
        }
    }

    fn refuted(&self) -> HeadError {
        let what = "it described a head that is not there".to_owned();
        HeadError::Plugin(Box::new(self.slot.nonsense(what)))
    }

    fn encode<'f>(
        &self,
        start: Start<'_>,
        fields: impl IntoIterator<Item = (&'f [u8], &'f [u8])>,
        end: End,
        out: &mut Vec<u8>,
    ) -> Result<(), HeadError> {
        // Taken out while the guest runs, so that whatever happens in there finds no borrowed cell.
        let mut packed = PACKED.take();
        packed.clear();
        let written = http1_core::pack(start, fields, &mut packed)
            .map_err(HeadError::from)
            .and_then(|()| self.encode_packed(start, end, &packed, out));
        PACKED.set(packed);
        written
    }
}

impl PluginWire {
    fn encode_packed(
        &self,
        start: Start<'_>,
        end: End,
        packed: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), HeadError> {
        let (role, status) = (role(start), status(start));
        match self.slot.call("encode", |hot| encode(hot, role, status, end, packed)) {
            Ok(Ok(bytes)) if !bytes.is_empty() && bytes.len() <= MAX_HEAD => {
                out.extend_from_slice(&bytes);
                Ok(())
            }
            Ok(Ok(bytes)) => {
                let what = format!("it wrote a head of {} bytes", bytes.len());
                Err(HeadError::Plugin(Box::new(self.slot.nonsense(what))))
            }
            Ok(Err(error)) => Err(protocol(error)),
            Err(Refusal::Absent(_)) => Ok(http1_core::encode_packed(role, status, packed, end, out)?),
            Err(refusal) => Err(HeadError::Plugin(Box::new(refusal))),
        }
    }
}

type Answer<T> = wasmtime::Result<Result<T, wire::Error>>;

#[inline]
fn decode(hot: &mut Hot<WireKind>, role: Role, method: Method, head: &[u8]) -> Answer<Vec<u32>> {
    let (role, method) = match role {
        Role::Request => (wire::Role::Request, 0),
        Role::Response => (wire::Role::Response, method.word()),
    };
    hot.exports.call_decode(&mut hot.store, role, method, head)
}

#[inline]
fn encode(hot: &mut Hot<WireKind>, role: Role, status: u16, end: End, packed: &[u8]) -> Answer<Vec<u8>> {
    let role = match role {
        Role::Request => wire::Role::Request,
        Role::Response => wire::Role::Response,
    };
    let [framing, low, high] = end.framing.words();
    let length = u64::from(high) << 32 | u64::from(low);
    hot.exports.call_encode(&mut hot.store, role, status, framing, length, end.close, packed)
}

fn role(start: Start<'_>) -> Role {
    match start {
        Start::Request { .. } => Role::Request,
        Start::Response { .. } => Role::Response,
    }
}

fn status(start: Start<'_>) -> u16 {
    match start {
        Start::Request { .. } => 0,
        Start::Response { status, .. } => status,
    }
}

/// The length of the head, if the number of words and the length are possible. The words themselves are checked by
/// whoever reads them.
fn check(words: &[u32], head: &[u8]) -> Option<usize> {
    let consumed = *words.first()? as usize;
    let possible = consumed == 0 || (layout::FIELDS..=WORDS).contains(&words.len());
    (possible && consumed <= head.len()).then_some(consumed)
}

fn protocol(error: wire::Error) -> HeadError {
    HeadError::Protocol(match error {
        wire::Error::Malformed => http1_core::Error::Malformed,
        wire::Error::Version => http1_core::Error::Version,
        wire::Error::TooLarge => http1_core::Error::TooLarge,
        wire::Error::Unsupported => http1_core::Error::Unsupported,
    })
}
