//! `list`, `get`, `register`, `deregister`, `health`, `stats`.

use crate::support::Home;
use serde_json::json;

const GREETER: &str = "go.micro.srv.greeter";

#[tokio::test]
async fn an_empty_registry_says_where_it_looked() {
    let home = Home::new();
    let list = home.run(&["list", "services"]).await;
    assert_eq!((list.code, &*list.out), (0, ""));
    assert!(list.err.contains(home.path().to_str().expect("UTF-8")), "{}", list.err);
    assert_eq!(home.run(&["list", "services", "--output=json"]).await.json(), json!({ "services": [] }));
}

#[tokio::test]
async fn services_are_listed_and_described() {
    let home = Home::new();
    let greeter = home.greeter(GREETER).await;
    let other = home.greeter("a.service").await;
    let names = "a.service\ngo.micro.srv.greeter\n";
    home.run(&["list", "services"]).await.is(names);
    home.run(&["registry", "list", "services"]).await.is(names);
    let list = home.run(&["-o", "json", "list", "services"]).await;
    list.is("{\"services\":[\"a.service\",\"go.micro.srv.greeter\"]}\n");

    let get = home.run(&["get", "service", GREETER]).await;
    assert_eq!((get.code, &*get.err), (0, ""));
    let node = format!("{}\t{}\t", greeter.node_id(), greeter.address());
    let start = format!("service  {GREETER}\n\nversion 1.0.0\n\nID\tAddress\tMetadata\n{node}");
    assert!(get.out.starts_with(&start), "{}", get.out);
    assert!(get.out.contains("protocol=mucp,registry=local,server=mucp,transport=http\n"), "{}", get.out);
    assert!(get.out.contains("\n\nEndpoint: Say.Hello\n\nRequest: {}\n\nResponse: {}\n\n"), "{}", get.out);

    let record = home.run(&["get", "service", GREETER, "--output=json"]).await.json();
    assert_eq!(record["services"][0]["name"], GREETER);
    assert_eq!(record["services"][0]["nodes"][0]["address"], greeter.address().to_string());
    greeter.stop().await.expect("stops");
    other.stop().await.expect("stops");
    home.run(&["get", "service", GREETER])
        .await
        .complains(&["error: Service not found [MICRO-0308]\n", "micro list services"]);
}

#[tokio::test]
async fn what_is_registered_by_hand_stays_until_it_is_removed() {
    let home = Home::new();
    let definition =
        [r#"{"Name": "by.hand","#, r#""nodes": [{"id": "by.hand-1", "address": "127.0.0.1", "port": 9}]}"#];
    let words = |command: &'static str| [&[command, "service"][..], &definition].concat();
    home.run(&words("register")).await.is("ok\n");
    home.run(&["get", "service", "by.hand"])
        .await
        .is("service  by.hand\n\nID\tAddress\tMetadata\nby.hand-1\t127.0.0.1:9\t\n");
    home.run(&words("deregister")).await.is("ok\n");
    assert_eq!(home.run(&["list", "services"]).await.out, "");
    let json = home.run(&[&["--output=json"][..], &words("register")].concat()).await;
    json.is("{\"ok\":true}\n");
}

#[tokio::test]
async fn missing_words_are_asked_for() {
    let home = Home::new();
    for (arguments, text) in [
        (&["get", "service"][..], "error: service required [MICRO-0003]\nnext: "),
        (&["register", "service"], "error: require service definition [MICRO-0003]\nnext: "),
        (&["deregister", "service"], "error: require service definition [MICRO-0003]\nnext: "),
        (&["register", "service", "{"], "EOF while parsing"),
        (&["register", "service", "{}"], "a service needs a name"),
        (&["register", "service", r#"{"name":"a"}"#], "needs a node"),
        (&["health"], "error: require service name [MICRO-0003]\nnext: "),
        (&["stats"], "error: require service name [MICRO-0003]\nnext: "),
        (&["health", "nobody"], "Service not found"),
    ] {
        home.run(arguments).await.complains(&[text]);
    }
}

#[tokio::test]
async fn nodes_are_asked_one_by_one() {
    let home = Home::new();
    let greeter = home.greeter(GREETER).await;
    let (id, address) = (greeter.node_id().to_owned(), greeter.address());
    let frame = format!("service  {GREETER}\n\nversion 1.0.0\n\nnode\t\taddress:port\t\t");
    home.run(&["health", GREETER]).await.is(&format!("{frame}status\n{id}\t\t{address}\t\tok\n"));
    let health = home.run(&["health", GREETER, "--output", "json"]).await.json();
    let node = json!({ "id": id, "version": "1.0.0", "address": address.to_string(), "status": "ok", "error": null });
    assert_eq!(health, json!({ "service": GREETER, "nodes": [node] }));

    let stats = home.run(&["stats", GREETER]).await;
    let start = format!("{frame}started\tuptime\tmemory\tthreads\tgc\n{id}\t\t{address}\t\t");
    assert!(stats.out.starts_with(&start) && stats.out.ends_with("\t0s\n"), "{}", stats.out);
    assert_eq!(stats.out[start.len()..].split('\t').count(), 5, "{}", stats.out);
    let stats = home.run(&["stats", GREETER, "--output", "json"]).await.json();
    assert!(stats["nodes"][0]["threads"].as_u64() > Some(0), "{stats}");

    // A node that is gone without a word.
    let ghost = r#"{"name":"go.micro.srv.greeter","version":"1.0.0","nodes":[{"id":"ghost","address":"127.0.0.1:1"}]}"#;
    home.run(&["register", "service", ghost]).await.is("ok\n");
    let health = home.run(&["health", GREETER]).await;
    assert_eq!(health.code, 1, "{health:?}");
    assert!(
        health.out.contains("\t\tok\n")
            && health.out.contains("ghost\t\t127.0.0.1:1\t\t{\"id\":\"go.micro.client\"")
    );
    assert!(health.err.starts_with("error: 1 of 2 nodes"), "{}", health.err);
    greeter.stop().await.expect("stops");
}

#[tokio::test]
async fn a_registry_that_is_not_there_is_an_error_at_once() {
    let home = Home::new();
    home.run(&["--registry=nonsense", "list", "services"]).await.complains(&["nonsense", "plugins"]);
    home.run(&["--registry=local", "--registry_address=x", "list", "services"]).await.complains(&["local"]);
}
