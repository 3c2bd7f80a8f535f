//! Writing plugins.

super::codes! {
    AUTHOR_BUILD 701 "the plugin was not built" {
        meaning: "The crate does not compile, has no library that becomes a component, or what came out could not be finished or written.",
        causes: ["an error that the compiler names above", "a crate without `crate-type = [\"cdylib\"]`", "a missing target: `rustup target add wasm32-wasip2`", "a `plugin.toml` with a mistake"],
        next: ["correct what the message names", "`micro plugin doctor` checks the toolchain"],
        example: "$ micro plugin build\nerror: the target wasm32-wasip2 is not installed [MICRO-0701]\nnext: rustup target add wasm32-wasip2",
    }
    AUTHOR_NOT_A_PLUGIN 702 "the file is no plugin" {
        meaning: "What `micro plugin inspect` could find out is on standard output; a manifest is not in it.",
        causes: ["a component that was not finished", "a core module"],
        next: ["`micro plugin build` makes a plugin of a crate or of a component (`--wasm`)"],
        example: "error: y.wasm is no plugin: a component without a manifest [MICRO-0702]",
    }
    AUTHOR_EXPORT 703 "no such export" {
        meaning: "The plugin exports no function of this name, or several interfaces do.",
        causes: ["a misspelt name", "an interface that the plugin does not implement"],
        next: ["`micro plugin call FILE` lists the exports", "write the interface in front: `load#pick`"],
        example: "$ micro plugin call p2c-selector.wasm pick 1 0 0 '[]'\nerror: several exports are called \"pick\"; write one of: [MICRO-0703]\n  micro:selector/selector@0.1.0#pick\n  micro:selector/load@0.1.0#pick",
    }
    AUTHOR_ARGUMENT 704 "an argument does not fit" {
        meaning: "There are too many or too few arguments, or one is no value of its parameter's type.",
        causes: ["quotes that the shell took away", "a field that is missing or misspelt"],
        next: ["`micro plugin call FILE` lists the types", "`micro plugin call --help` shows how values are written"],
        example: "$ micro plugin call random-selector.wasm pick one 0 0 '[]'\nerror: argument \"set\" of pick is no u32: … [MICRO-0704]",
    }
    AUTHOR_TRAP 705 "the plugin trapped" {
        meaning: "The plugin's code failed in the call: a panic, a wrong access, too much memory or processor time. In service the instance would be replaced.",
        causes: ["a panic: its text is in the standard error below", "a loop without end", "memory above the limit of its kind"],
        next: ["the guest stack names the functions, innermost first", "`--trace` shows what it asked of the host before", "build it with function names (`strip = false`) if the frames are numbers"],
        example: "error: pick trapped: wasm `unreachable` instruction executed (thread panicked at src/lib.rs:17) [MICRO-0705]\n  standard error:\n    thread panicked at src/lib.rs:17: index out of bounds",
    }
    AUTHOR_LATE 706 "the plugin ignored its deadline" {
        meaning: "A call that may wait has to give up by itself when its time is over, and answer `timeout`. This one did not.",
        causes: ["a request to its backend without a time limit", "a loop that never yields"],
        next: ["use `call.timeout-ms` for everything that waits", "give it more time with `--timeout`", "`--trace` shows what it waits for"],
        example: "error: get-service did not answer within 5.2s [MICRO-0706]",
    }
    AUTHOR_ERROR 707 "the export answered an error" {
        meaning: "The plugin works, and its answer is the error case of a result. The answer is on standard output as well.",
        causes: ["a backend that is away (`unavailable`) or refuses (`denied`)", "arguments that make no sense (`invalid`)"],
        next: ["`--trace` shows what it asked of its backend, and the answers", "`--address` and `--opt` configure it"],
        example: "$ micro plugin call etcd-registry.wasm health\nerr(unavailable({retry-after-ms: 0, reason: \"127.0.0.1:2379: connection refused\"}))\nerror: health answered an error: … [MICRO-0707]",
    }
    AUTHOR_SCRIPT 708 "the script cannot be used" {
        meaning: "A script is a text with one call on each line, arguments in WAVE.",
        causes: ["a file that is not there or is empty", "a line that is no call"],
        next: ["write `get-service(\"greeter\")` on a line of its own"],
        example: "error: no call in calls.txt [MICRO-0708]\nnext: write one call on a line: get-service(\"greeter\")",
    }
    AUTHOR_RUN 709 "the plugin cannot be run" {
        meaning: "`micro plugin run` could not watch the folder, start the program, or give the plugin a place in it.",
        causes: ["a folder without `plugin.toml`", "a kind that has no flag", "the program ended by itself"],
        next: ["the message says which", "hand the program's own arguments over behind `--`"],
        example: "error: micro ended with exit status: 1 [MICRO-0709]\nnext: its own error is above",
    }
    AUTHOR_BENCH 710 "there is nothing to measure" {
        meaning: "The kind has no calls that could be made without being told, or the plugin failed or answered errors meanwhile.",
        causes: ["a registry without its backend", "a plugin that traps"],
        next: ["start the backend and name it with `--address`", "name a call with `--call 'NAME(…)'`"],
        example: "error: get-service answered an error: err(unavailable(…)) [MICRO-0710]",
    }
    AUTHOR_TEST 711 "the plugin did not pass its test" {
        meaning: "`micro plugin test` found a rule that the plugin breaks, could not check all that was asked for, or could not begin.",
        causes: ["a defect of the plugin: the report says which rule, and what was expected", "no backend to test against", "an argument of the test that cannot be read"],
        next: ["run the rule that the line below the error names alone, while you correct it", "name a backend that works with `--address`", "`micro plugin test FILE --list` shows the rules"],
        example: "error: mine-registry breaks 2 rules [MICRO-0711]\nnext: run one alone: micro plugin test mine.wasm --case …",
    }
    AUTHOR_NEW 712 "no new plugin was made" {
        meaning: "`micro plugin new` writes a folder with a plugin that works. It wrote nothing.",
        causes: ["the folder is there already", "a name that is none", "a kind that cannot be written in the language"],
        next: ["choose another name or folder: `--dir`", "`micro plugin new --help` lists kinds and languages"],
        example: "error: the folder mine is there already [MICRO-0712]",
    }
    AUTHOR_TOOLS 713 "plugins in this language cannot be built here" {
        meaning: "`micro plugin doctor` looked for the tools that a language needs, and one is missing or too old.",
        causes: ["a compiler that is not installed", "a tool of a version that does not know components"],
        next: ["run the command below the error, which installs the first thing that is missing", "`micro plugin doctor` shows all languages"],
        example: "$ micro plugin doctor --lang python\nerror: plugins in python cannot be built here [MICRO-0713]\nnext: pip install componentize-py",
    }
}
