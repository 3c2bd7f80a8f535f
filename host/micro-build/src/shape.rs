//! The shape of a message, as Go Micro's services describe it in the registry (`go-micro-wire` §6.3).

use crate::names::go_type;
use proc_macro2::TokenStream;
use protox::prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use quote::quote;

/// Levels of the tree, the root included.
const DEPTH: usize = 3;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) values: Vec<Shape>,
}

impl Shape {
    /// The tree of a message. Its root is called as its type.
    pub(crate) fn of(message: &MessageDescriptor) -> Self {
        Self::message(message, DEPTH)
    }

    /// An expression for the tree.
    pub(crate) fn tokens(&self) -> TokenStream {
        let Self { name, kind, values } = self;
        let values = values.iter().map(Self::tokens);
        quote!(_json::shape(#name, #kind, [#(#values),*]))
    }

    fn message(message: &MessageDescriptor, depth: usize) -> Self {
        let name = go_type(message.package_name(), message.full_name());
        let fields = message.fields().filter(|_| depth > 1).map(|field| Self::field(&field, depth - 1));
        Self { kind: name.clone(), name, values: fields.collect() }
    }

    /// A field under its JSON name, which in Go's generated code is the name in the proto file.
    fn field(field: &FieldDescriptor, depth: usize) -> Self {
        let name = field.name().to_owned();
        if field.is_map() {
            return Self { name, kind: "map".to_owned(), values: Vec::new() };
        }
        let element = match field.kind() {
            Kind::Message(message) => {
                Self::message(&message, if field.is_list() { depth - 1 } else { depth })
            }
            kind => Self::scalar(&kind),
        };
        if !field.is_list() {
            return Self { name, ..element };
        }
        // A list has its element as its one child, unless that would be a level too deep.
        let kind = format!("[]{}", element.kind);
        Self { name, kind, values: if depth > 1 { vec![element] } else { Vec::new() } }
    }

    fn scalar(kind: &Kind) -> Self {
        let name = match kind {
            Kind::Double => "float64".to_owned(),
            Kind::Float => "float32".to_owned(),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => "int32".to_owned(),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => "int64".to_owned(),
            Kind::Uint32 | Kind::Fixed32 => "uint32".to_owned(),
            Kind::Uint64 | Kind::Fixed64 => "uint64".to_owned(),
            Kind::Bool => "bool".to_owned(),
            Kind::String => "string".to_owned(),
            Kind::Bytes => "[]uint8".to_owned(),
            Kind::Message(message) => go_type(message.package_name(), message.full_name()),
            Kind::Enum(numbers) => go_type(numbers.package_name(), numbers.full_name()),
        };
        Self { kind: name.clone(), name, values: Vec::new() }
    }
}
