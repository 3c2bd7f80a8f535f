use super::*;
use bytes::Bytes;
use micro_core::broker::SubscribeOptions;

struct Port {
    subscribers: Subscribers,
    subscriber: Arc<Subscriber>,
}

/// A port with a subscription to `t` under the ids `ours` and `odd id&`.
fn port() -> Port {
    let subscribers = Subscribers::default();
    let inbox = Inbox::new(&SubscribeOptions::new());
    let subscriber = Arc::new(Subscriber { topic: "t".to_owned(), inbox });
    subscribers.insert(["ours".to_owned(), "odd id&".to_owned()], &subscriber);
    Port { subscribers, subscriber }
}

impl Port {
    fn claims(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Option<BoxFuture<'static, Plain>> {
        let headers = headers.iter().copied().collect();
        let message = Message { headers, body: Bytes::copy_from_slice(body.as_bytes()) };
        let anywhere = ([127, 0, 0, 1], 1).into();
        let (method, path) = (method.to_owned().into(), path.to_owned().into());
        let mut request = Request { message, method, path, peer: anywhere, local: anywhere };
        let claimed = self.subscribers.divert(&mut request);
        assert!(claimed.is_some() || request.message.body == body, "what is not ours stays whole");
        claimed
    }

    /// The answer, and the body that the subscriber got.
    async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String, Option<Bytes>) {
        let claimed =
            self.claims(method, path, &[("Content-Type", "application/json")], body).expect("a delivery");
        let answer = claimed.await;
        let got = self.subscriber.inbox.next(1).now_or_never().unwrap_or_default();
        let got = got.into_iter().next().map(|delivery| delivery.message.body);
        (answer.status, String::from_utf8_lossy(&answer.message.body).into_owned(), got)
    }
}

const EVENT: &str = r#"{"Header":{"Micro-Topic":"t"},"Body":"aGk="}"#;
const OLD_EVENT: &str = r#"{"Header":{":topic":"t","Micro-Topic":"other"},"Body":"aGk="}"#;
const CALL: &str = r#"{"method":"Say.Hello","params":[{}],"id":1}"#;

#[test]
fn deliveries_are_told_from_calls() {
    let port = port();
    let claims =
        |method, path, headers: &[(&str, &str)], body| port.claims(method, path, headers, body).is_some();
    for (method, path, body) in [
        ("POST", "/_sub?id=ours", OLD_EVENT),
        ("POST", "/_sub?id=gone", OLD_EVENT),
        ("POST", "/_sub", "nonsense"),
        ("GET", "/_sub?id=ours", ""),
        ("POST", "/?id=ours", EVENT),
        ("POST", "/?id=ours", "nonsense"),
        ("GET", "/?id=ours", ""),
        ("POST", "/?a=b&id=odd+id%26", EVENT),
        ("POST", "/?id=gone", EVENT),
    ] {
        assert!(
            claims(method, path, &[("Content-Type", "application/json")], body),
            "{method} {path} {body}"
        );
        for name in ["Micro-Endpoint", "x-micro-method", "Micro-Topic", "MICRO-STREAM"] {
            assert!(!claims(method, path, &[(name, "Say.Hello")], body), "{method} {path} with {name}");
        }
        assert!(claims(method, path, &[("Micro-Endpoint", ""), ("Micro-From-Service", "a")], body), "{path}");
    }
    for (method, path, body) in [
        ("POST", "/", EVENT),
        ("POST", "/", CALL),
        ("POST", "/?id=1", CALL),
        ("POST", "/?id=1", "nonsense"),
        ("POST", "/?other=ours", EVENT),
        ("GET", "/?id=gone", ""),
        ("POST", "/say/hello?id=ours", EVENT),
        ("POST", "/_subs", OLD_EVENT),
        ("POST", "//_sub", OLD_EVENT),
        ("POST", "*", EVENT),
        ("POST", "", EVENT),
    ] {
        assert!(
            !claims(method, path, &[("Content-Type", "application/json")], body),
            "{method} {path} {body}"
        );
    }
}

#[tokio::test]
async fn answers_are_those_of_go_micro() {
    let port = port();
    for (path, body) in [("/?id=ours", EVENT), ("/_sub?id=ours", OLD_EVENT), ("/_sub?id=odd%20id%26", EVENT)]
    {
        assert_eq!(port.ask("POST", path, body).await, (200, String::new(), Some("hi".into())), "{path}");
    }
    // Nobody, or somebody of another topic.
    for (path, body) in [("/?id=gone", EVENT), ("/_sub", OLD_EVENT), ("/?id=ours", OLD_EVENT)] {
        assert_eq!(port.ask("POST", path, body).await, (200, String::new(), None), "{path}");
    }
    for (method, path, body, status, detail) in [
        ("GET", "/_sub?id=ours", "", 405, "Method not allowed"),
        ("PUT", "/?id=ours", EVENT, 405, "Method not allowed"),
        ("POST", "/?id=ours", "", 500, "Error parsing request body"),
        (
            "POST",
            "/?id=ours",
            r#"{"Header":{"Micro-Topic":"t"},"Body":"?"}"#,
            500,
            "Error parsing request body",
        ),
        ("POST", "/?id=ours", r#"{"Header":{},"Body":""}"#, 500, "Topic not found"),
        ("POST", "/_sub?id=ours", r#"{"Header":{":topic":""},"Body":""}"#, 500, "Topic not found"),
    ] {
        let (answered, text, got) = port.ask(method, path, body).await;
        let error = Error::parse(&text);
        assert_eq!((answered, got), (status, None), "{method} {path} {body}");
        assert_eq!((error.id.as_str(), error.code), (ID, status), "{text}");
        assert!(error.detail.starts_with(detail), "{text}");
    }
}

#[tokio::test]
async fn what_a_handler_says_is_in_a_header() {
    let port = port();
    let claimed = port.claims("POST", "/?id=ours", &[], EVENT).expect("a delivery");
    port.subscriber.inbox.abandon();
    let answer = claimed.await;
    let error = Error::parse(answer.message.headers.get("Micro-Error").expect("it had ended"));
    assert_eq!((answer.status, answer.message.body.len(), error.code), (200, 0, 404));

    let port = self::port();
    let claimed = port.claims("POST", "/?id=ours", &[], EVENT).expect("a delivery");
    assert_eq!(claimed.await.message.headers.len(), 0, "nothing was wrong");
}
