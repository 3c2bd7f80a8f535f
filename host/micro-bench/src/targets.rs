//! What is aimed at, against what was seen. Ratios of medians from one run; at 64 connections, where they are about
//! load.
//!
//! A target for which a row is missing is in the list too, as not measured: silence would look like success.

use crate::calls::{CODEC, CallFigures, FILTER, HEAD, PICK};
use crate::events::{GO as GO_EVENTS, GO_FLOOD};
use crate::figures::Figures;
use crate::report::Report;
use crate::setup::Setup;
use serde::Serialize;

const CONNECTIONS: usize = 64;

/// A figure that should be on one side of a bound.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Target {
    /// What it is compared with.
    pub(crate) against: String,
    pub(crate) what: &'static str,
    pub(crate) goal: Goal,
    /// None: not measured.
    pub(crate) seen: Option<f64>,
    /// None: not measured.
    pub(crate) met: Option<bool>,
}

/// A bound.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

impl Goal {
    fn met_by(self, seen: f64) -> bool {
        match self {
            Self::AtLeast(bound) => seen >= bound,
            Self::AtMost(bound) => seen <= bound,
        }
    }
}

impl Target {
    fn new(against: impl Into<String>, what: &'static str, goal: Goal, seen: Option<f64>) -> Self {
        Self { against: against.into(), what, goal, seen, met: seen.map(|seen| goal.met_by(seen)) }
    }
}

type Figure = fn(&Figures) -> f64;

const RATE: Figure = |figures| figures.rate.median;
const P99: Figure = |figures| figures.p99_us.median;
const CPU: Figure = |figures| figures.cpu_us.median;

/// All targets, for stacks of `ours`.
pub(crate) fn of(report: &Report, ours: &Setup) -> Vec<Target> {
    use Goal::{AtLeast, AtMost};
    let [micro, bare, over_grpc, events, api] =
        ["micro", "bare", "micro-grpc", "events", "api"].map(|stack| format!("{stack}-{}", ours.id()));
    let ratio = |id: &str, other: &str, figure: Figure| {
        Some(figure(report.row(id, CONNECTIONS)?) / figure(report.row(other, CONNECTIONS)?))
    };
    let tax = |id: &str, other: &str| {
        Some(CPU(report.row(id, CONNECTIONS)?) - CPU(report.row(other, CONNECTIONS)?))
    };
    let memory = || {
        let rss = |id: &str| Some(report.row(id, CONNECTIONS)?.rss_mib?.median);
        Some(rss(&api)? / rss("api-go")?)
    };
    // Go Micro's broker is at its best with few events at a time.
    let most = |id: &str| {
        let of_row = report.events.iter().filter(|row| row.id == id);
        of_row.map(|row| row.figures.rate.median).reduce(f64::max)
    };
    let more_events = |other: &str| Some(most(&events)? / most(other)?);
    let dearest = |kind: &str| {
        let of_kind = |call: &&CallFigures| call.setup == ours.id() && call.kind == kind;
        report.calls.iter().filter(of_kind).map(|call| call.ns.median / 1e3).reduce(f64::max)
    };
    let start = report.starts.iter().find(|start| start.id == format!("start-{}", ours.id()));
    let linked = "the same, linked natively";
    let (mucp, grpc, go_api) = ("Go Micro v4.11 mucp", "Go Micro v4.11 gRPC", "Go micro api v2.9.3");
    let broker = "Go Micro v4.11 http broker";
    let mut targets = Vec::new();
    targets.extend([
        Target::new(linked, "WASM: more CPU, µs per RPC", AtMost(2.5), tax("micro-wasm", "micro-native")),
        Target::new(
            linked,
            "WASM: requests/s, ratio",
            AtLeast(0.8),
            ratio("micro-wasm", "micro-native", RATE),
        ),
        Target::new(
            "hyper HTTP/1.1",
            "bare loop: requests/s, ratio",
            AtLeast(1.0),
            ratio(&bare, "hyper", RATE),
        ),
        Target::new("hyper HTTP/1.1", "whole: requests/s, ratio", AtLeast(0.8), ratio(&micro, "hyper", RATE)),
        Target::new(mucp, "requests/s, ratio", AtLeast(12.0), ratio(&micro, "go-v4-mucp", RATE)),
        Target::new(mucp, "p99, ratio", AtMost(1.0 / 8.0), ratio(&micro, "go-v4-mucp", P99)),
        Target::new(grpc, "requests/s, ratio", AtLeast(2.0), ratio(&micro, "go-v4-grpc", RATE)),
        Target::new(grpc, "p99, ratio", AtMost(0.5), ratio(&micro, "go-v4-grpc", P99)),
        Target::new(
            grpc,
            "over gRPC: requests/s, ratio",
            AtLeast(1.2),
            ratio(&over_grpc, "go-v4-grpc", RATE),
        ),
        Target::new(
            "tonic, one connection",
            "over gRPC: requests/s, ratio",
            AtLeast(1.0),
            ratio(&over_grpc, "tonic-shared", RATE),
        ),
        Target::new(
            "tonic, a connection per caller",
            "over gRPC: requests/s, ratio",
            AtLeast(1.0),
            ratio(&over_grpc, "tonic", RATE),
        ),
        Target::new(
            broker,
            "published in loops, each where it does best: events/s handled, ratio",
            AtLeast(10.0),
            more_events(GO_FLOOD),
        ),
        Target::new(
            broker,
            "the next when one is handled, 64 at a time: events/s, ratio",
            AtLeast(10.0),
            ratio(&events, GO_EVENTS, RATE),
        ),
        Target::new(
            broker,
            "the next when one is handled, each where it does best: events/s, ratio",
            AtLeast(3.0),
            more_events(GO_EVENTS),
        ),
        Target::new(go_api, "requests/s, ratio", AtLeast(4.0), ratio(&api, "api-go", RATE)),
        Target::new(go_api, "p99, ratio", AtMost(1.0 / 3.0), ratio(&api, "api-go", P99)),
        Target::new(go_api, "memory, ratio", AtMost(1.0), memory()),
    ]);
    let one_call = format!("one call, {}", ours.what());
    let start_up = format!("micro api, {}", ours.what());
    targets.extend([
        Target::new(&one_call, "pick, µs", AtMost(0.2), dearest(PICK)),
        Target::new(&one_call, "json-rpc codec, µs", AtMost(0.4), dearest(CODEC)),
        Target::new(&one_call, "wire head, µs", AtMost(0.7), dearest(HEAD)),
        Target::new(&one_call, "filter, µs", AtMost(1.0), dearest(FILTER)),
        Target::new(&one_call, "middleware hop, µs", AtMost(12.0), dearest("hop")),
        Target::new(&start_up, "ready, ms", AtMost(100.0), start.map(|it| it.ready_ms.median)),
        Target::new(&start_up, "idle memory, MiB", AtMost(40.0), start.map(|it| it.idle_mib.median)),
    ]);
    targets
}
