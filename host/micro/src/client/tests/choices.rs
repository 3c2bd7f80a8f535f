//! What a call or a client chooses for itself: proxies, nodes, pauses, layers.

use super::{client, echo, nobody};
use crate::client::{CallOptions, Failure, Filter, Proxy};
use crate::payload::Json;
use crate::rpc::{RpcLayer, RpcRequest, RpcService};
use micro_core::selector::{Candidates, Load};
use micro_core::{Error, Selector};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

async fn how(client: &crate::Client, service: &str, options: &CallOptions) -> Result<String, Error> {
    client.call_with(service, "Echo.How", &Json(()), options).await.map(|Json(text)| text)
}

#[tokio::test]
async fn a_proxy_gets_the_calls_and_the_name_of_the_service() {
    let server = echo().await;
    let address = server.address().to_string();
    let named = client(&[(&address, Some("mucp"))]).await.proxy(Proxy::service("old")).build();
    let there = client(&[(&nobody().await, Some("mucp"))]).await.proxy(Proxy::address(&address)).build();
    for client in [&named, &there] {
        let answer = how(client, "elsewhere", &CallOptions::new()).await.expect("the proxy answers");
        assert!(answer.starts_with("elsewhere "), "{answer}");
    }
    let other = CallOptions::new().address(nobody().await).retries(0);
    how(&named, "elsewhere", &other).await.expect_err("an address is called directly");
    how(&there, "elsewhere", &other).await.expect("but not beside a proxy with an address");
    server.stop().await.expect("stops");
}

#[tokio::test]
async fn calls_through_a_proxy_are_not_retried() {
    let dead = [nobody().await, nobody().await];
    let dead = dead.each_ref().map(|address| (address.as_str(), Some("mucp")));
    let attempts = Arc::new(AtomicU32::new(0));
    let seen = attempts.clone();
    let count = move |_: &Failure| {
        seen.fetch_add(1, SeqCst);
        true
    };
    let options = CallOptions::new().retries(1).retry(count);
    for (proxy, expected) in [(Proxy::default(), 2), (Proxy::service("old"), 1)] {
        let client = client(&dead).await.proxy(proxy).build();
        attempts.store(0, SeqCst);
        how(&client, "old", &options).await.expect_err("nobody is there");
        assert_eq!(attempts.load(SeqCst), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn the_pause_between_attempts_is_the_callers_to_choose() {
    let dead = nobody().await;
    let client = client(&[(&dead, Some("mucp"))]).await.backoff(|_| Duration::from_secs(1)).build();
    let took = async |options: &CallOptions| {
        let began = tokio::time::Instant::now();
        let options = options.clone().retries(2).timeout(Duration::from_secs(3600));
        how(&client, "old", &options).await.expect_err("nobody is there");
        began.elapsed().as_secs()
    };
    assert_eq!(took(&CallOptions::new()).await, 2, "the client's");
    let growing = |failure: &Failure| Duration::from_secs(10 * u64::from(failure.attempt + 1));
    assert_eq!(took(&CallOptions::new().backoff(growing)).await, 30, "the call's");
}

/// Takes the first node that is left, and counts.
#[derive(Debug, Default)]
struct Counting(AtomicU32);

impl Selector for Counting {
    fn name(&self) -> &str {
        "counting"
    }

    fn pick(&self, set: Candidates<'_>, _: &[Load], _: u64, _: u64, avoid: &[u32]) -> Option<usize> {
        self.0.fetch_add(1, SeqCst);
        (0..set.nodes.len()).find(|at| !avoid.contains(&(*at as u32)))
    }
}

#[tokio::test]
async fn a_call_may_bring_its_own_choice_of_nodes() {
    let server = echo().await;
    let (address, dead) = (server.address().to_string(), nobody().await);
    let client = client(&[(&dead, Some("mucp")), (&address, Some("mucp"))]).await.retries(0).build();
    let own = address.clone();
    let alive = CallOptions::new().filter(Filter::nodes(move |_, node| node.address == own));
    let counting = Arc::new(Counting::default());
    for options in [alive.clone(), alive.selector(counting.clone())] {
        for _ in 0..4 {
            how(&client, "old", &options).await.expect("always the one that lives");
        }
    }
    assert_eq!(counting.0.load(SeqCst), 4);
    let none = CallOptions::new().filter(Filter::nodes(|_, _| false));
    let error = how(&client, "old", &none).await.expect_err("nobody is left");
    assert!(error.detail.contains("2 excluded"), "{error}");
    server.stop().await.expect("stops");
}

/// Writes its name down for each attempt.
struct Noting {
    name: &'static str,
    log: Arc<Mutex<Vec<&'static str>>>,
}

impl RpcLayer for Noting {
    fn wrap(&self, inner: RpcService) -> RpcService {
        let (name, log) = (self.name, self.log.clone());
        RpcService::new(tower::service_fn(move |request: RpcRequest| {
            log.lock().push(name);
            let inner = inner.clone();
            async move { crate::rpc::call(&inner, request).await }
        }))
    }
}

#[tokio::test]
async fn layers_of_a_call_stand_inside_those_of_the_client() {
    let server = echo().await;
    let address = server.address().to_string();
    let log = Arc::new(Mutex::new(Vec::new()));
    let layer = |name| Noting { name, log: log.clone() };
    let nodes = [(address.as_str(), Some("mucp"))];
    let options = CallOptions::new().call_layer(layer("call 1")).call_layer(layer("call 2"));
    for (client, expected) in [
        (client(&nodes).await.build(), &["call 1", "call 2"][..]),
        (client(&nodes).await.call_layer(layer("client")).build(), &["client", "call 1", "call 2"]),
    ] {
        how(&client, "old", &options).await.expect("an answer");
        assert_eq!(*log.lock(), expected);
        log.lock().clear();
    }
    server.stop().await.expect("stops");
}

#[tokio::test]
async fn a_token_is_sent_as_services_read_it() {
    let options = CallOptions::new().bearer_token("secret");
    assert_eq!(options.metadata.get("authorization"), Some("Bearer secret"));
}
