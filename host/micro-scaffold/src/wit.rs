//! The contracts as a plugin's folder has them: the packages that its world needs, and the world.

use crate::assets::Wit;
use crate::language::Language;
use micro_plugin::Kind;

/// The name of the world, the same for every kind, so that tools are called alike.
pub(crate) const WORLD: &str = "component";

/// A file of the folder `wit`: its path in it, and its text.
pub(crate) type WitFile = (String, String);

/// The WIT of a plugin: the world, and under `deps` what it refers to. Without the worlds of our own packages, which
/// refer to more.
pub(crate) fn vendored(kind: Kind, language: Language) -> Vec<WitFile> {
    let mut files = vec![("world.wit".to_owned(), world(kind, language))];
    for package in packages(kind) {
        let path = format!("{package}/{package}.wit");
        if let Some(file) = Wit::get(&path) {
            files.push((format!("deps/{path}"), without_worlds(&String::from_utf8_lossy(&file.data))));
        }
    }
    files
}

/// Whether plugins of this kind run per request: nothing async in them.
pub(crate) fn is_hot(kind: Kind) -> bool {
    matches!(kind, Kind::Wire | Kind::Selector | Kind::Codec | Kind::Filter)
}

fn packages(kind: Kind) -> Vec<&'static str> {
    if is_hot(kind) { vec!["hot", kind.as_str()] } else { vec!["plugin", "net", kind.as_str()] }
}

fn world(kind: Kind, language: Language) -> String {
    let (imports, lifecycle) = match (is_hot(kind), language) {
        (true, _) => (&["micro:hot/log@0.1.0"][..], "micro:hot/lifecycle@0.1.0"),
        // C calls what is async in the WIT and waits; the others cannot wait, and JavaScript cannot even import it.
        (false, Language::C) => {
            (&["micro:plugin/log@0.1.0", "micro:net/http@0.1.0"][..], "micro:plugin/lifecycle@0.1.0")
        }
        (false, _) => {
            (&["micro:plugin/log@0.1.0", "micro:net/promises@0.1.0"][..], "micro:plugin/lifecycle@0.1.0")
        }
    };
    let imports: String = imports.iter().map(|name| format!("    import {name};\n")).collect();
    format!(
        "/// What this plugin is built against. A plugin may import less.\npackage micro:scaffold;\n\n\
         world {WORLD} {{\n{imports}    export {lifecycle};\n    export micro:{kind}/{kind}@0.1.0;\n}}\n"
    )
}

/// Leaves out `world NAME { … }` with its documentation. Our files are formatted: a world begins and ends at the start of
/// a line.
fn without_worlds(text: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if !line.starts_with("world ") {
            kept.push(line);
            continue;
        }
        while kept.last().is_some_and(|line| line.starts_with("///") || line.is_empty()) {
            kept.pop();
        }
        for line in lines.by_ref() {
            if line == "}" {
                break;
            }
        }
    }
    kept.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use wit_parser::{Resolve, UnresolvedPackageGroup};

    /// Every world that scaffolds have can be resolved from what they vendor, and needs nothing of WASI.
    #[test]
    fn vendored_packages_are_complete() {
        for kind in [Kind::Registry, Kind::Selector, Kind::Codec, Kind::Filter, Kind::Wire] {
            for language in [Language::Python, Language::JavaScript, Language::C] {
                let files = vendored(kind, language);
                let mut groups = files.iter().map(|(path, text)| {
                    assert!(!text.contains("wasi:") || text.contains("`wasi:"), "{path}");
                    UnresolvedPackageGroup::parse(path, text).expect(path)
                });
                let main = groups.next().expect("the world");
                let mut resolve = Resolve::default();
                let deps: Vec<_> = groups.collect();
                let package = resolve.push_groups(main, deps).expect("complete");
                assert!(resolve.select_world(&[package], Some(WORLD)).is_ok(), "{kind} {language}");
            }
        }
    }

    #[test]
    fn worlds_are_left_out_with_their_documentation() {
        let text = "interface a {\n}\n\n/// b\n/// b\nworld b {\n    import a;\n}\n\n/// c\nworld c {\n}\n";
        assert_eq!(without_worlds(text), "interface a {\n}\n");
    }
}
