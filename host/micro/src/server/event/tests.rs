use super::*;
use crate::context::Context;
use crate::payload::Json;
use parking_lot::Mutex;

type Log = Arc<Mutex<Vec<String>>>;

fn noting(log: &Log, who: &'static str) -> Subscriber {
    let log = log.clone();
    Subscriber::new("greetings", move |cx: Context, Json(text): Json<String>| {
        let note = format!("{who} {text} {} {:?}", cx.content_type(), cx.metadata("Colour"));
        log.lock().push(note);
        async { Ok(()) }
    })
}

fn failing(detail: &'static str) -> Subscriber {
    Subscriber::raw("failures", move |_cx, _| async move { Err(Error::conflict("x", detail)) })
}

async fn ask(server: &Server, headers: &[(&str, &str)], body: &'static str) -> Message {
    let message =
        Message { headers: headers.iter().copied().collect(), body: Bytes::from_static(body.as_bytes()) };
    server.message(message, None).await
}

fn error_of(answer: &Message) -> Option<Error> {
    answer.headers.get("Micro-Error").map(Error::parse)
}

#[tokio::test]
async fn an_event_over_the_transport_reaches_all_of_its_topic() {
    let log = Log::default();
    let server = Server::builder().subscriber(noting(&log, "a")).subscriber(noting(&log, "b")).build();
    for topic in ["Micro-Topic", "X-Micro-Topic"] {
        for content_type in ["application/json", "application/json-rpc", "application/json; charset=utf-8"] {
            let headers =
                [(topic, "greetings"), ("Content-Type", content_type), ("Colour", "red"), ("Micro-Id", "7")];
            let answer = ask(&server, &headers, "\"hi\"").await;
            assert_eq!((error_of(&answer), answer.body.len()), (None, 0), "{topic} {content_type}");
            assert_eq!(answer.headers.get("Micro-Id"), Some("7"));
        }
    }
    let log = std::mem::take(&mut *log.lock());
    assert_eq!(log.len(), 12);
    assert!(log[0].starts_with("a hi application/json") && log[0].ends_with("Some(\"red\")"), "{log:?}");
    assert_eq!(server.stats().requests_and_errors(), (12, 0));
}

#[tokio::test]
async fn what_is_wrong_with_an_event_is_told() {
    let log = Log::default();
    let panicking =
        Subscriber::raw("panics", |_cx, _| async { if true { panic!("on purpose") } else { Ok(()) } });
    let server = Server::builder()
        .subscriber(noting(&log, "a"))
        .subscriber(failing("one"))
        .subscriber(failing("two"))
        .subscriber(panicking)
        .build();
    for (headers, body, code, detail) in [
        (&[("Micro-Topic", "nobody")][..], "", 404, "nobody here subscribes to topic \"nobody\""),
        (&[("Micro-Topic", "failures")], "", 500, "one; two"),
        (&[("Micro-Topic", "panics")], "", 500, "panic recovered: on purpose"),
        (&[("Micro-Topic", "greetings"), ("Content-Type", "application/json")], "{", 400, "malformed JSON"),
        (&[("Micro-Topic", "greetings"), ("Content-Type", "text/plain")], "hi", 415, "text/plain"),
        // Protobuf is what it is taken for.
        (&[("Micro-Topic", "greetings")], "\"hi\"", 415, "protobuf"),
    ] {
        let answer = ask(&server, headers, body).await;
        let error = error_of(&answer).expect("an error");
        assert_eq!(error.code, code, "{headers:?}: {error}");
        assert!(error.detail.contains(detail), "{headers:?}: {error}");
    }
    assert!(log.lock().is_empty());
    let alone = Server::builder().subscriber(failing("one")).build();
    let error = error_of(&ask(&alone, &[("Micro-Topic", "failures")], "").await).expect("an error");
    assert_eq!((error.id.as_str(), error.code), ("x", 409), "one error stays as it is");
}

#[tokio::test]
async fn layers_see_events_and_may_refuse_them() {
    #[derive(Clone)]
    struct Guard(Log);
    impl tower::Layer<RpcService> for Guard {
        type Service = RpcService;
        fn layer(&self, inner: RpcService) -> RpcService {
            let log = self.0.clone();
            RpcService::new(tower::service_fn(move |request: RpcRequest| {
                log.lock().push(format!(
                    "{} of {:?}",
                    request.head.endpoint,
                    request.head.metadata.get("Micro-Topic")
                ));
                let inner = inner.clone();
                async move {
                    match request.head.metadata.get("Colour") {
                        Some("red") => Err(Error::forbidden("guard", "no red")),
                        _ => rpc::call(&inner, request).await,
                    }
                }
            }))
        }
    }
    let (seen, log) = (Log::default(), Log::default());
    let subscriber = noting(&log, "a").name("Greeter.Note");
    let server = Server::builder().layer(Guard(seen.clone())).subscriber(subscriber).build();
    let headers = [("Micro-Topic", "greetings"), ("Content-Type", "application/json"), ("Colour", "red")];
    assert_eq!(error_of(&ask(&server, &headers, "\"hi\"").await).expect("refused").code, 403);
    assert_eq!(error_of(&ask(&server, &headers[..2], "\"hi\"").await), None);
    assert_eq!(*seen.lock(), ["Greeter.Note of Some(\"greetings\")"; 2]);
    assert_eq!(log.lock().len(), 1);
}

#[test]
fn subscribers_stand_behind_handlers_by_topic() {
    let handler = crate::Handler::new("Echo").json("Upper", |_cx, text: String| async move { Ok(text) });
    let of = |topic: &str| Subscriber::raw(topic, |_cx, _| async { Ok(()) });
    let server = Server::builder()
        .subscriber(of("a"))
        .subscriber(of("c").name("Audit.Note"))
        .subscriber(of("b").internal())
        .handler(handler)
        .build();
    let shown =
        server.endpoints().iter().map(|it| (it.name.as_str(), it.metadata.get("topic").map(String::as_str)));
    let expected = [("Echo.Upper", None), ("Audit.Note", Some("c")), ("Func", Some("a"))];
    assert_eq!(shown.collect::<Vec<_>>(), expected);
    assert_eq!(server.endpoints()[1].metadata["subscriber"], "true");
}
