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
