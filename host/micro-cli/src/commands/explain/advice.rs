//! What people have run into who had such nodes, or such a failure. Facts about Go Micro are those of `go-micro-wire` §§2.3,
//! 7.1, 9.2 and 15.

use super::Explanation;
use micro::client::{NodeSeen, Stage, Step};
use micro_core::NodeStatus;
use std::net::SocketAddr;

/// The answers of nodes from before these exist are of no use to a caller in newer Go Micro, and the other way round.
const ENVELOPE: &str = "envelope";
const MUCP: &str = "mucp";

/// What is worth knowing about the service and its nodes, whatever became of the call.
pub(super) fn notes(explanation: &Explanation) -> Vec<String> {
    let rules: [fn(&Explanation) -> Option<String>; 10] = [
        broker,
        stale,
        unlisted,
        streams,
        silent_streams,
        critical,
        nameless,
        by_address,
        loopback,
        silent_errors,
    ];
    rules.iter().filter_map(|rule| rule(explanation)).collect()
}

/// Subscribers of Go's HTTP broker are in the registry like services.
fn broker(explanation: &Explanation) -> Option<String> {
    let name = &explanation.service;
    let topic = name.starts_with("topic:") || name == "go.micro.http.broker" || name == "micro.http.broker";
    topic.then(|| {
        format!("{name} is where subscribers of Go's HTTP broker register: they take events, and no calls")
    })
}

fn stale(explanation: &Explanation) -> Option<String> {
    explanation.steps.iter().find_map(|traced| match &traced.step {
        Step::Registry { stale: true, registry, location, .. } => Some(format!(
            "the registry {registry} at {location} does not answer, or has forgotten the service: these nodes are \
             remembered"
        )),
        _ => None,
    })
}

fn unlisted(explanation: &Explanation) -> Option<String> {
    let Explanation { service, endpoint, .. } = explanation;
    let lists = explanation.steps.iter().find_map(|traced| match &traced.step {
        Step::Registry { versions, .. } if !versions.is_empty() => {
            Some(versions.iter().all(|version| version.has_endpoint == Some(false)))
        }
        _ => None,
    });
    lists.unwrap_or(false).then(|| {
        format!("no version lists {endpoint}: micro get service {service} shows what it has, and Debug.* is never listed")
    })
}

fn streams(explanation: &Explanation) -> Option<String> {
    let Explanation { service, endpoint, .. } = explanation;
    if explanation.stream {
        return None;
    }
    let is_stream = explanation.steps.iter().any(|traced| match &traced.step {
        Step::Registry { versions, .. } => versions.iter().any(|version| version.streams),
        _ => false,
    });
    is_stream.then(|| {
        format!("{endpoint} is a stream: micro stream {service} {endpoint} JSON prints what comes on it")
    })
}

fn silent_streams(explanation: &Explanation) -> Option<String> {
    let silent = |step: &Step| matches!(step, Step::Ended { by: "caller", messages: 0, .. });
    explanation.steps.iter().any(|traced| silent(&traced.step)).then(|| {
        "the stream is open and silent: its handler has nothing to say yet, or waits for more than one request; \
         --timeout gives it more time, and micro stream sends each line of standard input"
            .to_owned()
    })
}

fn critical(explanation: &Explanation) -> Option<String> {
    let count = explanation.nodes().iter().filter(|node| node.status == NodeStatus::Critical).count();
    (count > 0).then(|| {
        format!(
            "{count} of its nodes are critical and get no calls; in consul that is a check whose time ran out: a Go service \
             sends heartbeats with MICRO_REGISTER_TTL=60 MICRO_REGISTER_INTERVAL=30, and without an interval it does not"
        )
    })
}

fn nameless(explanation: &Explanation) -> Option<String> {
    let without = |node: &&NodeSeen| {
        node.protocol.as_deref() == Some(ENVELOPE)
            && node.metadata.get("protocol").is_none_or(String::is_empty)
    };
    let by_address =
        explanation.nodes().iter().all(|node| node.metadata.is_empty() && node.id == node.address);
    let count = explanation.nodes().iter().filter(without).count();
    (count > 0 && !by_address).then(|| {
        format!(
            "{count} of its nodes are registered without protocol, so they get envelopes, here and from Go Micro: right for \
             services from before 1.0; others register with metadata protocol=mucp, or are named with \
             --service_protocol {}=mucp",
            explanation.service
        )
    })
}

fn by_address(explanation: &Explanation) -> Option<String> {
    let node = explanation.picked()?;
    let assumed = node.id == node.address && node.because.contains("assumed");
    assumed.then(|| {
        "a service of Go Micro before 1.0 that is called by address answers with an envelope, which looks like an empty \
         answer or like `ill-formed`: call it with --protocol=envelope, and one that speaks gRPC with --protocol=grpc"
            .to_owned()
    })
}

fn loopback(explanation: &Explanation) -> Option<String> {
    let node = explanation.picked()?;
    let local = node.address.parse().is_ok_and(|address: SocketAddr| address.ip().is_loopback());
    let registry = explanation.steps.iter().find_map(|traced| match &traced.step {
        Step::Registry { location, .. } => Some(location),
        _ => None,
    })?;
    let elsewhere = registry
        .split(',')
        .any(|place| place.parse().is_ok_and(|address: SocketAddr| !address.ip().is_loopback()));
    (local && elsewhere).then(|| {
        format!(
            "{} is an address of the node's own machine, while the registry is shared: start the node with \
             MICRO_SERVER_ADVERTISE=HOST:PORT",
            node.address
        )
    })
}

/// A caller with JSON sees an error that one with protobuf waits for in vain.
fn silent_errors(explanation: &Explanation) -> Option<String> {
    let node = explanation.picked()?;
    let refused = explanation.failed == Some(Stage::Decode) && node.protocol.as_deref() == Some(MUCP);
    refused.then(|| {
        "if the node is of Go Micro v2 (its mucp server), callers with application/protobuf never see this error: it \
         sends none to them, and they wait until their time is over (408); JSON works"
            .to_owned()
    })
}

/// What to do about the failure; none without one. `similar` are names that may have been meant.
pub(super) fn next(explanation: &Explanation, similar: &[String]) -> Option<String> {
    let Explanation { service, endpoint, .. } = explanation;
    let error = explanation.error.as_ref()?;
    let node = explanation.picked();
    let at = node.map_or("", |node| node.address.as_str());
    Some(match (explanation.failed?, error.code) {
        (Stage::Lookup, _) => {
            "check that the registry runs where --registry_address says, and what --registry_allow permits".to_owned()
        }
        (Stage::Select, 404) if similar.is_empty() => {
            "micro list services shows what is registered there; --registry and --registry_address look elsewhere".to_owned()
        }
        (Stage::Select, 404) => format!("did you mean {}? micro list services shows all", similar.join(", ")),
        (Stage::Select, _) => "see above why each of its nodes is left out".to_owned(),
        // Whoever had to ask what the method is has been at the node.
        (Stage::Encode | Stage::Exchange, 501) if error.detail.contains("is a stream") => {
            "open it as one: micro explain --stream".to_owned()
        }
        (Stage::Encode, 404 | 501) => {
            format!("micro get service {service} shows its methods; --proto and --descriptor_set define them")
        }
        (Stage::Encode, _) => "call it in another protocol with --protocol, or correct the request".to_owned(),
        (Stage::Connect, _) if error.detail.contains("TLS") || error.detail.contains("tls") => {
            "see what the error says about TLS".to_owned()
        }
        (Stage::Connect, _) if error.detail.contains("resolve") => {
            format!("{at} names a host that is not known here: the node has to register an address that callers know")
        }
        (Stage::Connect, _) if error.detail.contains("refused") => format!(
            "nobody listens at {at}: the node has ended without a word, and its record goes with its time to live; or it \
             registered an address that is another machine here"
        ),
        (Stage::Connect, _) => {
            format!("{at} cannot be reached from here: a firewall, or an address of another network")
        }
        (Stage::Exchange, 408) => format!(
            "the node took the request and said nothing: give it more time with --timeout, and look at its log: of Go \
             Micro v2 and later, a handler that panics answers nobody, and v4.10 and later may lose a request on a kept \
             connection; micro health {service} asks all of its nodes"
        ),
        (Stage::Exchange, _) => format!(
            "the node ended the connection or answered with something else: up to Go Micro v1.18 a panic ends the \
             connection or the process, so look at its log; if it speaks something else, name it with \
             --service_protocol {service}=grpc, =mucp or =envelope"
        ),
        // The caller's own time was over in the same moment, so it is chance which of the two was seen.
        (Stage::Decode, 408) => {
            "the service began on it and was not done in time: give it more with --timeout, and see its log for what took so \
             long"
                .to_owned()
        }
        (Stage::Decode, 404 | 501) => format!("micro get service {service} shows its endpoints: {endpoint} is none"),
        (Stage::Decode, _) => {
            "the way to the service works: this is its own answer, and its log says more".to_owned()
        }
    })
}

#[cfg(test)]
mod tests;
