//! What the operator typed, checked against what the manifest knows.

use crate::address::Address;
use crate::manifest::{Manifest, OptionKind, OptionSpec, same_name};
use crate::value;
use serde_json::{Map, Value as Json};
use std::fmt;
use std::io;

/// A value of at most this many bytes is read from a file.
const MAX_FILE: u64 = 1 << 20;
/// What stands for a value that must not be shown.
const REDACTED: &str = "<redacted>";

/// All options that have a value, in their types.
///
/// Secrets, and whatever came from a file or the environment, show up in no text form; only
/// [`Resolved::config_json`], which goes to the plugin and nowhere else, holds them.
#[derive(Clone, Default)]
pub struct Resolved {
    values: Vec<Value>,
}

#[derive(Clone)]
struct Value {
    name: String,
    json: Json,
    addresses: Vec<Address>,
    origin: Origin,
    secret: bool,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The manifest.
    Default,
    /// The operator typed it.
    Typed,
    /// `file:PATH`.
    File(String),
    /// `env:NAME`.
    Env(String),
}

/// Everything that is wrong with the options of one plugin, at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionErrors(pub Vec<OptionError>);

/// One wrong option. Never holds a value that may be secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// The manifest does not know it.
    #[error("unknown option {name:?}{}; {}", closest.as_ref().map_or(String::new(), |it| format!(" (did you mean {it:?}?)")), list(known))]
    Unknown {
        /// As it was typed.
        name: String,
        /// The known name that looks most like it.
        closest: Option<String>,
        /// All known names.
        known: Vec<String>,
    },
    /// The value does not fit the option's type.
    #[error("option {name:?}{origin}: {why}")]
    Value {
        /// The option.
        name: String,
        /// ` (from file …)` or nothing.
        origin: String,
        /// What to write instead.
        why: String,
    },
    /// A `file:` or `env:` value that cannot be read.
    #[error("option {name:?} is to be read from {from}: {why}")]
    Source {
        /// The option.
        name: String,
        /// `file /run/secrets/x` or `environment variable X`.
        from: String,
        /// What is wrong with it and what to do.
        why: String,
    },
    /// No value and no default.
    #[error("option {name:?} is required{}", doc_suffix(doc))]
    Required {
        /// The option.
        name: String,
        /// The manifest's explanation.
        doc: String,
    },
    /// Typed more than once, and it is no list.
    #[error("option {name:?} is given {times} times")]
    Repeated {
        /// The option.
        name: String,
        /// How often.
        times: usize,
    },
    /// An address for a plugin that takes none.
    #[error("it takes no address, but one was given")]
    NoAddress,
}

fn list(known: &[String]) -> String {
    match known {
        [] => "it has no options".to_owned(),
        known => format!("known: {}", known.join(", ")),
    }
}

fn doc_suffix(doc: &str) -> String {
    if doc.is_empty() { String::new() } else { format!(" ({doc})") }
}

impl fmt::Display for OptionErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.0.iter().map(OptionError::to_string).collect();
        f.write_str(&texts.join("\n"))
    }
}

impl std::error::Error for OptionErrors {}

/// Where `file:` and `env:` values are read.
pub trait Secrets {
    /// The content of a file.
    ///
    /// # Errors
    /// Whatever the file system says.
    fn file(&self, path: &str) -> io::Result<Vec<u8>>;

    /// The value of an environment variable, if it is set and is text.
    fn env(&self, name: &str) -> Option<String>;
}

/// The files and the environment of this process.
#[derive(Clone, Copy, Debug)]
pub struct Process;

impl Secrets for Process {
    fn file(&self, path: &str) -> io::Result<Vec<u8>> {
        use io::Read;
        let file = std::fs::File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        let mut content = Vec::new();
        file.take(MAX_FILE + 1).read_to_end(&mut content)?;
        match content.len() as u64 > MAX_FILE {
            true => Err(io::Error::from(io::ErrorKind::FileTooLarge)),
            false => Ok(content),
        }
    }

    fn env(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

impl Manifest {
    /// Checks what was typed: `given` are the `--registry_opt` pairs, `address` is `--registry_address`. Reads
    /// `file:PATH` and `env:NAME` values.
    ///
    /// # Errors
    /// All mistakes together.
    pub fn resolve_options(
        &self,
        given: &[(String, String)],
        address: Option<&str>,
    ) -> Result<Resolved, OptionErrors> {
        self.resolve_options_from(given, address, &Process)
    }

    /// The same with the files and the environment of somebody else.
    ///
    /// # Errors
    /// All mistakes together.
    pub fn resolve_options_from(
        &self,
        given: &[(String, String)],
        address: Option<&str>,
        secrets: &dyn Secrets,
    ) -> Result<Resolved, OptionErrors> {
        let mut errors = Vec::new();
        let mut typed: Vec<(&OptionSpec, &str)> = Vec::new();
        if let Some(address) = address {
            match self.address_option() {
                Some(option) => typed.push((option, address)),
                None => errors.push(OptionError::NoAddress),
            }
        }
        for (name, value) in given {
            match self.option(name) {
                Some(option) => typed.push((option, value)),
                None => errors.push(self.unknown(name)),
            }
        }
        let mut values = Vec::new();
        for option in &self.options {
            let texts: Vec<&str> =
                typed.iter().filter(|(it, _)| it.name == option.name).map(|(_, value)| *value).collect();
            match resolve(option, &texts, secrets) {
                Ok(value) => values.extend(value),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() { Ok(Resolved { values }) } else { Err(OptionErrors(errors)) }
    }

    /// The option that `--registry_address` means: the one called so, or else the first of its type.
    fn address_option(&self) -> Option<&OptionSpec> {
        let mut lists = self.options.iter().filter(|option| option.kind == OptionKind::AddressList);
        let named = lists.clone().find(|option| same_name(&option.name, "address"));
        named.or_else(|| lists.next())
    }

    fn unknown(&self, name: &str) -> OptionError {
        let known: Vec<String> = self.options.iter().map(|option| option.name.clone()).collect();
        let nearest = known.iter().map(|it| (distance(&it.to_lowercase(), &name.to_lowercase()), it)).min();
        let closest = nearest.filter(|(far, it)| *far <= it.len().div_ceil(3)).map(|(_, it)| it.clone());
        OptionError::Unknown { name: name.to_owned(), closest, known }
    }
}

fn resolve(option: &OptionSpec, texts: &[&str], secrets: &dyn Secrets) -> Result<Option<Value>, OptionError> {
    let is_list = matches!(option.kind, OptionKind::List | OptionKind::AddressList);
    let name = || option.name.clone();
    let (text, origin) = match (texts, &option.default) {
        ([], None) if option.required => {
            return Err(OptionError::Required { name: name(), doc: option.doc.clone() });
        }
        ([], None) => return Ok(None),
        ([], Some(default)) => (default.clone(), Origin::Default),
        ([one], _) => fetch(option, one, secrets)?,
        (several, _) if is_list => {
            let parts =
                several.iter().map(|text| fetch(option, text, secrets)).collect::<Result<Vec<_>, _>>()?;
            // One part that must not be shown hides the whole list.
            let origin = parts.iter().map(|(_, origin)| origin).find(|it| **it != Origin::Typed);
            let origin = origin.cloned().unwrap_or(Origin::Typed);
            (parts.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>().join(","), origin)
        }
        (several, _) => return Err(OptionError::Repeated { name: name(), times: several.len() }),
    };
    let hidden = matches!(origin, Origin::File(_) | Origin::Env(_));
    let parsed = value::parse(option, &text).map_err(|why| {
        // The reason may quote the value.
        let why = if hidden { "its content is not what this option takes".to_owned() } else { why };
        OptionError::Value { name: name(), origin: origin.suffix(), why }
    })?;
    let secret = option.kind == OptionKind::Secret || hidden;
    Ok(Some(Value { name: name(), json: parsed.json, addresses: parsed.addresses, origin, secret }))
}

/// The text of a value, from where `file:` and `env:` point.
fn fetch(option: &OptionSpec, text: &str, secrets: &dyn Secrets) -> Result<(String, Origin), OptionError> {
    let error = |from: String, why: String| OptionError::Source { name: option.name.clone(), from, why };
    if let Some(path) = text.strip_prefix("file:") {
        let from = || format!("file {path:?}");
        let bytes =
            secrets.file(path).map_err(|source| error(from(), format!("{source}; {}", advice(&source))))?;
        let text = String::from_utf8(bytes).map_err(|_| error(from(), "it is not UTF-8 text".to_owned()))?;
        // Editors and `echo` end files with a line break that is no part of the value.
        let text = text.strip_suffix('\n').map_or(text.as_str(), |it| it.strip_suffix('\r').unwrap_or(it));
        return match text.is_empty() {
            true => Err(error(from(), "it is empty".to_owned())),
            false => Ok((text.to_owned(), Origin::File(path.to_owned()))),
        };
    }
    if let Some(name) = text.strip_prefix("env:") {
        let from = format!("environment variable {name}");
        return match secrets.env(name) {
            Some(value) => Ok((value, Origin::Env(name.to_owned()))),
            None => Err(error(from, format!("it is not set; set {name} or leave out the option"))),
        };
    }
    Ok((text.to_owned(), Origin::Typed))
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "create the file or correct the path",
        io::ErrorKind::PermissionDenied => "let this user read it",
        io::ErrorKind::FileTooLarge => "a value has at most 1 MiB",
        _ => "name a readable file",
    }
}

impl Origin {
    fn suffix(&self) -> String {
        match self {
            Self::Default | Self::Typed => String::new(),
            Self::File(path) => format!(" (from file {path:?})"),
            Self::Env(name) => format!(" (from environment variable {name})"),
        }
    }
}

impl Resolved {
    /// The object that the plugin's `configure` takes, secrets included. Show it to nobody else.
    pub fn config_json(&self) -> String {
        let object: Map<String, Json> =
            self.values.iter().map(|value| (value.name.clone(), value.json.clone())).collect();
        Json::Object(object).to_string()
    }

    /// What `net:configured` means: the addresses that the operator typed, and defaults on this machine. A default
    /// elsewhere was chosen by the plugin's author, not by the operator.
    pub fn addresses(&self) -> Vec<Address> {
        self.all_addresses()
            .filter(|(origin, it)| **origin != Origin::Default || it.is_loopback())
            .map(own)
            .collect()
    }

    /// Default addresses that are not on this machine: using them needs a permission.
    pub fn foreign_defaults(&self) -> Vec<Address> {
        self.all_addresses()
            .filter(|(origin, it)| **origin == Origin::Default && !it.is_loopback())
            .map(own)
            .collect()
    }

    fn all_addresses(&self) -> impl Iterator<Item = (&Origin, &Address)> {
        self.values.iter().flat_map(|value| value.addresses.iter().map(move |it| (&value.origin, it)))
    }

    /// Name and value of each option for people, with secrets hidden.
    pub fn display(&self) -> Vec<(String, String)> {
        self.values.iter().map(|value| (value.name.clone(), value.shown())).collect()
    }

    /// Where each value came from.
    pub fn origins(&self) -> impl Iterator<Item = (&str, &Origin)> {
        self.values.iter().map(|value| (value.name.as_str(), &value.origin))
    }
}

fn own((_, address): (&Origin, &Address)) -> Address {
    address.clone()
}

impl Value {
    fn shown(&self) -> String {
        match &self.json {
            _ if self.secret => REDACTED.to_owned(),
            Json::String(text) => text.clone(),
            Json::Array(items) => items.iter().filter_map(Json::as_str).collect::<Vec<_>>().join(","),
            other => other.to_string(),
        }
    }
}

impl fmt::Debug for Resolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.display()).finish()
    }
}

/// Levenshtein's distance, for names of options.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.chars().enumerate() {
            let substituted = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.chars().count()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    struct Fake;

    impl Secrets for Fake {
        fn file(&self, path: &str) -> io::Result<Vec<u8>> {
            match path {
                "/token" => Ok(b"hunter2\n".to_vec()),
                "/binary" => Ok(vec![0xff]),
                "/empty" => Ok(b"\n".to_vec()),
                _ => Err(io::ErrorKind::NotFound.into()),
            }
        }

        fn env(&self, name: &str) -> Option<String> {
            (name == "TOKEN").then(|| "hunter2".to_owned())
        }
    }

    fn manifest() -> Manifest {
        let option = |name: &str, rest: &str| format!("[[option]]\nname = '{name}'\n{rest}\n");
        let source = ["name = 'a'\nkind = 'registry'\nversion = '1'\n".to_owned()]
            .into_iter()
            .chain([
                option("address", "type = 'address-list'\ndefault = '127.0.0.1'\ndefault-port = 2379"),
                option("password", "type = 'secret'"),
                option("dial-timeout", "type = 'duration'\ndefault = '5s'"),
                option("prefix", "required = true\ndoc = 'where services are'"),
                option("tags", "type = 'list'"),
            ])
            .collect::<String>();
        Manifest::from_toml(&source, None).expect("valid")
    }

    fn resolve(given: &[(&str, &str)], address: Option<&str>) -> Result<Resolved, OptionErrors> {
        let given: Vec<_> = given.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        manifest().resolve_options_from(&given, address, &Fake)
    }

    fn problems(given: &[(&str, &str)], address: Option<&str>) -> String {
        resolve(given, address).expect_err("wrong").to_string()
    }

    #[test]
    fn typed_values_and_defaults_reach_the_plugin() {
        let given = [("prefix", "/x"), ("dial_timeout", "250ms"), ("tags", "a"), ("tags", "b,c")];
        let resolved = resolve(&given, Some("etcd,10.0.0.1:1")).expect("valid");
        let config: Json = serde_json::from_str(&resolved.config_json()).expect("JSON");
        let expected = json!({
            "address": ["etcd:2379", "10.0.0.1:1"], "dial-timeout": 250, "prefix": "/x", "tags": ["a", "b", "c"]
        });
        assert_eq!(config, expected);
        assert_eq!(resolved.addresses().len(), 2);
    }

    #[test]
    fn all_mistakes_are_reported_together() {
        let text = problems(
            &[("pasword", "x"), ("dial-timeout", "soon"), ("password", "a"), ("password", "b")],
            None,
        );
        assert!(
            text.contains(r#"unknown option "pasword" (did you mean "password"?); known: address, "#),
            "{text}"
        );
        assert!(text.contains(r#"option "dial-timeout": write a duration"#), "{text}");
        assert!(text.contains(r#"option "prefix" is required (where services are)"#), "{text}");
        assert!(text.contains(r#"option "password" is given 2 times"#), "{text}");
        assert_eq!(text.lines().count(), 4);
    }

    #[test]
    fn secrets_show_up_nowhere() {
        for value in ["file:/token", "env:TOKEN", "hunter2"] {
            let resolved = resolve(&[("prefix", "p"), ("password", value)], None).expect("valid");
            assert!(resolved.config_json().contains(r#""password":"hunter2""#));
            let shown = format!("{resolved:?} {:?}", resolved.display());
            assert!(shown.contains(REDACTED) && !shown.contains("hunter2"), "{shown}");
        }
        // An ordinary option becomes a secret by where it comes from, in errors as well.
        let shown = format!("{:?}", resolve(&[("prefix", "env:TOKEN")], None).expect("valid"));
        assert!(!shown.contains("hunter2"));
        let text = problems(&[("prefix", "p"), ("address", "file:/token:")], None);
        assert!(text.contains("create the file"), "{text}");
        let text = problems(&[("prefix", "p"), ("dial-timeout", "env:TOKEN")], None);
        assert!(text.contains("environment variable TOKEN") && !text.contains("hunter2"), "{text}");
    }

    #[test]
    fn unreadable_sources_say_what_to_do() {
        let text = |value: &str| problems(&[("prefix", value)], None);
        assert!(
            text("file:/nowhere").contains(r#"file "/nowhere""#)
                && text("file:/nowhere").contains("correct the path")
        );
        assert!(text("file:/binary").contains("not UTF-8"));
        assert!(text("file:/empty").contains("it is empty"));
        assert!(text("env:NOPE").contains("set NOPE or leave out"));
    }

    #[test]
    fn defaults_count_as_configured_on_this_machine_only() {
        let resolved = resolve(&[("prefix", "p")], None).expect("valid");
        assert_eq!(resolved.addresses()[0].authority(), "127.0.0.1:2379");
        let mut away = manifest();
        away.options[0].default = Some("10.0.0.1".to_owned());
        let resolved =
            away.resolve_options_from(&[("prefix".into(), "p".into())], None, &Fake).expect("valid");
        assert!(resolved.addresses().is_empty());
        assert_eq!(resolved.foreign_defaults()[0].authority(), "10.0.0.1:2379");
    }

    #[test]
    fn a_plugin_without_addresses_refuses_one() {
        let mut manifest = manifest();
        manifest.options.retain(|option| option.kind != OptionKind::AddressList);
        let given = [("prefix".to_owned(), "p".to_owned())];
        let error = manifest.resolve_options_from(&given, Some("a:1"), &Fake).expect_err("no such option");
        assert_eq!(error.0, [OptionError::NoAddress]);
    }
}
