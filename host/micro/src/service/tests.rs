mod tls;

use super::*;
use crate::client::CallOptions;
use crate::handler::Handler;
use crate::payload::Json;
use crate::registry::MemoryRegistry;
use crate::rpc::{RpcRequest, RpcService};
use crate::stream::{Requests, Responses};
use futures::future::BoxFuture;
use micro_core::Registry;
use std::sync::{Arc, Mutex};

type Log = Arc<Mutex<Vec<String>>>;

fn note(
    log: &Log,
    what: &str,
) -> impl FnOnce() -> BoxFuture<'static, Result<(), HookError>> + Send + 'static {
    let (log, what) = (log.clone(), what.to_owned());
    move || {
        Box::pin(async move {
            log.lock().expect("no panic while held").push(what);
            Ok(())
        })
    }
}

fn echo() -> Handler {
    let each = |_cx: crate::Context, mut texts: Requests<Json<String>>, answers: Responses<Json<String>>| async move {
        while let Some(text) = texts.next().await {
            answers.send(Json(text?.0.to_uppercase())).await?;
        }
        Ok(())
    };
    let nothing = micro_core::Value::default;
    Handler::new("Echo")
        .bidirectional("Each", nothing(), nothing(), each)
        .json("Upper", |_cx, text: String| async move { Ok(text.to_uppercase()) })
        .json("From", |cx: crate::Context, (): ()| async move {
            Ok(format!("{:?} {:?}", cx.metadata("Micro-From-Service"), cx.metadata("colour")))
        })
}

fn builder(name: &str, registry: &MemoryRegistry) -> ServiceBuilder {
    Service::builder(name)
        .address("127.0.0.1:0")
        .registry(registry.clone())
        .handle_signals(false)
        .drain_delay(Duration::ZERO)
}

#[tokio::test]
async fn a_service_is_found_called_and_gone() {
    let registry = MemoryRegistry::new();
    let server = builder("echo", &registry).handler(echo()).version("1").metadata("zone", "a").build().await;
    let server = server.expect("builds").start().await.expect("starts");
    let caller = builder("caller", &registry).build().await.expect("builds");
    let client = caller.client().clone();

    let found = registry.get_service("echo").await.expect("memory").services;
    let node = &found[0].nodes[0];
    assert_eq!(node.id, server.node_id());
    assert_eq!(node.address, server.address().to_string());
    for (key, value) in [("protocol", "mucp"), ("server", "mucp"), ("transport", "http"), ("zone", "a")] {
        assert_eq!(node.metadata[key], value);
    }
    let endpoints: Vec<_> = found[0].endpoints.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(endpoints, ["Echo.Each", "Echo.From", "Echo.Upper"], "Debug is internal");

    let upper: Json<String> =
        client.call("echo", "Echo.Upper", &Json("a".to_owned())).await.expect("an answer");
    assert_eq!(upper.0, "A");
    let options = CallOptions::new().metadata("Colour", "red").address(server.address().to_string());
    let from: Json<String> =
        client.call_with("echo", "Echo.From", &Json(()), &options).await.expect("an answer");
    assert_eq!(from.0, r#"Some("caller") Some("red")"#);

    server.stop().await.expect("stops");
    assert!(registry.list_services().await.expect("memory").is_empty());
    let known = || client.registry().cached("echo").is_some_and(|service| !service.services.is_empty());
    let forgotten = async {
        while known() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), forgotten).await.expect("the cache follows the registry");
    let error =
        client.call::<_, Json<String>>("echo", "Echo.Upper", &Json("a".to_owned())).await.expect_err("gone");
    assert_eq!((error.id.as_str(), error.code), ("go.micro.client", 404), "{error}");
}

#[tokio::test]
async fn hooks_run_in_order_around_everything_else() {
    let (registry, log) = (MemoryRegistry::new(), Log::default());
    let (asked, seen) = (registry.clone(), log.clone());
    let registered = move || async move {
        let names = asked.list_services().await?;
        seen.lock().expect("no panic while held").push(format!("registered {names:?}"));
        Ok(())
    };
    let service = builder("echo", &registry)
        .before_start(note(&log, "before start 1"))
        .before_start(note(&log, "before start 2"))
        .after_start(registered)
        .before_stop(note(&log, "before stop"))
        .after_stop(note(&log, "after stop"))
        .build()
        .await
        .expect("builds");
    service.start().await.expect("starts").stop().await.expect("stops");
    let expected =
        ["before start 1", "before start 2", r#"registered ["echo"]"#, "before stop", "after stop"];
    assert_eq!(*log.lock().expect("free"), expected);
}

#[tokio::test]
async fn every_hook_of_a_stop_runs_and_the_first_error_is_told() {
    let (registry, log) = (MemoryRegistry::new(), Log::default());
    let failing = |why: &'static str| move || async move { Err::<(), HookError>(why.into()) };
    let service = builder("echo", &registry)
        .before_stop(failing("first"))
        .before_stop(note(&log, "before stop"))
        .after_stop(failing("second"))
        .after_stop(note(&log, "after stop"));
    let service = service.build().await.expect("builds").start().await.expect("starts");
    let error = service.stop().await.expect_err("two hooks failed");
    assert!(error.to_string().contains("before-stop") && error.to_string().contains("first"), "{error}");
    assert_eq!(*log.lock().expect("free"), ["before stop", "after stop"]);
    assert!(registry.list_services().await.expect("memory").is_empty());
}

#[tokio::test]
async fn a_service_for_one_call_ends_after_it() {
    let registry = MemoryRegistry::new();
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = socket.local_addr().expect("bound").to_string();
    let service = builder("echo", &registry).handler(echo()).listener(socket).once();
    let service = service.build().await.expect("builds");
    let client = builder("caller", &registry).build().await.expect("builds").client().clone();
    let options = CallOptions::new().address(address).timeout(Duration::from_secs(30));
    let running = tokio::spawn(service.run());
    let health: Json<serde_json::Value> = client
        .call_with("echo", "Debug.Health", &Json(()), &options)
        .await
        .expect("the socket listens already");
    assert_eq!(health.0["status"], "ok");
    assert!(!running.is_finished(), "looking after it is no call");
    let upper: Json<String> =
        client.call_with("echo", "Echo.Upper", &Json("a".to_owned()), &options).await.expect("an answer");
    assert_eq!(upper.0, "A");
    let ended = tokio::time::timeout(Duration::from_secs(30), running).await.expect("it ends by itself");
    ended.expect("no panic").expect("stops");
    assert!(registry.list_services().await.expect("memory").is_empty());
}

#[tokio::test]
async fn a_failing_hook_ends_the_start_and_leaves_nothing_behind() {
    let (registry, log) = (MemoryRegistry::new(), Log::default());
    let failing = || async { Err::<(), HookError>("no database".into()) };
    let service = builder("echo", &registry).after_start(failing).after_stop(note(&log, "after stop"));
    let error = service.build().await.expect("builds").start().await.expect_err("the hook failed");
    assert!(
        error.to_string().contains("after-start") && error.to_string().contains("no database"),
        "{error}"
    );
    assert!(registry.list_services().await.expect("memory").is_empty());
    assert_eq!(*log.lock().expect("free"), ["after stop"]);
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let registry = MemoryRegistry::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = taken.local_addr().expect("bound").to_string();
    let error = builder("echo", &registry).address(&address).build().await.expect("builds").start().await;
    let text = micro_net::error_chain(&error.expect_err("taken"));
    assert!(text.contains("echo") && text.contains(&address), "{text}");
}

#[tokio::test]
async fn a_dead_node_is_stepped_over_and_left_alone() {
    let registry = MemoryRegistry::new();
    let dead = {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
        socket.local_addr().expect("bound").to_string()
    };
    let alive = builder("echo", &registry).handler(echo()).selector(crate::selector::RoundRobin);
    let alive = alive.build().await.expect("builds").start().await.expect("starts");
    let mut ghost = registry.get_service("echo").await.expect("memory").services.remove(0);
    ghost.nodes[0].id = "echo-ghost".to_owned();
    ghost.nodes[0].address = dead;
    registry.register(&ghost, Duration::ZERO).await.expect("memory");

    for _ in 0..20 {
        let upper: Json<String> =
            alive.client().call("echo", "Echo.Upper", &Json("a".to_owned())).await.expect("an answer");
        assert_eq!(upper.0, "A");
    }
    let figures = alive.client().nodes();
    let ghost = figures.iter().find(|node| node.name == "echo-ghost").expect("known");
    assert!(ghost.ejected && ghost.calls == 1, "{ghost:?}");
    alive.stop().await.expect("stops");
}

#[tokio::test]
async fn the_deadline_ends_a_call_and_says_which_node_was_slow() {
    let registry = MemoryRegistry::new();
    let slow = Handler::new("Slow")
        .json("Wait", |_cx, (): ()| async { std::future::pending::<Result<(), micro_core::Error>>().await });
    let server = builder("slow", &registry)
        .handler(slow)
        .build()
        .await
        .expect("builds")
        .start()
        .await
        .expect("starts");
    let options = CallOptions::new().timeout(Duration::from_millis(100));
    let answer = server.client().call_with::<_, Json<()>>("slow", "Slow.Wait", &Json(()), &options).await;
    let error = answer.expect_err("too slow");
    assert_eq!(error.code, 408);
    server.stop().await.expect("stops");
}

#[tokio::test]
async fn call_layers_see_each_attempt_and_its_node() {
    let (registry, log) = (MemoryRegistry::new(), Log::default());
    let seen = log.clone();
    let layer = tower::layer::layer_fn(move |inner: RpcService| {
        let seen = seen.clone();
        RpcService::new(tower::service_fn(move |request: RpcRequest| {
            let node =
                request.head.extensions.get::<Arc<crate::client::NodeState>>().map(|node| node.name.clone());
            seen.lock().expect("no panic while held").push(format!(
                "{} {}",
                request.head.endpoint,
                node.is_some()
            ));
            let mut inner = inner.clone();
            async move { tower::Service::call(&mut inner, request).await }
        }))
    });
    let service = builder("echo", &registry).handler(echo()).call_layer(layer);
    let service = service.build().await.expect("builds").start().await.expect("starts");
    let client = service.client().clone();
    let _: Json<String> = client.call("echo", "Echo.Upper", &Json("a".to_owned())).await.expect("an answer");
    assert_eq!(*log.lock().expect("free"), ["Echo.Upper true"]);
    service.stop().await.expect("stops");
}
