//! The documented order of shutdown, seen from outside.

use crate::world::{SOON, World};
use hyper::StatusCode;
use micro_test::process::Signal;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_stops_is_deregistered_first_and_serves_on_for_a_while() {
    let world = World::new();
    let mut greeter = world.start("greeter-srv", &["--server_address=127.0.0.1:0", "--drain_delay=2s"]);
    let line = greeter.line("registered", SOON).await;
    let address = line
        .split_whitespace()
        .find_map(|word| word.strip_prefix("address="))
        .expect("logged")
        .trim_matches('"');
    let stopped = Instant::now();
    greeter.signal(Signal::TERM);
    greeter.line("deregistered", SOON).await;
    assert_eq!(world.succeed("micro", &["list", "services"]).await, "");
    let direct = format!("--address={address}");
    let call = ["call", &direct, "go.micro.srv.greeter", "Say.Hello", r#"{"name":"late"}"#];
    let answer = world.succeed("micro", &call).await;
    assert!(answer.contains("Hello late"), "{answer}");
    let status = greeter.exit(SOON).await;
    assert!(status.success(), "{status}");
    assert!(stopped.elapsed() >= Duration::from_secs(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_skips_the_waits() {
    let world = World::new();
    let mut gateway = world.gateway(&["--drain_delay=1h"]).await;
    let (status, _) = gateway.ask("GET", "/healthz", "", "").await.expect("an answer");
    assert_eq!(status, StatusCode::OK);
    gateway.program.signal(Signal::TERM);
    gateway.program.line("stopping", SOON).await;
    gateway.program.signal(Signal::INT);
    let status = gateway.program.exit(SOON).await;
    assert!(status.success(), "{status}");
}
