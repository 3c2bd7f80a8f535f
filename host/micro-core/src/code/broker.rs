//! What brokers answer.

super::codes! {
    BROKER_DENIED 801 "the broker denied it" {
        meaning: "The broker's server refused: it wants to know who asks, or does not allow it.",
        causes: ["missing or wrong credentials", "rights that the credentials do not carry"],
        next: ["check the broker's options", "`--log_level=debug` shows what was refused"],
        example: "error: broker http denied it: registry consul denied it: permission denied [MICRO-0801]",
    }
    BROKER_UNAVAILABLE 802 "the broker cannot be reached" {
        meaning: "No answer came from where subscribers are found, or from the broker's servers.",
        causes: ["the registry of the http broker is down", "a wrong address"],
        next: ["`micro list services` shows whether the registry answers", "check `--broker`, `--registry` and their addresses"],
        example: "error: broker http is unavailable: registry etcd is unavailable: connection refused [MICRO-0802]",
    }
    BROKER_INVALID 803 "the broker does not accept it" {
        meaning: "The topic, an option or the message cannot be used with this broker.",
        causes: ["an empty topic", "a header whose value is no text"],
        next: ["the error says what is wrong"],
        example: "error: broker http does not accept it: the topic is empty [MICRO-0803]",
    }
    BROKER_UNDELIVERED 804 "subscribers did not get the event" {
        meaning: "The topic has subscribers, and at least one queue of them, or all that are in no queue, could not be reached.",
        causes: ["a process that ended without unsubscribing; its record ends within a minute", "an address that only means something on the subscriber's own machine", "a firewall"],
        next: ["publish again later", "`micro get service micro.http.broker` shows who subscribes, and where"],
        example: "error: 1 of 1 subscribers of topic \"orders\" did not get it: 10.0.0.7:34567: cannot connect to 10.0.0.7:34567 at 10.0.0.7:34567: connection refused [MICRO-0804]",
    }
    BROKER_TIMEOUT 805 "the broker did not answer in time" {
        meaning: "The time was over before the broker, or a subscriber's handler, was done.",
        causes: ["handlers that take long", "a server that hangs"],
        next: ["give it more time with `--client_request_timeout`"],
        example: "error: broker http did not answer within 5s [MICRO-0805]",
    }
    BROKER_FAILED 806 "the broker failed" {
        meaning: "The broker answered with an error that fits none of the other codes.",
        causes: ["see the error's own words"],
        next: ["`--log_level=debug` shows more"],
        example: "error: broker http failed: … [MICRO-0806]",
    }
    BROKER_KIND 807 "there are no broker plugins yet" {
        meaning: "`--broker` names a file or a plugin. Brokers are parts of the program so far: http and memory.",
        causes: ["a name that is not http or memory", "a `.wasm` file"],
        next: ["use `--broker=http`, which finds subscribers in the registry and needs no server"],
        example: "error: nats is no broker of this program, and there is no plugin kind for brokers yet: use http or memory [MICRO-0807]",
    }
}
