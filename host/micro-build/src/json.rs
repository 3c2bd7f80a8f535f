//! The JSON form of messages and enums, in terms of `micro::proto_json`, which the generated code calls `_json`.

use crate::error::Error;
use crate::names::{oneof_path, snake, tokens, type_path, upper_camel};
use crate::package::Scope;
use proc_macro2::TokenStream;
use protox::prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, OneofDescriptor};
use quote::quote;

/// `Message`, `Serialize` and `Deserialize` for a message.
pub(crate) fn message(scope: &Scope<'_>, message: &MessageDescriptor) -> Result<TokenStream, Error> {
    let target = path(&type_path(scope.package, message.full_name()))?;
    let full_name = message.full_name();
    let writes = writes(scope, message)?;
    let reads = reads(scope, message)?;
    let members = if writes.is_empty() { quote!(_members) } else { quote!(members) };
    let read = if reads.is_empty() {
        quote!(member.skip())
    } else {
        quote! {
            match member.name() {
                #(#reads)*
                _ => member.skip(),
            }
        }
    };
    let allow = has_deprecated(message)
        .then(|| quote!(#[allow(deprecated, reason = "deprecated fields travel too")]));
    Ok(quote! {
        #allow
        impl _json::Message for #target {
            const NAME: &'static str = #full_name;

            fn write<__S: _serde::ser::SerializeMap>(
                &self,
                #members: &mut _json::Members<'_, __S>,
            ) -> ::core::result::Result<(), __S::Error> {
                #(#writes)*
                ::core::result::Result::Ok(())
            }

            fn read<'de, __A: _serde::de::MapAccess<'de>>(
                &mut self,
                member: _json::Member<'_, __A>,
            ) -> ::core::result::Result<(), __A::Error> {
                #read
            }
        }

        impl _serde::Serialize for #target {
            fn serialize<__S: _serde::Serializer>(&self, serializer: __S) -> ::core::result::Result<__S::Ok, __S::Error> {
                _json::serialize(self, serializer)
            }
        }

        impl<'de> _serde::Deserialize<'de> for #target {
            fn deserialize<__D: _serde::Deserializer<'de>>(deserializer: __D) -> ::core::result::Result<Self, __D::Error> {
                _json::deserialize(deserializer)
            }
        }
    })
}

/// `Enumeration` for an enum.
pub(crate) fn enumeration(scope: &Scope<'_>, numbers: &EnumDescriptor) -> Result<TokenStream, Error> {
    let target = path(&type_path(scope.package, numbers.full_name()))?;
    Ok(quote! {
        impl _json::Enumeration for #target {
            fn number(name: &str) -> ::core::option::Option<i32> {
                Self::from_str_name(name).map(|value| value as i32)
            }
        }
    })
}

/// One statement per field, one `match` per oneof, where its first member stands.
fn writes(scope: &Scope<'_>, message: &MessageDescriptor) -> Result<Vec<TokenStream>, Error> {
    let mut statements = Vec::new();
    let mut seen = Vec::new();
    for field in message.fields() {
        let name = field.name();
        let Some(oneof) = real_oneof(&field) else {
            let (shape, rust) = (occurrence(scope, &field)?, path(&snake(name))?);
            statements.push(quote!(members.field::<#shape, _>(#name, &self.#rust)?;));
            continue;
        };
        if seen.contains(&oneof.full_name().to_owned()) {
            continue;
        }
        seen.push(oneof.full_name().to_owned());
        let rust = path(&snake(oneof.name()))?;
        let holder = path(&oneof_path(scope.package, &oneof))?;
        let mut arms = Vec::new();
        for member in oneof.fields() {
            let (name, variant) = (member.name(), path(&upper_camel(member.name()))?);
            let form = form(scope, &member, &member.kind())?;
            arms.push(quote! {
                ::core::option::Option::Some(#holder::#variant(value)) => {
                    members.field::<_json::Required<#form>, _>(#name, value)?;
                }
            });
        }
        statements.push(quote! {
            match &self.#rust {
                #(#arms)*
                ::core::option::Option::None => {}
            }
        });
    }
    Ok(statements)
}

/// One arm per field, for both spellings of its name.
fn reads(scope: &Scope<'_>, message: &MessageDescriptor) -> Result<Vec<TokenStream>, Error> {
    let mut arms = Vec::new();
    for field in message.fields() {
        let name = field.name();
        // A spelling that is the proto name of another field means that one.
        let other = message.get_field_by_name(field.json_name());
        let alias = if other.is_none() { Some(field.json_name()) } else { None };
        let names = std::iter::once(name).chain(alias);
        let body = match real_oneof(&field) {
            None => {
                let (shape, rust) = (occurrence(scope, &field)?, path(&snake(name))?);
                quote!(member.field::<#shape, _>(&mut self.#rust),)
            }
            Some(oneof) => {
                let (rust, variant) = (path(&snake(oneof.name()))?, path(&upper_camel(name))?);
                let holder = path(&oneof_path(scope.package, &oneof))?;
                let form = form(scope, &field, &field.kind())?;
                quote! {{
                    if let ::core::option::Option::Some(value) = member.variant::<#form, _>()? {
                        self.#rust = ::core::option::Option::Some(#holder::#variant(value));
                    }
                    ::core::result::Result::Ok(())
                }}
            }
        };
        arms.push(quote!(#(#names)|* => #body));
    }
    Ok(arms)
}

/// How often the field occurs, and how one value looks.
fn occurrence(scope: &Scope<'_>, field: &FieldDescriptor) -> Result<TokenStream, Error> {
    if field.is_map()
        && let Kind::Message(entry) = field.kind()
    {
        let value = form(scope, field, &entry.map_entry_value_field().kind())?;
        return Ok(quote!(_json::Map<#value>));
    }
    let one = form(scope, field, &field.kind())?;
    Ok(if field.is_list() {
        quote!(_json::Repeated<#one>)
    } else if field.is_required() {
        quote!(_json::Required<#one>)
    } else if field.supports_presence() {
        quote!(_json::Optional<#one>)
    } else {
        quote!(_json::Singular<#one>)
    })
}

fn form(scope: &Scope<'_>, field: &FieldDescriptor, kind: &Kind) -> Result<TokenStream, Error> {
    Ok(match kind {
        Kind::Bool | Kind::String => quote!(_json::Plain),
        Kind::Double | Kind::Float => quote!(_json::Float),
        Kind::Bytes => quote!(_json::Base64),
        Kind::Enum(numbers) if is_google(numbers.package_name()) => {
            return Err(unsupported(field, numbers.full_name()));
        }
        Kind::Enum(numbers) => {
            let target = path(&scope.resolve(numbers.full_name()))?;
            quote!(_json::Enum<#target>)
        }
        Kind::Message(message) if is_google(message.package_name()) => match message.name() {
            "Timestamp" | "Duration" | "Empty" | "Struct" | "Value" | "ListValue" | "FieldMask" => {
                quote!(_json::WellKnown)
            }
            "BoolValue" | "StringValue" => quote!(_json::Plain),
            "DoubleValue" | "FloatValue" => quote!(_json::Float),
            "Int32Value" | "Int64Value" | "UInt32Value" | "UInt64Value" => quote!(_json::Number),
            "BytesValue" => quote!(_json::Base64),
            _ => return Err(unsupported(field, message.full_name())),
        },
        Kind::Message(message) => {
            let target = path(&scope.resolve(message.full_name()))?;
            quote!(_json::Nested<#target>)
        }
        _ => quote!(_json::Number),
    })
}

/// The oneof of the proto file; proto3's `optional` makes one that nobody wrote.
fn real_oneof(field: &FieldDescriptor) -> Option<OneofDescriptor> {
    field.containing_oneof().filter(|oneof| !oneof.is_synthetic())
}

fn has_deprecated(message: &MessageDescriptor) -> bool {
    let deprecated = |field: FieldDescriptor| {
        field.field_descriptor_proto().options.as_ref().is_some_and(|options| options.deprecated())
    };
    message.fields().any(deprecated)
}

pub(crate) fn is_google(package: &str) -> bool {
    package == "google.protobuf"
}

fn unsupported(field: &FieldDescriptor, kind: &str) -> Error {
    Error::Unsupported { user: field.full_name().to_owned(), kind: kind.to_owned() }
}

pub(crate) fn path(path: &str) -> Result<TokenStream, Error> {
    tokens(path).ok_or_else(|| Error::Path(path.to_owned()))
}
