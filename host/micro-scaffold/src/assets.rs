//! What the program carries for scaffolds: the contracts, the sdks, the templates.

use rust_embed::{Embed, EmbeddedFile};
use std::borrow::Cow;

#[derive(Embed)]
#[folder = "../../wit"]
#[include = "*.wit"]
#[exclude = "released/*"]
pub(crate) struct Wit;

#[derive(Embed)]
#[folder = "templates"]
pub(crate) struct Templates;

#[derive(Embed)]
#[folder = "../../sdk/rust"]
#[include = "Cargo.toml"]
#[include = "src/*"]
pub(crate) struct RustSdk;

#[derive(Embed)]
#[folder = "../../sdk/python"]
#[include = "micro_sdk/*.py"]
pub(crate) struct PythonSdk;

#[derive(Embed)]
#[folder = "../../sdk/js"]
#[include = "package.json"]
#[include = "src/*.js"]
pub(crate) struct JavaScriptSdk;

#[derive(Embed)]
#[folder = "../../sdk/c"]
#[include = "include/*"]
#[include = "src/*"]
pub(crate) struct CSdk;

/// All files of a folder, by their paths in it, in their order.
pub(crate) fn all<T: Embed>() -> Vec<(String, Cow<'static, [u8]>)> {
    let file =
        |path: Cow<'static, str>| T::get(&path).map(|file: EmbeddedFile| (path.into_owned(), file.data));
    let mut files: Vec<_> = T::iter().filter_map(file).collect();
    files.sort_by(|a, b| a.0.cmp(&b.0));
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_scaffolds_need_is_there() {
        assert!(Wit::get("registry/registry.wit").is_some());
        for kind in ["registry", "selector", "codec", "filter"] {
            for language in ["rust", "python", "js", "c"] {
                let folder = format!("{language}/{kind}/");
                assert!(Templates::iter().any(|path| path.starts_with(&folder)), "{folder}");
            }
        }
        assert!(RustSdk::get("src/bindings/hot.rs").is_some());
        let no_leftovers = |path: &str| !path.contains("__pycache__") && !path.contains("node_modules");
        assert!(all::<PythonSdk>().iter().chain(&all::<JavaScriptSdk>()).all(|(path, _)| no_leftovers(path)));
    }
}
