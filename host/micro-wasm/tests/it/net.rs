//! `micro:net/http`: HTTP with whole bodies.

use crate::support::{Lab, plugin, request};
use micro_core::RegistryError;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Answers each connection with this, then keeps it open for as long as the client does; the address.
async fn server(answer: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut head = [0; 1024];
                // The client ends when it has enough, in the middle of an answer that is too long.
                if stream.read(&mut head).await.is_ok_and(|length| length > 0) {
                    let _ = stream.write_all(&answer).await;
                    let _ = stream.read(&mut head).await;
                }
            });
        }
    });
    address
}

/// What a plugin hears that asks for `url`, with permission for `allowed`.
async fn fetch(url: &str, allowed: Option<&str>) -> RegistryError {
    ask("fetch", url, allowed).await
}

async fn ask(how: &str, url: &str, allowed: Option<&str>) -> RegistryError {
    let lab = Lab::new();
    let file = lab.file("x.wasm", &plugin("fault-registry"));
    let mut request = request(&file).option("fault", format!("list-services:{how}:{url}"));
    if let Some(address) = allowed {
        request = request.allow(format!("net:{address}").parse().expect("an address"));
    }
    let registry = lab.host.load_registry(request).await.expect("it loads");
    let error = registry.list_services().await.expect_err("it reports by an error");
    assert_eq!(lab.status().restarts, 0, "{error}");
    error
}

fn answer(head: &str, body: usize) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 200 OK\r\n{head}\r\n").into_bytes();
    answer.resize(answer.len() + body, b'x');
    answer
}

#[tokio::test]
async fn an_answer_arrives_whole() {
    let address = server(answer("x-first: 1\r\ncontent-length: 300000\r\n", 300_000)).await;
    let error = fetch(&format!("http://{address}/a?b"), Some(&address)).await;
    assert!(error.to_string().contains("answered 200 with 300000 bytes after x-first"), "{error}");
}

#[tokio::test]
async fn what_goes_wrong_has_a_case_of_its_own() {
    let address = server(answer("content-length: 3\r\n", 3)).await;
    let error = fetch(&format!("http://{address}/"), None).await;
    assert!(
        matches!(&error, RegistryError::Denied { reason, .. } if reason.contains("not granted")),
        "{error}"
    );

    let error = fetch("ftp://127.0.0.1/", None).await;
    assert!(matches!(error, RegistryError::Invalid { .. }), "{error}");

    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = closed.local_addr().expect("bound").to_string();
    drop(closed);
    let error = fetch(&format!("http://{address}/"), Some(&address)).await;
    assert!(matches!(error, RegistryError::Unavailable { .. }), "{error}");

    let address = server(answer("content-length: 9000000\r\n", 9_000_000)).await;
    let error = fetch(&format!("http://{address}/"), Some(&address)).await;
    assert!(error.to_string().contains("has more than 8388608 bytes"), "{error}");
}

#[tokio::test]
async fn an_answer_that_does_not_end_is_given_up_in_time() {
    let address = server(answer("content-length: 10\r\n", 3)).await;
    let asked = Instant::now();
    let error = fetch(&format!("http://{address}/"), Some(&address)).await;
    assert!(matches!(error, RegistryError::Timeout { .. }), "{error}");
    assert!(asked.elapsed() >= Duration::from_secs(1), "the plugin gave it a second");
}

#[tokio::test]
async fn promises_overlap_and_can_be_given_up() {
    let address = server(answer("x-first: 1\r\ncontent-length: 30\r\n", 30)).await;
    let url = format!("http://{address}/");
    let error = ask("promise", &url, Some(&address)).await;
    assert!(error.to_string().contains("answered 200 with 30 bytes after x-first"), "{error}");
    let error = ask("promise", &url, None).await;
    assert!(matches!(error, RegistryError::Denied { .. }), "{error}");
}

#[tokio::test]
async fn a_guest_that_waits_by_a_promise_lets_other_calls_go_on() {
    let lab = Lab::new();
    let (registry, _) = lab.faulty("dozing", "list-services:doze:300").await;
    let dozing = registry.list_services();
    tokio::pin!(dozing);
    let asked = Instant::now();
    tokio::select! {
        _ = &mut dozing => panic!("it waits for 300 ms"),
        found = registry.get_service("nobody") => assert_eq!(found.expect("it answers").services, []),
    }
    assert_eq!(dozing.await.expect("it answers"), Vec::<String>::new());
    assert!(asked.elapsed() >= Duration::from_millis(300));
}
