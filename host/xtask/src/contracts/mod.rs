//! The WIT of this repository, read with the parser that its bindings are made with.
//!
//! | module | does |
//! |---|---|
//! | `page` | `docs/plugins/contracts.md`: every interface with its documentation |
//! | `compare` | what a contract may still change once it is released |

mod compare;
mod page;

pub(crate) use compare::breaks;
pub(crate) use page::render;

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use wit_parser::{Resolve, TypeDefKind, UnresolvedPackageGroup};

/// Reads the packages of a folder: each in a folder of its own, and those of WASI, one to a file, in `deps`.
///
/// # Errors
/// A file is no WIT, or names what is not there.
pub(crate) fn read(wit: &Path) -> Result<Resolve> {
    let mut groups = Vec::new();
    for path in packages(wit)? {
        let parsed = match path.is_dir() {
            true => UnresolvedPackageGroup::parse_dir(&path),
            false => {
                let text = std::fs::read_to_string(&path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                UnresolvedPackageGroup::parse(&path, &text)
                    .map_err(|(sources, error)| anyhow::Error::msg(error.render(&sources)))
            }
        };
        groups.push(parsed.with_context(|| format!("{} is no WIT", path.display()))?);
    }
    let mut resolve = Resolve::default();
    let main = groups.pop().with_context(|| format!("no packages in {}", wit.display()))?;
    resolve
        .push_groups(main, groups)
        .map_err(|error| anyhow::anyhow!("{error}"))
        .with_context(|| format!("the packages in {} do not fit together", wit.display()))?;
    Ok(resolve)
}

fn packages(wit: &Path) -> Result<Vec<PathBuf>> {
    let list = |folder: &Path| -> Result<Vec<PathBuf>> {
        let entries = folder.read_dir().with_context(|| format!("cannot read {}", folder.display()))?;
        let mut paths: Vec<PathBuf> =
            entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
        paths.sort();
        Ok(paths)
    };
    let is_wit = |path: &Path| path.extension().is_some_and(|it| it == "wit");
    let mut found = Vec::new();
    for path in list(wit)?.into_iter().filter(|path| path.is_dir()) {
        match path.file_name().and_then(|it| it.to_str()) {
            // Copies of what is beside them.
            Some("released") => {}
            Some("deps") => found.extend(list(&path)?.into_iter().filter(|path| is_wit(path))),
            _ => found.push(path),
        }
    }
    Ok(found)
}

/// A type as WIT writes it: by its name where it has one.
fn text(resolve: &Resolve, of: &wit_parser::Type) -> String {
    use wit_parser::Type;
    match of {
        Type::Bool => "bool".to_owned(),
        Type::U8 => "u8".to_owned(),
        Type::U16 => "u16".to_owned(),
        Type::U32 => "u32".to_owned(),
        Type::U64 => "u64".to_owned(),
        Type::S8 => "s8".to_owned(),
        Type::S16 => "s16".to_owned(),
        Type::S32 => "s32".to_owned(),
        Type::S64 => "s64".to_owned(),
        Type::F32 => "f32".to_owned(),
        Type::F64 => "f64".to_owned(),
        Type::Char => "char".to_owned(),
        Type::String => "string".to_owned(),
        Type::ErrorContext => "error-context".to_owned(),
        Type::Id(id) => match &resolve.types[*id].name {
            Some(name) => name.clone(),
            None => shape(resolve, &resolve.types[*id].kind),
        },
    }
}

/// What a type without a name is made of.
fn shape(resolve: &Resolve, kind: &TypeDefKind) -> String {
    let optional = |of: &Option<wit_parser::Type>| of.as_ref().map_or("_".to_owned(), |of| text(resolve, of));
    match kind {
        TypeDefKind::List(of) => format!("list<{}>", text(resolve, of)),
        TypeDefKind::FixedLengthList(of, length) => format!("list<{}, {length}>", text(resolve, of)),
        TypeDefKind::Map(key, value) => format!("map<{}, {}>", text(resolve, key), text(resolve, value)),
        TypeDefKind::Option(of) => format!("option<{}>", text(resolve, of)),
        TypeDefKind::Tuple(tuple) => {
            let parts: Vec<String> = tuple.types.iter().map(|of| text(resolve, of)).collect();
            format!("tuple<{}>", parts.join(", "))
        }
        TypeDefKind::Result(result) => match (&result.ok, &result.err) {
            (None, None) => "result".to_owned(),
            (ok, None) => format!("result<{}>", optional(ok)),
            (ok, err) => format!("result<{}, {}>", optional(ok), optional(err)),
        },
        TypeDefKind::Future(None) => "future".to_owned(),
        TypeDefKind::Future(of) => format!("future<{}>", optional(of)),
        TypeDefKind::Stream(None) => "stream".to_owned(),
        TypeDefKind::Stream(of) => format!("stream<{}>", optional(of)),
        TypeDefKind::Type(of) => text(resolve, of),
        TypeDefKind::Handle(wit_parser::Handle::Own(id)) => named(resolve, *id),
        TypeDefKind::Handle(wit_parser::Handle::Borrow(id)) => format!("borrow<{}>", named(resolve, *id)),
        other => other.as_str().to_owned(),
    }
}

fn named(resolve: &Resolve, id: wit_parser::TypeId) -> String {
    resolve.types[id].name.clone().unwrap_or_else(|| "resource".to_owned())
}

/// `async func(c: call, name: string) -> result<snapshot, error>`.
fn signature(resolve: &Resolve, function: &wit_parser::Function) -> String {
    let parameters: Vec<String> =
        function.params.iter().map(|it| format!("{}: {}", it.name, text(resolve, &it.ty))).collect();
    let result = function.result.as_ref().map(|of| format!(" -> {}", text(resolve, of))).unwrap_or_default();
    let waits = if function.kind.is_async() { "async " } else { "" };
    format!("{waits}func({}){result}", parameters.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo;

    #[test]
    fn the_packages_of_this_repository_fit_together() {
        let resolve = read(&repo::root().join("wit")).expect("our own WIT");
        let names: Vec<String> = resolve.packages.iter().map(|(_, it)| it.name.to_string()).collect();
        for wanted in ["micro:registry@0.1.0", "micro:hot@0.1.0", "wasi:http@0.3.2"] {
            assert!(names.iter().any(|name| name == wanted), "{wanted} in {names:?}");
        }
    }
}
