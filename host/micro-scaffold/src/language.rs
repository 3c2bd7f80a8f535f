//! The languages, and which kinds of plugins can be written in them.

use crate::error::Error;
use micro_plugin::Kind;
use serde::Deserialize;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// A language for plugins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Language {
    /// `cargo build --target wasm32-wasip2`.
    Rust,
    /// componentize-py: CPython in the component.
    Python,
    /// componentize-qjs: QuickJS in the component.
    JavaScript,
    /// clang for wasm32-wasi.
    C,
    /// Known, not possible.
    Go,
}

/// What a folder says about itself in `[build]` of its `plugin.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct BuildTable {
    pub(crate) language: Option<String>,
    /// The file that is built, where it is not the one of the scaffold.
    pub(crate) entry: Option<String>,
}

/// Files that only one language has. The first that is there decides.
const MARKERS: [(&str, Language); 6] = [
    ("Cargo.toml", Language::Rust),
    ("plugin.py", Language::Python),
    ("package.json", Language::JavaScript),
    ("plugin.js", Language::JavaScript),
    ("plugin.c", Language::C),
    ("go.mod", Language::Go),
];

impl Language {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 5] = [Self::Rust, Self::Python, Self::JavaScript, Self::C, Self::Go];

    /// As it is typed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
            Self::JavaScript => "js",
            Self::C => "c",
            Self::Go => "go",
        }
    }

    /// Why plugins of this kind cannot be written in this language; None where they can.
    pub fn obstacle(self, kind: Kind) -> Option<&'static str> {
        match (self, kind) {
            (_, Kind::Broker | Kind::Transport | Kind::Middleware) => {
                Some("this version of micro has no contract for the kind yet")
            }
            (Self::Go, _) => Some(
                "Go's bindings need the module go.bytecodealliance.org/pkg, which the Go module proxy does not serve; \
                 C is the nearest language that works",
            ),
            (Self::Python | Self::JavaScript, Kind::Wire) => Some(
                "a wire reads and writes the head of every message, and an interpreter would be most of the time of a \
                 call; use rust or c",
            ),
            _ => None,
        }
    }

    /// The language of a plugin's folder: what `plugin.toml` says, else what its files say.
    ///
    /// # Errors
    /// Nothing says it, or something that nobody knows.
    pub fn of(folder: &Path) -> Result<Self, Error> {
        let table = build_table(folder)?;
        if let Some(language) = table.language {
            let unknown = |error: UnknownLanguage| {
                Error::new(format!("[build] of plugin.toml: {error}"), format!("use one of {}", listed()))
            };
            return language.parse().map_err(unknown);
        }
        let found = MARKERS.into_iter().find(|(file, _)| folder.join(file).is_file());
        found.map(|(_, language)| language).ok_or_else(|| {
            Error::new(
                format!("nothing in {} says what language the plugin is in", folder.display()),
                format!(
                    "name the plugin's folder, add [build] language = \"…\" ({}) to its plugin.toml, or finish what \
                     another compiler made with --wasm FILE",
                    listed()
                ),
            )
        })
    }
}

/// The `[build]` table of a folder's `plugin.toml`; an empty one where there is none.
pub(crate) fn build_table(folder: &Path) -> Result<BuildTable, Error> {
    #[derive(Deserialize)]
    struct Source {
        #[serde(default)]
        build: BuildTable,
    }
    let file = folder.join("plugin.toml");
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BuildTable::default()),
        Err(error) => return Err(Error::io("read", &file, error)),
    };
    let source: Source = toml::from_str(&text).map_err(|error| {
        Error::new(format!("cannot read {}", file.display()), "correct plugin.toml").caused(error)
    })?;
    Ok(source.build)
}

/// `rust, python, js, c, go`.
pub(crate) fn listed() -> String {
    Language::ALL.map(Language::as_str).join(", ")
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no language.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no language for plugins")]
pub struct UnknownLanguage(String);

impl FromStr for Language {
    type Err = UnknownLanguage;

    fn from_str(text: &str) -> Result<Self, UnknownLanguage> {
        match text.to_ascii_lowercase().as_str() {
            "rust" | "rs" => Ok(Self::Rust),
            "python" | "py" => Ok(Self::Python),
            "js" | "javascript" => Ok(Self::JavaScript),
            "c" => Ok(Self::C),
            "go" => Ok(Self::Go),
            _ => Err(UnknownLanguage(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_can_do_what_it_does_not_say_it_cannot() {
        assert_eq!(Language::Rust.obstacle(Kind::Wire), None);
        assert!(Language::Python.obstacle(Kind::Wire).is_some());
        for kind in Kind::ALL {
            assert!(Language::Go.obstacle(kind).is_some(), "{kind}");
        }
        for language in Language::ALL {
            assert_eq!(language.as_str().parse(), Ok(language));
            assert!(language.obstacle(Kind::Broker).is_some());
        }
    }

    #[test]
    fn a_folder_says_its_language_by_its_manifest_or_by_its_files() {
        let folder = tempfile::tempdir().expect("writable");
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("writable");
        let error = Language::of(folder.path()).expect_err("empty");
        assert!(error.remedy().contains("rust, python, js, c, go"), "{}", error.remedy());
        write("plugin.py", "");
        assert_eq!(Language::of(folder.path()).expect("said"), Language::Python);
        write("plugin.toml", "name = 'x'\n[build]\nlanguage = 'c'\n");
        assert_eq!(Language::of(folder.path()).expect("said"), Language::C);
        write("plugin.toml", "[build]\nlanguage = 'cobol'\n");
        assert!(Language::of(folder.path()).expect_err("unknown").to_string().contains("cobol"));
        write("plugin.toml", "[build]\nlanguages = 'c'\n");
        assert!(Language::of(folder.path()).is_err());
    }
}
