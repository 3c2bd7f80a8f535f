//! What stands in front of the handlers: layers, statistics, CORS, in this order.

use crate::support::{Gateway, World};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use micro_gateway::Cors;
use serde_json::Value;

fn get(path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n")
}

/// A filter as a plugin might be one: refuses what has a certain field, and marks all answers.
async fn filter(request: Request, next: Next) -> Response {
    if request.headers().contains_key("x-forbidden") {
        return StatusCode::FORBIDDEN.into_response();
    }
    let mut response = next.run(request).await;
    response.headers_mut().insert("x-filtered", "yes".parse().expect("a value"));
    response
}

#[tokio::test]
async fn layers_are_outside_of_statistics_and_cors() {
    let world = World::new();
    let api = world.api().stats(true).front(|router| router.layer(from_fn(filter)));
    let gateway = Gateway::start(api).await;
    let preflight = "OPTIONS / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nOrigin: https://a.example\r\n\
                     Access-Control-Request-Method: PUT\r\n\r\n";
    let answer = gateway.exchange(preflight).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("x-filtered: yes"), "{answer}");
    assert!(answer.contains("access-control-allow-origin: https://a.example"), "{answer}");
    for path in ["/nobody/here", "/healthz", "/stats", "/"] {
        let answer = gateway.exchange(get(path, "")).await;
        assert!(answer.contains("x-filtered: yes"), "{path}: {answer}");
        let refused = gateway.exchange(get(path, "X-Forbidden: 1\r\n")).await;
        assert!(refused.starts_with("HTTP/1.1 403 "), "{path}: {refused}");
    }
    let stats = gateway.exchange(get("/stats", "Content-Type: application/json\r\n")).await;
    let (_, body) = stats.split_once("\r\n\r\n").expect("a body");
    let stats: Value = serde_json::from_str(body).expect("JSON");
    let sum = |class: &str| {
        let counters = stats["counters"].as_array().expect("a list").iter();
        counters.filter_map(|it| it["status_codes"][class].as_u64()).sum::<u64>()
    };
    assert_eq!((sum("20x"), sum("40x")), (4, 1), "what the filter refused was not counted: {stats}");
    for key in ["started", "memory", "threads", "gc_pause"] {
        assert!(!stats[key].is_null(), "{key}: {stats}");
    }
    let page = gateway.exchange(get("/stats", "")).await;
    assert!(page.contains("content-type: text/html") && page.contains("Request Load"), "{page}");
    let metrics = gateway.exchange(get("/metrics", "")).await;
    assert!(metrics.contains("micro_http_requests_total{status=\"4xx\"} 1\n"), "{metrics}");
    gateway.stopped().await;
}

#[tokio::test]
async fn without_them_the_paths_are_like_any_other() {
    let world = World::new();
    let gateway = Gateway::start(world.api().cors(None)).await;
    for path in ["/stats", "/metrics"] {
        let answer = gateway.exchange(get(path, "Origin: https://a.example\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 404 ") && !answer.contains("access-control"), "{answer}");
    }
    gateway.stopped().await;
    let listed = world.api().cors(Some(Cors::default().origins(["https://b.example"])));
    let gateway = Gateway::start(listed).await;
    let answer = gateway.exchange(get("/", "Origin: https://a.example\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && !answer.contains("access-control"), "{answer}");
    gateway.stopped().await;
}
