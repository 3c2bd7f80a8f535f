//! Services and gateways that do not start.

super::codes! {
    LISTEN 601 "the address cannot be listened on" {
        meaning: "A service or a gateway could not take its address.",
        causes: ["another process has it", "a port below 1024 without the right to it", "an address that this machine does not have"],
        next: ["choose another address with `--server_address` or `--api_address`", "`:0` takes any free port"],
        example: "$ micro api\nerror: cannot listen on :8080: Address already in use (os error 98) [MICRO-0601]\nnext: choose another address with --api_address",
    }
    TLS 602 "the TLS files cannot be used" {
        meaning: "A certificate, key or list of authorities is missing, cannot be read, or does not fit to the others.",
        causes: ["a key that belongs to another certificate", "files that are not PEM", "TLS files without `--enable_tls`"],
        next: ["correct `--tls_cert_file`, `--tls_key_file`, `--tls_client_ca_file`"],
        example: "error: TLS files without --enable_tls: nothing would be encrypted [MICRO-0602]\nnext: add --enable_tls",
    }
    CORS 603 "the CORS settings cannot be used" {
        meaning: "An origin, a method or a header name for browsers is not one.",
        causes: ["an origin without scheme", "a name with spaces"],
        next: ["write origins as `https://host:port`"],
        example: "error: \"example.com\" is no origin [MICRO-0603]\nnext: correct --api_cors: scheme://host:port, or *",
    }
    PROXIES 604 "the settings about proxies cannot be used" {
        meaning: "A trusted proxy is no address or network, or the PROXY protocol is expected from nobody.",
        causes: ["a host name where an address is wanted", "`--proxy_protocol` without `--trusted_proxies`"],
        next: ["write addresses or networks: `10.0.0.0/8`"],
        example: "error: \"proxy.local\" is neither an address nor a network [MICRO-0604]\nnext: correct --trusted_proxies",
    }
    HANDLER 605 "the gateway has no such handler" {
        meaning: "The API gateway serves requests in one of the ways meta, api, rpc, http, proxy and web.",
        causes: ["a misspelt `--api_handler`", "a handler of a later version"],
        next: ["choose one with `--api_handler`"],
        example: "error: no handler \"grpc\" [MICRO-0605]\nnext: choose one with --api_handler",
    }
    SETTINGS 606 "settings that do not go together" {
        meaning: "Each flag makes sense, and together they do not, or a setting of the service has a wrong value.",
        causes: ["the message names the flags"],
        next: ["leave out one of them", "`micro COMMAND --help` explains each"],
        example: "error: --rpc_allow without --enable_rpc: /rpc is not served [MICRO-0606]",
    }
    START 607 "the service cannot start" {
        meaning: "Its admin pages could not be served, or one of its own hooks failed.",
        causes: ["an `--admin_address` that another process has", "a hook that says no"],
        next: ["the causes behind the first line say which"],
        example: "error: service \"greeter\" cannot serve its admin pages: … [MICRO-0607]",
    }
}
