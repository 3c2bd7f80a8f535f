//! Calls of services.

super::codes! {
    CALL_NO_NODE 401 "there is no node to call" {
        meaning: "The service is not registered, or none of its nodes may be chosen.",
        causes: ["the service does not run", "all nodes are marked critical", "another registry than the service's"],
        next: ["`micro list services` shows what is registered", "`--address HOST:PORT` calls a node directly"],
        example: "error: error calling greeter.Say.Hello: {\"id\":\"go.micro.client\",\"code\":404,\"detail\":\"service greeter: not found\",\"status\":\"Not Found\"} [MICRO-0401]",
    }
    CALL_NO_ENDPOINT 402 "the service has no such endpoint" {
        meaning: "A node was reached and knows no such endpoint, or its handler answered that something does not exist.",
        causes: ["a misspelt endpoint; they are written `Struct.Method`", "an older version of the service"],
        next: ["`micro get service NAME` lists the endpoints"],
        example: "error: error calling greeter.Say.Helo: {\"id\":\"go.micro.server\",\"code\":404,\"detail\":\"unknown service Say.Helo\",\"status\":\"Not Found\"} [MICRO-0402]",
    }
    CALL_TIMEOUT 403 "the service did not answer in time" {
        meaning: "The time of the call was over before an answer was there. The handler may still run.",
        causes: ["a handler that takes longer than the caller waits", "a node that hangs"],
        next: ["give it more time with `--timeout` or `--client_request_timeout`", "`micro health NAME` asks each of its nodes"],
        example: "error: error calling greeter.Say.Wait: {\"id\":\"go.micro.client\",\"code\":408,\"detail\":\"…\",\"status\":\"Request Timeout\"} [MICRO-0403]",
    }
    CALL_UNREACHABLE 404 "the node cannot be reached" {
        meaning: "A node is registered, and no connection to it came about, or the connection broke.",
        causes: ["a process that ended without deregistering", "an address that only means something on the node's own machine", "a firewall"],
        next: ["`micro health NAME` asks each of its nodes", "start the service with `--server_advertise` if its address is not reachable from here"],
        example: "error: error calling greeter.Say.Hello: {\"id\":\"go.micro.client\",\"code\":500,\"detail\":\"connection error: connection refused\",\"status\":\"Internal Server Error\"} [MICRO-0404]",
    }
    CALL_REFUSED 405 "the service refused the call" {
        meaning: "The service answered with 401 or 403: it wants to know who calls, or does not allow it.",
        causes: ["missing or wrong metadata such as `Authorization`", "a filter in front of the service"],
        next: ["hand over what it wants with `--metadata KEY=VALUE`"],
        example: "error: error calling greeter.Say.Refuse: {\"id\":\"greeter\",\"code\":403,\"detail\":\"not you\",\"status\":\"Forbidden\"} [MICRO-0405]",
    }
    CALL_REQUEST 406 "the service does not accept the request" {
        meaning: "The service answered with 400: it cannot make sense of the request.",
        causes: ["fields of other types than the endpoint takes", "JSON for an endpoint that takes something else"],
        next: ["`micro get service NAME` shows what its endpoints take"],
        example: "error: error calling greeter.Say.Hello: {\"id\":\"go.micro.server\",\"code\":400,\"detail\":\"invalid type: integer `1`, expected a string\",\"status\":\"Bad Request\"} [MICRO-0406]",
    }
    CALL_FAILED 407 "the service failed" {
        meaning: "The call reached a handler, and the handler answered with an error.",
        causes: ["the error's `id` says who failed, its `detail` how"],
        next: ["look into the service's log", "`micro stats NAME` shows how often it fails"],
        example: "error: error calling greeter.Say.Hello: {\"id\":\"greeter\",\"code\":500,\"detail\":\"database is away\",\"status\":\"Internal Server Error\"} [MICRO-0407]",
    }
    CALL_ANSWER 408 "the answer is not JSON" {
        meaning: "The call went well, and the answer cannot be shown as text.",
        causes: ["an endpoint that answers bytes"],
        next: ["`--output=raw` prints the bytes as they came"],
        example: "error: the answer is not JSON [MICRO-0408]\nnext: --output=raw prints the bytes as they came",
    }
    NODES_UNWELL 409 "some nodes of the service are not well" {
        meaning: "Each node was asked, and at least one did not answer as it should. The answers are on standard output.",
        causes: ["a node that hangs or has ended", "a node that says itself that it is not well"],
        next: ["look at the status of each node above the error, and at the node's log"],
        example: "$ micro health greeter\n…\nerror: 1 of 2 nodes is not well [MICRO-0409]\nnext: look at the status above, and at the log of the node",
    }
    CALL_DEFINITIONS 410 "it is not known what the gRPC method takes" {
        meaning: "The node is called in gRPC and takes protobuf; JSON can be converted only when its definitions are known.",
        causes: ["the server offers no reflection", "the node takes JSON as it is, and nothing says so", "the method is a stream"],
        next: ["give the definitions with `--proto FILE` or `--descriptor_set FILE`", "`--protocol=grpc+json`, or a rule `--service_protocol NAME=grpc+json`, for nodes that take JSON"],
        example: "error: error calling pets.Store.Add: {\"id\":\"go.micro.client.codec\",\"code\":501,\"detail\":\"cannot convert JSON for pets-1 at 127.0.0.1:50051: it offers no reflection; …\",\"status\":\"Not Implemented\"} [MICRO-0410]",
    }
}
