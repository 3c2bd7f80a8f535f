//! `call` and `query`.

use crate::support::Home;

const GREETER: &str = "go.micro.srv.greeter";

#[tokio::test]
async fn answers_are_indented_with_every_digit() {
    let home = Home::new();
    let greeter = home.greeter(GREETER).await;
    let expected = "{\n\t\"msg\": \"Hello John\",\n\t\"big\": 12345678901234567890\n}\n";
    home.run(&["call", GREETER, "Say.Hello", r#"{"name": "John"}"#]).await.is(expected);
    home.run(&["call", GREETER, "Say.Hello", r#"{"name":"#, r#""John"}"#]).await.is(expected);
    home.run(&["call", "--output=json", GREETER, "Say.Hello", r#"{"name":"John"}"#]).await.is(expected);
    let raw = home.run(&["call", GREETER, "Say.Hello", "--output", "raw"]).await;
    raw.is("{\"msg\":\"Hello \",\"big\":12345678901234567890}\n");

    let query = home.run(&["query", GREETER, "Say.Hello", r#"{"name":"John"}"#]).await;
    assert_eq!((query.code, &*query.out, &*query.err), (0, expected, "Deprecated. Use call instead\n"));
    greeter.stop().await.expect("stops");
}

#[tokio::test]
async fn calls_take_metadata_and_an_address() {
    let home = Home::new();
    let greeter = home.greeter(GREETER).await;
    let address = greeter.address().to_string();
    let direct = ["call", "--metadata", "Colour=red", "--address", &address, "any.name", "Say.Colour"];
    // No registry is needed then.
    home.run(&[&["--registry=memory"][..], &direct].concat()).await.is("{\n\t\"colour\": \"red\"\n}\n");
    home.run(&["call", "--metadata", "red", GREETER, "Say.Colour"])
        .await
        .complains(&["--metadata takes key=value"]);
    greeter.stop().await.expect("stops");
}

#[tokio::test]
async fn failures_name_the_endpoint_and_what_to_do() {
    let home = Home::new();
    let greeter = home.greeter(GREETER).await;
    for (arguments, parts) in [
        (&["call"][..], &["error: require service and method [MICRO-0003]\nnext: micro call "][..]),
        (&["call", GREETER], &["require service and method"]),
        (&["call", GREETER, "Say.Hello", "{name: John}"], &["key must be a string"]),
        (
            &["call", GREETER, "Say.Refuse"],
            &[
                r#"error calling go.micro.srv.greeter.Say.Refuse: {"id":"greeter","code":403,"detail":"not you""#,
            ],
        ),
        (
            &["call", "nobody", "Say.Hello"],
            &["error calling nobody.Say.Hello: {", "\"code\":404", "micro list services"],
        ),
        (
            &["call", GREETER, "Say.Nope"],
            &["can't find method Nope", "micro get service go.micro.srv.greeter"],
        ),
        (&["call", GREETER, "Say.Hang", "--timeout", "100ms"], &["\"code\":408", "--timeout"]),
        (&["call", "x", "Say.Hello", "--address", "127.0.0.1:1"], &["connection error"]),
    ] {
        home.run(arguments).await.complains(parts);
    }
    greeter.stop().await.expect("stops");
}
