//! Filter plugins: look at the head of each HTTP request. They fail closed.

use super::generation::HotKind;
use super::slot::{Hot, Slot};
use super::state::State;
use bytes::Bytes;
use http1_core::{MAX_HEAD, Start};
use micro_bindings::hot::exports::micro::filter::filter;
use micro_core::Filter;
use micro_core::filter::{Edit, FilterError, Operation, RequestHead, Verdict};
use micro_plugin::Kind;
use std::cell::RefCell;
use std::fmt::Write;
use std::sync::Arc;
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

/// Edits of one verdict, and the bytes of a response in place of the service's.
const MOST_EDITS: usize = 64;
const LARGEST_BODY: usize = 1 << 20;

thread_local! {
    /// What crosses into the guest: the peer's address as text and the packed head. Reused.
    static LENT: RefCell<(String, Vec<u8>)> = const { RefCell::new((String::new(), Vec::new())) };
}

pub(crate) struct FilterKind;

impl HotKind for FilterKind {
    const KIND: Kind = Kind::Filter;
    const COPIED: usize = LARGEST_BODY + (256 << 10);
    type Indices = filter::GuestIndices;
    type Exports = filter::Guest;
    type Memory = ();

    fn find(pre: &InstancePre<State>) -> wasmtime::Result<Self::Indices> {
        filter::GuestIndices::new(pre)
    }

    fn load(
        indices: &Self::Indices,
        store: &mut Store<State>,
        instance: &Instance,
    ) -> wasmtime::Result<Self::Exports> {
        indices.load(store, instance)
    }

    /// An ordinary request. Any verdict will do, as long as it is one.
    fn smoke(hot: &mut Hot<Self>) -> wasmtime::Result<Result<(), String>> {
        let mut packed = Vec::new();
        let start = Start::Request { method: "GET", path: b"/", host: b"localhost" };
        if http1_core::pack(start, [(&b"Accept"[..], &b"*/*"[..])], &mut packed).is_err() {
            return Ok(Ok(()));
        }
        Ok(check(hot.exports.call_request(&mut hot.store, "127.0.0.1", &packed)?).map(|_| ()))
    }
}

/// A filter plugin in service. While it cannot serve, every request is refused.
#[derive(Debug)]
pub struct PluginFilter {
    pub(crate) slot: Arc<Slot<FilterKind>>,
    /// From the first plugin's manifest.
    pub(crate) name: String,
}

impl Filter for PluginFilter {
    fn name(&self) -> &str {
        &self.name
    }

    fn request(&self, head: RequestHead<'_>) -> Result<Verdict, FilterError> {
        let failed = |reason: String| FilterError { filter: self.name.clone(), reason };
        let (mut peer, mut packed) = LENT.take();
        peer.clear();
        packed.clear();
        // Writing to a string cannot fail.
        let _ = write!(peer, "{}", head.peer);
        let start = Start::Request { method: head.method, path: head.target, host: head.host };
        let fields = head.fields.iter().copied();
        if http1_core::pack(start, fields, &mut packed).is_err() || packed.len() > 2 * MAX_HEAD {
            return Err(failed("the head of the request is too large for filters".to_owned()));
        }
        let answer = self.slot.call("request", |hot| {
            hot.allow_for(packed.len());
            hot.exports.call_request(&mut hot.store, &peer, &packed)
        });
        LENT.set((peer, packed));
        let verdict = answer.map_err(|refusal| failed(refusal.to_string()))?;
        check(verdict).map_err(|what| failed(self.slot.nonsense(what).to_string()))
    }
}

/// A verdict that can be carried out, or what is wrong with it.
fn check(verdict: filter::Verdict) -> Result<Verdict, String> {
    match verdict {
        filter::Verdict::Next => Ok(Verdict::Next),
        filter::Verdict::Edit(edits) => {
            Ok(Verdict::Edit { request: checked(edits.request)?, response: checked(edits.response)? })
        }
        filter::Verdict::Respond(filter::Response { status, fields, body }) => {
            if !(200..600).contains(&status) {
                return Err(format!("it answered with the status {status}"));
            }
            if body.len() > LARGEST_BODY || fields.len() > MOST_EDITS {
                return Err(format!("it answered with {} fields and {} bytes", fields.len(), body.len()));
            }
            if let Some((name, _)) = fields.iter().find(|(name, value)| !is_field(name, value)) {
                return Err(format!("it answered with a bad field {name:?}"));
            }
            let fields = fields.into_iter().map(|(name, value)| (name, Bytes::from(value))).collect();
            Ok(Verdict::Respond { status, fields, body: body.into() })
        }
    }
}

fn checked(edits: Vec<filter::Edit>) -> Result<Vec<Edit>, String> {
    if edits.len() > MOST_EDITS {
        return Err(format!("it wants {} changes", edits.len()));
    }
    let edit = |edit: filter::Edit| {
        if !is_field(&edit.name, &edit.value) {
            return Err(format!("it wants to change a bad field {:?}", edit.name));
        }
        let operation = match edit.operation {
            filter::Operation::Set => Operation::Set,
            filter::Operation::Append => Operation::Append,
            filter::Operation::Remove => Operation::Remove,
        };
        Ok(Edit { operation, name: edit.name, value: edit.value.into() })
    };
    edits.into_iter().map(edit).collect()
}

/// A token and a value without control characters (RFC 9110 §5), and nothing that speaks about the connection.
fn is_field(name: &str, value: &[u8]) -> bool {
    http::HeaderName::from_bytes(name.as_bytes()).is_ok()
        && http::HeaderValue::from_bytes(value).is_ok()
        && !http1_core::names::is_connection_field(http1_core::names::id(name.as_bytes()))
}
