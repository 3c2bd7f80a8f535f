//! Finding, checking and starting a plugin; keeping it alive.

super::codes! {
    PLUGIN_NOT_FOUND 101 "the plugin is not where plugins are" {
        meaning: "No file of this name is in the plugin folders: `plugins` beside the program's own folder, those of `MICRO_PLUGIN_PATH`, and the user's own. The message lists every file that would have done.",
        causes: ["the plugin is not installed", "the program runs with another home or working folder than expected, for instance as a service", "a misspelt name"],
        next: ["name the file: `--registry=./etcd-registry.wasm`", "copy it to one of the places that the message lists", "set `MICRO_PLUGIN_PATH` or `--plugin_path`"],
        example: "$ micro --registry=consull list services\nerror: cannot load plugin consull: locate: no registry plugin consull; looked for /opt/micro/plugins/consull-registry.wasm; install it there or name its file [MICRO-0101]",
    }
    PLUGIN_UNREADABLE 102 "the plugin's file cannot be read" {
        meaning: "The file is there, and the operating system does not hand out its content, or it is larger than any plugin may be (256 MiB).",
        causes: ["permissions of the file or of a folder above it", "a path that names a folder"],
        next: ["let the user that runs the program read it: `chmod a+r FILE`", "check the path"],
        example: "error: cannot load plugin ./x.wasm: read: ./x.wasm: Permission denied (os error 13); make it readable [MICRO-0102]",
    }
    PLUGIN_DIGEST 103 "the plugin's file is not the one that was pinned" {
        meaning: "The locator ends with `@sha256:…`, and the file has another digest. Nothing of it was run.",
        causes: ["the file was replaced by another version", "the file was damaged on its way", "the digest is that of the file before it was finished"],
        next: ["`micro plugin inspect FILE` shows its digest", "fetch the right file, or pin the new digest if the change is wanted"],
        example: "error: cannot load plugin etcd.wasm@sha256:ab…: digest: etcd.wasm is cd…, not ab…; fetch the right file or change the digest [MICRO-0103]",
    }
    PLUGIN_MANIFEST 104 "the file is no plugin" {
        meaning: "A plugin is a WebAssembly component with a manifest in its section `micro:plugin`. This file has none, or one that cannot be read.",
        causes: ["a component that was built and not finished", "a core module instead of a component", "a file that is no WebAssembly at all"],
        next: ["`micro plugin build` builds a crate and finishes it", "`micro plugin build --wasm FILE` finishes a component that another compiler made", "`micro plugin inspect FILE` says what the file is"],
        example: "error: cannot load plugin ./x.wasm: manifest: ./x.wasm is a component without a manifest; only finished components are loaded [MICRO-0104]",
    }
    PLUGIN_KIND 105 "the plugin is of another kind" {
        meaning: "Each flag takes plugins of one kind; the manifest says another.",
        causes: ["a codec behind `--registry`, a registry behind `--selector` and so on"],
        next: ["use it with the flag that the message names"],
        example: "error: cannot load plugin jsonrpc-codec.wasm: kind: it is a codec plugin, and --registry wants a registry; use it with --codec [MICRO-0105]",
    }
    PLUGIN_CONTRACT 106 "the plugin is built for another contract" {
        meaning: "Plugin and host speak versions of the contract that do not fit together.",
        causes: ["a plugin that is newer or older than the program", "a kind that this version does not support"],
        next: ["use the plugin of the same release as the program", "build it again against the `wit/` of this version"],
        example: "error: cannot load plugin x.wasm: contract: it is built for micro:registry@0.2.0, and this host speaks micro:registry@0.1.0; use a plugin for this version [MICRO-0106]",
    }
    PLUGIN_OPTIONS 107 "the plugin's options are wrong" {
        meaning: "What was typed does not fit the options in the plugin's manifest. All mistakes are listed at once; nothing was started.",
        causes: ["a misspelt option", "an option that is required and was not given", "a `file:` or `env:` value that cannot be read", "TLS files that do not belong together"],
        next: ["`micro plugin inspect NAME` lists the options with their types", "correct `--registry_opt`, `--registry_address` or what the message names"],
        example: "$ micro --registry=etcd --registry_opt=user=x list services\nerror: cannot load plugin etcd: options: unknown option \"user\" (did you mean \"username\"?); known: address, username, …; correct --registry_address and --registry_opt [MICRO-0107]",
    }
    PLUGIN_IMPORTS 108 "the plugin imports what this host does not offer" {
        meaning: "A plugin gets what its kind gets, and nothing else exists for it. It was refused before it was compiled.",
        causes: ["a library inside it that opens sockets or files by itself", "a kind that runs per request and imports something that waits", "a plugin for a newer host"],
        next: ["`micro plugin inspect FILE` lists its imports", "leave out the library that needs them, or use a host that offers them"],
        example: "error: cannot load plugin x.wasm: imports: it imports what this host does not offer: wasi:http/client@0.3.2; use a plugin for this version, or a newer host [MICRO-0108]",
    }
    PLUGIN_COMPILE 109 "the plugin cannot be compiled" {
        meaning: "The code of the plugin is not valid WebAssembly, or uses a feature that this host does not have.",
        causes: ["a file that was cut off", "a toolchain that is newer than the host"],
        next: ["build it again", "`micro plugin inspect FILE` says whether the file is whole"],
        example: "error: cannot load plugin x.wasm: compile: unexpected end (at offset 0x1f03); build it again; its code is damaged or too new [MICRO-0109]",
    }
    PLUGIN_LINK 110 "the plugin does not fit the contract" {
        meaning: "An export is missing or has another type than the contract says, or an import has another type than the host offers.",
        causes: ["a plugin that was built against another version of the WIT", "a manifest whose kind is not what the component exports"],
        next: ["build it against the `wit/` of this version", "`micro plugin call FILE` lists what it exports, with types"],
        example: "error: cannot load plugin x.wasm: link: no exported instance named `micro:registry/registry@0.1.0`; build it against the WIT of this version [MICRO-0110]",
    }
    PLUGIN_START 111 "the plugin fails when it starts" {
        meaning: "Its first instance trapped, took too much memory, or did not come up in time.",
        causes: ["a panic in its initialisation or in `configure`", "waiting for the backend in `configure`, which it must not"],
        next: ["`--log_level=debug` shows what it said", "`micro plugin call FILE health --trace` shows what it does", "report it to its author"],
        example: "error: cannot load plugin x.wasm: start: wasm `unreachable` instruction executed (thread panicked at src/lib.rs:9); report this to its author; --log_level=debug shows its own messages [MICRO-0111]",
    }
    PLUGIN_CONFIGURE 112 "the plugin does not accept its options" {
        meaning: "The options have the right types, and the plugin itself says that they make no sense, or that it cannot start yet.",
        causes: ["two options that exclude each other", "a value out of its range"],
        next: ["the reason is the plugin's own words", "correct the options that it names"],
        example: "error: cannot load plugin ip-whitelist.wasm: configure: \"10.0.0.0/40\" is no network; correct --filter_opt [MICRO-0112]",
    }
    PLUGIN_HEALTH 113 "the new plugin is less healthy than the one in service" {
        meaning: "Before a swap the new plugin has to answer as well as the old one does. It does not, so the old one stays.",
        causes: ["options that only the new version understands differently", "a backend that the new version cannot reach, for instance without a permission"],
        next: ["`micro plugin call FILE health` with the same options shows what it says", "`micro plugin ps` shows permissions that were denied"],
        example: "error: cannot load plugin ./etcd.wasm: health: 127.0.0.1:2379: connection refused; … [MICRO-0113]",
    }
    PLUGIN_SMOKE 114 "the plugin answers the usual calls wrongly" {
        meaning: "Before anybody depends on a plugin it is tried out. It trapped, or an answer is not what the contract allows.",
        causes: ["a defect of the plugin", "a swap to a plugin that does something else than the one in service"],
        next: ["`micro plugin test FILE` runs the whole suite of its kind", "`micro plugin call FILE …` makes single calls"],
        example: "error: cannot load plugin x-selector.wasm: smoke test: it picked 0 although all were to be avoided; report this to its author; … [MICRO-0114]",
    }
    PLUGIN_HOST 115 "plugins cannot run on this machine" {
        meaning: "The machinery for WebAssembly could not be set up at all.",
        causes: ["a processor that is not supported", "limits on memory or threads of the process"],
        next: ["raise the limits (`ulimit -v`, `ulimit -u`, those of the container)", "run on x86-64 or ARM64"],
        example: "error: cannot run plugins on this machine: Resource temporarily unavailable (os error 11) [MICRO-0115]",
    }
    PLUGIN_SUPPORT 116 "this program was built without plugin support" {
        meaning: "The program uses the library of Micro without its feature `plugins`, and was told to use a plugin.",
        causes: ["`default-features = false` on the crate `micro`"],
        next: ["build it with the feature `plugins`", "use a backend that is part of the program: `local` or `memory`"],
        example: "error: etcd is a plugin, and this program was built without plugin support (cargo feature `plugins` of `micro`) [MICRO-0116]",
    }
    BACKEND_OPTIONS 117 "this backend takes no such option" {
        meaning: "A backend that is part of the program was given options of a plugin, or one of several backends was meant and not named.",
        causes: ["`--registry_address` without `--registry`: the default takes none", "`--registry=a,b` with an option that could belong to either"],
        next: ["name the registry that is meant: `--registry=etcd`", "with several, write `--registry_opt=etcd.address=…`"],
        example: "$ micro --registry_address=127.0.0.1:2379 list services\nerror: registry local is part of the program and takes no address; did you mean another one, for instance --registry=etcd? [MICRO-0117]",
    }
    PLUGIN_QUARANTINED 118 "a plugin fails too often and was taken out of service" {
        meaning: "Its instances failed more often than is tolerated. The generation before it, or the part of the program that does the same, serves in its place; a registry is tried again every now and then; a filter refuses requests.",
        causes: ["a defect that every call meets", "requests that make it fail, sent on purpose"],
        next: ["`micro plugin ps` shows the last error with the guest's stack", "`micro plugin swap KIND FILE` puts another version into service", "report it to its author"],
        example: "ERROR plugin fails too often: quarantined plugin.name=\"x-selector\" code=MICRO-0118",
    }
}
