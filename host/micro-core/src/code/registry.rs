//! What registries answer.

super::codes! {
    REGISTRY_DENIED 301 "the registry denied it" {
        meaning: "The backend, or the host's own policy, refused. It does not heal by itself.",
        causes: ["wrong or missing credentials", "an account without the right to write", "a server that the plugin may not connect to"],
        next: ["check user, password, token, certificate", "`micro plugin ps` shows permissions that were denied"],
        example: "error: registry etcd denied it: authentication failed, invalid user ID or password [MICRO-0301]\nnext: allow it with --registry_allow, or check the credentials",
    }
    REGISTRY_UNAVAILABLE 302 "the registry cannot be reached" {
        meaning: "No server of the backend answered, or it says that it cannot. Later may work; services keep trying and go on with what they know.",
        causes: ["the server does not run", "a wrong address or port", "a network or firewall between"],
        next: ["check that it runs at the address that the message names", "name another one with `--registry_address`"],
        example: "$ micro --registry=etcd list services\nerror: registry etcd is unavailable: 127.0.0.1:2379: connection refused [MICRO-0302]\nnext: check that it runs at 127.0.0.1:2379, or name another one with --registry and --registry_address",
    }
    REGISTRY_INVALID 303 "the registry does not accept it" {
        meaning: "The request itself is wrong for this backend. Trying again does not help.",
        causes: ["a name with characters that the backend does not take", "a record that is too large"],
        next: ["correct what the message names"],
        example: "error: registry etcd does not accept it: a service needs a name [MICRO-0303]",
    }
    REGISTRY_CONFLICT 304 "somebody else changed the same record" {
        meaning: "Two processes wrote the same thing at the same time, and the other one was first.",
        causes: ["two nodes with the same id"],
        next: ["read again, then try again", "give each node an id of its own (`--server_id`)"],
        example: "error: registry etcd has a conflict: greeter-1 was changed meanwhile [MICRO-0304]",
    }
    REGISTRY_TIMEOUT 305 "the registry did not answer in time" {
        meaning: "The backend took the request and did not answer within the time of the call.",
        causes: ["a server that is overloaded or loses its quorum", "a network that drops packets"],
        next: ["look at the server", "give it more time with `--client_request_timeout`"],
        example: "error: registry etcd did not answer within 5s [MICRO-0305]",
    }
    REGISTRY_PLUGIN 306 "the registry plugin failed" {
        meaning: "The plugin itself failed, not its backend: it trapped, ignored its deadline, broke its contract, or is in quarantine. A fresh instance takes over.",
        causes: ["a defect of the plugin", "records in the backend that it cannot digest"],
        next: ["`micro plugin ps` shows the last error with the guest's stack", "`micro plugin call FILE … --trace` repeats the call outside of service"],
        example: "error: registry plugin x failed: it trapped: wasm `unreachable` instruction executed [MICRO-0306]",
    }
    REGISTRY_OTHER 307 "the registry failed" {
        meaning: "The backend answered with an error that has no case of its own.",
        causes: ["the message is the backend's own words"],
        next: ["look into the server's log", "`--log_level=debug` shows more"],
        example: "error: registry etcd failed: HTTP 500 [MICRO-0307]",
    }
    SERVICE_NOT_FOUND 308 "no such service is registered" {
        meaning: "The registry answered, and knows nothing under this name.",
        causes: ["a misspelt name, or one without its namespace", "the service does not run, or its registration ran out", "the service uses another registry"],
        next: ["`micro list services` shows what is registered there", "`--registry` and `--registry_address` look elsewhere"],
        example: "$ micro get service greter\nerror: Service not found [MICRO-0308]\nnext: micro list services shows what is registered in …; --registry looks elsewhere",
    }
}
