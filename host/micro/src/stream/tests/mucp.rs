//! Streams of messages over TCP: both of our sides, each against bytes of the other.

use super::*;
use crate::registry::MemoryRegistry;
use crate::rpc::{RpcResponse, RpcService};
use crate::{CallOptions, Client, ClientStream, Protocol, RunningService, Service};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(30);

async fn service(handler: Handler, grace: Duration) -> RunningService {
    let service = Service::builder("numbers").address("127.0.0.1:0").registry(MemoryRegistry::new());
    let service =
        service.handler(handler).handle_signals(false).drain_delay(Duration::ZERO).drain_timeout(grace);
    service.build().await.expect("builds").start().await.expect("starts")
}

async fn numbers_service() -> RunningService {
    service(numbers(Arc::default(), Arc::default()), Duration::from_secs(5)).await
}

fn client() -> Client {
    Client::builder(Arc::new(MemoryRegistry::new())).build()
}

async fn open(client: &Client, endpoint: &str, options: &CallOptions) -> ClientStream<Number, Number> {
    client.open_stream("numbers", endpoint, options).await.expect("open")
}

/// All that comes, then the error.
async fn rest(stream: &mut ClientStream<Number, Number>) -> (Vec<u64>, Option<Error>) {
    let mut values = Vec::new();
    loop {
        match timeout(SOON, stream.next()).await.expect("in time") {
            Some(Ok(Json(value))) => values.push(value),
            Some(Err(error)) => return (values, Some(error)),
            None => return (values, None),
        }
    }
}

#[tokio::test]
async fn the_three_kinds_in_both_eras() {
    let service = numbers_service().await;
    let client = client();
    let address = service.address().to_string();
    for protocol in [Protocol::Mucp, Protocol::Envelopes] {
        let options = CallOptions::new().address(&address).protocol(protocol);
        for (endpoint, sent, expected, code) in [
            ("Numbers.Count", &[3][..], &[0, 1, 2][..], None),
            ("Numbers.Count", &[], &[], Some(400)),
            ("Numbers.Sum", &[1, 2, 3], &[6], None),
            ("Numbers.Double", &[1, 2], &[2, 4], None),
            ("Numbers.Double", &[], &[], None),
            ("Numbers.Panic", &[], &[1], Some(500)),
            ("Numbers.Nope", &[], &[], Some(404)),
            ("Numbers.One", &[], &[], Some(501)),
        ] {
            let mut stream = open(&client, endpoint, &options).await;
            for n in sent {
                stream.send(&Json(*n)).await.expect("open");
            }
            stream.close_send();
            let (values, error) = rest(&mut stream).await;
            assert_eq!(
                (&*values, error.as_ref().map(|it| it.code)),
                (expected, code),
                "{endpoint}: {error:?}"
            );
        }
    }
    let options = CallOptions::new().address(&address);
    let thirteen = client.server_stream::<_, Number>("numbers", "Numbers.Count", &Json(13u64), &options);
    let mut counted = thirteen.await.expect("open");
    for n in 0..13 {
        assert_eq!(counted.next().await, Some(Ok(Json(n))));
    }
    assert_eq!(counted.next().await.expect("an error").expect_err("refused").code, 409);
    let nodes = client.nodes();
    assert!(nodes.iter().all(|node| node.in_flight == 0 && node.errors == 0), "{nodes:?}");
    service.stop().await.expect("stops");
}

#[tokio::test]
async fn a_thousand_streams_at_once() {
    let service = numbers_service().await;
    let (client, options) = (client(), CallOptions::new().address(service.address().to_string()));
    let mut streams = Vec::new();
    for n in 0..1000 {
        let mut stream = open(&client, "Numbers.Double", &options).await;
        stream.send(&Json(n)).await.expect("open");
        streams.push(stream);
    }
    for round in 1..4 {
        for (n, stream) in (0..).zip(&mut streams) {
            assert_eq!(
                timeout(SOON, stream.next()).await.expect("in time"),
                Some(Ok(Json(n * 2))),
                "{round}"
            );
            stream.send(&Json(n)).await.expect("open");
        }
    }
    let in_flight: u32 = client.nodes().iter().map(|node| node.in_flight).sum();
    assert_eq!(in_flight, 1000, "a stream is in flight as long as it lives");
    drop(streams);
    service.stop().await.expect("stops");
}

#[tokio::test]
async fn a_server_that_stops_says_so_on_every_stream() {
    let service = service(numbers(Arc::default(), Arc::default()), Duration::from_secs(1)).await;
    let (client, options) = (client(), CallOptions::new().address(service.address().to_string()));
    let mut streams = Vec::new();
    for _ in 0..20 {
        streams.push(open(&client, "Numbers.Double", &options).await);
    }
    for stream in &mut streams {
        stream.send(&Json(1)).await.expect("open");
        assert_eq!(stream.next().await, Some(Ok(Json(2))));
    }
    let stopping = tokio::spawn(service.stop());
    for stream in &mut streams {
        let (values, error) = rest(stream).await;
        assert_eq!((values, error.map(|it| it.code)), (vec![], Some(503)));
    }
    stopping.await.expect("no panic").expect("stops");
}

#[tokio::test]
async fn whoever_does_not_read_holds_the_sender_and_whoever_leaves_ends_it() {
    let (sent, dropped) = (Arc::<AtomicUsize>::default(), Arc::<Notify>::default());
    let service = service(numbers(sent.clone(), dropped.clone()), Duration::from_secs(5)).await;
    let (client, options) = (client(), CallOptions::new().address(service.address().to_string()));
    let mut stream = open(&client, "Numbers.Endless", &options).await;
    assert_eq!(stream.next().await, Some(Ok(Json(0))));
    // Until nothing more fits into the buffers of the system.
    let mut before = 0;
    timeout(SOON, async {
        loop {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let now = sent.load(Relaxed);
            if now == before {
                break;
            }
            before = now;
        }
    })
    .await
    .expect("it comes to a stop");
    drop(stream);
    timeout(SOON, dropped.notified()).await.expect("the handler is dropped");

    // A deadline that the caller has set holds on both sides.
    let late = options.deadline(Instant::now() + Duration::from_millis(300));
    let mut stream = open(&client, "Numbers.Double", &late).await;
    assert_eq!(rest(&mut stream).await.1.map(|it| it.code), Some(408));
    service.stop().await.expect("stops");
}

/// A connection on which bytes are said and heard.
struct Raw(BufReader<TcpStream>);

impl Raw {
    async fn to(service: &RunningService) -> Self {
        Self(BufReader::new(TcpStream::connect(service.address()).await.expect("listens")))
    }

    /// A message with these fields, beside its content type.
    async fn say(&mut self, fields: &[(&str, &str)], body: &str) {
        let mut text = "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n".to_owned();
        for (name, value) in fields {
            text += &format!("{name}: {value}\r\n");
        }
        text += &match body {
            // As Go writes what is empty.
            "" => "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
            body => format!("Content-Length: {}\r\n\r\n{body}", body.len()),
        };
        self.0.get_mut().write_all(text.as_bytes()).await.expect("open");
    }

    /// The next message: its fields, and its body.
    async fn hear(&mut self) -> (micro_core::Headers, String) {
        timeout(SOON, self.message()).await.expect("in time")
    }

    async fn message(&mut self) -> (micro_core::Headers, String) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.expect("a head"));
        }
        let head = String::from_utf8(head).expect("text");
        let fields = head.lines().skip(1).filter_map(|line| line.split_once(": "));
        let headers: micro_core::Headers = fields.collect();
        let length = headers.get("Content-Length").map_or(0, |it| it.parse().expect("a number"));
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.expect("a body");
        (headers, String::from_utf8(body).expect("text").trim_end().to_owned())
    }

    /// Nothing but the end of the connection.
    async fn hear_the_end(&mut self) {
        let mut rest = Vec::new();
        let read = timeout(SOON, self.0.read_to_end(&mut rest)).await.expect("in time");
        assert!(read.is_err() || rest.is_empty(), "{:?}", String::from_utf8_lossy(&rest));
    }
}

fn of_stream<'a>(endpoint: &'a str, id: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("Micro-Service", "numbers"),
        ("Micro-Endpoint", endpoint),
        ("Micro-Method", endpoint),
        ("Micro-Id", id),
        ("Micro-Stream", id),
        // What every stream of a v1 client says.
        ("Timeout", "5000000000"),
    ]
}

#[tokio::test]
async fn a_caller_of_go_micro_1_9_and_later() {
    let service = numbers_service().await;
    let mut peer = Raw::to(&service).await;
    let fields = of_stream("Numbers.Double", "2");
    // The body that opens is nobody's.
    peer.say(&fields, "7\n").await;
    peer.say(&fields, "1\n").await;
    let (headers, body) = peer.hear().await;
    assert_eq!(body, "2");
    for (name, value) in [
        ("Micro-Id", "2"),
        ("X-Micro-Id", "2"),
        ("Micro-Service", "numbers"),
        ("X-Micro-Method", "Numbers.Double"),
        ("X-Micro-Endpoint", "Numbers.Double"),
        ("Micro-Stream", "2"),
        ("Content-Type", "application/json"),
    ] {
        assert_eq!(headers.get(name), Some(value), "{name}: {headers:?}");
    }
    assert_eq!(headers.get("Micro-Error"), None);
    // A call, and another stream, in between; then an end for a stream that nobody knows.
    peer.say(&[("Micro-Endpoint", "Numbers.One"), ("Micro-Id", "9")], "5\n").await;
    let (headers, body) = peer.hear().await;
    assert_eq!((headers.get("Micro-Id"), &*body), (Some("9"), "5"));
    let other = of_stream("Numbers.Sum", "3");
    peer.say(&other, "{}\n").await;
    peer.say(&other, "1\n").await;
    let mut unknown = of_stream("Numbers.Sum", "77");
    unknown.push(("Micro-Error", "EOS"));
    peer.say(&unknown, "").await;
    let end = |fields: &[(&'static str, &'static str)]| [fields, &[("Micro-Error", "EOS")]].concat();
    peer.say(&end(&of_stream("Numbers.Sum", "3")), "").await;
    let (headers, body) = peer.hear().await;
    assert_eq!((headers.get("Micro-Stream"), &*body), (Some("3"), "1"));
    let (headers, body) = peer.hear().await;
    assert_eq!(
        (headers.get("Micro-Stream"), headers.get("Micro-Error"), &*body),
        (Some("3"), Some("EOS"), "")
    );
    // The first one has lived all the while.
    peer.say(&fields, "4\n").await;
    assert_eq!(peer.hear().await.1, "8");
    peer.say(&end(&of_stream("Numbers.Double", "2")), "").await;
    let (headers, _) = peer.hear().await;
    assert_eq!((headers.get("Micro-Error"), headers.get("X-Micro-Error")), (Some("EOS"), Some("EOS")));
    // And the connection is one of calls again.
    peer.say(&[("Micro-Endpoint", "Numbers.One"), ("Micro-Id", "10")], "6\n").await;
    assert_eq!(peer.hear().await.1, "6");

    // Without its own end, the end of the connection is an error for the handler, which is told to the caller.
    let sum = of_stream("Numbers.Sum", "4");
    peer.say(&sum, "{}\n").await;
    peer.say(&sum, "1\n").await;
    peer.0.get_mut().shutdown().await.expect("open");
    let (headers, _) = peer.hear().await;
    assert!(
        headers.get("Micro-Error").is_some_and(|it| it.contains("closed without the end")),
        "{headers:?}"
    );
    peer.hear_the_end().await;
    service.stop().await.expect("stops");
}

#[tokio::test]
async fn callers_of_go_micro_1_8_and_of_2016() {
    let service = numbers_service().await;
    let mut peer = Raw::to(&service).await;
    // No `Micro-Stream`: the id is what holds the messages together, and the connection's end is the caller's.
    let fields = [("Micro-Endpoint", "Numbers.Sum"), ("Micro-Id", "2")];
    for body in ["{}\n", "1\n", "2\n"] {
        peer.say(&fields, body).await;
    }
    peer.0.get_mut().shutdown().await.expect("open");
    assert_eq!(peer.hear().await.1, "3");
    assert_eq!(peer.hear().await.0.get("Micro-Error"), Some("EOS"));
    peer.hear_the_end().await;

    let mut peer = Raw::to(&service).await;
    let message = |value, id| format!("{{\"method\":\"Numbers.Double\",\"params\":[{value}],\"id\":{id}}}\n");
    peer.say(&[], &message("{}", 0)).await;
    peer.say(&[], &message("1", 1)).await;
    assert_eq!(peer.hear().await.1, r#"{"id":1,"result":2,"error":null}"#);
    peer.say(&[], &message("2", 2)).await;
    peer.0.get_mut().shutdown().await.expect("open");
    assert_eq!(peer.hear().await.1, r#"{"id":2,"result":4,"error":null}"#);
    assert_eq!(peer.hear().await.1, r#"{"id":0,"result":null,"error":"EOS"}"#);
    peer.hear_the_end().await;
    service.stop().await.expect("stops");
}

#[tokio::test]
async fn a_flood_of_streams_meets_a_limit_and_nonsense_ends_them() {
    let service = numbers_service().await;
    let mut peer = Raw::to(&service).await;
    let most = micro_net::wire::MOST_STREAMS;
    for n in 0..=most {
        let id = n.to_string();
        peer.say(&of_stream("Numbers.Double", &id), "{}\n").await;
    }
    let (headers, _) = peer.hear().await;
    let error = Error::parse(headers.get("Micro-Error").expect("one too many"));
    assert_eq!((error.code, headers.get("Micro-Stream")), (429, Some(&*most.to_string())));
    // Those that were there before go on.
    peer.say(&of_stream("Numbers.Double", "5"), "3\n").await;
    assert_eq!(peer.hear().await.1, "6");
    peer.0.get_mut().write_all(b"POST / HTTP/1.1\r\nno field\r\n\r\n").await.expect("open");
    let mut said = Vec::new();
    timeout(SOON, peer.0.read_to_end(&mut said)).await.expect("in time").expect("a clean end");
    assert!(said.starts_with(b"HTTP/1.1 400 "), "{:?}", String::from_utf8_lossy(&said));
    service.stop().await.expect("stops");
}

/// A server that says `answers`, one for each message that comes, and keeps what came.
async fn peer(
    answers: Vec<&'static str>,
    close: bool,
) -> (CallOptions, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let options = CallOptions::new().address(listener.local_addr().expect("bound").to_string());
    let task = tokio::spawn(async move {
        let mut raw = Raw(BufReader::new(listener.accept().await.expect("a caller").0));
        let mut heard = Vec::new();
        for answer in answers {
            let (headers, body) = raw.message().await;
            let header = |name| headers.get(name).unwrap_or("-").to_owned();
            heard.push(format!(
                "{} {} {} {} {body}",
                header("Micro-Stream"),
                header("Micro-Id"),
                header("Timeout"),
                header("Micro-Error")
            ));
            raw.0.get_mut().write_all(answer.as_bytes()).await.expect("open");
        }
        if !close {
            let mut rest = Vec::new();
            _ = raw.0.read_to_end(&mut rest).await;
        }
        heard
    });
    (options, task)
}

const TWO: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n2\n";
const SIX: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n6\n";
const REFUSED: &str =
    "HTTP/1.1 200 OK\r\nMicro-Error: rpc: can't find service EndOfStream\r\nContent-Length: 0\r\n\r\n";
const EOS: &str = "HTTP/1.1 200 OK\r\nMicro-Error: EOS\r\nContent-Length: 0\r\n\r\n";
const BOOM: &str = "HTTP/1.1 200 OK\r\nMicro-Error: boom\r\nContent-Length: 0\r\n\r\n";

#[tokio::test]
async fn ends_as_servers_of_each_version_say_them() {
    for (name, answers, close, expected, error) in [
        ("an end that is said", vec!["", TWO, EOS], false, &[2][..], None),
        ("an error", vec!["", TWO, BOOM], false, &[2], Some("boom")),
        ("silence, broken by a question", vec!["", TWO, "", REFUSED], false, &[2], None),
        ("a handler that takes its time", vec!["", "", "", SIX, EOS], false, &[6], None),
        ("a connection that is closed after the caller's end", vec!["", TWO, ""], true, &[2], None),
        ("one that is closed before", vec!["", TWO], true, &[2], Some("unexpected EOF")),
        ("a status", vec!["HTTP/1.1 500 No\r\nContent-Length: 1\r\n\r\nx"], true, &[], Some("500 No: x")),
        ("no HTTP", vec!["hello\r\n\r\n"], true, &[], Some("malformed")),
    ] {
        let (options, task) = peer(answers, close).await;
        let mut stream = open(&client(), "Numbers.Double", &options).await;
        // The peer may be gone already, which the next response says.
        _ = stream.send(&Json(1)).await;
        if name != "one that is closed before" {
            stream.close_send();
        }
        let (values, ended) = rest(&mut stream).await;
        assert_eq!(values, expected, "{name}");
        match (&ended, error) {
            (None, None) => {}
            (Some(ended), Some(text)) => assert!(ended.detail.contains(text), "{name}: {ended}"),
            other => panic!("{name}: {other:?}"),
        }
        drop(stream);
        let heard = timeout(SOON, task).await.expect("in time").expect("no panic");
        assert_eq!(heard[0], "0 0 - - {}", "{name}");
        if let Some(first) = heard.get(1) {
            assert_eq!(first, "0 0 - - 1", "{name}");
        }
        if let Some(end) = heard.get(2) {
            assert_eq!(end, "0 0 - EOS ", "{name}");
        }
    }
}

#[tokio::test]
async fn only_what_was_not_opened_is_tried_again() {
    let service = numbers_service().await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("a free port").local_addr().expect("bound");
    let client = Client::builder(Arc::new(MemoryRegistry::new()))
        .selector(Arc::new(crate::selector::RoundRobin))
        .build();
    for _ in 0..4 {
        let options = CallOptions::new().address(nobody.to_string()).address(service.address().to_string());
        let mut stream = open(&client, "Numbers.Double", &options).await;
        stream.send(&Json(2)).await.expect("open");
        stream.close_send();
        assert_eq!(rest(&mut stream).await, (vec![4], None));
    }
    let options = CallOptions::new().address(nobody.to_string());
    let refused = client.open_stream::<Number, Number>("numbers", "Numbers.Double", &options).await;
    let error = refused.expect_err("nobody listens");
    assert_eq!((error.code, &*error.id), (500, "go.micro.client"), "{error}");
    service.stop().await.expect("stops");
}

/// Adds a field to every response.
#[derive(Clone)]
struct Tag(RpcService);

impl tower::Service<RpcRequest> for Tag {
    type Response = RpcResponse;
    type Error = Error;
    type Future = futures::future::BoxFuture<'static, Result<RpcResponse, Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: RpcRequest) -> Self::Future {
        let response = self.0.call(request);
        Box::pin(async move {
            let mut response = response.await?;
            response.metadata.append("Trace", "7");
            // No layer's to say.
            response.metadata.append("Micro-Id", "99");
            Ok(response)
        })
    }
}

#[tokio::test]
async fn what_layers_say_of_a_response_goes_with_its_first_message() {
    let service = Service::builder("numbers").address("127.0.0.1:0").registry(MemoryRegistry::new());
    let service = service.handler(numbers(Arc::default(), Arc::default())).handle_signals(false);
    let service = service.drain_delay(Duration::ZERO).layer(tower::layer::layer_fn(Tag));
    let service = service.build().await.expect("builds").start().await.expect("starts");
    let mut peer = Raw::to(&service).await;
    let fields = of_stream("Numbers.Count", "2");
    for body in ["{}\n", "2\n"] {
        peer.say(&fields, body).await;
    }
    let mut heard = Vec::new();
    for _ in 0..3 {
        let (headers, body) = peer.hear().await;
        assert_eq!(headers.get("Micro-Id"), Some("2"), "{headers:?}");
        heard.push((headers.get("Trace").map(str::to_owned), body));
    }
    let said = |trace: Option<&str>, body: &str| (trace.map(str::to_owned), body.to_owned());
    assert_eq!(heard, [said(Some("7"), "0"), said(None, "1"), said(None, "")]);
    // Without a message it is the last one.
    let fields = of_stream("Numbers.Double", "3");
    peer.say(&fields, "{}\n").await;
    peer.say(&[&fields[..], &[("Micro-Error", "EOS")]].concat(), "").await;
    let (headers, _) = peer.hear().await;
    assert_eq!((headers.get("Trace"), headers.get("Micro-Error")), (Some("7"), Some("EOS")));
    service.stop().await.expect("stops");
}
