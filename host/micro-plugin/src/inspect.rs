//! What a file is, for people: `micro plugin inspect`.

use crate::digest::Digest;
use crate::manifest::Manifest;
use crate::section::{self, SectionError};
use wasmparser::{CanonicalFunction, CanonicalOption, Parser, Payload};

/// Everything that can be said about a file without running it.
#[derive(Debug)]
pub struct Report {
    /// In bytes.
    pub size: usize,
    /// Of all of it.
    pub digest: Digest,
    /// What it is.
    pub format: Format,
    /// The manifest, or why there is none.
    pub manifest: Result<Manifest, SectionError>,
    /// Names of what a component offers, in its order.
    pub exports: Vec<String>,
    /// Names of what a component needs, in its order.
    pub imports: Vec<String>,
    /// Whether the code has names of functions in it, so that traces of faults can be read.
    pub has_names: bool,
    /// How the functions that a component offers are made.
    pub lifts: Lifts,
}

/// How many functions of a component are lifted in which way. An async function may be lifted synchronously: then the
/// instance does nothing else while it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifts {
    /// With the async ABI: calls overlap.
    pub concurrent: usize,
    /// With the synchronous one.
    pub blocking: usize,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// What a plugin must be.
    Component,
    /// WebAssembly, but not a component.
    CoreModule,
    /// A component that cannot be parsed to its end.
    Damaged,
    /// Something else.
    NotWasm,
}

/// Looks at `wasm`. Never fails: what is wrong is part of the answer.
pub fn inspect(wasm: &[u8]) -> Report {
    let mut report = Report {
        size: wasm.len(),
        digest: Digest::of(wasm),
        format: Format::Component,
        manifest: section::read(wasm),
        exports: Vec::new(),
        imports: Vec::new(),
        has_names: false,
        lifts: Lifts::default(),
    };
    report.format = match section::encoding(wasm) {
        Ok(()) => walk(wasm, &mut report).map_or(Format::Damaged, |()| Format::Component),
        Err(SectionError::CoreModule) => Format::CoreModule,
        Err(SectionError::NotWasm) => Format::NotWasm,
        Err(_) => Format::Damaged,
    };
    report
}

fn walk(wasm: &[u8], report: &mut Report) -> wasmparser::Result<()> {
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(section) if depth > 0 && section.name() == "name" => {
                report.has_names = true
            }
            // At any depth: some languages' tools put the component of the plugin into another one.
            Payload::ComponentCanonicalSection(functions) => {
                for function in functions {
                    if let CanonicalFunction::Lift { options, .. } = function? {
                        match options.contains(&CanonicalOption::Async) {
                            true => report.lifts.concurrent += 1,
                            false => report.lifts.blocking += 1,
                        }
                    }
                }
            }
            Payload::ComponentImportSection(imports) if depth == 0 => {
                for import in imports {
                    report.imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(exports) if depth == 0 => {
                for export in exports {
                    report.exports.push(export?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::section::tests::{COMPONENT, manifest};

    #[test]
    fn formats_are_told_apart() {
        let format = |wasm: &[u8]| inspect(wasm).format;
        assert_eq!(format(COMPONENT), Format::Component);
        assert_eq!(format(b"\0asm\x01\0\0\0"), Format::CoreModule);
        assert_eq!(format(b"ELF"), Format::NotWasm);
        assert_eq!(format(&[COMPONENT, b"\0\x99"].concat()), Format::Damaged);
    }

    #[test]
    fn a_finished_component_is_described() {
        let wasm = section::finish(COMPONENT, &manifest("x")).expect("a component");
        let report = inspect(&wasm);
        assert_eq!(report.manifest.expect("there").name, "a");
        assert_eq!((report.size, report.digest), (wasm.len(), Digest::of(&wasm)));
        assert!(!report.has_names && report.imports.is_empty() && report.exports.is_empty());
    }
}
