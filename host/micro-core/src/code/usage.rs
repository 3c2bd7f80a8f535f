//! The command line and its input and output.

super::codes! {
    COMMAND_LINE 1 "the command line is not understood" {
        meaning: "A flag or an argument is unknown, is missing, or has a value of another form than the command takes. Nothing was done.",
        causes: ["a misspelt flag", "a flag of another command", "a value without the quotes that the shell needs", "an environment variable `MICRO_…` with a value that its flag would not take"],
        next: ["read the usage line below the error", "`micro COMMAND --help` lists what the command takes", "write `--` in front of arguments that begin with a dash"],
        example: "$ micro get service --regsitry=etcd greeter\nerror: unexpected argument '--regsitry' found [MICRO-0001]",
    }
    COMMAND_UNKNOWN 2 "there is no such command" {
        meaning: "The first word is no command of this version of the toolkit.",
        causes: ["a misspelt command", "a command of another version of Micro"],
        next: ["`micro --help` lists the commands", "the line below the error names commands that look alike"],
        example: "$ micro lst services\nerror: Unrecognized micro command: lst. Please refer to 'micro --help' [MICRO-0002]\nnext: did you mean list?",
    }
    ARGUMENT_MISSING 3 "an argument is missing" {
        meaning: "The command needs to be told which service, endpoint or definition is meant.",
        causes: ["the command was typed without its arguments", "a variable of a script is empty"],
        next: ["the line below the error shows the whole command", "`micro COMMAND --help` explains each argument"],
        example: "$ micro get service\nerror: service required [MICRO-0003]\nnext: micro get service NAME",
    }
    VALUE 4 "a value cannot be read" {
        meaning: "A text that the command was given is not of the form that it has to be: no JSON, no `key=value`, no code, no level.",
        causes: ["JSON whose quotes were taken away by the shell", "a pair without `=`"],
        next: ["put JSON into single quotes: `'{\"name\": \"John\"}'`", "the line below the error shows the form"],
        example: "$ micro call greeter Say.Hello {\"name\": \"John\"}\nerror: key must be a string at line 1 column 2 [MICRO-0004]\nnext: write the request as JSON: micro call go.micro.srv.greeter Say.Hello '{\"name\": \"John\"}'",
    }
    OUTPUT 5 "the answer cannot be written" {
        meaning: "The command was carried out, and standard output did not take the answer.",
        causes: ["a full disk behind a redirection", "a closed descriptor"],
        next: ["check where standard output goes", "repeat the command: those that only ask change nothing"],
        example: "$ micro list services > /dev/full\nerror: No space left on device (os error 28) [MICRO-0005]\nnext: standard output cannot be written to: check where it goes",
    }
    OUTPUT_FORM 6 "this command has no such form of output" {
        meaning: "`--output=raw` hands on the bytes that a service answered, `--output=junit` is the report of a conformance test; other commands have text and JSON only.",
        causes: ["`--output=raw`, or `MICRO_OUTPUT=raw` in the environment, with another command than `micro call`", "`--output=junit` with another command than `micro plugin test`"],
        next: ["use `--output=json` for programs", "use `--output=text` for people"],
        example: "$ micro list services --output=raw\nerror: --output=raw is for micro call and micro stream [MICRO-0006]\nnext: use --output=json or --output=text",
    }
    UNEXPECTED 7 "something failed that has no code of its own" {
        meaning: "The operating system or a part of the program failed in a way that is not a matter of what was typed.",
        causes: ["no memory, no file descriptors, no threads", "a folder that went away while the command ran"],
        next: ["the text says which operation failed and why", "repeat it with `--log_level=debug`"],
        example: "error: cannot start a thread: Resource temporarily unavailable (os error 11) [MICRO-0007]\nnext: add --log_level=debug to see more",
    }
}
