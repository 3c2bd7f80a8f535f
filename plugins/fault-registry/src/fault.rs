//! The faults: what the option says, and doing it.

use crate::bindings::exports::micro::registry::registry::{Endpoint, Node, NodeStatus, Service};
use crate::bindings::micro::plugin::log::{self, Level};
use crate::bindings::micro::plugin::types::{Error, Outage};
use std::hint::black_box;
use std::io::Write as _;
use std::time::Duration;
use wasip3::clocks::monotonic_clock;
use wasip3::http::client;
use wasip3::http::types::{Fields, Request, Scheme};

/// Large enough for any limit on texts.
const HUGE: usize = 10 << 20;
const FLOOD_LINES: usize = 200_000;
/// Memory is taken in pieces of this size.
const BALLOON: usize = 1 << 20;

const CALLS: [&str; 8] = [
    "configure", "health", "drain", "register", "deregister", "get-service", "list-services", "changes",
];

/// What goes wrong, by call.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<(String, Fault)>);

/// One way to go wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Trap,
    Spin,
    Recurse,
    Balloon,
    Hang,
    Block,
    Slow(Duration),
    Huge,
    Garbage,
    StderrFlood,
    LogFlood,
    Http(String),
    Answer(&'static str),
}

/// How a call goes on after its fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    GoOn,
    /// With a text of ten megabytes.
    Huge,
    /// With an answer that has the right types and makes no sense.
    Garbage,
}

impl Faults {
    /// Reads `CALL:FAULT[:ARGUMENT][@INSTANCE]`, separated by commas. Faults of other instances are left out.
    pub(crate) fn parse(text: &str, instance: u64) -> Result<Self, String> {
        let mut faults = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (part, only) = match part.rsplit_once('@') {
                Some((part, only)) => (part, Some(only.parse::<u64>().map_err(|_| format!("{part}: no instance"))?)),
                None => (part, None),
            };
            let (call, fault) = part.split_once(':').ok_or_else(|| format!("{part}: expected CALL:FAULT"))?;
            if !CALLS.contains(&call) {
                return Err(format!("{call}: no such call"));
            }
            let fault = Fault::parse(fault)?;
            if only.is_none_or(|only| only == instance) {
                faults.push((call.to_owned(), fault));
            }
        }
        Ok(Self(faults))
    }

    pub(crate) fn of(&self, call: &str) -> Option<Fault> {
        self.0.iter().find(|(known, _)| known == call).map(|(_, fault)| fault.clone())
    }
}

impl Fault {
    fn parse(text: &str) -> Result<Self, String> {
        let (name, argument) = text.split_once(':').unwrap_or((text, ""));
        Ok(match name {
            "trap" => Self::Trap,
            "spin" => Self::Spin,
            "recurse" => Self::Recurse,
            "balloon" => Self::Balloon,
            "hang" => Self::Hang,
            "block" => Self::Block,
            "slow" => {
                Self::Slow(argument.parse().map(Duration::from_millis).map_err(|_| format!("{text}: no milliseconds"))?)
            }
            "huge" => Self::Huge,
            "garbage" => Self::Garbage,
            "stderr-flood" => Self::StderrFlood,
            "log-flood" => Self::LogFlood,
            "http" if !argument.is_empty() => Self::Http(argument.to_owned()),
            "not-found" => Self::Answer("not-found"),
            "denied" => Self::Answer("denied"),
            "unavailable" => Self::Answer("unavailable"),
            "conflict" => Self::Answer("conflict"),
            "invalid" => Self::Answer("invalid"),
            "timeout" => Self::Answer("timeout"),
            "other" => Self::Answer("other"),
            _ => return Err(format!("{text}: no such fault")),
        })
    }

    pub(crate) async fn happen(self) -> Result<Outcome, Error> {
        match self {
            Self::Trap => panic!("a trap on request"),
            Self::Spin => loop {
                std::hint::spin_loop();
            },
            Self::Recurse => {
                recurse(1);
                Ok(Outcome::GoOn)
            }
            Self::Balloon => {
                let mut balloon = Vec::new();
                loop {
                    balloon.push(vec![1_u8; BALLOON]);
                    black_box(&balloon);
                }
            }
            // Deaf to its deadline, but other calls go on.
            Self::Hang => loop {
                sleep(Duration::from_secs(3600)).await;
            },
            // The same, and nothing else in this instance goes on.
            Self::Block => loop {
                std::thread::sleep(Duration::from_secs(3600));
            },
            Self::Slow(duration) => {
                sleep(duration).await;
                Ok(Outcome::GoOn)
            }
            Self::Huge => Ok(Outcome::Huge),
            Self::Garbage => Ok(Outcome::Garbage),
            Self::StderrFlood => {
                let mut stderr = std::io::stderr();
                for line in 0..FLOOD_LINES {
                    // A host that closes standard error is right to do so.
                    let _ = writeln!(stderr, "line {line} of a flood");
                }
                Ok(Outcome::GoOn)
            }
            Self::LogFlood => {
                for line in 0..FLOOD_LINES {
                    log::write(Level::Info, &format!("line {line} of a flood"), &[]);
                }
                Ok(Outcome::GoOn)
            }
            Self::Http(authority) => get(&authority).await,
            Self::Answer(case) => Err(error(case)),
        }
    }
}

fn error(case: &str) -> Error {
    let reason = format!("{case} on request");
    match case {
        "not-found" => Error::NotFound,
        "denied" => Error::Denied(reason),
        "unavailable" => Error::Unavailable(Outage { retry_after_ms: 250, reason }),
        "conflict" => Error::Conflict(reason),
        "invalid" => Error::Invalid(reason),
        "timeout" => Error::Timeout,
        _ => Error::Other(reason),
    }
}

/// Asks an address for `/`, granted or not, and reports what the host said.
async fn get(authority: &str) -> Result<Outcome, Error> {
    let (trailers, trailers_reader) = wasip3::wit_future::new(|| Ok(None));
    let (request, _sent) = Request::new(Fields::new(), None, trailers_reader, None);
    drop(trailers);
    let valid = request.set_scheme(Some(&Scheme::Http)).is_ok()
        && request.set_authority(Some(authority)).is_ok()
        && request.set_path_with_query(Some("/")).is_ok();
    if !valid {
        return Err(Error::Invalid(format!("{authority} is no address")));
    }
    match client::send(request).await {
        Ok(response) => Err(Error::Other(format!("{authority} answered {}", response.get_status_code()))),
        Err(code) => Err(Error::Denied(format!("{authority}: {code:?}"))),
    }
}

#[allow(unconditional_recursion, reason = "that is the fault")]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    recurse(depth + 1) + frame[0]
}

pub(crate) async fn sleep(duration: Duration) {
    monotonic_clock::wait_for(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)).await;
}

pub(crate) fn huge() -> String {
    "x".repeat(HUGE)
}

pub(crate) fn huge_service(name: &str) -> Service {
    Service { metadata: vec![("huge".to_owned(), huge())], ..service(name, Vec::new(), Vec::new()) }
}

/// Services that no backend should know: no name, nodes without id or with the same, addresses that are none, value trees
/// that are no JSON or nested without end, control characters, a key of metadata twice.
pub(crate) fn garbage() -> Vec<Service> {
    let node = |id: &str, address: &str| Node {
        id: id.to_owned(),
        address: address.to_owned(),
        metadata: vec![("key".to_owned(), "one".to_owned()), ("key".to_owned(), "two".to_owned())],
        status: NodeStatus::Warning,
        zone: Some(String::new()),
        tags: vec![String::new()],
    };
    let endpoint = |request: &str| Endpoint {
        name: "\u{1b}[2J\n\0".to_owned(),
        request_json: request.to_owned(),
        response_json: String::new(),
        metadata: Vec::new(),
    };
    let deep = r#"{"name":"a","type":"a","values":["#.repeat(10_000);
    let nodes = vec![node("", ""), node("twin", "nonsense"), node("twin", "127.0.0.1:99999"), node("x", "[::1")];
    let endpoints = vec![endpoint("{"), endpoint("7"), endpoint(&deep)];
    vec![service("", nodes.clone(), Vec::new()), service("../\n\u{202e}", nodes, endpoints)]
}

fn service(name: &str, nodes: Vec<Node>, endpoints: Vec<Endpoint>) -> Service {
    Service { name: name.to_owned(), version: String::new(), metadata: Vec::new(), endpoints, nodes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_name_a_call_a_fault_and_perhaps_an_instance() {
        let text = "get-service:trap@2, changes:slow:50,list-services:http:10.0.0.1:80";
        let first = Faults::parse(text, 1).expect("valid");
        assert_eq!(first.of("get-service"), None);
        assert_eq!(first.of("changes"), Some(Fault::Slow(Duration::from_millis(50))));
        assert_eq!(first.of("list-services"), Some(Fault::Http("10.0.0.1:80".to_owned())));
        assert_eq!(Faults::parse(text, 2).expect("valid").of("get-service"), Some(Fault::Trap));
        for wrong in ["trap", "get-service:", "get-service:nap", "nobody:trap", "changes:slow:x", "changes:trap@x"] {
            assert!(Faults::parse(wrong, 1).is_err(), "{wrong}");
        }
    }
}
