//! Which interfaces the host offers, by name, so that a plugin can be refused before it is compiled.

use micro_plugin::Kind;

/// Package, interface, and the line of versions within which the linker takes any. No interface means all.
const OFFERED: [(&str, &str, &str); 15] = [
    ("wasi:cli", "", "0.2"),
    ("wasi:clocks", "", "0.2"),
    ("wasi:filesystem", "", "0.2"),
    ("wasi:io", "", "0.2"),
    ("wasi:random", "", "0.2"),
    ("wasi:sockets", "", "0.2"),
    ("wasi:cli", "", "0.3"),
    ("wasi:clocks", "", "0.3"),
    ("wasi:random", "", "0.3"),
    ("wasi:http", "", "0.3"),
    ("micro:plugin", "log", "0.1"),
    ("micro:plugin", "types", "0.1"),
    ("micro:net", "http-types", "0.1"),
    ("micro:net", "http", "0.1"),
    ("micro:net", "promises", "0.1"),
];

/// The same for plugins that run per request. Of WASI, what these can use is little; the rest traps.
const OFFERED_HOT: [(&str, &str, &str); 7] = [
    ("wasi:cli", "", "0.2"),
    ("wasi:clocks", "", "0.2"),
    ("wasi:filesystem", "", "0.2"),
    ("wasi:io", "", "0.2"),
    ("wasi:random", "", "0.2"),
    ("wasi:sockets", "", "0.2"),
    ("micro:hot", "log", "0.1"),
];

/// The imports that this host does not offer to plugins of a kind, in their order.
pub fn unknown(kind: Kind, imports: &[String]) -> Vec<&str> {
    let offered: &[_] = match kind {
        Kind::Wire | Kind::Selector | Kind::Codec | Kind::Filter => &OFFERED_HOT,
        Kind::Registry | Kind::Broker | Kind::Transport | Kind::Middleware => &OFFERED,
    };
    imports.iter().map(String::as_str).filter(|name| !is_offered(offered, name)).collect()
}

fn is_offered(offered: &[(&str, &str, &str)], name: &str) -> bool {
    let Some((path, version)) = name.split_once('@') else { return false };
    let Some((package, interface)) = path.split_once('/') else { return false };
    offered.iter().any(|(known, only, line)| {
        let patch = version.strip_prefix(line).is_some_and(|rest| rest.starts_with('.'));
        *known == package && (only.is_empty() || *only == interface) && patch
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_offered_is_known_by_package_and_line_of_versions() {
        let imports = [
            "wasi:cli/environment@0.2.6",
            "wasi:http/client@0.3.2",
            "micro:plugin/log@0.1.0",
            "micro:plugin/log@0.2.0",
            "micro:net/dial@0.1.0",
            "wasi:cli/environment@0.20.0",
            "wasi:keyvalue/store@0.2.0-draft",
            "bare",
        ]
        .map(str::to_owned);
        assert_eq!(unknown(Kind::Registry, &imports), &imports[3..]);
        let hot =
            ["micro:hot/log@0.1.0", "wasi:io/poll@0.2.9", "micro:plugin/log@0.1.0", "wasi:http/client@0.3.2"];
        let hot = hot.map(str::to_owned);
        assert_eq!(unknown(Kind::Filter, &hot), &hot[2..]);
    }
}
