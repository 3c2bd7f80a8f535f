//! Replacing plugins of running processes.

super::codes! {
    SWAP_NO_PLUGIN 501 "no running process has such a plugin" {
        meaning: "A swap replaces a plugin that is in service. Backends that are part of the program cannot be replaced.",
        causes: ["the process uses `local`, `memory` or another backend that is part of it", "the process runs as another user or with another home", "a misspelt kind or name"],
        next: ["`micro plugin ps` shows all processes and their plugins"],
        example: "$ micro plugin swap registry etcd.wasm\nerror: no running process has a registry plugin (sockets in /run/user/1000/micro) [MICRO-0501]",
    }
    SWAP_AMBIGUOUS 502 "several plugins could be meant" {
        meaning: "More than one process, or more than one plugin of a process, fits.",
        causes: ["several services on one machine", "a service with several registries or filters"],
        next: ["name the process with `--process PID`", "name the plugin: `registry:etcd-registry`"],
        example: "error: several processes have a registry plugin: [MICRO-0502]\n  4711  greeter  etcd-registry\n  4712  go.micro.api  etcd-registry\nnext: say which one with --process PID",
    }
    SWAP_SUPERSEDED 503 "a later swap took its place" {
        meaning: "While this swap waited for its turn, another one of the same plugin was asked for. Only the last counts.",
        causes: ["two people, or a person and `--watch_plugins`"],
        next: ["`micro plugin ps` shows what is in service now"],
        example: "error: plugin etcd-registry was not replaced by a.wasm: b.wasm was asked for after it [MICRO-0503]",
    }
    SWAP_GIVEN_UP 504 "the swap was given up" {
        meaning: "The process ended while it swapped, or the swap failed in a way that it should not.",
        causes: ["a shutdown at the same time", "a defect of the host"],
        next: ["look into the process's log", "`micro plugin ps` shows whether it still runs"],
        example: "error: plugin etcd-registry was not replaced: the swap was given up; look into the log [MICRO-0504]",
    }
    SWAP_SILENT 505 "the process does not answer" {
        meaning: "The process is there, and its admin socket did not answer. The swap may still be under way.",
        causes: ["a process that is overloaded or stopped"],
        next: ["`micro plugin ps` shows what is in service"],
        example: "error: process 4711 does not answer: timed out [MICRO-0505]",
    }
    SWAP_REFUSED 506 "the process refused the new plugin" {
        meaning: "The new plugin did not stand the tests that it has to pass before it takes over. The process goes on with the plugin that it had.",
        causes: ["any of those for which a plugin is not loaded (MICRO-01xx); the message says which step failed", "permissions that the plugin in service does not have"],
        next: ["correct what the message names and repeat", "`micro plugin ps` shows the last attempt"],
        example: "error: cannot load plugin /x/new.wasm: contract: it is built for micro:registry@0.2.0, … [MICRO-0506]\nnext: process 4711 goes on with the plugin that it had; micro plugin ps shows it",
    }
    SWAP_NOT_PERSISTED 507 "the plugin was replaced, and the next start will not know" {
        meaning: "The swap went well; writing it down for the next start did not.",
        causes: ["a folder that cannot be written to"],
        next: ["make the folder writable and repeat"],
        example: "error: the plugin was replaced, but --persist failed [MICRO-0507]\nnext: make the folder writable and repeat",
    }
}
