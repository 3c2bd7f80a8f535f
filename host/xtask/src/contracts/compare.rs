//! What a contract may still change once it is released: nothing that a plugin or a host built against the release could
//! notice. New interfaces, and new worlds, are all that may come.

use super::{shape, signature, text};
use std::collections::BTreeMap;
use wit_parser::{Interface, Resolve, Type, TypeDefKind, TypeOwner, World, WorldItem};

/// Every way in which `now` would break what was built against `then`, among the packages with the same name and version.
/// Documentation, and the order of things that have names, do not count; the order of fields and cases does.
pub(crate) fn breaks(then: &Resolve, now: &Resolve) -> Vec<String> {
    let mut found = Vec::new();
    for (_, package) in then.packages.iter().filter(|(_, it)| it.name.namespace == "micro") {
        let name = package.name.to_string();
        let Some((_, present)) = now.packages.iter().find(|(_, it)| it.name == package.name) else {
            found.push(format!(
                "{name} is gone; a package that changes gets another version beside the released one"
            ));
            continue;
        };
        for (interface, id) in &package.interfaces {
            let what = format!("{name} interface {interface}");
            match present.interfaces.get(interface) {
                None => found.push(format!("{what} is gone")),
                Some(present) => interfaces(
                    &what,
                    (then, &then.interfaces[*id]),
                    (now, &now.interfaces[*present]),
                    &mut found,
                ),
            }
        }
        for (world, id) in &package.worlds {
            let what = format!("{name} world {world}");
            match present.worlds.get(world) {
                None => found.push(format!("{what} is gone")),
                Some(present) => {
                    worlds(&what, (then, &then.worlds[*id]), (now, &now.worlds[*present]), &mut found);
                }
            }
        }
    }
    found
}

fn interfaces(
    what: &str,
    then: (&Resolve, &Interface),
    now: (&Resolve, &Interface),
    found: &mut Vec<String>,
) {
    same(what, &members(then.0, then.1), &members(now.0, now.1), found);
}

/// Functions and types of an interface, each with all that can be noticed of it.
fn members(resolve: &Resolve, interface: &Interface) -> BTreeMap<String, String> {
    let functions = interface.functions.iter();
    let functions = functions.map(|(name, it)| (format!("function {name}"), signature(resolve, it)));
    let types = interface.types.iter();
    let types =
        types.map(|(name, id)| (format!("type {name}"), definition(resolve, &resolve.types[*id].kind)));
    functions.chain(types).collect()
}

/// A type with its fields or cases, in their order.
fn definition(resolve: &Resolve, kind: &TypeDefKind) -> String {
    let joined = |parts: Vec<String>| parts.join(", ");
    match kind {
        TypeDefKind::Record(record) => {
            let fields = record.fields.iter().map(|it| format!("{}: {}", it.name, text(resolve, &it.ty)));
            format!("record {{ {} }}", joined(fields.collect()))
        }
        TypeDefKind::Variant(variant) => {
            let cases = variant.cases.iter().map(|it| match &it.ty {
                Some(of) => format!("{}({})", it.name, text(resolve, of)),
                None => it.name.clone(),
            });
            format!("variant {{ {} }}", joined(cases.collect()))
        }
        TypeDefKind::Enum(cases) => {
            format!("enum {{ {} }}", joined(cases.cases.iter().map(|it| it.name.clone()).collect()))
        }
        TypeDefKind::Flags(flags) => {
            format!("flags {{ {} }}", joined(flags.flags.iter().map(|it| it.name.clone()).collect()))
        }
        // The name alone would be the same if it came from elsewhere.
        TypeDefKind::Type(Type::Id(id)) => {
            let owner = match resolve.types[*id].owner {
                TypeOwner::Interface(interface) => resolve.id_of(interface),
                TypeOwner::World(_) | TypeOwner::None => None,
            };
            format!("{} of {}", shape(resolve, kind), owner.unwrap_or_default())
        }
        kind => shape(resolve, kind),
    }
}

/// A plugin is built against a world: one more export is one that it does not have, one import less is one that it
/// asks for in vain.
fn worlds(what: &str, then: (&Resolve, &World), now: (&Resolve, &World), found: &mut Vec<String>) {
    let imports = |(resolve, world): (&Resolve, &World)| keys(resolve, &world.imports);
    let exports = |(resolve, world): (&Resolve, &World)| keys(resolve, &world.exports);
    let (before, after) = (imports(then), imports(now));
    let lost = before.keys().filter(|name| !after.contains_key(*name));
    found.extend(lost.map(|name| format!("{what}: import {name} is gone")));
    same(&format!("{what}: exports"), &exports(then), &exports(now), found);
}

fn keys<'a>(
    resolve: &Resolve,
    items: impl IntoIterator<Item = (&'a wit_parser::WorldKey, &'a WorldItem)>,
) -> BTreeMap<String, String> {
    items.into_iter().map(|(key, _)| (resolve.name_world_key(key), String::new())).collect()
}

fn same(
    what: &str,
    then: &BTreeMap<String, String>,
    now: &BTreeMap<String, String>,
    found: &mut Vec<String>,
) {
    for (name, before) in then {
        match now.get(name) {
            None => found.push(format!("{what}: {name} is gone")),
            Some(after) if after != before => {
                found.push(format!("{what}: {name} was `{before}` and is `{after}`"));
            }
            Some(_) => {}
        }
    }
    // A function more is an export that plugins of the release do not have.
    let more = now.keys().filter(|name| !then.contains_key(*name) && !name.starts_with("type "));
    found.extend(more.map(|name| format!("{what}: {name} is new; new abilities come as new interfaces")));
}

#[cfg(test)]
mod tests {
    use super::*;
    use wit_parser::UnresolvedPackageGroup;

    fn resolve(body: &str) -> Resolve {
        let text = format!("package micro:x@0.1.0;\n{body}");
        let group = UnresolvedPackageGroup::parse("x.wit", &text).map_err(|(_, error)| error).expect("WIT");
        let mut resolve = Resolve::default();
        resolve.push_group(group).expect("it resolves");
        resolve
    }

    const RELEASED: &str = "
        interface a {
            /// Documentation.
            record r { one: u32, two: option<string> }
            variant e { no, other(string) }
            f: func(r: r) -> result<_, e>;
            g: async func();
        }
        world w { import a; }";

    #[test]
    fn documentation_new_interfaces_and_new_types_break_nothing() {
        let now = RELEASED
            .replace("Documentation.", "Better.")
            .replace("world", "interface b { h: func(); } world");
        assert_eq!(breaks(&resolve(RELEASED), &resolve(&now)), Vec::<String>::new());
        let now = RELEASED.replace("interface a {", "interface a { enum later { x }");
        assert_eq!(breaks(&resolve(RELEASED), &resolve(&now)), Vec::<String>::new());
    }

    #[test]
    fn whatever_could_be_noticed_does() {
        for (from, to, says) in [
            ("one: u32", "one: u64", "type r was"),
            ("one: u32, ", "", "type r was"),
            ("no, other", "no, more, other", "type e was"),
            ("r: r)", "r: r, s: u8)", "function f was"),
            ("async func()", "func()", "function g was"),
            ("g: async func();", "", "function g is gone"),
            ("g: async func();", "g: async func(); h: func();", "function h is new"),
            ("interface a", "interface b", "interface a is gone"),
            ("import a;", "", "import micro:x/a@0.1.0 is gone"),
            ("import a;", "import a; export a;", "micro:x/a@0.1.0 is new"),
        ] {
            let now = RELEASED.replace(from, to).replace(
                "world w { import a; }",
                if to == "interface b" { "world w { }" } else { "world w { import a; }" },
            );
            let found = breaks(&resolve(RELEASED), &resolve(&now));
            assert!(found.iter().any(|it| it.contains(says)), "{from} -> {to}: {found:?}");
        }
        let twins = |from: &str| {
            let body = "interface a { record r { n: u8 } } interface b { record r { n: u16 } } interface c { use a.{r}; f: func(r: r); }";
            resolve(&body.replace("use a", &format!("use {from}")))
        };
        assert!(breaks(&twins("a"), &twins("b"))[0].contains("interface c: type r was"));
        let mut later = resolve(RELEASED);
        let id = later.packages.iter().next().expect("one").0;
        later.packages[id].name.version = Some("0.2.0".parse().expect("a version"));
        assert!(breaks(&resolve(RELEASED), &later)[0].contains("is gone"));
    }
}
