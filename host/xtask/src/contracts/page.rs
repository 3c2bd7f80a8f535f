//! The reference of all contracts, from the documentation in the WIT.

use super::{signature, text};
use std::fmt::Write;
use wit_parser::{Docs, Interface, PackageId, Resolve, TypeDef, TypeDefKind, World, WorldItem};

const HEAD: &str = "\
<!-- Made from wit/ by cargo xtask tidy --fix; to be changed there. -->

# Contracts

Every interface between host and plugins. `wit/` is the source; this page says the same in another form.

| | kinds that may wait | kinds that run per request |
|---|---|---|
| which | registry | wire, selector, codec, filter |
| functions | `async func`: may be implemented with the async ABI or by code that blocks | `func`: synchronous |
| lifecycle | `micro:plugin/lifecycle` | `micro:hot/lifecycle` |
| who calls | a task of the instance, from a queue; deadlines are outside of it | the thread that serves the request |
| instances | one, and another for long polls when `max-concurrency` is 1 | one for each thread, made when first needed |
| limit of a call | `call.timeout-ms`, and a little more to say that it gave up | 10 ms of processor time |
| after a trap | the instance is replaced; too many are quarantine | the same; the part of the program that does the same serves meanwhile, filters refuse |
| imports | log, HTTP, WASI without files, sockets and environment beyond what was granted | log; WASI is there and does nothing |

[Writing for the request path](request-path.md) says what the second column asks of a plugin, [operators](operators.md)
what is granted and where plugins are found. `micro plugin call FILE` lists what a component exports, in the same notation.
";

/// Order of the packages on the page; those of WASI are documented elsewhere, that of the host is not for plugins.
const PACKAGES: [(&str, &str); 8] = [
    ("plugin", "every kind that may wait"),
    ("registry", "called through a queue; `changes` on an instance or a turn of its own"),
    ("net", "imported by kinds that may wait"),
    ("hot", "every kind that runs per request"),
    ("wire", "called four times for a call between services: a head written and read in each direction"),
    ("selector", "called for each attempt of a call"),
    ("codec", "called where a node speaks the oldest protocol or an envelope"),
    ("filter", "called by gateways for each request, before anything else looks at it"),
];

/// The page.
pub(crate) fn render(resolve: &Resolve) -> String {
    let mut page = HEAD.to_owned();
    for (name, called) in PACKAGES {
        let found =
            resolve.packages.iter().find(|(_, it)| it.name.namespace == "micro" && it.name.name == name);
        if let Some((id, _)) = found {
            package(resolve, id, called, &mut page);
        }
    }
    // Where a part has no documentation, the lines around it meet.
    while page.contains("\n\n\n") {
        page = page.replace("\n\n\n", "\n\n");
    }
    page
}

fn package(resolve: &Resolve, id: PackageId, called: &str, page: &mut String) {
    let package = &resolve.packages[id];
    push(page, format_args!("\n## {}\n\n{}_Who calls:_ {called}.\n", package.name, paragraph(&package.docs)));
    for interface in package.interfaces.values() {
        let interface = &resolve.interfaces[*interface];
        let name = interface.name.as_deref().unwrap_or_default();
        push(page, format_args!("\n### Interface `{name}`\n"));
        if !interface.docs.is_empty() {
            push(page, format_args!("\n{}", paragraph(&interface.docs)));
        }
        functions(resolve, interface, page);
        for id in interface.types.values() {
            definition(resolve, &resolve.types[*id], page);
        }
    }
    for id in package.worlds.values() {
        world(resolve, &resolve.worlds[*id], page);
    }
}

fn functions(resolve: &Resolve, interface: &Interface, page: &mut String) {
    for function in interface.functions.values() {
        let abi = if function.kind.is_async() { "may wait" } else { "answers at once" };
        push(page, format_args!("\n#### `{}`\n\n", function.name));
        push(page, format_args!("```wit\n{}: {};\n```\n\n", function.name, signature(resolve, function)));
        push(page, format_args!("{}_{abi}_\n", paragraph(&function.docs)));
    }
}

fn definition(resolve: &Resolve, of: &TypeDef, page: &mut String) {
    let name = of.name.as_deref().unwrap_or_default();
    let heading = |kind: &str| format!("\n#### {kind} `{name}`\n\n{}", paragraph(&of.docs));
    let mut rows: Vec<(String, String)> = Vec::new();
    let docs = |docs: &Docs| {
        docs.contents.as_deref().unwrap_or_default().trim().replace('\n', " ").replace('|', "\\|")
    };
    match &of.kind {
        TypeDefKind::Record(record) => {
            page.push_str(&heading("record"));
            rows.extend(
                record
                    .fields
                    .iter()
                    .map(|it| (format!("`{}: {}`", it.name, text(resolve, &it.ty)), docs(&it.docs))),
            );
        }
        TypeDefKind::Variant(variant) => {
            page.push_str(&heading("variant"));
            rows.extend(variant.cases.iter().map(|it| {
                let payload = it.ty.as_ref().map(|of| format!("({})", text(resolve, of))).unwrap_or_default();
                (format!("`{}{payload}`", it.name), docs(&it.docs))
            }));
        }
        TypeDefKind::Enum(cases) => {
            page.push_str(&heading("enum"));
            rows.extend(cases.cases.iter().map(|it| (format!("`{}`", it.name), docs(&it.docs))));
        }
        TypeDefKind::Flags(flags) => {
            page.push_str(&heading("flags"));
            rows.extend(flags.flags.iter().map(|it| (format!("`{}`", it.name), docs(&it.docs))));
        }
        // Another interface's type under its own name is explained there.
        TypeDefKind::Type(_) if of.docs.is_empty() => return,
        kind => {
            page.push_str(&heading("type"));
            push(page, format_args!("```wit\ntype {name} = {};\n```\n", super::shape(resolve, kind)));
            return;
        }
    }
    if rows.iter().all(|(_, docs)| docs.is_empty()) {
        let names: Vec<String> = rows.into_iter().map(|(name, _)| name).collect();
        push(page, format_args!("{}\n", names.join(", ")));
        return;
    }
    page.push_str("| | |\n|---|---|\n");
    rows.iter().for_each(|(name, docs)| push(page, format_args!("| {name} | {docs} |\n")));
}

fn world(resolve: &Resolve, world: &World, page: &mut String) {
    push(page, format_args!("\n### World `{}`\n\n{}", world.name, paragraph(&world.docs)));
    for (what, items) in [("imports", &world.imports), ("exports", &world.exports)] {
        let interfaces = items.iter().filter(|(_, item)| matches!(item, WorldItem::Interface { .. }));
        let names: Vec<String> =
            interfaces.map(|(key, _)| format!("`{}`", resolve.name_world_key(key))).collect();
        if !names.is_empty() {
            push(page, format_args!("- {what} {}\n", names.join(", ")));
        }
    }
}

/// Documentation as a paragraph of its own; nothing where there is none.
fn paragraph(docs: &Docs) -> String {
    match docs.contents.as_deref().map(str::trim) {
        None | Some("") => String::new(),
        // Headings inside stand below that of the interface.
        Some(text) => {
            let line = |line: &str| match line.starts_with("## ") {
                true => format!("##{line}\n"),
                false => format!("{line}\n"),
            };
            format!("{}\n", text.lines().map(line).collect::<String>())
        }
    }
}

/// Writing to a String cannot fail.
fn push(page: &mut String, more: std::fmt::Arguments<'_>) {
    _ = page.write_fmt(more);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contracts::read;
    use crate::repo;

    #[test]
    fn every_function_of_our_contracts_is_on_the_page() {
        let resolve = read(&repo::root().join("wit")).expect("our own WIT");
        let page = render(&resolve);
        for (_, package) in resolve.packages.iter().filter(|(_, it)| it.name.namespace == "micro") {
            for interface in package.interfaces.values() {
                for name in resolve.interfaces[*interface].functions.keys() {
                    assert!(page.contains(&format!("#### `{name}`")), "{}: {name}", package.name);
                }
            }
        }
        assert!(page.lines().all(|line| !line.ends_with(' ')), "white space at the end of a line");
    }
}
