//! What operators type, and what plugin files hold.

use micro_plugin::manifest::{OptionKind, OptionSpec};
use micro_plugin::options::Secrets;
use micro_plugin::section::{self, SectionError};
use micro_plugin::{Address, Digest, Grant, Locator, Manifest, finish, inspect};
use std::fmt::Debug;
use std::io;
use std::str::FromStr;
use std::sync::LazyLock;

/// The header of a component with nothing in it.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// A file, the JSON in a file's section, or a `plugin.toml`.
pub(crate) fn manifest(data: &[u8]) {
    let _ = inspect(data);
    let in_file = section::read(data);
    if !matches!(in_file, Err(SectionError::NotWasm | SectionError::CoreModule | SectionError::Malformed(_)))
    {
        // It is a component, so a manifest can be put into it.
        let finished = finish(data, &TYPED).expect("a component can be finished");
        assert_eq!(section::read(&finished).expect("just finished"), *TYPED);
    }
    let source = std::str::from_utf8(data).ok().and_then(|text| Manifest::from_toml(text, None).ok());
    let in_section = section::read(&component(data)).ok();
    for manifest in [in_file.ok(), in_section, source].into_iter().flatten() {
        // A manifest of the largest size grows when the defaults that it leaves out are written down.
        match finish(COMPONENT, &manifest) {
            Ok(finished) => assert_eq!(section::read(&finished).expect("just finished"), manifest),
            Err(error) => assert!(matches!(error, SectionError::Oversized(_)), "{error}"),
        }
        let _ = manifest.resolve_options_from(&[], None, &Nowhere);
        for option in &manifest.options {
            assert_eq!(manifest.option(&option.name), Some(option), "names of options are unique");
        }
    }
}

/// A component whose section holds `json`.
fn component(json: &[u8]) -> Vec<u8> {
    let mut size = 1 + section::NAME.len() + json.len();
    let mut wasm = [COMPONENT, &[0]].concat();
    while size >= 0x80 {
        wasm.push(size as u8 | 0x80);
        size >>= 7;
    }
    wasm.extend([size as u8, section::NAME.len() as u8]);
    [&wasm, section::NAME.as_bytes(), json].concat()
}

/// Texts that locate plugins, permissions and digests.
pub(crate) fn locator(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    round_trip::<Locator>(text);
    round_trip::<Digest>(text);
    round_trip::<Grant>(text);
    for one in Locator::parse_list(text).unwrap_or_default() {
        assert_eq!(one.to_string().parse().as_ref(), Ok(&one));
    }
    for one in Grant::parse_list(text).unwrap_or_default() {
        assert!(one.covers(&one) || matches!(one, Grant::Fs { .. }), "{one} does not cover itself");
    }
}

/// What can be read is read again from what it prints.
fn round_trip<T: FromStr + ToString + PartialEq + Debug>(text: &str) {
    let Ok(value) = text.parse::<T>() else { return };
    let printed = value.to_string();
    assert_eq!(printed.parse::<T>().ok().as_ref(), Some(&value), "{text:?} prints as {printed:?}");
}

/// Addresses, with and without a port to fall back to.
pub(crate) fn address(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for port in [None, Some(1), Some(65535)] {
        match Address::parse(text, port) {
            Ok(address) => {
                assert!(address.port != 0 && !address.host.is_empty());
                let printed = address.to_string();
                assert_eq!(Address::parse(&printed, None).as_ref(), Ok(&address), "{printed}");
                let authority = Address::parse(&address.authority(), None).expect("what it prints");
                assert_eq!((&authority.host, authority.port), (&address.host, address.port));
                assert_eq!(authority.is_loopback(), address.is_loopback());
            }
            Err(error) => {
                // A user's password ends at the `@`; whatever has one is not repeated.
                let shown = error.to_string();
                assert!(!text.contains('@') || !shown.contains(text), "{shown}");
            }
        }
    }
}

/// Values of options: `NAME=VALUE` a line, as `--registry_opt` takes them; a line without `=` is an address.
pub(crate) fn options(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let given: Vec<(String, String)> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let address = text.lines().find(|line| !line.contains('='));
    match TYPED.resolve_options_from(&given, address, &Nowhere) {
        Ok(resolved) => {
            let json: serde_json::Value =
                serde_json::from_str(&resolved.config_json()).expect("what a plugin gets is JSON");
            let object = json.as_object().expect("what a plugin gets is an object");
            let shown = resolved.display();
            assert_eq!(shown.len(), object.len(), "every value is shown, if only as hidden");
            // Whatever is secret is shown as nothing but that.
            for (name, value) in &shown {
                assert!(name != "secret" || value == "<redacted>", "{name} is shown as {value}");
            }
        }
        Err(errors) => {
            assert!(!errors.0.is_empty() && !errors.to_string().is_empty());
            assert!(text.contains(HIDDEN) || !errors.to_string().contains(HIDDEN), "{errors}");
        }
    }
}

/// What stands in every file and every variable.
const HIDDEN: &str = "hunter2-is-no-number";

/// Files and variables that are not those of this process.
struct Nowhere;

impl Secrets for Nowhere {
    fn file(&self, path: &str) -> io::Result<Vec<u8>> {
        if path.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(HIDDEN.into()) }
    }

    fn env(&self, name: &str) -> Option<String> {
        (!name.is_empty()).then(|| HIDDEN.to_owned())
    }
}

/// A manifest with one option of every type, called like its type.
static TYPED: LazyLock<Manifest> = LazyLock::new(|| {
    let source = "name = 'typed'\nkind = 'registry'\nversion = '1'";
    let mut manifest = Manifest::from_toml(source, None).expect("a manifest without options");
    manifest.options = [
        ("string", OptionKind::String),
        ("secret", OptionKind::Secret),
        ("bool", OptionKind::Bool),
        ("integer", OptionKind::Integer),
        ("duration", OptionKind::Duration),
        ("list", OptionKind::List),
        ("address-list", OptionKind::AddressList),
    ]
    .map(|(name, kind)| OptionSpec {
        name: name.to_owned(),
        kind,
        default: None,
        required: false,
        default_port: None,
        flag: None,
        doc: String::new(),
    })
    .into();
    manifest
});
