//! What an instance asks of the host while it is watched, in order.

use parking_lot::Mutex;
use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};

/// So many things are remembered; a guest could do any number. Others are counted.
const REMEMBERED: usize = 10_000;
/// How wasmtime names the span around a call of the system interface, and where these spans come from.
const IMPORT: (&str, &str) = ("wit-bindgen import", "wasmtime_wasi");

/// One thing that a guest asked of the host.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "what")]
pub enum Event {
    /// A function of the system interface.
    Import {
        /// `wasi:cli/environment`, without its version.
        interface: String,
        /// `get-environment`.
        function: String,
    },
    /// A line of its log or of its standard error.
    Log {
        /// Lower case. Standard error is `warn`.
        level: String,
        /// Cut after 8 KiB.
        message: String,
        /// As the guest named them.
        fields: Vec<(String, String)>,
    },
    /// A request that left through the host.
    Http {
        /// `GET`.
        method: String,
        /// In full.
        url: String,
        /// None while there is no answer.
        status: Option<u16>,
        /// Why there is none.
        error: Option<String>,
        /// Until the head of the answer was there, in microseconds.
        took_us: u64,
    },
    /// Something that it may not do.
    Denied {
        /// The permission that would have allowed it.
        grant: String,
    },
}

/// An event and when it happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Traced {
    /// Since the instance was made, in microseconds.
    pub at_us: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// The memory of what happened. Written by the parts of the host that an instance reaches.
#[derive(Debug)]
pub(crate) struct Trace {
    begun: Instant,
    events: Mutex<Vec<Traced>>,
    dropped: AtomicU64,
}

/// Where the answer to a request will be noted.
#[derive(Debug)]
pub(crate) struct Pending {
    trace: Arc<Trace>,
    at: Option<usize>,
    asked: Instant,
}

impl Trace {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { begun: Instant::now(), events: Mutex::default(), dropped: AtomicU64::new(0) })
    }

    pub(crate) fn note(&self, event: Event) {
        self.push(event);
    }

    /// Notes a request; its answer has its place beside it.
    pub(crate) fn request(self: &Arc<Self>, method: &str, url: &str) -> Pending {
        let event = Event::Http {
            method: method.to_owned(),
            url: url.to_owned(),
            status: None,
            error: None,
            took_us: 0,
        };
        Pending { at: self.push(event), trace: self.clone(), asked: Instant::now() }
    }

    fn push(&self, event: Event) -> Option<usize> {
        let mut events = self.events.lock();
        if events.len() >= REMEMBERED {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        events.push(Traced { at_us: micros(self.begun.elapsed()), event });
        Some(events.len() - 1)
    }

    /// What happened so far, and how many things more that were not remembered.
    pub(crate) fn so_far(&self) -> (Vec<Traced>, u64) {
        (self.events.lock().clone(), self.dropped.load(Ordering::Relaxed))
    }
}

impl Pending {
    pub(crate) fn answered(self, outcome: Result<u16, String>) {
        let Some(at) = self.at else { return };
        if let Some(Traced { event: Event::Http { status, error, took_us, .. }, .. }) =
            self.trace.events.lock().get_mut(at)
        {
            *took_us = micros(self.asked.elapsed());
            match outcome {
                Ok(code) => *status = Some(code),
                Err(why) => *error = Some(why),
            }
        }
    }
}

/// Hears the calls of the system interface, of which wasmtime says nothing but a span each.
pub(super) struct Imports(pub(super) Arc<Trace>);

impl Subscriber for Imports {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && metadata.name() == IMPORT.0 && metadata.target().starts_with(IMPORT.1)
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut called = Called::default();
        span.record(&mut called);
        let Called { module, function } = called;
        let interface = interface(span.metadata().module_path().unwrap_or_default(), &module);
        self.0.note(Event::Import { interface, function });
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &tracing::Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// `wasi:cli/environment`: the span names the interface, and the path of the code that made it the package:
/// `wasmtime_wasi::p2::bindings::…::wasi::cli::environment`.
fn interface(path: &str, module: &str) -> String {
    let mut parts = path.split("::").skip_while(|part| *part != "wasi").skip(1);
    match parts.next() {
        Some(package) => format!("wasi:{package}/{module}"),
        None => module.to_owned(),
    }
}

#[derive(Default)]
struct Called {
    module: String,
    function: String,
}

impl Visit for Called {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "module" => self.module = value.to_owned(),
            "function" => self.function = value.to_owned(),
            _ => {}
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_have_their_packages() {
        let path = "wasmtime_wasi_http::p3::bindings::generated::wasi::http::client";
        assert_eq!(interface(path, "client"), "wasi:http/client");
        assert_eq!(interface("elsewhere", "client"), "client");
    }

    #[test]
    fn answers_stand_beside_their_requests_and_a_flood_is_counted() {
        let trace = Trace::new();
        let first = trace.request("GET", "http://a/");
        trace.note(Event::Denied { grant: "net:b:1".to_owned() });
        trace.request("GET", "http://c/").answered(Err("refused".to_owned()));
        first.answered(Ok(204));
        for _ in 0..REMEMBERED {
            trace.note(Event::Denied { grant: String::new() });
        }
        trace.request("GET", "http://late/").answered(Ok(200));
        let (events, dropped) = trace.so_far();
        assert_eq!((events.len(), dropped), (REMEMBERED, 4));
        assert!(matches!(&events[0].event, Event::Http { status: Some(204), error: None, .. }));
        assert!(
            matches!(&events[2].event, Event::Http { status: None, error: Some(why), .. } if why == "refused")
        );
    }
}
