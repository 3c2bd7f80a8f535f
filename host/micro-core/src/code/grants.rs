//! Permissions.

super::codes! {
    GRANTS_MISSING 201 "the plugin asks for more than it was granted" {
        meaning: "A plugin reaches nothing but what was granted. Its manifest asks for something that was not, so it was not started. The list shows each permission, and what it is for.",
        causes: ["a plugin that is used for the first time", "a new version that asks for more", "a permission for a kind that runs per request: those can be granted nothing"],
        next: ["add the flag that the message names, if you want that", "addresses that you type as the plugin's own options need no permission", "on a terminal the program asks instead"],
        example: "$ micro --registry=consul list services\nerror: cannot load plugin consul: permissions: it asks for more than it was granted: [MICRO-0201]\n  missing  net:auth.example:443 (login)\n; to allow it, add --registry_allow=net:auth.example:443",
    }
    GRANT_DENIED 202 "a plugin tried to reach what it may not" {
        meaning: "A running plugin asked for a connection to a place that was not granted. The plugin got an error that says so, and goes on.",
        causes: ["a server that sends the plugin elsewhere", "a name that resolves to an address which needs a permission of its own (link-local, metadata services)", "a defect of the plugin, or worse"],
        next: ["add the flag that the line names, if that is wanted", "`micro plugin ps --output json` counts what was denied"],
        example: "WARN denied; if that is wanted, add --registry_allow=net:10.1.2.3:2379 plugin.name=\"etcd-registry\" code=MICRO-0202",
    }
    GRANT_FORM 203 "a permission cannot be read" {
        meaning: "A text behind `--registry_allow` or `--allow` is none of the forms that permissions have.",
        causes: ["a missing port", "a relative path behind `fs:`", "a misspelt name"],
        next: ["write `net:HOST:PORT`, `fs:ro:PATH`, `fs:rw:PATH`, `env:NAME` or `sockets`"],
        example: "$ micro plugin call x.wasm health --allow net:example\nerror: \"net:example\" is not a permission: … [MICRO-0203]",
    }
}
