//! `/stats`: what the gateway answered in the last two minutes, as a page, as JSON, and at `/metrics` for Prometheus.

mod process;

use crate::{answer, metadata};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use parking_lot::Mutex;
use process::Process;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// What one counter covers.
const SPAN: Duration = Duration::from_secs(5);
/// How many are kept.
const KEPT: usize = 23;
/// The classes of statuses, as they are called in `/stats`. A change of protocol counts as a success.
const CLASSES: [&str; 4] = ["20x", "30x", "40x", "50x"];

const PAGE: &str = include_str!("page.html");

/// Counts answers.
#[derive(Debug)]
pub(crate) struct Stats {
    started: SystemTime,
    start: Instant,
    window: Mutex<Window>,
    totals: [AtomicU64; CLASSES.len()],
    in_flight: AtomicU64,
    /// All answers together, in microseconds.
    time: AtomicU64,
}

/// The newest counters, the oldest first. There is always one.
#[derive(Debug)]
struct Window {
    counters: VecDeque<Counter>,
    /// How many spans after the start the newest one begins.
    newest: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counter {
    classes: [u64; CLASSES.len()],
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            started: SystemTime::now(),
            start: Instant::now(),
            window: Mutex::new(Window { counters: VecDeque::from([Counter::default()]), newest: 0 }),
            totals: Default::default(),
            in_flight: AtomicU64::new(0),
            time: AtomicU64::new(0),
        }
    }
}

/// A request that is being answered.
struct Running<'a>(&'a Stats);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

/// Middleware that counts each answer when its head is known.
pub(crate) async fn count(State(stats): State<Arc<Stats>>, request: Request, next: Next) -> Response {
    stats.in_flight.fetch_add(1, Relaxed);
    // Also when the client goes away and this future is dropped.
    let running = Running(&stats);
    let start = Instant::now();
    let response = next.run(request).await;
    drop(running);
    stats.add(response.status(), start.elapsed());
    response
}

impl Stats {
    fn add(&self, status: StatusCode, took: Duration) {
        let class = match status.as_u16() {
            ..300 => 0,
            300..400 => 1,
            400..500 => 2,
            _ => 3,
        };
        self.totals[class].fetch_add(1, Relaxed);
        self.time.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
        let mut window = self.window.lock();
        window.advance(self.span());
        if let Some(counter) = window.counters.back_mut() {
            counter.classes[class] += 1;
        }
    }

    /// How many whole spans have passed.
    fn span(&self) -> u64 {
        self.start.elapsed().as_secs() / SPAN.as_secs()
    }

    /// The page, or JSON for a request that says it is JSON, as Go Micro asks for it, or that it wants JSON.
    pub(crate) fn page(&self, request: &Request) -> Response {
        if wants_json(request.headers()) {
            return answer::content(StatusCode::OK, answer::JSON, self.json().to_string());
        }
        let html = HeaderValue::from_static("text/html; charset=utf-8");
        let mut response = answer::content(StatusCode::OK, html, PAGE);
        // Everything that it needs is in it.
        let policy =
            "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'";
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
        response
    }

    fn json(&self) -> Value {
        let started = self.started.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let process = Process::now();
        let mut window = self.window.lock();
        window.advance(self.span());
        let first = window.newest + 1 - window.counters.len() as u64;
        let counters = window.counters.iter().zip(first..).map(|(counter, span)| {
            let codes = CLASSES.iter().zip(counter.classes).filter(|(_, count)| *count > 0);
            let codes: serde_json::Map<_, _> =
                codes.map(|(class, count)| ((*class).to_owned(), Value::from(count))).collect();
            json!({
                "timestamp": started + span * SPAN.as_secs(),
                "status_codes": codes,
                "total_reqs": counter.classes.iter().sum::<u64>(),
            })
        });
        json!({
            "started": started,
            "memory": format!("{:.2}mb", process.memory as f64 / f64::from(1 << 20)),
            "threads": process.threads,
            // There is no collector, but readers expect the key.
            "gc_pause": "0.000ms",
            "counters": counters.collect::<Vec<_>>(),
        })
    }

    /// The text format of Prometheus, version 0.0.4.
    pub(crate) fn metrics(&self) -> Response {
        let process = Process::now();
        let started = self.started.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let mut text = String::with_capacity(1024);
        let mut metric = |name: &str, kind: &str, help: &str, samples: &[(&str, String)]| {
            // Writing to a String cannot fail.
            _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (suffix, value) in samples {
                _ = writeln!(text, "{name}{suffix} {value}");
            }
        };
        let totals = self.totals.each_ref().map(|total| total.load(Relaxed));
        let labels = CLASSES.map(|class| format!("{{status=\"{}xx\"}}", &class[..1]));
        let samples: Vec<_> =
            labels.iter().zip(totals).map(|(label, total)| (label.as_str(), total.to_string())).collect();
        metric(
            "micro_http_requests_total",
            "counter",
            "Answers of the gateway by class of status.",
            &samples,
        );
        let seconds = self.time.load(Relaxed) as f64 / 1e6;
        let sums = [("_sum", seconds.to_string()), ("_count", totals.iter().sum::<u64>().to_string())];
        let help = "Time until the head of the answer was known.";
        metric("micro_http_request_duration_seconds", "summary", help, &sums);
        for (name, help, value) in [
            (
                "micro_http_requests_in_flight",
                "Requests that are being answered.",
                self.in_flight.load(Relaxed).to_string(),
            ),
            ("process_resident_memory_bytes", "Resident memory in bytes.", process.memory.to_string()),
            ("process_threads", "Threads of the operating system.", process.threads.to_string()),
            ("process_start_time_seconds", "Start of the process since the epoch.", started.to_string()),
        ] {
            metric(name, "gauge", help, &[("", value)]);
        }
        let format = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        answer::content(StatusCode::OK, format, text)
    }
}

impl Window {
    /// Begins the counters up to the one that is `span` spans after the start.
    fn advance(&mut self, span: u64) {
        let missing = span.saturating_sub(self.newest);
        for _ in 0..missing.min(KEPT as u64) {
            self.counters.push_back(Counter::default());
        }
        self.newest += missing;
        while self.counters.len() > KEPT {
            self.counters.pop_front();
        }
    }
}

fn wants_json(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    metadata::media_type(headers).as_deref() == Some("application/json")
        || accept.starts_with("application/json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn counters_cover_five_seconds_and_the_newest_are_kept() {
        let stats = Stats::default();
        for status in [200, 101, 304, 404, 502] {
            stats.add(StatusCode::from_u16(status).expect("a status"), Duration::from_millis(1));
        }
        tokio::time::advance(SPAN * 2).await;
        stats.add(StatusCode::OK, Duration::ZERO);
        let json = stats.json();
        let counters = json["counters"].as_array().expect("a list");
        assert_eq!(counters.len(), 3);
        assert_eq!(counters[0]["status_codes"], json!({ "20x": 2, "30x": 1, "40x": 1, "50x": 1 }));
        assert_eq!((&counters[0]["total_reqs"], &counters[1]["total_reqs"]), (&json!(5), &json!(0)));
        assert_eq!(counters[2]["status_codes"], json!({ "20x": 1 }));
        let times: Vec<u64> = counters.iter().filter_map(|it| it["timestamp"].as_u64()).collect();
        assert_eq!((times[1] - times[0], times[2] - times[1]), (5, 5));

        tokio::time::advance(Duration::from_secs(1 << 40)).await;
        let json = stats.json();
        let counters = json["counters"].as_array().expect("a list");
        assert!(counters.len() == KEPT && counters.iter().all(|it| it["total_reqs"] == 0), "{json}");
    }

    #[test]
    fn prometheus_gets_totals() {
        let stats = Stats::default();
        stats.add(StatusCode::OK, Duration::from_millis(1500));
        stats.add(StatusCode::NOT_FOUND, Duration::from_millis(500));
        let response = stats.metrics();
        let body =
            futures::executor::block_on(axum::body::to_bytes(response.into_body(), 1 << 16)).expect("short");
        let text = String::from_utf8_lossy(&body);
        for line in [
            "# TYPE micro_http_requests_total counter",
            "micro_http_requests_total{status=\"2xx\"} 1",
            "micro_http_requests_total{status=\"4xx\"} 1",
            "micro_http_requests_total{status=\"5xx\"} 0",
            "micro_http_request_duration_seconds_sum 2",
            "micro_http_request_duration_seconds_count 2",
            "micro_http_requests_in_flight 0",
        ] {
            assert!(text.lines().any(|it| it == line), "{line}: {text}");
        }
    }
}
