//! `google.api.http`: which HTTP requests an rpc is called with, as proto files say it. No IO, no HTTP.
//!
//! [`Rule`] is what stands at an rpc, read from a descriptor or from its JSON form; it consists of [`Binding`]s, each a
//! method and a [`Template`] with what becomes of the body. [`check`](Rule::check) holds them against the rpc's
//! messages. The code generator registers the JSON form with the endpoint under [`METADATA_KEY`]; the gateway reads it.
//!
//! The rules are those of google/api/http.proto.
#![warn(missing_docs)]

mod check;
#[cfg(feature = "compiler")]
mod compiler;
mod rule;
mod template;

pub use check::{CheckError, FieldPath, field, field_path, is_text};
#[cfg(feature = "compiler")]
pub use compiler::compiler;
pub use rule::{Binding, BodyRule, Rule, RuleError};
pub use template::{MatchedPath, Template, TemplateError, TemplateSegment, TemplateVariable};

/// The key under which an endpoint's record holds the JSON form of its rule.
pub const METADATA_KEY: &str = "google.api.http";

/// The proto files that define the option, by the names under which they are imported: for compilers of proto files
/// whose users have no copies.
pub const PROTO_FILES: [(&str, &str); 2] = [
    ("google/api/annotations.proto", include_str!("../proto/google/api/annotations.proto")),
    ("google/api/http.proto", include_str!("../proto/google/api/http.proto")),
];
