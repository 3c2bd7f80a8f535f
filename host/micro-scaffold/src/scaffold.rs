//! `micro plugin new`: a folder with a plugin that works, made of what the program carries.

use crate::assets::{self, CSdk, JavaScriptSdk, PythonSdk, RustSdk, Templates, Wit};
use crate::build::c_bindings;
use crate::error::Error;
use crate::language::Language;
use crate::wit;
use micro_plugin::Kind;
use std::path::{Path, PathBuf};

/// The longest name: with `-registry` it is still one of a manifest.
const LONGEST_NAME: usize = 48;

/// What is to be made.
#[derive(Clone, Debug)]
pub struct Scaffold {
    name: String,
    kind: Kind,
    language: Language,
}

/// What was made.
#[derive(Debug)]
pub struct Made {
    /// The plugin's name, which is also that of its file: `phonebook-registry`.
    pub name: String,
    /// Where it is.
    pub folder: PathBuf,
    /// What is in there, by their paths in it.
    pub files: Vec<String>,
    /// What to type next, one line each, from where the folder was made.
    pub next: Vec<String>,
}

impl Scaffold {
    /// A plugin called `name`; `-KIND` is appended where it is missing, since that is how plugins are found by their name.
    ///
    /// # Errors
    /// A name that no plugin can have, kinds that cannot be written in this language, and wires, which are too much for a
    /// scaffold.
    pub fn new(name: &str, kind: Kind, language: Language) -> Result<Self, Error> {
        if let Some(obstacle) = language.obstacle(kind) {
            let what = format!("{kind} plugins cannot be written in {language}: {obstacle}");
            return Err(Error::new(what, "micro plugin new --help lists what works"));
        }
        if kind == Kind::Wire {
            // What reads half a protocol is no use to anybody.
            let next = "start from a copy of plugins/http-transport, in the sources of micro";
            return Err(Error::new("there is no small wire to start from", next));
        }
        let byte = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let first = name.starts_with(|first: char| first.is_ascii_lowercase());
        let dashes = name.ends_with('-') || name.contains("--");
        if !first || dashes || name.len() > LONGEST_NAME || !name.bytes().all(byte) {
            let what = format!("{name:?} is no name for a plugin");
            let next = "use lower-case letters, digits and single '-', at most 48, beginning with a letter: phonebook";
            return Err(Error::new(what, next));
        }
        let suffix = format!("-{}", kind.suffix());
        let name = if name.ends_with(&suffix) { name.to_owned() } else { format!("{name}{suffix}") };
        Ok(Self { name, kind, language })
    }

    /// The plugin's whole name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Writes it to `folder`, which must not exist or be empty.
    ///
    /// # Errors
    /// The folder has something in it, or cannot be written to. What was written before stays.
    pub fn write(&self, folder: &Path) -> Result<Made, Error> {
        let occupied = match std::fs::read_dir(folder) {
            Ok(mut entries) => entries.next().is_some(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
            Err(error) => return Err(Error::io("use", folder, error)),
        };
        if occupied {
            let what = format!("{} has something in it, and nothing is overwritten", folder.display());
            return Err(Error::new(what, "choose another name, or another folder with --dir"));
        }
        let files = self.files()?;
        for (path, content) in &files {
            let file = folder.join(path);
            let parent = file.parent().unwrap_or(folder);
            std::fs::create_dir_all(parent).map_err(|error| Error::io("make", parent, error))?;
            std::fs::write(&file, content).map_err(|error| Error::io("write", &file, error))?;
        }
        if self.language == Language::C {
            // For editors, and for the unit tests, which need no `micro`.
            let generated = folder.join("generated");
            std::fs::create_dir_all(&generated).map_err(|error| Error::io("make", &generated, error))?;
            for (name, content) in c_bindings(&folder.join("wit"))? {
                let file = generated.join(name);
                std::fs::write(&file, content).map_err(|error| Error::io("write", &file, error))?;
            }
        }
        let files = files.into_iter().map(|(path, _)| path).collect();
        Ok(Made { name: self.name.clone(), folder: folder.to_owned(), files, next: self.next(folder) })
    }

    fn files(&self) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let mut files = Vec::new();
        for (path, content) in assets::all::<Templates>() {
            let common = format!("{}/common/", self.language);
            let own = format!("{}/{}/", self.language, self.kind);
            let Some(path) = path.strip_prefix(&common).or_else(|| path.strip_prefix(&own)) else { continue };
            files.push((target(path), self.render(&content)));
        }
        if files.is_empty() {
            let what = format!("this program carries no scaffold for {} in {}", self.kind, self.language);
            return Err(Error::new(what, "micro plugin new --help lists what works"));
        }
        let vendor = |prefix: &str, all: Vec<(String, std::borrow::Cow<'static, [u8]>)>| {
            let moved =
                all.into_iter().map(|(path, content)| (format!("{prefix}{path}"), content.into_owned()));
            moved.collect::<Vec<_>>()
        };
        files.extend(match self.language {
            Language::Rust => vendor("vendor/sdk/rust/", assets::all::<RustSdk>()),
            Language::Python => vendor("vendor/", assets::all::<PythonSdk>()),
            Language::JavaScript => vendor("vendor/micro-sdk/", assets::all::<JavaScriptSdk>()),
            Language::C => vendor("vendor/micro/", assets::all::<CSdk>()),
            Language::Go => Vec::new(),
        });
        if self.language == Language::Rust {
            // The sdk looks for the contracts two folders above itself.
            files.extend(vendor("vendor/wit/", assets::all::<Wit>()));
        } else {
            let wit = wit::vendored(self.kind, self.language);
            files.extend(wit.into_iter().map(|(path, text)| (format!("wit/{path}"), text.into_bytes())));
        }
        files.sort();
        Ok(files)
    }

    /// Fills in what differs from plugin to plugin: `@name@` and so on.
    fn render(&self, content: &[u8]) -> Vec<u8> {
        let Ok(text) = std::str::from_utf8(content) else { return content.to_vec() };
        let short = self.name.strip_suffix(&format!("-{}", self.kind.suffix())).unwrap_or(&self.name);
        let text = text.replace("@name@", &self.name).replace("@module@", &self.name.replace('-', "_"));
        let text = text.replace("@short@", short).replace("@kind@", self.kind.as_str());
        text.replace("@flag@", self.kind.suffix()).into_bytes()
    }

    fn next(&self, folder: &Path) -> Vec<String> {
        let folder = folder.display();
        let test = match self.language {
            Language::Rust => "cargo test",
            Language::Python => {
                "python3 -m venv .venv && .venv/bin/pip install --require-hashes -r requirements.txt && \
                                 .venv/bin/pytest"
            }
            Language::JavaScript => "npm install && npm test",
            Language::C | Language::Go => "make test",
        };
        vec![format!("cd {folder}"), test.to_owned(), "micro plugin build".to_owned()]
    }
}

/// Where a template goes: files that tools would act on where they lie have `.in` behind their names.
fn target(path: &str) -> String {
    let path = path.strip_suffix(".in").unwrap_or(path);
    match path.strip_suffix("gitignore") {
        Some(folder) => format!("{folder}.gitignore"),
        None => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use micro_plugin::Manifest;

    fn all() -> impl Iterator<Item = (Kind, Language)> {
        let pairs = Kind::ALL.into_iter().flat_map(|kind| Language::ALL.map(|language| (kind, language)));
        pairs.filter(|(kind, language)| language.obstacle(*kind).is_none() && *kind != Kind::Wire)
    }

    #[test]
    fn every_pair_that_works_has_a_scaffold_with_a_manifest() {
        for (kind, language) in all() {
            let folder = tempfile::tempdir().expect("writable");
            let scaffold = Scaffold::new("sample", kind, language).expect("a good name");
            let made = scaffold.write(folder.path()).expect("an empty folder");
            assert!(
                made.files.iter().any(|file| file == ".gitignore"),
                "{kind} {language}: {:?}",
                made.files
            );
            assert!(made.files.iter().any(|file| file == "README.md"), "{kind} {language}");
            assert_eq!(Language::of(folder.path()).expect("said"), language);
            let source = std::fs::read_to_string(folder.path().join("plugin.toml")).expect("there");
            let manifest = Manifest::from_toml(&source, None).expect("valid");
            assert_eq!((manifest.name.as_str(), manifest.kind), (scaffold.name(), kind), "{kind} {language}");
            for file in &made.files {
                let Ok(text) = std::fs::read_to_string(folder.path().join(file)) else { continue };
                for placeholder in ["@name@", "@module@", "@short@", "@kind@", "@flag@"] {
                    assert!(!text.contains(placeholder), "{kind} {language} {file}: {placeholder}");
                }
            }
        }
    }

    #[test]
    fn names_are_checked_and_completed() {
        let name = |name: &str| Scaffold::new(name, Kind::Registry, Language::Python).map(|it| it.name);
        assert_eq!(name("phonebook").expect("good"), "phonebook-registry");
        assert_eq!(name("phonebook-registry").expect("good"), "phonebook-registry");
        for wrong in ["", "-a", "a-", "a--b", "A", "a_b", "a.b", "../a", "1a", "ä", &"a".repeat(49)] {
            assert!(name(wrong).is_err(), "{wrong}");
        }
        assert!(Scaffold::new("a", Kind::Wire, Language::Python).is_err());
        assert!(Scaffold::new("a", Kind::Broker, Language::Rust).is_err());
        let wire = Scaffold::new("a", Kind::Wire, Language::Rust).expect_err("too much");
        assert!(wire.remedy().contains("http-transport"), "{}", wire.remedy());
    }

    #[test]
    fn nothing_is_overwritten() {
        let folder = tempfile::tempdir().expect("writable");
        std::fs::write(folder.path().join("mine"), "").expect("writable");
        let scaffold = Scaffold::new("a", Kind::Selector, Language::JavaScript).expect("good");
        let error = scaffold.write(folder.path()).expect_err("occupied");
        assert!(error.to_string().contains("nothing is overwritten"), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).expect("there").count(), 1);
        assert!(scaffold.write(&folder.path().join("mine")).is_err(), "a file");
    }
}
