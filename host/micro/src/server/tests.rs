use super::*;
use crate::context::Context;
use crate::rpc::RpcHead;
use std::sync::Mutex;
use tower::Service as _;

fn echo() -> Handler {
    Handler::new("Echo")
        .json("Upper", |_cx: Context, text: String| async move { Ok(text.to_uppercase()) })
        .json(
            "Who",
            |cx: Context, (): ()| async move { Ok(cx.metadata("caller").unwrap_or("nobody").to_owned()) },
        )
        .json("Fail", |_cx: Context, (): ()| async { Err::<(), _>(Error::conflict("echo", "no")) })
        .json("Panic", |_cx: Context, (): ()| async { if true { panic!("on purpose") } else { Ok(()) } })
        .json("Hang", |_cx: Context, (): ()| async { std::future::pending::<Result<(), Error>>().await })
}

async fn ask(
    server: &Server,
    endpoint: &str,
    body: &'static str,
    more: &[(&str, &str)],
) -> Result<String, Error> {
    let mut headers: micro_core::Headers =
        [("Content-Type", "application/json"), ("Micro-Id", "7")].into_iter().collect();
    headers.append("Micro-Endpoint", endpoint);
    headers.extend(more.iter().copied());
    let answer = server.message(Message { headers, body: Bytes::from_static(body.as_bytes()) }, None).await;
    match answer.headers.get("Micro-Error") {
        Some(error) => Err(Error::parse(error)),
        None => {
            assert_eq!(answer.headers.get("Micro-Id"), Some("7"));
            assert_eq!(answer.headers.get("Content-Type"), Some("application/json"));
            Ok(String::from_utf8_lossy(&answer.body).trim_end().to_owned())
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_request_gets_an_answer() {
    let server = Server::builder().handler(echo()).build();
    assert_eq!(ask(&server, "Echo.Upper", "\"a\"", &[]).await.as_deref(), Ok("\"A\""));
    assert_eq!(ask(&server, "Echo.Who", "null", &[("Caller", "me")]).await.as_deref(), Ok("\"me\""));
    assert_eq!(ask(&server, "Debug.Health", "", &[]).await.as_deref(), Ok(r#"{"status":"ok"}"#));

    let failures = [
        ("Echo.Fail", "null", 409, "no"),
        ("Echo.Panic", "null", 500, "on purpose"),
        ("Echo.Upper", "{", 400, "malformed JSON"),
        ("Echo.Nope", "null", 404, "can't find method Nope"),
        ("Nope.Upper", "null", 404, "can't find service Nope"),
        ("", "null", 400, "Micro-Endpoint"),
        ("Echo", "null", 400, "ill-formed: Echo"),
    ];
    for (endpoint, body, code, detail) in failures {
        let error = ask(&server, endpoint, body, &[]).await.expect_err(endpoint);
        assert_eq!(error.code, code, "{endpoint}: {error}");
        assert!(error.detail.contains(detail), "{endpoint}: {error}");
    }
    let late = ask(&server, "Echo.Hang", "null", &[("Timeout", "1000000000")]).await.expect_err("late");
    assert_eq!(late.code, 408);
    assert_eq!(server.stats().requests_and_errors(), (11, 8));
}

#[tokio::test]
async fn other_content_types_are_refused_with_the_ones_that_work() {
    let server = Server::builder().handler(echo()).build();
    let headers = [("Content-Type", "text/plain"), ("Micro-Endpoint", "Echo.Upper")].into_iter().collect();
    let answer = server.message(Message { headers, body: Bytes::new() }, None).await;
    let error = Error::parse(answer.headers.get("Micro-Error").expect("refused"));
    assert_eq!(error.code, 415);
    assert!(error.detail.contains("application/json"), "{error}");
}

#[derive(Clone)]
struct Tag(&'static str, Arc<Mutex<Vec<String>>>);

impl tower::Layer<RpcService> for Tag {
    type Service = RpcService;

    fn layer(&self, inner: RpcService) -> RpcService {
        let Tag(name, seen) = self.clone();
        RpcService::new(tower::service_fn(move |request: RpcRequest| {
            seen.lock().expect("no panic while held").push(format!("{name} {}", request.head.endpoint));
            let mut inner = inner.clone();
            async move { inner.call(request).await }
        }))
    }
}

#[tokio::test]
async fn the_first_layer_is_the_outermost_and_layers_see_unknown_endpoints_too() {
    let seen = Arc::<Mutex<Vec<String>>>::default();
    let server =
        Server::builder().layer(Tag("a", seen.clone())).layer(Tag("b", seen.clone())).handler(echo()).build();
    ask(&server, "Echo.Upper", "\"x\"", &[]).await.expect("an answer");
    ask(&server, "Echo.Nope", "\"x\"", &[]).await.expect_err("unknown");
    assert_eq!(*seen.lock().expect("free"), ["a Echo.Upper", "b Echo.Upper", "a Echo.Nope", "b Echo.Nope"]);
}

#[tokio::test]
async fn a_stream_of_one_message_is_answered_like_a_unary_call() {
    let server = Server::builder().handler(echo()).build();
    let head = RpcHead {
        endpoint: "Echo.Upper".to_owned(),
        content_type: "application/json".to_owned(),
        ..RpcHead::default()
    };
    let body = Body::Stream(Box::pin(futures::stream::iter([Ok(Bytes::from_static(b"\"a\""))])));
    let answer = server.call(RpcRequest { head, body }).await.expect("an answer");
    assert_eq!(answer.body.into_unary().await.expect("one message"), "\"A\"\n");
}

/// An answer as callers of the oldest versions see it: its content type, its error header, its body.
async fn raw(headers: &[(&str, &str)], body: &[u8]) -> (String, Option<Error>, Bytes) {
    let server = Server::builder().handler(echo()).build();
    let headers = headers.iter().copied().collect();
    let answer = server.message(Message { headers, body: Bytes::copy_from_slice(body) }, None).await;
    let header = |name| answer.headers.get(name).map(str::to_owned);
    (
        header("Content-Type").unwrap_or_default(),
        header("Micro-Error").as_deref().map(Error::parse),
        answer.body,
    )
}

#[tokio::test]
async fn calls_without_headers_are_envelopes_and_so_are_their_answers() {
    for (content_type, id) in [
        ("application/json", "0"),
        ("application/json-rpc", "\"a\""),
        ("application/json; x=y", "[1]"),
        ("application/json", "null"),
    ] {
        let call = format!("{{\"method\":\"Echo.Upper\",\"params\":[\"a\"],\"id\":{id}}}\n");
        let (answered, error, body) = raw(&[("Content-Type", content_type)], call.as_bytes()).await;
        assert_eq!((&*answered, error), (content_type, None));
        assert_eq!(body, format!("{{\"id\":{id},\"result\":\"A\",\"error\":null}}\n"), "{content_type}");
    }
    // `Debug.Health` with sequence 5, and an unknown method.
    let call = b"\0\0\0\x17\n\x0cDebug.Health\x11\x05\0\0\0\0\0\0\0\0\0\0\0";
    for content_type in ["application/protobuf", "application/proto-rpc", "application/octet-stream"] {
        let (answered, error, body) = raw(&[("Content-Type", content_type)], call).await;
        assert_eq!((&*answered, error), (content_type, None));
        let expected = b"\0\0\0\x19\n\x0cDebug.Health\x11\x05\0\0\0\0\0\0\0\x1a\0\0\0\0\x04\n\x02ok";
        assert_eq!(&body[..], expected, "{content_type}");
    }
}

#[tokio::test]
async fn errors_stand_in_the_envelope_and_in_the_header() {
    for (call, code, detail) in [
        (r#"{"method":"Echo.Fail","params":[null],"id":7}"#, 409, "no"),
        (r#"{"method":"Echo.Nope","params":[null],"id":7}"#, 404, "rpc: can't find method Nope"),
        (r#"{"method":"Nope.Upper","params":[null],"id":7}"#, 404, "rpc: can't find service Nope"),
        (r#"{"method":"Echo","params":[null],"id":7}"#, 400, "rpc: service/method request ill-formed: Echo"),
        (r#"{"method":"Echo.Upper","params":[1],"id":7}"#, 400, "malformed JSON"),
        (r#"{"name":"John","id":7}"#, 400, "rpc: service/method request ill-formed"),
    ] {
        let (_, header, body) = raw(&[("Content-Type", "application/json")], call.as_bytes()).await;
        let header = header.expect("an error");
        assert_eq!(header.code, code, "{call}: {header}");
        assert!(header.detail.contains(detail), "{call}: {header}");
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(
            (&body["id"], &body["result"]),
            (&serde_json::json!(7), &serde_json::Value::Null),
            "{call}"
        );
        assert_eq!(Error::parse(body["error"].as_str().expect("a text")), header, "{call}");
    }
}

#[tokio::test]
async fn bodies_that_are_no_envelopes_are_answered_too() {
    for (content_type, call) in [
        ("application/json", &b"[1]"[..]),
        ("application/protobuf", b"\n\x04John"),
        ("application/json-rpc", b"{"),
    ] {
        let (answered, header, body) = raw(&[("Content-Type", content_type)], call).await;
        let header = header.expect("an error");
        assert_eq!((&*answered, header.code), (content_type, 400));
        assert!(header.detail.starts_with("rpc: router cannot decode request: "), "{header}");
        assert!(header.detail.contains("Micro-Endpoint"), "{header}");
        assert!(!body.is_empty());
    }
    let (_, header, body) = raw(&[], b"").await;
    assert!(header.expect("an error").detail.contains("Micro-Endpoint"));
    assert!(body.is_empty());
}

/// `go-micro-wire` §2.2, with a JSON body that is an envelope and a value at once.
#[tokio::test]
async fn headers_decide_which_protocol_it_is() {
    let handler = Handler::new("Echo").json("Has", |_cx: Context, value: serde_json::Value| async move {
        Ok(value.get("method").is_some())
    });
    let server = Server::builder().handler(handler).build();
    let call = r#"{"method":"Echo.Has","params":[{}],"id":1}"#;
    for (headers, bare) in [
        (&[("Micro-Protocol", "mucp"), ("Micro-Endpoint", "Echo.Has")][..], true),
        (&[("Micro-Protocol", "mucp"), ("Micro-Target", "x"), ("Micro-Endpoint", "Echo.Has")], true),
        (&[], false),
        (&[("X-Micro-Target", "echo"), ("X-Micro-Method", "Echo.Has")], false),
        (&[("Micro-Target", "echo"), ("Micro-Endpoint", "Other.Call")], false),
        (&[("Micro-Service", "echo"), ("X-Micro-Method", "Echo.Has")], true),
    ] {
        let mut headers: micro_core::Headers = headers.iter().copied().collect();
        headers.append("Content-Type", "application/json");
        let shown = format!("{headers:?}");
        let answer =
            server.message(Message { headers, body: Bytes::from_static(call.as_bytes()) }, None).await;
        let expected = if bare { "true\n" } else { "{\"id\":1,\"result\":false,\"error\":null}\n" };
        assert_eq!(answer.body, expected, "{shown}");
    }
    // Newer Go clients name the endpoint in both places.
    let headers =
        [("Micro-Endpoint", "Echo.Has"), ("Content-Type", "application/json-rpc"), ("Micro-Id", "1")];
    let message =
        Message { headers: headers.into_iter().collect(), body: Bytes::from_static(call.as_bytes()) };
    let answer = server.message(message, None).await;
    assert_eq!(answer.body, "{\"id\":1,\"result\":false,\"error\":null}\n");
    assert_eq!(answer.headers.get("Micro-Id"), Some("1"));
}
