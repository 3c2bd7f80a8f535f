//! The gateway in front of a real service on a real port.

use super::message::{Pair, Request as HttpRequest, Response as HttpResponse};
use super::*;
use crate::rpc::AllowList;
use http_body_util::BodyExt;
use micro::registry::MemoryRegistry;
use micro::{Context, Format, Handler, Json, Payload, RunningService, Service};
use micro_net::http_server::Peer;
use micro_test::eventually;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use tower::ServiceExt;

/// A gateway and the service behind it.
struct World {
    registry: MemoryRegistry,
    service: RunningService,
}

impl World {
    /// `go.micro.api.greeter` with an endpoint of each kind.
    async fn start() -> Self {
        let registry = MemoryRegistry::new();
        let service = Service::builder("go.micro.api.greeter")
            .registry(registry.clone())
            .address("127.0.0.1:0")
            .handle_signals(false)
            .drain_delay(Duration::ZERO)
            .handler(greeter())
            .handler(http_greeter())
            .build()
            .await
            .expect("builds")
            .start()
            .await
            .expect("starts");
        Self { registry, service }
    }

    fn gateway(&self) -> ApiBuilder {
        Api::builder(Client::builder(Arc::new(self.registry.clone())).build())
    }
}

fn greeter() -> Handler {
    let hello = |cx: Context, request: Value| async move {
        let names = ["X-Request-Id", "X-Forwarded-For", "Micro-Endpoint", "X-Micro-Admin", "Timeout"];
        let seen: Vec<_> = names.iter().filter(|name| cx.metadata(name).is_some()).collect();
        Ok(json!({ "request": request, "seen": seen }))
    };
    Handler::new("Greeter")
        .json("Hello", hello)
        .json("Refuse", |_cx, _: Value| async { Err::<(), _>(Error::forbidden("greeter", "not you")) })
        .json("Boom", |_cx, _: Value| async { Err::<(), _>(Error::parse("boom")) })
        .json("Hang", |_cx, _: Value| async { std::future::pending::<Result<(), Error>>().await })
        .json(
            "Deadline",
            |cx: Context, _: Value| async move { Ok(cx.remaining().map(|it| it.as_secs_f64())) },
        )
        .json("Routed", hello)
        .endpoint_metadata("Routed", "handler", "rpc")
        .endpoint_metadata("Routed", "path", "/hello/{name}, /bye")
        .endpoint_metadata("Routed", "method", "GET,PUT")
        .json("Event", |_cx, _: Value| async { Ok(()) })
        .endpoint_metadata("Event", "handler", "event")
}

/// Handlers of the kind `api`: one that reads protobuf, one that reads JSON only.
fn http_greeter() -> Handler {
    let answer = |request: HttpRequest| HttpResponse {
        status_code: 201,
        header: [("X-Method".to_owned(), Pair { key: "X-Method".to_owned(), values: vec![request.method] })]
            .into(),
        body: format!(
            "{}|{}|{:?}",
            request.path,
            request.body,
            request.get.get("q").map(|pair| &pair.values)
        ),
    };
    let (request, response) = (HttpRequest::shape(), HttpResponse::shape());
    Handler::new("Http")
        .unary("Both", request.clone(), response.clone(), move |_cx, request: HttpRequest| async move {
            Ok(answer(request))
        })
        .unary("Json", request, response, move |_cx, Json(request): Json<HttpRequest>| async move {
            Ok(Json(answer(request)))
        })
}

/// Sends a request; the answer's status, content type and body.
async fn ask(api: &Api, request: http::request::Builder, body: &'static str) -> (u16, String, String) {
    let (status, headers, body) = ask_all(api, request, body).await;
    let content_type = headers.get("content-type").map(|value| value.to_str().expect("text").to_owned());
    (status, content_type.unwrap_or_default(), body)
}

async fn ask_all(
    api: &Api,
    request: http::request::Builder,
    body: &'static str,
) -> (u16, http::HeaderMap, String) {
    let addr: SocketAddr = "10.0.0.1:7".parse().expect("an address");
    let request = request
        .extension(Peer { addr, local: addr, secure: false })
        .body(axum::body::Body::from(body))
        .expect("valid");
    let response = api.router().oneshot(request).await.expect("never fails");
    let (head, body) = response.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    (head.status.as_u16(), head.headers, String::from_utf8_lossy(&body).into_owned())
}

fn get(uri: &str) -> http::request::Builder {
    http::Request::get(uri)
}

fn post(uri: &str) -> http::request::Builder {
    http::Request::post(uri).header("content-type", "application/json")
}

/// The error object of an answer.
fn error((status, content_type, body): (u16, String, String)) -> (u16, Error) {
    assert_eq!(content_type, "application/json", "{body}");
    (status, serde_json::from_str(&body).expect("an error object"))
}

#[tokio::test]
async fn paths_become_calls() {
    let world = World::start().await;
    let api = world.gateway().build();
    for (request, body, expected) in [
        (post("/greeter/hello"), r#"{"n":12345678901234567890}"#, r#"{"n":12345678901234567890}"#),
        (post("/greeter/greeter/hello"), "", "{}"),
        (get("/greeter/hello?a=1&b[c]=x"), "", r#"{"a":1,"b":{"c":"x"}}"#),
        (get("/greeter/hello"), "", "{}"),
        (post("/greeter/hello?a=1&b=2"), r#"{"b":3}"#, r#"{"a":1,"b":3}"#),
        (http::Request::put("/greeter/hello"), r#"{"a":1}"#, r#"{"a":1}"#),
        (
            http::Request::delete("/greeter/hello").header("content-type", "text/plain"),
            r#"{"a":1}"#,
            r#"{"a":1}"#,
        ),
        (
            http::Request::post("/greeter/hello").header("content-type", "application/x-www-form-urlencoded"),
            "a=1&b=x+y",
            r#"{"a":"1","b":"x y"}"#,
        ),
    ] {
        let uri = request.uri_ref().expect("valid").to_string();
        let (status, content_type, answer) = ask(&api, request, body).await;
        assert_eq!((status, &*content_type), (200, "application/json"), "{uri}: {answer}");
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        assert_eq!(answer["request"].to_string(), expected, "{uri}");
    }
    world.service.stop().await.expect("stops");
}

#[tokio::test]
async fn header_fields_become_metadata_but_never_protocol() {
    let world = World::start().await;
    let api = world.gateway().build();
    let request = post("/greeter/hello")
        .header("x-request-id", "7")
        .header("micro-endpoint", "Greeter.Refuse")
        .header("micro-error", "forged")
        .header("x-micro-admin", "1")
        .header("timeout", "2");
    let (status, _, answer) = ask(&api, request, "{}").await;
    assert_eq!(status, 200, "{answer}");
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    // The last two are the protocol's own: the endpoint asked for, and the time that is left.
    assert_eq!(answer["seen"], json!(["X-Request-Id", "X-Forwarded-For", "Micro-Endpoint", "Timeout"]));
    world.service.stop().await.expect("stops");
}

#[tokio::test]
async fn errors_become_statuses_with_an_error_object() {
    let world = World::start().await;
    let api = world.gateway().build();
    let refused = error(ask(&api, post("/greeter/refuse"), "{}").await);
    assert_eq!(refused, (403, Error::forbidden("greeter", "not you")));
    let boom = error(ask(&api, post("/greeter/boom"), "{}").await);
    assert_eq!(boom, (500, Error::internal("go.micro.api", "error during request: boom")));
    let (status, unknown) = error(ask(&api, post("/nobody/hello"), "{}").await);
    assert_eq!((status, unknown.id.as_str()), (404, "go.micro.client"));
    assert!(
        unknown.detail.contains("go.micro.api.nobody") && unknown.detail.contains("Nobody.Hello"),
        "{unknown}"
    );
    assert_eq!(error(ask(&api, post("/greeter/nope"), "{}").await).0, 404);
    assert_eq!(error(ask(&api, post("/greeter/hello"), "{").await).0, 400);
    assert_eq!(error(ask(&api, post("/greeter/hello?a=1"), "{").await).0, 400);
    assert_eq!(error(ask(&api, get("/greeter/hello?a[=1"), "").await).0, 400);
    assert_eq!(error(ask(&api, post("/greeter/event"), "{}").await).0, 501);
    let (status, late) = error(ask(&api, post("/greeter/hang").header("timeout", "50ms"), "{}").await);
    assert_eq!((status, late.id.as_str(), late.code), (408, "go.micro.client", 408));
    world.service.stop().await.expect("stops");
}

#[tokio::test]
async fn timeouts_reach_the_handler() {
    let world = World::start().await;
    let api = world.gateway().build();
    let (_, _, left) = ask(&api, post("/greeter/deadline").header("timeout", "30"), "{}").await;
    let left: f64 = left.trim().parse().expect("seconds");
    assert!((20.0..=30.0).contains(&left), "{left}");
    world.service.stop().await.expect("stops");
}

#[tokio::test]
async fn endpoints_that_take_http_get_the_request() {
    let world = World::start().await;
    let api = world.gateway().build();
    // Twice, because the first answer teaches the gateway that the second endpoint reads JSON only.
    for uri in ["/greeter/http/both?q=1&q=2", "/greeter/http/json?q=1&q=2", "/greeter/http/json?q=1&q=2"] {
        let (status, headers, body) = ask_all(&api, http::Request::patch(uri), "text").await;
        assert_eq!((status, headers["x-method"].as_bytes()), (201, &b"PATCH"[..]), "{uri}: {body}");
        let path = uri.split('?').next().expect("a path");
        assert_eq!(body, format!("{path}|text|Some([\"1\", \"2\"])"));
    }
    let forced = world.gateway().handler(HandlerKind::Rpc).build();
    let (status, _, _) = ask(&forced, post("/greeter/http/both"), r#"{"method":"X","path":"/p"}"#).await;
    assert_eq!(status, 200, "as rpc it is a value like any other");
    let forced = world.gateway().handler(HandlerKind::Api).build();
    let (status, error) = error(ask(&forced, post("/greeter/boom"), "{}").await);
    assert_eq!((status, error), (500, Error::parse("boom")), "a plain text stays one");
    world.service.stop().await.expect("stops");
}

#[tokio::test]
async fn endpoints_can_ask_for_routes() {
    let world = World::start().await;
    let api = world.gateway().build();
    // Nobody follows the registry yet: the path alone decides.
    assert_eq!(ask(&api, get("/hello/john"), "").await.0, 404);
    let story = async {
        eventually("the route is known", Duration::from_secs(10), async || {
            ask(&api, get("/hello/john"), "").await.0 == 200
        })
        .await;
        for (request, status, expected) in [
            (get("/hello/john?q=1"), 200, r#"{"name":"john","q":1}"#),
            (http::Request::put("/bye/for/now"), 200, "{}"),
            (post("/hello/john"), 404, ""),
            (post("/greeter/hello"), 200, "{}"),
        ] {
            let uri = request.uri_ref().expect("valid").to_string();
            let (got, _, answer) = ask(&api, request, "").await;
            assert_eq!(got, status, "{uri}: {answer}");
            let answer: Value = serde_json::from_str(&answer).expect("JSON");
            let value = answer.get("request").map(Value::to_string).unwrap_or_default();
            assert_eq!(value, expected, "{uri}");
        }
    };
    tokio::select! {
        () = api.follow_routes() => unreachable!("it goes on for ever"),
        () = story => {}
    }
    world.service.stop().await.expect("stops");
}

#[tokio::test]
async fn protobuf_goes_through_untouched() {
    let world = World::start().await;
    let api = world.gateway().handler(HandlerKind::Rpc).build();
    let value = HttpRequest { path: "/p".to_owned(), body: "x".to_owned(), ..HttpRequest::default() };
    let bytes = value.to_bytes(Format::Protobuf).expect("encodes");
    let request = http::Request::post("/greeter/http/both").header("content-type", "application/proto; x=y");
    let request = request.body(axum::body::Body::from(bytes)).expect("valid");
    let response = api.router().oneshot(request).await.expect("never fails");
    assert_eq!(response.headers()["content-type"], "application/proto");
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    let reply = HttpResponse::from_bytes(Format::Protobuf, &body).expect("decodes");
    assert_eq!(reply.body, "/p|x|None");
    // A message without content is no bytes at all.
    let empty = http::Request::post("/greeter/debug/stats").header("content-type", "application/protobuf");
    assert_eq!(ask(&api, empty, "").await.0, 200);
    world.service.stop().await.expect("stops");
}

#[tokio::test]
async fn paths_are_cleaned_by_redirect() {
    let api = Api::builder(Client::builder(Arc::new(MemoryRegistry::new())).build()).build();
    for (path, expected) in [
        ("//example.org/x", "/example.org/x"),
        ("/greeter//hello?a=b&c=%2F", "/greeter/hello?a=b&c=%2F"),
        ("/a/%2e%2e/b", "/b"),
    ] {
        let (status, headers, _) = ask_all(&api, get(path), "").await;
        assert_eq!((status, headers["location"].as_bytes()), (301, expected.as_bytes()), "{path}");
    }
    assert_eq!(error(ask(&api, get("/%ff/x"), "").await).0, 400);
    assert_eq!(error(ask(&api, get("/a%0d%0ab/x"), "").await).0, 400);
}

#[tokio::test]
async fn fixed_routes_and_methods() {
    let ready = micro::Readiness::default();
    let client = Client::builder(Arc::new(MemoryRegistry::new())).build();
    let api = Api::builder(client).version("1.2").ready(ready.clone()).body_limit(4).build();
    let json = |status, body: &str| (status, "application/json".to_owned(), body.to_owned());
    assert_eq!(ask(&api, get("/"), "").await, json(200, r#"{"version": "1.2"}"#));
    assert_eq!(ask(&api, get("/favicon.ico"), "").await, (200, String::new(), String::new()));
    assert_eq!(ask(&api, get("/healthz"), "").await, json(200, r#"{"status":"ok"}"#));
    assert_eq!(ask(&api, get("/readyz"), "").await, json(200, r#"{"ready":true,"reasons":[]}"#));
    ready.set("registry", Err("down".to_owned()));
    assert_eq!(
        ask(&api, get("/readyz"), "").await,
        json(503, r#"{"ready":false,"reasons":["registry: down"]}"#)
    );

    let (status, headers, _) = ask_all(&api, http::Request::options("/a/b"), "").await;
    assert_eq!((status, headers["allow"].as_bytes()), (204, METHODS.as_bytes()));
    assert_eq!(ask(&api, http::Request::builder().method("TRACE").uri("/a/b"), "").await.0, 405);
    assert_eq!(error(ask(&api, post("/a/b"), "12345").await).0, 413);
    assert_eq!(error(ask(&api, post("/rpc"), "{}").await).0, 404, "/rpc is off: a path like any other");
}

#[tokio::test]
async fn rpc_calls_by_name() {
    let world = World::start().await;
    let api = world.gateway().rpc(RpcAccess::Open).build();
    let address = world.service.address();
    let by_name =
        r#"{"service":"go.micro.api.greeter","method":"Greeter.Hello","request":{"n":12345678901234567890}}"#;
    let (status, content_type, answer) = ask(&api, post("/rpc"), by_name).await;
    assert_eq!((status, &*content_type), (200, "application/json"), "{answer}");
    assert!(answer.contains(r#""n":12345678901234567890"#), "{answer}");
    let form = "service=go.micro.api.greeter&endpoint=Greeter.Hello&request=%7B%22a%22%3A1%7D";
    assert_eq!(ask(&api, http::Request::post("/rpc"), form).await.0, 200);
    let direct = format!(r#"{{"service":"x","endpoint":"Greeter.Refuse","address":"{address}"}}"#).leak();
    assert_eq!(error(ask(&api, post("/rpc"), direct).await), (403, Error::forbidden("greeter", "not you")));
    let boom = r#"{"service":"go.micro.api.greeter","method":"Greeter.Boom"}"#;
    let boom = error(ask(&api, post("/rpc"), boom).await);
    assert_eq!(boom, (500, Error::internal("go.micro.rpc", "error during request: boom")));
    assert_eq!(
        error(ask(&api, post("/rpc"), "{}").await),
        (400, Error::bad_request("go.micro.rpc", "invalid service"))
    );
    assert_eq!(ask(&api, get("/rpc"), "").await.2, "Method not allowed\n");
    assert_eq!(ask(&api, http::Request::options("/rpc"), "").await.0, 204);
    world.service.stop().await.expect("stops");
}

#[tokio::test]
async fn rpc_keeps_to_the_allow_list() {
    let world = World::start().await;
    let list = AllowList::new(["go.micro.api.greeter:Greeter.*"]);
    let api = world.gateway().rpc(RpcAccess::Only(list)).build();
    let address = world.service.address().to_string();
    for (endpoint, address, status) in [
        ("Greeter.Hello", "", 200),
        ("Greeter.Hello", &*address, 200),
        ("Greeter.Hello", "127.0.0.1:1", 403),
        ("Debug.Stats", "", 403),
    ] {
        let body = json!({ "service": "go.micro.api.greeter", "endpoint": endpoint, "address": address });
        let answer = ask(&api, post("/rpc"), body.to_string().leak()).await;
        assert_eq!(answer.0, status, "{endpoint} {address}: {}", answer.2);
    }
    world.service.stop().await.expect("stops");
}
