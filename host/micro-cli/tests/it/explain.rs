//! `micro explain`: the steps, what a dry run leaves out, and what is said about failures.

use crate::rest::{LIBRARY, service};
use crate::support::Home;
use serde_json::{Value, json};

const NAME: &str = "go.micro.srv.greeter";

fn steps(explanation: &Value) -> Vec<&str> {
    let steps = explanation["steps"].as_array().expect("a list");
    steps.iter().map(|step| step["step"].as_str().expect("a name")).collect()
}

#[tokio::test]
async fn a_call_is_explained_and_without_a_request_nothing_is_sent() {
    let home = Home::new();
    let _greeter = home.greeter(NAME).await;
    let dry = home.run(&["explain", NAME, "Say.Hello", "--output=json"]).await;
    assert_eq!((dry.code, &*dry.err), (0, ""));
    let dry: Value = serde_json::from_str(&dry.out).expect("JSON");
    let way = ["registry", "candidates", "pick", "dial", "resolved", "connected", "reached"];
    assert_eq!(steps(&dry), way);
    assert_eq!((&dry["called"], &dry["failed"], &dry["answer"]), (&json!(false), &Value::Null, &Value::Null));
    let stats = home.run(&["stats", NAME, "--output=json"]).await;
    let stats: Value = serde_json::from_str(&stats.out).expect("JSON");
    assert_eq!(stats["nodes"][0]["requests"], 0, "nothing was sent: {stats}");

    let call = ["explain", NAME, "Say.Hello", r#"{"name":"John"}"#, "--metadata=Authorization=hunter2"];
    let called = home.run(&[&call[..], &["--output=json"]].concat()).await;
    let called: Value = serde_json::from_str(&called.out).expect("JSON");
    let whole = ["registry", "candidates", "pick", "request", "dial", "resolved", "connected", "answer"];
    assert_eq!(steps(&called), whole);
    assert_eq!(called["answer"]["msg"], "Hello John");
    let node = &called["steps"][1]["nodes"][0];
    assert_eq!(
        (&node["protocol"], &node["because"]),
        (&json!("mucp"), &json!("its record says protocol=mucp"))
    );

    let text = home.run(&call).await;
    assert_eq!((text.code, &*text.err), (0, ""));
    for part in [
        "registry    local (part of micro)",
        "version \"1.0.0\" with 1 node, lists the endpoint",
        "random, one of 1",
        "Micro-Endpoint: Say.Hello",
        "authorization: (7 bytes, not shown)",
        "\t\"msg\": \"Hello John\"",
    ] {
        let (text, part) = (text.out.to_lowercase(), part.to_lowercase());
        assert!(text.contains(&part), "{part}: {text}");
    }
    assert!(!text.out.contains("hunter2"), "{}", text.out);
}

#[tokio::test]
async fn failures_name_their_step_and_the_next_one() {
    let home = Home::new();
    let _greeter = home.greeter(NAME).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let nobody = listener.local_addr().expect("bound").to_string();
    drop(listener);
    let gone = json!({ "name": "gone", "version": "1", "nodes": [{ "id": "gone-1", "address": nobody }] });
    home.run(&["register", "service", &gone.to_string()]).await.is("ok\n");
    let by_address = format!("--address={nobody}");
    let cases: [(&[&str], &str, &[&str], &str); 4] = [
        (
            &["go.micro.api.greeter", "Say.Hello"],
            "select",
            &["no such service"],
            "did you mean go.micro.srv.greeter?",
        ),
        (
            &["gone", "Say.Hello"],
            "connect",
            &["no protocol", "registered without protocol"],
            "nobody listens at",
        ),
        (
            &["any", "Say.Hello", &by_address],
            "connect",
            &["assumed", "--protocol=envelope"],
            "nobody listens at",
        ),
        (
            &[NAME, "Say.Refuse", "{}"],
            "decode",
            &["the handler ran: yes", "callers with application/protobuf"],
            "its own answer",
        ),
    ];
    for (arguments, stage, parts, next) in cases {
        let failed = home.run(&[&["explain"], arguments].concat()).await;
        assert_eq!(failed.code, 1, "{arguments:?}: {}", failed.out);
        assert!(failed.out.contains(&format!("FAILED      in {stage}: ")), "{arguments:?}: {}", failed.out);
        for part in parts {
            assert!(failed.out.contains(part), "{part}: {}", failed.out);
        }
        assert!(failed.err.contains("next: ") && failed.err.contains(next), "{next}: {}", failed.err);
        let json = home.run(&[&["explain", "--output=json"], arguments].concat()).await;
        let json: Value = serde_json::from_str(&json.out).expect("JSON");
        assert_eq!(json["failed"], stage, "{json}");
    }
    // Both sides know when the time is over, so either may be the first to say so.
    let hung = home.run(&["explain", NAME, "Say.Hang", "{}", "--timeout=1s"]).await;
    assert_eq!(hung.code, 1, "{}", hung.out);
    let outcomes = [("exchange", "the handler ran: perhaps"), ("decode", "the handler ran: yes")];
    let told = |(stage, ran): &(&str, &str)| {
        hung.out.contains(&format!("FAILED      in {stage}: ")) && hung.out.contains(ran)
    };
    assert!(outcomes.iter().any(told), "{}", hung.out);
    assert!(hung.err.contains("next: ") && hung.err.contains("--timeout"), "{}", hung.err);
    home.run(&["explain", NAME]).await.complains(&["require service and method"]);
    home.run(&["explain", NAME, "Say.Hello", "{"]).await.complains(&["write the request as JSON"]);
}

#[tokio::test]
async fn streams_are_followed_to_their_end_or_that_of_the_time() {
    let home = Home::new();
    let library = service(&home).await;
    let address = format!("--address={}", library.address());
    let explained = async |arguments: &[&str]| {
        let output = home.run(&[&["explain", LIBRARY], arguments, &["--output=json"]].concat()).await;
        let json: Value = serde_json::from_str(&output.out).unwrap_or_else(|_| panic!("{output:?}"));
        (output.code, json)
    };
    let last = |json: &Value, back: usize| {
        let steps = json["steps"].as_array().expect("a list");
        steps[steps.len() - back].clone()
    };
    for how in [&["--protocol=mucp"][..], &["--protocol=grpc+json"], &["--stream", &address]] {
        let (code, three) = explained(&[&["Count.To", r#"{"n":3}"#], how].concat()).await;
        assert_eq!(
            (code, &three["stream"], &three["answer"]),
            (0, &json!(true), &json!({ "n": 1 })),
            "{three}"
        );
        let names = steps(&three);
        let request = names.iter().position(|name| *name == "request").expect("a request");
        let first = names.iter().position(|name| *name == "message").expect("a message");
        assert!(request < first, "{names:?}");
        let ended = last(&three, 1);
        assert_eq!(
            (&ended["step"], &ended["by"], &ended["messages"]),
            (&json!("ended"), &json!("service"), &json!(3)),
            "{three}"
        );

        let (code, unlucky) = explained(&[&["Count.To", r#"{"n":20}"#], how].concat()).await;
        assert_eq!((code, &unlucky["failed"]), (1, &json!("decode")), "{unlucky}");
        assert_eq!(
            (&last(&unlucky, 1)["executed"], &last(&unlucky, 2)["messages"]),
            (&json!("yes"), &json!(12))
        );

        let (code, open) = explained(&[&["Count.Forever", "{}", "--timeout=1s"], how].concat()).await;
        assert_eq!((code, &open["answer"], &last(&open, 1)["by"]), (0, &json!("first"), &json!("caller")));
    }
    // Nothing comes on this one before there is something to repeat.
    let (_, dry) = explained(&["Count.Echo"]).await;
    assert_eq!((&dry["called"], &dry["stream"]), (&json!(false), &json!(false)));
    let text = home.run(&["explain", LIBRARY, "Count.To", r#"{"n":2}"#]).await;
    for part in
        ["message     the first one, ", "ended       by the service; 2 messages of ", "the first message:"]
    {
        assert!(text.out.contains(part), "{part}: {}", text.out);
    }
    library.stop().await.expect("stops");
}
