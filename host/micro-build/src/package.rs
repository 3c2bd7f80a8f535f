//! What is added to prost's output for one package.

use crate::error::Error;
use crate::json;
use crate::names::{type_path, upper_camel};
use crate::service::allow_dead_code;
use crate::shape::Shape;
use proc_macro2::TokenStream;
use protox::prost_reflect::{DescriptorPool, EnumDescriptor, MessageDescriptor};
use quote::quote;
use std::collections::BTreeMap;

/// Where generated code stands, and what it may refer to.
pub(crate) struct Scope<'a> {
    /// The proto package.
    pub(crate) package: &'a str,
    /// The path of the crate `micro`.
    pub(crate) micro: &'a TokenStream,
    /// Proto paths that other crates have generated, with their Rust paths.
    pub(crate) externs: &'a [(String, String)],
}

impl Scope<'_> {
    /// The path of a message or enum.
    pub(crate) fn resolve(&self, full_name: &str) -> String {
        external(self.externs, full_name).unwrap_or_else(|| type_path(self.package, full_name))
    }
}

/// The Rust path of a type that another crate has generated. The most exact proto path wins.
pub(crate) fn external(externs: &[(String, String)], full_name: &str) -> Option<String> {
    let covers = |proto: &str| {
        let rest = full_name.strip_prefix(proto.trim_start_matches('.'))?;
        (rest.is_empty() || rest.starts_with('.')).then_some(rest)
    };
    let (_, rest, rust) = externs
        .iter()
        .filter_map(|(proto, rust)| covers(proto).map(|rest| (proto.len(), rest, rust)))
        .max_by_key(|(length, ..)| *length)?;
    Some(match rest.strip_prefix('.') {
        Some(rest) => format!("{rust}::{}", type_path("", rest)),
        None => rust.clone(),
    })
}

/// The code for the messages and enums of `scope`'s package, each in a block of its own: what a block imports or
/// defines is not seen outside. No message's module begins with an underscore, so the imports hide nothing.
pub(crate) fn items(
    scope: &Scope<'_>,
    pool: &DescriptorPool,
    serde: bool,
    payloads: bool,
) -> Result<TokenStream, Error> {
    let micro = scope.micro;
    let mut blocks = TokenStream::new();
    for message in own_messages(scope, pool) {
        let (mut imports, mut code) = (TokenStream::new(), TokenStream::new());
        if serde || payloads {
            imports.extend(quote!(use #micro::proto_json as _json;));
        }
        if serde {
            imports.extend(quote!(use #micro::serde as _serde;));
            code.extend(json::message(scope, &message)?);
        }
        if payloads {
            let target = json::path(&type_path(scope.package, message.full_name()))?;
            let shape = Shape::of(&message).tokens();
            let allow = allow_dead_code();
            code.extend(quote! {
                #allow
                fn shape() -> #micro::Value {
                    #shape
                }
                #micro::impl_proto_payload!(#target, shape());
            });
        }
        if !code.is_empty() {
            blocks.extend(quote!(const _: () = { #imports #code };));
        }
    }
    for numbers in own_enums(scope, pool).filter(|_| serde) {
        let code = json::enumeration(scope, &numbers)?;
        blocks.extend(quote!(const _: () = { use #micro::proto_json as _json; #code };));
    }
    Ok(blocks)
}

/// Refuses services whose Rust names are taken by messages, enums, or each other.
pub(crate) fn check_names(scope: &Scope<'_>, pool: &DescriptorPool) -> Result<(), Error> {
    let messages = own_messages(scope, pool).filter(|message| message.parent_message().is_none());
    let enums = own_enums(scope, pool).filter(|numbers| numbers.parent_message().is_none());
    let mut taken: BTreeMap<String, String> = messages
        .map(|message| (upper_camel(message.name()), format!("message {}", message.name())))
        .chain(enums.map(|numbers| (upper_camel(numbers.name()), format!("enum {}", numbers.name()))))
        .collect();
    for service in pool.services().filter(|service| service.package_name() == scope.package) {
        let name = upper_camel(service.name());
        let client = (format!("{name}Client"), format!("client of service {}", service.name()));
        for (name, second) in [(name, format!("service {}", service.name())), client] {
            if let Some(first) = taken.insert(name.clone(), second.clone()) {
                return Err(Error::NameClash { package: scope.package.to_owned(), name, first, second });
            }
        }
    }
    Ok(())
}

fn own_messages<'a>(
    scope: &'a Scope<'_>,
    pool: &'a DescriptorPool,
) -> impl Iterator<Item = MessageDescriptor> + 'a {
    pool.all_messages().filter(|message| {
        let here = message.package_name() == scope.package && !message.is_map_entry();
        here && external(scope.externs, message.full_name()).is_none()
    })
}

fn own_enums<'a>(
    scope: &'a Scope<'_>,
    pool: &'a DescriptorPool,
) -> impl Iterator<Item = EnumDescriptor> + 'a {
    pool.all_enums().filter(|numbers| {
        numbers.package_name() == scope.package && external(scope.externs, numbers.full_name()).is_none()
    })
}
