//! The custom section `micro:plugin`.
//!
//! It stands at the top level of the component, as its last section: a section that a compiler writes (Rust's
//! `#[link_section]`) lands in the module inside the component and does not count.

use crate::manifest::Manifest;
use wasmparser::{Encoding, Parser, Payload};

/// The section's name.
pub const NAME: &str = "micro:plugin";
/// The longest manifest.
pub const MAX_BYTES: usize = 64 << 10;

/// Bytes that are not a finished plugin.
#[derive(Debug, thiserror::Error)]
pub enum SectionError {
    /// Something else altogether.
    #[error("not WebAssembly: it does not begin with \\0asm")]
    NotWasm,
    /// A module, as `--target wasm32-unknown-unknown` and `wasm32-wasip1` produce.
    #[error(
        "a core module, not a component: build it with --target wasm32-wasip2, or run `wasm-tools component new`"
    )]
    CoreModule,
    /// It begins like a component and does not go on like one.
    #[error("a damaged component, probably cut short: {0}")]
    Malformed(String),
    /// A component that nobody finished.
    #[error("a component without a manifest: finish it with `micro plugin build` or `cargo xtask plugins`")]
    Absent,
    /// Two sections; nobody can tell which one counts.
    #[error("{0} manifests in one component: finish it again")]
    Duplicate(usize),
    /// Longer than [`MAX_BYTES`].
    #[error("a manifest of {0} bytes; at most 65536 are read")]
    Oversized(usize),
    /// Not JSON, or not of the right shape.
    #[error("a manifest that cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// The right shape with an impossible value.
    #[error("a manifest with a wrong value: {0}")]
    Invalid(String),
}

/// Reads the manifest. Only the headers of sections are parsed; nothing is compiled.
///
/// # Errors
/// See [`SectionError`].
pub fn read(wasm: &[u8]) -> Result<Manifest, SectionError> {
    let sections = find(wasm)?;
    let section = match sections.as_slice() {
        [] => return Err(SectionError::Absent),
        [section] => section,
        several => return Err(SectionError::Duplicate(several.len())),
    };
    if section.data.len() > MAX_BYTES {
        return Err(SectionError::Oversized(section.data.len()));
    }
    let manifest: Manifest = serde_json::from_slice(section.data)?;
    manifest.check().map_err(SectionError::Invalid)?;
    Ok(manifest)
}

/// The last step of a plugin's build: puts the manifest into the component, in place of one that is there already.
///
/// # Errors
/// Bytes that are no component, and a manifest that is too long.
pub fn finish(wasm: &[u8], manifest: &Manifest) -> Result<Vec<u8>, SectionError> {
    manifest.check().map_err(SectionError::Invalid)?;
    let json = serde_json::to_vec(manifest)?;
    if json.len() > MAX_BYTES {
        return Err(SectionError::Oversized(json.len()));
    }
    let mut finished = Vec::with_capacity(wasm.len() + json.len() + 32);
    let mut kept = 0;
    for section in find(wasm)? {
        finished.extend_from_slice(&wasm[kept..section.start]);
        kept = section.end;
    }
    finished.extend_from_slice(&wasm[kept..]);

    let mut payload = leb128(NAME.len());
    payload.extend_from_slice(NAME.as_bytes());
    payload.extend_from_slice(&json);
    finished.push(0); // the id of custom sections
    finished.extend(leb128(payload.len()));
    finished.extend(payload);
    Ok(finished)
}

/// One section of ours: where it starts, with id and length, where it ends, and what is in it.
struct Section<'a> {
    start: usize,
    end: usize,
    data: &'a [u8],
}

fn find(wasm: &[u8]) -> Result<Vec<Section<'_>>, SectionError> {
    encoding(wasm)?;
    let mut found = Vec::new();
    let mut depth = 0_usize;
    // Where the previous section of the top level ended, which is where the next one's header begins.
    let mut end_of_last = 8;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.map_err(|error| SectionError::Malformed(error.to_string()))? {
            Payload::ModuleSection { unchecked_range, .. }
            | Payload::ComponentSection { unchecked_range, .. } => {
                // The parser is content with what there is; a section appended to that would be a part of this one.
                if unchecked_range.end > wasm.len() {
                    let missing = unchecked_range.end - wasm.len();
                    return Err(SectionError::Malformed(format!("{missing} bytes of a module are missing")));
                }
                if depth == 0 {
                    end_of_last = unchecked_range.end;
                }
                depth += 1;
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            Payload::CustomSection(section) => {
                let end = section.range().end;
                if section.name() == NAME {
                    found.push(Section { start: end_of_last, end, data: section.data() });
                }
                end_of_last = end;
            }
            other => {
                if let Some((_, range)) = other.as_section() {
                    end_of_last = range.end;
                }
            }
        }
    }
    Ok(found)
}

/// Refuses what is no component.
pub(crate) fn encoding(wasm: &[u8]) -> Result<(), SectionError> {
    if !wasm.starts_with(b"\0asm") {
        return Err(SectionError::NotWasm);
    }
    match Parser::new(0).parse_all(wasm).next() {
        Some(Ok(Payload::Version { encoding: Encoding::Component, .. })) => Ok(()),
        Some(Ok(Payload::Version { encoding: Encoding::Module, .. })) => Err(SectionError::CoreModule),
        Some(Err(error)) => Err(SectionError::Malformed(error.to_string())),
        _ => Err(SectionError::Malformed("no header".to_owned())),
    }
}

fn leb128(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
    const MODULE: &[u8] = b"\0asm\x01\0\0\0";

    pub(crate) fn manifest(description: &str) -> Manifest {
        let source = format!("name = 'a'\nkind = 'registry'\nversion = '1'\ndescription = '{description}'");
        Manifest::from_toml(&source, None).expect("valid")
    }

    /// A section with any id and content.
    fn section(id: u8, content: &[u8]) -> Vec<u8> {
        [&[id], leb128(content.len()).as_slice(), content].concat()
    }

    fn ours(json: &[u8]) -> Vec<u8> {
        section(0, &[&[12], NAME.as_bytes(), json].concat())
    }

    fn error(wasm: &[u8]) -> String {
        read(wasm).expect_err("no plugin").to_string()
    }

    #[test]
    fn finishing_again_replaces_the_section_and_keeps_the_rest() {
        let module = section(1, MODULE);
        let other = section(0, b"\x01xyz");
        let bare = [COMPONENT, &other, &module, &other].concat();
        let first = finish(&bare, &manifest("one")).expect("a component");
        let later = [first, other.clone()].concat();
        let second = finish(&later, &manifest("two")).expect("still a component");
        assert_eq!(read(&second).expect("finished").description, "two");
        assert!(second.starts_with(&[bare, other].concat()));
        assert_eq!(find(&second).expect("sound").len(), 1);
    }

    #[test]
    fn a_section_inside_a_module_does_not_count() {
        let module = [MODULE, &ours(b"{}")].concat();
        assert!(error(&[COMPONENT, &section(1, &module)].concat()).contains("without a manifest"));
    }

    #[test]
    fn each_way_to_be_wrong_has_its_message() {
        assert!(error(b"").contains("not WebAssembly"));
        assert!(error(b"#!/bin/sh\n").contains("not WebAssembly"));
        assert!(error(b"\0asm").contains("damaged"));
        assert!(error(MODULE).contains("core module"));
        assert!(error(COMPONENT).contains("without a manifest"));
        assert!(error(&[COMPONENT, &[0, 200]].concat()).contains("damaged"));
        // Cut where a section of the module inside ends, which its parser takes for its end.
        let cut = [COMPONENT, &[1, 24], MODULE].concat();
        assert!(error(&cut).contains("16 bytes of a module are missing"), "{}", error(&cut));
        assert!(finish(&cut, &manifest("x")).is_err());
        assert!(error(&[COMPONENT, &ours(b"{}"), &ours(b"{}")].concat()).contains("2 manifests"));
        assert!(error(&[COMPONENT, &ours(b"{")].concat()).contains("cannot be read"));
        assert!(error(&[COMPONENT, &ours(&vec![b' '; MAX_BYTES + 1])].concat()).contains("65537 bytes"));
        let wrong = br#"{"name":"A B","version":"1","kind":"registry","contract":"micro:registry@0.1.0"}"#;
        assert!(error(&[COMPONENT, &ours(wrong)].concat()).contains("wrong value"));
        assert!(matches!(finish(MODULE, &manifest("")), Err(SectionError::CoreModule)));
    }

    #[test]
    fn no_prefix_of_a_plugin_panics() {
        let whole = finish(&[COMPONENT, &section(1, MODULE)].concat(), &manifest("x")).expect("a component");
        for length in 0..whole.len() {
            _ = read(&whole[..length]);
        }
        assert!(read(&whole).is_ok());
    }
}
