//! Streams within one process, over `Server::call`.

mod mucp;

use super::*;
use crate::context::Context as Call;
use crate::rpc::{RpcHead, RpcRequest};
use crate::{Handler, Json, Requests, Responses, Server, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

type Number = Json<u64>;

fn shapeless() -> Value {
    Value::default()
}

/// Says when it is dropped.
struct Bell(Arc<Notify>);

impl Drop for Bell {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

fn numbers(sent: Arc<AtomicUsize>, dropped: Arc<Notify>) -> Handler {
    let count = |_cx: Call, Json(until): Number, responses: Responses<Number>| async move {
        for n in 0..until {
            responses.send(Json(n)).await?;
        }
        if until == 13 { Err(Error::conflict("numbers", "13 is refused")) } else { Ok(()) }
    };
    let sum = |_cx: Call, mut requests: Requests<Number>| async move {
        let mut sum = 0;
        while let Some(n) = requests.next().await {
            sum += n?.0;
        }
        Ok(Json(sum))
    };
    let double = |_cx: Call, mut requests: Requests<Number>, responses: Responses<Number>| async move {
        while let Some(n) = requests.next().await {
            responses.send(Json(n?.0 * 2)).await?;
        }
        Ok(())
    };
    let endless = move |_cx: Call, _: Requests<Number>, responses: Responses<Number>| {
        let (sent, bell) = (sent.clone(), Bell(dropped.clone()));
        async move {
            let _bell = bell;
            loop {
                responses.send(Json(0)).await?;
                sent.fetch_add(1, Relaxed);
            }
        }
    };
    let panic = |_cx: Call, _: Requests<Number>, responses: Responses<Number>| async move {
        responses.send(Json(1)).await?;
        if true { panic!("on purpose") } else { Ok(()) }
    };
    Handler::new("Numbers")
        .server_streaming("Count", shapeless(), shapeless(), count)
        .client_streaming("Sum", shapeless(), shapeless(), sum)
        .bidirectional("Double", shapeless(), shapeless(), double)
        .bidirectional("Endless", shapeless(), shapeless(), endless)
        .bidirectional("Panic", shapeless(), shapeless(), panic)
        .unary("One", shapeless(), shapeless(), |_cx, n: Number| async move { Ok(n) })
}

fn server() -> Server {
    Server::builder().handler(numbers(Arc::default(), Arc::default())).build()
}

fn request(endpoint: &str, messages: &[&'static str], deadline: Option<Instant>) -> RpcRequest {
    let head = RpcHead { stream: true, deadline, ..RpcHead::new("numbers", endpoint, "application/json") };
    let messages: Vec<_> = messages.iter().map(|text| Ok(Bytes::from_static(text.as_bytes()))).collect();
    RpcRequest { head, body: Body::Stream(futures::stream::iter(messages).boxed()) }
}

/// All that comes back: texts, then the error if there is one.
async fn answers(server: &Server, request: RpcRequest) -> (String, Option<Error>) {
    let mut messages = match server.call(request).await {
        Ok(response) => response.body.into_messages(),
        Err(error) => return (String::new(), Some(error)),
    };
    let mut texts = Vec::new();
    while let Some(message) = messages.next().await {
        match message {
            Ok(message) => texts.push(String::from_utf8_lossy(&message).trim_end().to_owned()),
            Err(error) => {
                assert!(messages.next().await.is_none(), "an error is the last item");
                return (texts.join(" "), Some(error));
            }
        }
    }
    (texts.join(" "), None)
}

#[tokio::test]
async fn the_three_kinds_and_their_errors() {
    let server = server();
    for (endpoint, messages, expected, code) in [
        ("Numbers.Count", &["3"][..], "0 1 2", None),
        ("Numbers.Count", &["3", "9"], "0 1 2", None),
        ("Numbers.Count", &["13"], "0 1 2 3 4 5 6 7 8 9 10 11 12", Some(409)),
        ("Numbers.Count", &[], "", Some(400)),
        ("Numbers.Count", &["\"x\""], "", Some(400)),
        ("Numbers.Sum", &["1", "2", "3"], "6", None),
        ("Numbers.Sum", &[], "0", None),
        ("Numbers.Sum", &["1", "{"], "", Some(400)),
        ("Numbers.Double", &["1", "2"], "2 4", None),
        ("Numbers.Double", &[], "", None),
        ("Numbers.Panic", &[], "1", Some(500)),
        ("Numbers.One", &["7"], "7", None),
        ("Numbers.Nope", &[], "", Some(404)),
    ] {
        let (texts, error) = answers(&server, request(endpoint, messages, None)).await;
        assert_eq!(
            (texts.as_str(), error.as_ref().map(|it| it.code)),
            (expected, code),
            "{endpoint}: {error:?}"
        );
    }
    assert_eq!(server.stats().requests_and_errors(), (13, 6));
    assert_eq!(server.kind_of("Numbers.Sum"), Some(crate::Kind::ClientStreaming));
    assert_eq!(server.kind_of("Numbers.One"), Some(crate::Kind::Unary));
    assert_eq!(server.kind_of("Numbers.Nope"), None);
}

#[tokio::test]
async fn a_message_that_opened_is_the_request_only_where_none_follows() {
    let server = server();
    for (opening, messages, expected) in
        [("3", &[][..], Ok("0 1 2")), ("3", &["1"], Ok("0")), ("{}\n", &[], Err(400)), ("", &[], Err(400))]
    {
        let mut request = request("Numbers.Count", messages, None);
        request.head.extensions.insert(Opening(Bytes::from_static(opening.as_bytes())));
        let (texts, error) = answers(&server, request).await;
        let outcome = error.map_or(Ok(texts.as_str()), |error| Err(error.code));
        assert_eq!(outcome, expected, "{opening:?} {messages:?}");
    }
    let mut request = request("Numbers.Double", &[], None);
    request.head.extensions.insert(Opening(Bytes::from_static(b"3")));
    assert_eq!(answers(&server, request).await, (String::new(), None), "it is nobody's message here");
}

#[tokio::test(start_paused = true)]
async fn a_handler_waits_for_its_reader_and_ends_with_it() {
    let (sent, dropped) = (Arc::<AtomicUsize>::default(), Arc::<Notify>::default());
    let server = Server::builder().handler(numbers(sent.clone(), dropped.clone())).build();
    let response = server.call(request("Numbers.Endless", &[], None)).await.expect("open");
    let mut messages = response.body.into_messages();
    messages.next().await.expect("a message").expect("no error");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let ahead = sent.load(Relaxed);
    assert!((1..=AHEAD + 1).contains(&ahead), "{ahead} messages were sent while nobody read");
    drop(messages);
    dropped.notified().await;
    assert_eq!(server.stats().requests_and_errors(), (1, 0));

    // A deadline ends one as well.
    let deadline = Instant::now() + Duration::from_secs(5);
    let mut silent = request("Numbers.Double", &[], Some(deadline));
    silent.body = Body::Stream(futures::stream::pending().boxed());
    let (_, error) = answers(&server, silent).await;
    assert_eq!(error.map(|it| it.code), Some(408));
    assert!(Instant::now() >= deadline);
    assert_eq!(server.stats().requests_and_errors(), (2, 1));
}

#[test]
fn the_registry_says_which_endpoints_are_streams() {
    let endpoints = numbers(Arc::default(), Arc::default()).endpoints();
    let streams: Vec<_> = endpoints
        .iter()
        .filter(|it| it.metadata.get("stream").is_some_and(|it| it == "true"))
        .map(|it| it.name.as_str())
        .collect();
    assert_eq!(
        streams,
        ["Numbers.Count", "Numbers.Double", "Numbers.Endless", "Numbers.Panic", "Numbers.Sum"]
    );
}

#[tokio::test]
async fn the_ends_of_a_caller() {
    let (requests, body) = requests::<Number>(Format::Json);
    let head = RpcHead { stream: true, ..RpcHead::new("numbers", "Numbers.Double", "application/json") };
    let response = server().call(RpcRequest { head, body }).await.expect("open");
    let mut stream = client_stream(requests, responses::<Number>(response.body, Format::Json));
    for n in 0..100 {
        stream.send(&Json(n)).await.expect("open");
        assert_eq!(stream.next().await.expect("an answer"), Ok(Json(n * 2)));
    }
    stream.close_send();
    assert_eq!(stream.next().await, None);
    assert_eq!(stream.send(&Json(1)).await.expect_err("closed").code, 500);
    assert_eq!(stream.finish().await.expect_err("no response").code, 500);
}
