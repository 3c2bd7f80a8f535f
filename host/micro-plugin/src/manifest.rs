//! What a plugin says about itself.
//!
//! Authors write `plugin.toml` beside their `Cargo.toml`; the finishing step turns it into the JSON of the custom
//! section. The source refuses keys it does not know, since they are typing errors; the section ignores them, since
//! they come from a later version.

use crate::grant::{Grant, GrantError, Request};
use crate::value;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What the section holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Manifest {
    /// Lower-case letters, digits and `-`: `etcd-registry`.
    pub name: String,
    /// The plugin's own version.
    pub version: String,
    /// Which flag it can be given to.
    pub kind: Kind,
    /// The WIT package that it implements: `micro:registry@0.1.0`.
    pub contract: String,
    /// One line for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Calls that one instance can have running at the same time.
    #[serde(default = "one")]
    pub max_concurrency: u32,
    /// What one `changes` call of a registry can cover.
    #[serde(default)]
    pub watch: Watch,
    /// Other names under which people know it: `etcdv3`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// What can be set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<OptionSpec>,
    /// What it asks to reach.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<Request>,
    /// What it needs beyond the defaults of its kind.
    #[serde(default)]
    pub limits: Limits,
}

/// Which seam of the host a plugin fits into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Where services are.
    Registry,
    /// Publish and subscribe.
    Broker,
    /// Whole messages over something that is not HTTP.
    Transport,
    /// Heads of messages over a connection that the host owns.
    Wire,
    /// Which node gets the next call.
    Selector,
    /// Bytes of a content type to and from values.
    Codec,
    /// Looks at the head of each request.
    Filter,
    /// HTTP middleware.
    Middleware,
}

/// What one `changes` call of a registry plugin can cover.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Watch {
    /// Everything at once.
    #[default]
    All,
    /// One name per call.
    Name,
}

/// One thing that can be set with `--registry_opt name=value`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct OptionSpec {
    /// `-` and `_` are the same.
    pub name: String,
    /// How the value is read.
    #[serde(rename = "type", default)]
    pub kind: OptionKind,
    /// The value when nothing is typed, in the form in which it would be typed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// Whether a value must be typed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub required: bool,
    /// For `address-list`: the port of addresses that are typed without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_port: Option<u16>,
    /// The flag of `micro` itself that sets it, without dashes, for options that Go Micro's users know as one:
    /// `ip_whitelist`. Its environment variable is the same in upper case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flag: Option<String>,
    /// One line for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub doc: String,
}

/// How the value of an option is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OptionKind {
    /// Any text.
    #[default]
    String,
    /// A text that is shown nowhere.
    Secret,
    /// `true` or `false`.
    Bool,
    /// A whole number of 64 bits with sign.
    Integer,
    /// `500ms`, `5s`, `1m30s`.
    Duration,
    /// Texts, separated by commas.
    List,
    /// Addresses, separated by commas. The plugin may connect to them.
    AddressList,
}

/// What a plugin needs beyond the defaults of its kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Limits {
    /// Linear memory of one instance, in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u32>,
}

/// A `plugin.toml` that makes no manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not TOML, a key that nobody knows, or a value of the wrong type.
    #[error("cannot read plugin.toml")]
    Toml(#[from] toml::de::Error),
    /// A permission request that is none.
    #[error("plugin.toml: a [[grant]] is wrong")]
    Grant(#[from] GrantError),
    /// Something that must be there is not, or is not as it must be.
    #[error("{0}")]
    Invalid(String),
}

impl Manifest {
    /// Reads `plugin.toml`. `cargo_toml` is the text of the `Cargo.toml` beside it: the version and the description
    /// come from there when the manifest does not say them.
    ///
    /// # Errors
    /// See [`ManifestError`].
    pub fn from_toml(source: &str, cargo_toml: Option<&str>) -> Result<Self, ManifestError> {
        let source: Source = toml::from_str(source)?;
        let package = cargo_toml.map(toml::from_str::<Cargo>).transpose()?.unwrap_or_default().package;
        let invalid = |text: &str| ManifestError::Invalid(format!("plugin.toml: {text}"));
        let no_version = || invalid("no version, neither there nor as text in Cargo.toml");
        let version =
            source.version.or_else(|| package.version?.as_str().map(str::to_owned)).ok_or_else(no_version)?;
        let inherited = || package.description?.as_str().map(str::to_owned);
        let manifest = Self {
            contract: source.contract.unwrap_or_else(|| format!("micro:{}@0.1.0", source.kind)),
            description: source.description.or_else(inherited).unwrap_or_default(),
            grants: source.grant.into_iter().map(SourceGrant::read).collect::<Result<_, _>>()?,
            name: source.name,
            version,
            kind: source.kind,
            max_concurrency: source.max_concurrency,
            watch: source.watch,
            aliases: source.aliases,
            options: source.option.into_iter().map(OptionSpec::from).collect(),
            limits: source.limits,
        };
        manifest.check().map_err(|why| invalid(&why))?;
        Ok(manifest)
    }

    /// What both forms must satisfy.
    pub(crate) fn check(&self) -> Result<(), String> {
        for name in std::iter::once(&self.name).chain(&self.aliases) {
            if !is_name(name) {
                return Err(format!(
                    "{name:?} is not a name: use lower-case letters, digits and '-', at most 64"
                ));
            }
        }
        let texts = [&self.description].into_iter().chain(self.grants.iter().map(|it| &it.why));
        if let Some(text) = texts.chain(self.options.iter().map(|it| &it.doc)).find(|text| !is_plain(text)) {
            return Err(format!("{text:?} is not one line of at most 1024 bytes"));
        }
        if self.version.is_empty() || self.version.len() > 64 || self.version.contains(char::is_control) {
            return Err(format!("{:?} is not a version", self.version));
        }
        if Contract::parse(&self.contract).is_none() {
            return Err(format!("contract {:?} is not of the form micro:registry@0.1.0", self.contract));
        }
        if !(1..=1024).contains(&self.max_concurrency) {
            return Err(format!("max-concurrency {} is not between 1 and 1024", self.max_concurrency));
        }
        if self.limits.memory_mib.is_some_and(|mib| !(1..=4096).contains(&mib)) {
            return Err("memory-mib is not between 1 and 4096".to_owned());
        }
        for (index, option) in self.options.iter().enumerate() {
            if !is_name(&option.name.replace('_', "-").to_ascii_lowercase()) {
                return Err(format!("{:?} is not an option's name", option.name));
            }
            if self.options[..index].iter().any(|other| same_name(&other.name, &option.name)) {
                return Err(format!("option {} is there twice", option.name));
            }
            if let Some(default) = &option.default {
                value::parse(option, default)
                    .map_err(|why| format!("default of option {}: {why}", option.name))?;
            }
            if let Some(flag) = &option.flag {
                if !is_flag(flag) {
                    return Err(format!(
                        "flag {flag:?} of option {}: use lower-case letters, digits and '_', at most 64",
                        option.name
                    ));
                }
                if self.options[..index].iter().any(|other| other.flag.as_ref() == Some(flag)) {
                    return Err(format!("flag {flag} is there twice"));
                }
            }
            if option.required && option.default.is_some() {
                return Err(format!("option {} is required and has a default", option.name));
            }
        }
        Ok(())
    }

    /// The option of that name; `-` and `_` are the same.
    pub fn option(&self, name: &str) -> Option<&OptionSpec> {
        self.options.iter().find(|option| same_name(&option.name, name))
    }
}

/// The WIT package and version that a plugin implements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contract<'a> {
    /// `micro:registry`
    pub package: &'a str,
    /// `0.1.0` is `(0, 1, 0)`.
    pub version: (u32, u32, u32),
}

impl<'a> Contract<'a> {
    /// Reads `micro:registry@0.1.0`.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (package, version) = text.split_once('@')?;
        let (namespace, name) = package.split_once(':')?;
        let mut numbers = version.split('.').map(|number| number.parse().ok());
        let version = (numbers.next()??, numbers.next()??, numbers.next()??);
        (is_name(namespace) && is_name(name) && numbers.next().is_none()).then_some(Self { package, version })
    }

    /// Whether a host that knows `self` can run a plugin built for `other`: the same package; the same minor version
    /// while the major one is 0, the same major version after that.
    pub fn accepts(&self, other: &Contract<'_>) -> bool {
        let line = |(major, minor, _): (u32, u32, u32)| (major, if major == 0 { minor } else { 0 });
        self.package == other.package && line(self.version) == line(other.version)
    }
}

impl Kind {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 8] = [
        Self::Registry,
        Self::Broker,
        Self::Transport,
        Self::Wire,
        Self::Selector,
        Self::Codec,
        Self::Filter,
        Self::Middleware,
    ];

    /// As it is written everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Registry => "registry",
            Self::Broker => "broker",
            Self::Transport => "transport",
            Self::Wire => "wire",
            Self::Selector => "selector",
            Self::Codec => "codec",
            Self::Filter => "filter",
            Self::Middleware => "middleware",
        }
    }

    /// What the names of its plugins and their files end with, behind a `-`: `etcd-registry.wasm`. Wires are chosen with
    /// `--transport`, as whole transports are.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Wire => Self::Transport.as_str(),
            other => other.as_str(),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no kind of plugin")]
pub struct UnknownKind(String);

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| UnknownKind(text.to_owned()))
    }
}

pub(crate) fn is_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    first && text.len() <= 64 && text.bytes().all(inner)
}

/// What can be typed behind `--`.
fn is_flag(text: &str) -> bool {
    !text.contains('-') && is_name(&text.replace('_', "-"))
}

/// A text that can be shown to an operator who is about to decide: nothing in it moves the cursor.
fn is_plain(text: &str) -> bool {
    text.len() <= 1024 && !text.contains(char::is_control)
}

/// `-` and `_` are the same, and so are upper and lower case.
pub(crate) fn same_name(a: &str, b: &str) -> bool {
    let plain = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    a.len() == b.len() && a.bytes().map(plain).eq(b.bytes().map(plain))
}

fn one() -> u32 {
    1
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The shape of `plugin.toml`.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Source {
    name: String,
    kind: Kind,
    version: Option<String>,
    contract: Option<String>,
    description: Option<String>,
    #[serde(default = "one")]
    max_concurrency: u32,
    #[serde(default)]
    watch: Watch,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    option: Vec<SourceOption>,
    #[serde(default)]
    grant: Vec<SourceGrant>,
    #[serde(default)]
    limits: Limits,
    /// How the component is made, which is no matter of the manifest.
    #[expect(dead_code, reason = "known, so that it is no typing error; read by what builds plugins")]
    build: Option<toml::Table>,
}

/// An option whose default is written as TOML has it: `default = true`, `default = 5`.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct SourceOption {
    name: String,
    #[serde(rename = "type", default)]
    kind: OptionKind,
    default: Option<toml::Value>,
    #[serde(default)]
    required: bool,
    default_port: Option<u16>,
    flag: Option<String>,
    #[serde(default)]
    doc: String,
}

impl From<SourceOption> for OptionSpec {
    fn from(source: SourceOption) -> Self {
        let SourceOption { name, kind, default, required, default_port, flag, doc } = source;
        Self { name, kind, default: default.map(typed), required, default_port, flag, doc }
    }
}

/// A TOML value in the form in which it would be typed after `=`.
fn typed(value: toml::Value) -> String {
    match value {
        toml::Value::String(text) => text,
        toml::Value::Array(items) => items.into_iter().map(typed).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceGrant {
    net: Option<String>,
    fs: Option<String>,
    env: Option<String>,
    listen: Option<toml::Value>,
    multicast: Option<bool>,
    sockets: Option<bool>,
    #[serde(default)]
    why: String,
}

impl SourceGrant {
    fn read(self) -> Result<Request, ManifestError> {
        let prefixed = |word: &str, value: Option<String>| value.map(|value| format!("{word}:{value}"));
        let flag = |word: &str, set: Option<bool>| (set == Some(true)).then(|| word.to_owned());
        let forms = [
            prefixed("net", self.net),
            prefixed("fs", self.fs),
            prefixed("env", self.env),
            prefixed("listen", self.listen.map(typed)),
            flag("multicast", self.multicast),
            flag("sockets", self.sockets),
        ];
        let mut texts = forms.into_iter().flatten();
        match (texts.next(), texts.next()) {
            (Some(text), None) => Ok(Request { grant: Grant::from_str(&text)?, why: self.why }),
            _ => Err(ManifestError::Invalid(
                "plugin.toml: each [[grant]] asks for exactly one thing".to_owned(),
            )),
        }
    }
}

/// The part of `Cargo.toml` that a manifest can take over. Inherited values (`version.workspace = true`) are no text.
#[derive(Default, Deserialize)]
struct Cargo {
    #[serde(default)]
    package: Package,
}

#[derive(Default, Deserialize)]
struct Package {
    version: Option<toml::Value>,
    description: Option<toml::Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETCD: &str = r#"
        name = "etcd-registry"
        kind = "registry"
        description = "Services in etcd"
        max-concurrency = 64
        watch = "all"
        aliases = ["etcdv3"]
        [[option]]
        name = "address"
        type = "address-list"
        default = "127.0.0.1:2379"
        default-port = 2379
        [[option]]
        name = "timeout"
        type = "duration"
        default = "5s"
        flag = "etcd_timeout"
        [[grant]]
        net = "configured"
        why = "that is where etcd is"
        [limits]
        memory-mib = 64
    "#;

    fn error(source: &str) -> String {
        let error = Manifest::from_toml(source, None).expect_err(source);
        match std::error::Error::source(&error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        }
    }

    #[test]
    fn toml_becomes_json_and_reads_back() {
        let cargo = "[package]\nname = 'x'\nversion = '1.2.3'";
        let manifest = Manifest::from_toml(ETCD, Some(cargo)).expect("valid");
        assert_eq!(
            (manifest.version.as_str(), manifest.contract.as_str()),
            ("1.2.3", "micro:registry@0.1.0")
        );
        assert_eq!(manifest.grants[0].grant, Grant::NetConfigured);
        assert_eq!(manifest.option("Address").expect("known").default_port, Some(2379));
        assert_eq!(manifest.option("timeout").expect("known").flag.as_deref(), Some("etcd_timeout"));
        let json = serde_json::to_string(&manifest).expect("plain data");
        assert_eq!(serde_json::from_str::<Manifest>(&json).expect("same"), manifest);
    }

    #[test]
    fn mistakes_of_authors_are_named() {
        let with = |line: &str| format!("name = 'a'\nkind = 'registry'\nversion = '1'\n{line}");
        assert!(error("name = 'a'\nkind = 'registry'").contains("no version"));
        assert!(error(&with("max-concurency = 3")).contains("max-concurency"));
        assert!(error(&with("max-concurrency = 0")).contains("between 1 and 1024"));
        assert!(error(&with("description = \"a\\u001b[2J\"")).contains("not one line"));
        assert!(error(&with("[[grant]]\nnet = 'configured'\nwhy = \"a\\nb\"")).contains("not one line"));
        assert!(error(&with("contract = 'registry'")).contains("micro:registry@0.1.0"));
        assert!(error(&with("aliases = ['Etcd']")).contains("\"Etcd\""));
        assert!(error(&with("[[grant]]\nwhy = 'x'")).contains("exactly one"));
        assert!(error(&with("[[grant]]\nnet = 'x'")).contains("net:HOST:PORT"));
        assert!(
            error(&with("[[option]]\nname='a'\ntype='integer'\ndefault='x'")).contains("default of option a")
        );
        assert!(error(&with("[[option]]\nname='a-b'\n[[option]]\nname='a_b'")).contains("twice"));
        for flag in ["", "-x", "Ip", "ip-whitelist", "_ip", "ip whitelist", "1ip"] {
            let text = error(&with(&format!("[[option]]\nname='a'\nflag='{flag}'")));
            assert!(text.contains(&format!("flag {flag:?} of option a")), "{text}");
        }
        assert!(
            error(&with("[[option]]\nname='a'\nflag='x'\n[[option]]\nname='b'\nflag='x'"))
                .contains("flag x is there twice")
        );
        assert!(error("name = 'a'\nkind = 'cache'\nversion = '1'").contains("unknown variant"));
    }

    #[test]
    fn contracts_are_compared_like_versions() {
        let host = Contract::parse("micro:registry@0.1.2").expect("valid");
        let accepts = |text: &str| host.accepts(&Contract::parse(text).expect(text));
        assert!(accepts("micro:registry@0.1.0") && accepts("micro:registry@0.1.9"));
        assert!(!accepts("micro:registry@0.2.0") && !accepts("micro:registry@1.1.2"));
        assert!(!accepts("micro:broker@0.1.2"));
        for text in [
            "",
            "micro:registry",
            "registry@0.1.0",
            "micro:registry@0.1",
            "micro:registry@0.1.0.0",
            "a:b@-1.0.0",
        ] {
            assert!(Contract::parse(text).is_none(), "{text}");
        }
    }
}
