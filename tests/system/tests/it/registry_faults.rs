//! What callers see of a registry that hangs, dies, forgets, is slow or refuses, and that everything heals: the same for
//! every registry plugin with a server behind it.

use crate::faults::{HEARTBEAT, INTERVAL, assert_none_failed, load};
use crate::server::{Kind, Server, http};
use crate::tls_front::{Front, Validity};
use crate::world::{SOON, World};
use hyper::StatusCode;
use micro_test::eventually;
use micro_test::process::{Program, Signal};
use micro_test::proxy::{Fault, Proxy};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Runs each case with each server.
macro_rules! with_each {
    ($($case:ident),* $(,)?) => {
        mod etcd {
            $(#[tokio::test(flavor = "multi_thread")]
            #[ignore = "needs etcd"]
            async fn $case() {
                super::$case(super::Kind::Etcd).await;
            })*
        }

        mod consul {
            $(#[tokio::test(flavor = "multi_thread")]
            #[ignore = "needs consul"]
            async fn $case() {
                super::$case(super::Kind::Consul).await;
            })*
        }
    };
}

with_each! {
    calls_go_on_while_it_hangs_dies_and_comes_back_empty,
    a_slow_network_delays_and_breaks_nothing,
    a_wrong_secret_is_named_and_everything_heals_once_it_is_right,
    an_expired_certificate_is_named_and_everything_heals_once_it_is_renewed,
}

const NAMESPACE: &str = "--api_namespace=go.micro.srv";

fn strings<'a>(flags: &'a [String], more: &[&'a str]) -> Vec<&'a str> {
    flags.iter().map(String::as_str).chain(more.iter().copied()).collect()
}

async fn calls_go_on_while_it_hangs_dies_and_comes_back_empty(kind: Kind) {
    let server = Server::start(kind).await;
    let world = World::new();
    let own = server.flags();
    let flags = strings(&own, &HEARTBEAT);
    let greeter = world.greeter(&flags).await;
    let gateway = world.gateway(&[&flags[..], &[NAMESPACE]].concat()).await;
    gateway.greets("John").await;
    let gateway = Arc::new(gateway);

    // Hung: it accepts connections and answers nothing.
    server.signal(Signal::STOP);
    let calls = load(&gateway, Duration::from_secs(10)).await;
    server.signal(Signal::CONT);
    assert_none_failed(&calls, "it hung");
    registered_again(&world, &own, "it went on").await;

    // Killed, and restarted: etcd with its data, consul without.
    server.kill().await;
    let calls = load(&gateway, Duration::from_secs(3)).await;
    assert_none_failed(&calls, "it was gone");
    server.up().await;
    registered_again(&world, &own, "it was restarted").await;

    // Killed, and restarted without.
    server.kill().await;
    server.forget();
    server.up().await;
    let calls = load(&gateway, Duration::from_secs(3)).await;
    assert_none_failed(&calls, "it had forgotten everything");
    registered_again(&world, &own, "it was restarted empty").await;
    ready_again(&gateway).await;

    // One clear line for each time that the registry was lost, and one for each time that it was back.
    for program in [&greeter, &gateway.program] {
        let lines = program.lines();
        let warnings = lines.iter().filter(|line| line.contains("WARN") && line.contains("register")).count();
        assert!((1..=3).contains(&warnings), "{warnings} warnings about registering\n{program}");
    }

    // The watch goes on: who comes now is found, and who goes is left alone.
    let other = world.greeter(&flags).await;
    drop(greeter);
    gateway.greets("Jane").await;
    drop(other);
    eventually("nobody is left", SOON, async || {
        gateway.greet("Nobody").await.is_ok_and(|(status, _)| status != StatusCode::OK)
    })
    .await;
}

async fn ready_again(gateway: &crate::world::Gateway) {
    eventually("ready again", SOON, async || {
        gateway.ready().await.is_ok_and(|(status, _)| status == StatusCode::OK)
    })
    .await;
}

/// The greeter is registered, and alive, within one interval; a fresh process looks there, not into a cache.
async fn registered_again(world: &World, registry: &[String], when: &str) {
    let started = Instant::now();
    // Time for the looking process itself to start, and for a busy machine.
    let limit = INTERVAL + Duration::from_secs(3);
    let call = strings(registry, &["call", "go.micro.srv.greeter", "Say.Hello", r#"{"name":"again"}"#]);
    loop {
        let output = world.run("micro", &call).await;
        if output.status.success() {
            return;
        }
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(started.elapsed() < limit, "not registered within {limit:?} after {when}: {error}");
    }
}

async fn a_slow_network_delays_and_breaks_nothing(kind: Kind) {
    let server = Server::start(kind).await;
    let proxy = Proxy::start(server.socket()).await;
    proxy.set(Fault::Latency(Duration::from_millis(200))).await;
    let world = World::new();
    let slow = [format!("--registry={}", kind.registry()), format!("--registry_address={}", proxy.address())];
    let flags = strings(&slow, &HEARTBEAT);
    let mut first = world.greeter(&flags).await;
    let gateway = Arc::new(world.gateway(&[&flags[..], &[NAMESPACE]].concat()).await);
    gateway.greets("John").await;
    let calls = load(&gateway, Duration::from_secs(3)).await;
    assert_none_failed(&calls, "the registry was far away");
    let slowest = calls.iter().map(|call| call.ended - call.started).max().expect("some");
    assert!(slowest < Duration::from_secs(1), "a call waited for the registry: {slowest:?}");

    // Changes arrive, over the same connections.
    let second = world.greeter(&flags).await;
    first.signal(Signal::TERM);
    assert!(first.exit(SOON).await.success(), "{first}");
    gateway.greets("Jane").await;
    proxy.set(Fault::Reset).await;
    proxy.set(Fault::Latency(Duration::from_millis(200))).await;
    let calls = load(&gateway, Duration::from_secs(1)).await;
    assert_none_failed(&calls, "the registry's connections were reset");
    drop(second);
}

/// A program that cannot register says why, and goes on trying.
async fn complains(program: &Program, word: &str) {
    let line = program.line("cannot register", SOON).await;
    assert!(line.to_lowercase().contains(word), "{word:?} is not in {line:?}");
}

const CONSUL_ROOT: &str = "3c1f5e0a-0000-4000-8000-000000000001";
const CONSUL_OTHER: &str = "3c1f5e0a-0000-4000-8000-000000000002";

async fn a_wrong_secret_is_named_and_everything_heals_once_it_is_right(kind: Kind) {
    let server = Server::start_with(kind, &[("CONSUL_TOKEN", CONSUL_ROOT)]).await;
    if kind == Kind::Etcd {
        etcd_with_users(&server.address).await;
    }
    let world = World::new();
    let secret = match kind {
        Kind::Etcd => ["--registry_opt=username=service", "--registry_opt=password=right"],
        Kind::Consul => {
            ["--registry_opt=token=3c1f5e0a-0000-4000-8000-000000000002", "--registry_opt=add-tags=x"]
        }
    };
    let own = server.flags();
    let flags = strings(&own, &[&HEARTBEAT[..], &secret].concat());

    let error = world.fail("micro", &[&flags[..], &["list", "services"]].concat()).await;
    assert!(error.contains("denied") && error.contains(&server.address), "{error}");
    assert!(!error.contains("right") && !error.contains(CONSUL_OTHER), "the secret is shown: {error}");
    let greeter = world
        .start("greeter-srv", &[&flags[..], &["--server_address=127.0.0.1:0", "--drain_delay=0s"]].concat());
    complains(&greeter, "denied").await;
    let gateway = world.gateway(&[&flags[..], &[NAMESPACE]].concat()).await;
    let (status, body) = gateway.greet("Nobody").await.expect("an answer");
    assert_ne!(status, StatusCode::OK, "{body}");

    match kind {
        Kind::Etcd => {
            let token = etcd_root(&server.address).await;
            let change = json!({ "name": "service", "password": "right" });
            etcd(&server.address, &token, "/v3/auth/user/changepw", &change).await;
        }
        Kind::Consul => {
            let token = json!({ "SecretID": CONSUL_OTHER, "Policies": [{ "Name": "global-management" }] });
            let header = format!("X-Consul-Token: {CONSUL_ROOT}");
            let (status, text) = http(&server.address, "PUT", "/v1/acl/token", &header, &token).await;
            assert_eq!(status, 200, "{text}");
        }
    }
    greeter.line("registered", SOON).await;
    gateway.greets("John").await;
    ready_again(&gateway).await;
}

async fn etcd(address: &str, token: &str, path: &str, body: &Value) -> Value {
    let header = if token.is_empty() { String::new() } else { format!("Authorization: {token}") };
    let (status, text) = http(address, "POST", path, &header, body).await;
    assert_eq!(status, 200, "{path}: {text}");
    serde_json::from_str(&text).expect("JSON")
}

async fn etcd_root(address: &str) -> String {
    let login = json!({ "name": "root", "password": "root" });
    let token = etcd(address, "", "/v3/auth/authenticate", &login).await;
    token["token"].as_str().expect("a token").to_owned()
}

/// Authentication, and a user who may do everything but has another password than the tests use.
async fn etcd_with_users(address: &str) {
    let call = async |path: &str, body: Value| etcd(address, "", path, &body).await;
    for (name, password) in [("root", "root"), ("service", "another")] {
        call("/v3/auth/user/add", json!({ "name": name, "password": password })).await;
    }
    call("/v3/auth/role/add", json!({ "name": "root" })).await;
    for name in ["root", "service"] {
        call("/v3/auth/user/grant", json!({ "user": name, "role": "root" })).await;
    }
    call("/v3/auth/enable", json!({})).await;
}

async fn an_expired_certificate_is_named_and_everything_heals_once_it_is_renewed(kind: Kind) {
    let server = Server::start(kind).await;
    let world = World::new();
    let front = Front::start(world.path(), server.socket(), Validity::Expired).await;
    let own = [
        format!("--registry={}", kind.registry()),
        format!("--registry_address=https://{}", front.address),
        format!("--registry_tls_ca_file={}", front.roots().display()),
    ];
    let flags = strings(&own, &HEARTBEAT);
    let error = world.fail("micro", &[&flags[..], &["list", "services"]].concat()).await;
    assert!(error.contains("certificate") && error.contains(&front.address.to_string()), "{error}");
    let greeter = world
        .start("greeter-srv", &[&flags[..], &["--server_address=127.0.0.1:0", "--drain_delay=0s"]].concat());
    complains(&greeter, "certificate").await;

    front.show(Validity::Good);
    greeter.line("registered", SOON).await;
    let gateway = world.gateway(&[&flags[..], &[NAMESPACE]].concat()).await;
    gateway.greets("John").await;
    // It expires again; what is known goes on being called, and comes back with the next certificate.
    front.show(Validity::Expired);
    gateway.greets("Jane").await;
    front.show(Validity::Good);
    ready_again(&gateway).await;
    registered_again(&world, &own, "the certificate was renewed").await;
}
