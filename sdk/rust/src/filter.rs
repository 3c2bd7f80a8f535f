//! Plugins of the kind `filter`: look at the head of each request before anybody else does.
//!
//! ```
//! use micro_sdk::filter::{Filter, Request, Response, Verdict};
//! use micro_sdk::hot::{Context, Invalid};
//!
//! /// Turns away everybody who does not know the word.
//! struct Doorman {
//!     word: String,
//! }
//!
//! #[derive(serde::Deserialize)]
//! struct Options {
//!     word: String,
//! }
//!
//! impl Filter for Doorman {
//!     type Options = Options;
//!
//!     fn configure(_: &Context, options: Options) -> Result<Self, Invalid> {
//!         Ok(Self { word: options.word })
//!     }
//!
//!     fn request(&self, request: Request<'_>) -> Verdict {
//!         match request.head.field("x-word") {
//!             Some(word) if word == self.word.as_bytes() => Verdict::Next,
//!             _ => Verdict::Respond(Response::text(403, "forbidden")),
//!         }
//!     }
//! }
//!
//! micro_sdk::register_filter!(Doorman);
//! # fn main() {}
//! ```

use crate::bindings::hot::filter::exports::micro::filter::filter as wit;
use crate::hot::export::{Exported, Slot, call};
use crate::hot::{Context, Invalid, PackedHead, Role};
use serde::de::DeserializeOwned;
use std::net::IpAddr;

/// A filter. One that fails refuses the request: filters fail closed.
pub trait Filter: Sized + 'static {
    /// The options of the manifest, in the types of [`crate::options`]; [`NoOptions`](crate::hot::NoOptions) if it has
    /// none.
    type Options: DeserializeOwned;

    /// Takes the options, for each fresh instance.
    ///
    /// # Errors
    /// [`Invalid`] ends the attempt to put the plugin into service.
    fn configure(context: &Context, options: Self::Options) -> Result<Self, Invalid>;

    /// Decides about a request.
    fn request(&self, request: Request<'_>) -> Verdict;
}

/// What a filter sees of a request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The client's address: the one that is behind trusted proxies, where operators named some.
    pub peer: IpAddr,
    /// Method, target, host and fields.
    pub head: PackedHead<'a>,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on as it is.
    Next,
    /// It goes on with changes.
    Edit(Edits),
    /// This is the response; nobody else sees the request.
    Respond(Response),
}

/// What to change about a request that goes on, and about the response that it gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// Of the request.
    pub request: Vec<Edit>,
    /// Of the response.
    pub response: Vec<Edit>,
}

/// A change to one field. Names are tokens and values have no control characters; anything else counts as a failure, and
/// so do fields that speak about the connection or the framing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// What to do.
    pub operation: Operation,
    /// The field's name.
    pub name: String,
    /// Its value; empty for [`Operation::Remove`].
    pub value: Vec<u8>,
}

impl Edit {
    /// The field in place of all of that name.
    pub fn set(name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        Self { operation: Operation::Set, name: name.into(), value: value.into() }
    }

    /// The field beside those that are there.
    pub fn append(name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        Self { operation: Operation::Append, name: name.into(), value: value.into() }
    }

    /// No field of that name.
    pub fn remove(name: impl Into<String>) -> Self {
        Self { operation: Operation::Remove, name: name.into(), value: Vec::new() }
    }
}

/// What an [`Edit`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// In place of all fields of that name.
    Set,
    /// Beside those that are there.
    Append,
    /// Takes away all fields of that name.
    Remove,
}

/// A response in place of everything that comes after this filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// 200 to 599.
    pub status: u16,
    /// Names and values.
    pub fields: Vec<(String, Vec<u8>)>,
    /// May be empty.
    pub body: Vec<u8>,
}

impl Response {
    /// Plain text.
    pub fn text(status: u16, text: &str) -> Self {
        let kind = ("Content-Type".to_owned(), b"text/plain; charset=utf-8".to_vec());
        Self { status, fields: vec![kind], body: text.as_bytes().to_vec() }
    }
}

impl From<Verdict> for wit::Verdict {
    fn from(verdict: Verdict) -> Self {
        let edits = |edits: Vec<Edit>| edits.into_iter().map(wit::Edit::from).collect();
        match verdict {
            Verdict::Next => Self::Next,
            Verdict::Edit(Edits { request, response }) => {
                Self::Edit(wit::Edits { request: edits(request), response: edits(response) })
            }
            Verdict::Respond(Response { status, fields, body }) => {
                Self::Respond(wit::Response { status, fields, body })
            }
        }
    }
}

impl From<Edit> for wit::Edit {
    fn from(edit: Edit) -> Self {
        let operation = match edit.operation {
            Operation::Set => wit::Operation::Set,
            Operation::Append => wit::Operation::Append,
            Operation::Remove => wit::Operation::Remove,
        };
        Self { operation, name: edit.name, value: edit.value }
    }
}

impl<S: Slot<Plugin: Filter>> wit::Guest for Exported<S> {
    fn request(peer: String, packed: Vec<u8>) -> wit::Verdict {
        call::<S, _>(|filter, context| {
            // A host that packs something else breaks the contract. The trap is a failure, and so refuses the request.
            let peer = peer.parse().expect("the host sends the address of the client");
            let head = PackedHead::new(Role::Request, &packed, &context.names);
            let head = head.expect("the host sends a packed head");
            filter.request(Request { peer, head })
        })
        .into()
    }
}

/// Makes a type that implements [`Filter`](crate::filter::Filter) the plugin: `micro_sdk::register_filter!(MyFilter);`,
/// once, in the root of a `cdylib` crate. Natively it exports nothing, so that the crate's tests link.
#[macro_export]
macro_rules! register_filter {
    ($plugin:ty) => {
        $crate::__register_hot!($plugin, $crate::filter::Filter, filter);
    };
}
