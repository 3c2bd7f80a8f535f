//! Envelopes as Go Micro programs of several versions write them, and envelopes that nobody should write.

mod hostile;
mod round_trip;

use jsonrpc_core::{Error, Role, open};

/// `(id, endpoint, error, value)` of a message.
type Parts = (String, String, String, String);

fn parts(role: Role, message: &str) -> Result<Parts, Error> {
    let mut extra = b"left over".to_vec();
    let opened = open(role, message.as_bytes(), &mut extra)?;
    let part = |part: jsonrpc_core::Part| {
        let bytes = part.of(message.as_bytes(), &extra).expect("inside");
        String::from_utf8(bytes.to_vec()).expect("UTF-8")
    };
    Ok((part(opened.id), part(opened.endpoint), part(opened.error), part(opened.value)))
}

fn check(role: Role, message: &str, [id, endpoint, error, value]: [&str; 4]) {
    let expected = (id.to_owned(), endpoint.to_owned(), error.to_owned(), value.to_owned());
    assert_eq!(parts(role, message), Ok(expected), "{message}");
}

#[test]
fn requests_of_go_micro() {
    for (message, expected) in [
        // 2016, and the order that v4 writes.
        (
            "{\"method\":\"Greeter.Hello\",\"params\":[{\"name\":\"John\"}],\"id\":0}\n",
            ["0", "Greeter.Hello", "", "{\"name\":\"John\"}"],
        ),
        (
            "{\"params\":[{\"name\":\"John\"}],\"id\":\"1\",\"method\":\"Greeter.Hello\"}\n",
            ["\"1\"", "Greeter.Hello", "", "{\"name\":\"John\"}"],
        ),
    ] {
        check(Role::Request, message, expected);
    }
}

#[test]
fn requests_of_others() {
    for (message, expected) in [
        (r#"{}"#, ["", "", "", ""]),
        (r#"{"name":"John"}"#, ["", "", "", ""]),
        (r#"{"METHOD":"A.B","Params":[ 1 ],"Id":null}"#, ["", "A.B", "", "1"]),
        (
            r#"{"jsonrpc":"2.0","method":"A.B","params":{"a":[1]},"id":[1,"x"]}"#,
            ["[1,\"x\"]", "A.B", "", "{\"a\":[1]}"],
        ),
        (
            r#"{"method":"A.B","params":[],"id":12345678901234567890}"#,
            ["12345678901234567890", "A.B", "", ""],
        ),
        (r#"{"method":"A.B","params":null}"#, ["", "A.B", "", ""]),
        (r#"{"method":null,"params":"x"}"#, ["", "", "", "\"x\""]),
        (r#"{"method":"A.B","params":[null],"result":1,"error":2}"#, ["", "A.B", "", "null"]),
        (
            r#"{"\u006dethod":"A\u002eB","par\u0061ms":["\uD83D\uDE00"]}"#,
            ["", "A.B", "", r#""\uD83D\uDE00""#],
        ),
        (r#"{"method":"Größe.\"\\\n"}"#, ["", "Größe.\"\\\n", "", ""]),
    ] {
        check(Role::Request, message, expected);
    }
}

#[test]
fn responses_of_go_micro() {
    for (message, expected) in [
        (
            "{\"id\":0,\"result\":{\"msg\":\"hi John\"},\"error\":null}\n",
            ["0", "", "", "{\"msg\":\"hi John\"}"],
        ),
        (
            "{\"id\":1,\"result\":{},\"error\":\"rpc: can't find method Greeter.Nope\"}\n",
            ["1", "", "rpc: can't find method Greeter.Nope", "{}"],
        ),
        ("{\"id\":\"\",\"result\":null,\"error\":\"boom\"}", ["\"\"", "", "boom", "null"]),
        (
            "{\"id\":null,\"result\":{},\"error\":\"rpc: service/method request ill-formed: \"}",
            ["", "", "rpc: service/method request ill-formed: ", "{}"],
        ),
        (
            r#"{"id":3,"result":{},"error":"{\"id\":\"x\",\"code\":409,\"detail\":\"\uD83D\uDE00\",\"status\":\"\"}"}"#,
            ["3", "", r#"{"id":"x","code":409,"detail":"😀","status":""}"#, "{}"],
        ),
    ] {
        check(Role::Response, message, expected);
    }
}

#[test]
fn responses_of_others() {
    for (message, expected) in [
        (r#"{"jsonrpc":"2.0","result":19,"id":1}"#, ["1", "", "", "19"]),
        (
            r#"{"jsonrpc":"2.0","error":{"code":-32601,"message":"no"},"id":1}"#,
            ["1", "", r#"{"code":-32601,"message":"no"}"#, ""],
        ),
        (r#"{"result":null,"error":null}"#, ["", "", "", "null"]),
        (r#"{"error":""}"#, ["", "", "unspecified error", ""]),
        (r#"{"error":false}"#, ["", "", "false", ""]),
        (r#"{"result":{"a":"\u0041"},"method":1}"#, ["", "", "", r#"{"a":"\u0041"}"#]),
    ] {
        check(Role::Response, message, expected);
    }
}
