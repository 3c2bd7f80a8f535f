//! Names of proto items in Rust, as prost chooses them, and in Go, as the registry shows them.

use heck::{ToSnakeCase, ToUpperCamelCase};
use proc_macro2::TokenStream;
use protox::prost_reflect::OneofDescriptor;
use quote::quote;

/// Keywords that may be written as raw identifiers. The others get an underscore.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn", "else",
    "enum", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod",
    "move", "mut", "override", "priv", "pub", "ref", "return", "static", "struct", "trait", "true", "try",
    "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// A field, module or function.
pub(crate) fn snake(name: &str) -> String {
    identifier(name.to_snake_case())
}

/// A type or variant.
pub(crate) fn upper_camel(name: &str) -> String {
    identifier(name.to_upper_camel_case())
}

fn identifier(name: String) -> String {
    if KEYWORDS.contains(&name.as_str()) {
        format!("r#{name}")
    } else if ["_", "super", "self", "Self", "extern", "crate"].contains(&name.as_str()) {
        format!("{name}_")
    } else if name.starts_with(|first: char| first.is_numeric()) {
        format!("_{name}")
    } else {
        name
    }
}

/// The path of a type from the root of the file for `package`: prost nests messages in modules, and packages in each
/// other.
pub(crate) fn type_path(package: &str, full_name: &str) -> String {
    let mut here = package.split('.').filter(|part| !part.is_empty()).peekable();
    let (modules, name) = full_name.rsplit_once('.').unwrap_or(("", full_name));
    let mut there = modules.split('.').filter(|part| !part.is_empty()).peekable();
    while here.peek().is_some() && here.peek() == there.peek() {
        here.next();
        there.next();
    }
    let up = here.map(|_| "super".to_owned());
    let path: Vec<String> = up.chain(there.map(snake)).chain([upper_camel(name)]).collect();
    path.join("::")
}

/// The path of the enum that holds a oneof, from the root of the package's file.
pub(crate) fn oneof_path(package: &str, oneof: &OneofDescriptor) -> String {
    let message = oneof.parent_message();
    let name = upper_camel(oneof.name());
    let mut nested = message.child_messages().map(|child| upper_camel(child.name()));
    let mut enums = message.child_enums().map(|child| upper_camel(child.name()));
    let taken = nested.any(|child| child == name) || enums.any(|child| child == name);
    let suffix = if taken { "OneOf" } else { "" };
    type_path(package, &format!("{}.{name}{suffix}", message.full_name()))
}

/// The name that protoc-gen-go gives a message or enum: `Outer_Inner` for nested ones.
pub(crate) fn go_type(package: &str, full_name: &str) -> String {
    let local = full_name.strip_prefix(package).unwrap_or(full_name).trim_start_matches('.');
    let characters: Vec<char> = local.chars().collect();
    let mut go = String::with_capacity(local.len());
    for (at, &character) in characters.iter().enumerate() {
        let previous = at.checked_sub(1).map(|before| characters[before]);
        let lower_follows = characters.get(at + 1).is_some_and(char::is_ascii_lowercase);
        match character {
            '.' | '_' if character == '_' && matches!(previous, None | Some('.')) => go.push('X'),
            '.' | '_' if lower_follows => {} // The next word starts with a capital anyway.
            '.' => go.push('_'),
            _ if previous.is_some_and(|it| it.is_ascii_alphabetic()) => go.push(character),
            _ => go.push(character.to_ascii_uppercase()),
        }
    }
    go
}

/// A path as tokens. `None` if it is not one.
pub(crate) fn tokens(path: &str) -> Option<TokenStream> {
    let path: syn::Path = syn::parse_str(path).ok()?;
    Some(quote!(#path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_prost() {
        assert_eq!(snake("HTTPStatus"), "http_status");
        assert_eq!(snake("Type"), "r#type");
        assert_eq!(snake("Self"), "self_");
        assert_eq!(upper_camel("hello_request"), "HelloRequest");
        assert_eq!(upper_camel("self"), "Self_");
        assert_eq!(upper_camel("2d"), "_2d");
    }

    #[test]
    fn paths_lead_from_one_package_to_another() {
        assert_eq!(type_path("a.b", "a.b.Outer.Inner"), "outer::Inner");
        assert_eq!(type_path("a.b", "a.c.Thing"), "super::c::Thing");
        assert_eq!(type_path("a.b", "a.Thing"), "super::Thing");
        assert_eq!(type_path("a", "x.Thing"), "super::x::Thing");
        assert_eq!(type_path("", "Thing"), "Thing");
        assert_eq!(type_path("", "a.Thing"), "a::Thing");
    }

    #[test]
    fn go_names_are_those_of_protoc_gen_go() {
        let go = |name: &str| go_type("p.q", &format!("p.q.{name}"));
        assert_eq!(go("HelloRequest"), "HelloRequest");
        assert_eq!(go("hello_request"), "HelloRequest");
        assert_eq!(go("Outer.Inner"), "Outer_Inner");
        assert_eq!(go("outer.inner"), "OuterInner");
        assert_eq!(go("_hidden"), "XHidden");
        assert_eq!(go("V_2"), "V_2");
        assert_eq!(go("a1b"), "A1B");
        assert_eq!(go_type("", "Thing"), "Thing");
    }
}
