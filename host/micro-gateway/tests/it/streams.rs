//! Streams of services, over plain HTTP and over websockets.

use crate::rest::Front;
use crate::support::soon;
use futures::{SinkExt, StreamExt};
use library::{Book, Shelves, library_handler};
use micro::{Context, Handler, Json, Payload, Requests, Responses};
use micro_core::Error;
use micro_gateway::Cors;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

/// `Count.To` counts, `Count.Sum` adds, `Count.Echo` repeats.
fn counting() -> Handler {
    let nothing = micro::Value::default;
    let to = |_: Context, Json(request): Json<Value>, out: Responses<Json<Value>>| async move {
        let end = request["n"].as_u64().unwrap_or_default();
        if end == 0 {
            return Err(Error::bad_request("count", "n is nothing"));
        }
        for number in 1..=end {
            if number == 13 {
                return Err(Error::conflict("count", "unlucky"));
            }
            out.send(Json(json!({ "n": number }))).await?;
        }
        Ok(())
    };
    let sum = |_: Context, mut numbers: Requests<Json<Value>>| async move {
        let mut sum = 0;
        while let Some(number) = numbers.next().await {
            sum += number?.0["n"].as_u64().unwrap_or_default();
        }
        Ok(Json(json!({ "sum": sum })))
    };
    let echo = |_: Context, mut messages: Requests<Json<Value>>, out: Responses<Json<Value>>| async move {
        while let Some(message) = messages.next().await {
            out.send(message?).await?;
        }
        Ok(())
    };
    Handler::new("Count")
        .server_streaming("To", nothing(), nothing(), to)
        .endpoint_metadata("To", "google.api.http", r#"{"get":"/v1/count/{n}"}"#)
        .client_streaming("Sum", nothing(), nothing(), sum)
        .bidirectional("Echo", nothing(), nothing(), echo)
}

/// The library, whose definitions are known, with a stream of its messages beside.
fn repeating() -> Handler {
    let repeat = |_: Context, mut told: Requests<Book>, said: Responses<Book>| async move {
        while let Some(book) = told.next().await {
            said.send(book?).await?;
        }
        Ok(())
    };
    // The definitions say what `GetBook` takes and gives: a message with the same first field, and a book.
    library_handler(Shelves::default())
        .bidirectional("GetBook", Book::shape(), Book::shape(), repeat)
        .endpoint_metadata("GetBook", "google.api.http", r#"{"post":"/v1/repeat","body":"*"}"#)
}

async fn front() -> Front {
    Front::start(vec![counting()], |api| api).await
}

type Socket = WebSocketStream<TcpStream>;

async fn open_with(
    front: &Front,
    path: &str,
    fields: &[(&'static str, &str)],
) -> Result<Socket, SocketError> {
    let tcp = TcpStream::connect(front.gateway.address).await.expect("connects");
    let mut request = format!("ws://{}{path}", front.gateway.address).into_client_request().expect("valid");
    for (name, value) in fields {
        request.headers_mut().insert(*name, value.parse().expect("a value"));
    }
    soon(client_async(request, tcp)).await.map(|(socket, _)| socket)
}

async fn open(front: &Front, path: &str) -> Socket {
    open_with(front, path, &[]).await.expect("agreed")
}

async fn next(socket: &mut Socket) -> Message {
    soon(socket.next()).await.expect("a message").expect("no error")
}

/// The code and reason of the end.
async fn end(socket: &mut Socket) -> (u16, String) {
    loop {
        match next(socket).await {
            Message::Close(Some(frame)) => return (frame.code.into(), frame.reason.to_string()),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

fn error_of(text: &Message) -> Value {
    let json: Value = serde_json::from_str(text.to_text().expect("text")).expect("JSON");
    json["error"].clone()
}

#[tokio::test]
async fn streams_over_plain_http_are_lines_or_events() {
    let front = front().await;
    let json = "Content-Type: application/json\r\n";
    for path in ["/v1/count/3", "/library/count/to?n=3"] {
        let (head, body) = front.exchange("GET", path, json, "").await;
        assert!(
            head.starts_with("http/1.1 200 ") && head.contains("content-type: application/x-ndjson"),
            "{head}"
        );
        let lines: Vec<_> = body.lines().filter(|line| line.starts_with('{')).collect();
        assert_eq!(lines, [r#"{"n":1}"#, r#"{"n":2}"#, r#"{"n":3}"#], "{path}");
    }
    let (head, body) = front.exchange("GET", "/v1/count/2", "Accept: text/event-stream\r\n", "").await;
    assert!(head.contains("content-type: text/event-stream"), "{head}");
    assert!(body.contains("data: {\"n\":1}\n\n") && body.contains("data: {\"n\":2}\n\n"), "{body}");
    // An error before the first message is an answer of its own; a later one ends the lines.
    let (head, _) = front.exchange("GET", "/v1/count/0", "", "").await;
    assert!(head.starts_with("http/1.1 400 "), "{head}");
    let (head, body) = front.exchange("GET", "/v1/count/20", "", "").await;
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    let last = body.lines().rfind(|line| line.starts_with('{')).expect("lines");
    let last: Value = serde_json::from_str(last).expect("JSON");
    assert_eq!((&last["error"]["code"], &last["error"]["detail"]), (&json!(409), &json!("unlucky")));
    front.stop().await;
}

#[tokio::test]
async fn frames_are_messages_both_ways() {
    let front = front().await;
    let mut socket = open(&front, "/library/count/echo").await;
    for number in 0..100 {
        let message = Message::text(format!("{{\"n\":{number}}}"));
        soon(socket.send(message.clone())).await.expect("sent");
        assert_eq!(next(&mut socket).await, message);
    }
    soon(socket.send(Message::Ping("x".into()))).await.expect("sent");
    assert_eq!(next(&mut socket).await, Message::Pong("x".into()));
    // The end of the requests ends this call.
    soon(socket.send(Message::text(""))).await.expect("sent");
    assert_eq!(end(&mut socket).await, (1000, String::new()));

    // Answers may come behind the last request.
    let mut socket = open(&front, "/library/count/sum?n=1").await;
    for text in [r#"{"n":2}"#, r#"{"n":3}"#, ""] {
        soon(socket.send(Message::text(text))).await.expect("sent");
    }
    assert_eq!(next(&mut socket).await, Message::text(r#"{"sum":6}"#));
    assert_eq!(end(&mut socket).await.0, 1000);

    // What the path says is the first message.
    let mut socket = open(&front, "/v1/count/2").await;
    assert_eq!(next(&mut socket).await, Message::text(r#"{"n":1}"#));
    assert_eq!(next(&mut socket).await, Message::text(r#"{"n":2}"#));
    assert_eq!(end(&mut socket).await.0, 1000);
    front.stop().await;
}

#[tokio::test]
async fn errors_are_a_text_and_a_code() {
    let front = front().await;
    let mut socket = open(&front, "/v1/count/13").await;
    for number in 1..13 {
        assert_eq!(next(&mut socket).await, Message::text(format!("{{\"n\":{number}}}")));
    }
    let error = error_of(&next(&mut socket).await);
    assert_eq!((&error["id"], &error["code"]), (&json!("count"), &json!(409)));
    assert_eq!(end(&mut socket).await, (4409, "unlucky".to_owned()));

    for (message, code) in [
        (Message::text("{"), 4400),
        (Message::binary(vec![8, 1]), 1003),
        (Message::text("x".repeat((4 << 20) + 1)), 1009),
    ] {
        let mut socket = open(&front, "/library/count/echo").await;
        // Of a message that is too large not all can be sent.
        _ = soon(socket.send(message)).await;
        let mut ended = None;
        while let Some(Ok(message)) = soon(socket.next()).await {
            if let Message::Close(Some(frame)) = message {
                ended = Some(u16::from(frame.code));
            }
        }
        assert!(ended.is_none_or(|ended| ended == code), "{ended:?} {code}");
        assert!(ended.is_some() || code == 1009, "{code}");
    }
    front.stop().await;
}

#[tokio::test]
async fn binary_frames_are_protobuf_where_the_definitions_are_known() {
    let front = Front::start(vec![repeating()], |api| api).await;
    let book = Book { title: "One".to_owned(), page_count: 7, ..Book::default() };
    let bytes = book.to_bytes(micro::Format::Protobuf).expect("encodes");
    let mut socket = open(&front, "/v1/repeat").await;
    soon(socket.send(Message::Binary(bytes.clone()))).await.expect("sent");
    assert_eq!(next(&mut socket).await, Message::Binary(bytes));
    soon(socket.send(Message::text(r#"{"name":"a"}"#))).await.expect("sent");
    assert_eq!(next(&mut socket).await, Message::text(r#"{"name":"a"}"#));
    soon(socket.send(Message::text(r#"{"nome":"a"}"#))).await.expect("sent");
    assert_eq!(error_of(&next(&mut socket).await)["code"], json!(400));
    assert_eq!(end(&mut socket).await.0, 4400);
    front.stop().await;
}

#[tokio::test]
async fn handshakes_are_checked() {
    let only =
        |api: micro_gateway::ApiBuilder| api.cors(Some(Cors::default().origins(["https://a.example"])));
    let front = Front::start(vec![counting()], only).await;
    let status = async |fields: &[(&'static str, &str)]| match open_with(
        &front,
        "/library/count/echo",
        fields,
    )
    .await
    {
        Ok(_) => 101,
        Err(SocketError::Http(response)) => response.status().as_u16(),
        Err(other) => panic!("{other}"),
    };
    assert_eq!(status(&[]).await, 101);
    assert_eq!(status(&[("origin", "https://a.example")]).await, 101);
    assert_eq!(status(&[("origin", "https://b.example")]).await, 403);
    assert_eq!(status(&[("sec-websocket-version", "12")]).await, 426);
    assert_eq!(status(&[("sec-websocket-key", "short")]).await, 400);
    let socket = open_with(&front, "/library/count/echo", &[("sec-websocket-protocol", "json")]).await;
    assert!(socket.is_ok(), "{socket:?}");
    drop(socket);
    front.stop().await;
}
