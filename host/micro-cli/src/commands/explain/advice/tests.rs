use super::*;
use micro::client::{TracedStep, VersionSeen};
use micro_core::Error;
use micro_core::registry::Metadata;

fn explanation(metadata: &[(&str, &str)], protocol: &str, status: NodeStatus) -> Explanation {
    let metadata: Metadata =
        metadata.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
    let node = NodeSeen {
        id: "greeter-1".to_owned(),
        address: "127.0.0.1:9000".to_owned(),
        version: "1".to_owned(),
        protocol: Some(protocol.to_owned()),
        because: String::new(),
        tls: "off".to_owned(),
        refused: None,
        status,
        metadata,
    };
    let versions =
        vec![VersionSeen { version: "1".to_owned(), nodes: 1, has_endpoint: Some(true), streams: false }];
    let steps = [
        Step::Registry {
            registry: "etcd".to_owned(),
            location: "10.0.0.1:2379".to_owned(),
            from_memory: false,
            age_ms: None,
            stale: false,
            versions,
        },
        Step::Candidates { filters: Vec::new(), nodes: vec![node] },
        Step::Pick {
            selector: "random".to_owned(),
            node: "greeter-1".to_owned(),
            address: "127.0.0.1:9000".to_owned(),
            protocol: protocol.to_owned(),
            tls: "off".to_owned(),
            of: 1,
            ejected: Vec::new(),
            tried: 0,
            in_flight: 0,
            latency_us: 0,
        },
    ];
    Explanation {
        service: "greeter".to_owned(),
        endpoint: "Say.Hello".to_owned(),
        called: true,
        stream: false,
        plugin: None,
        steps: steps.into_iter().map(|step| TracedStep { at_us: 1, step }).collect(),
        failed: None,
        error: None,
        answer: None,
        notes: Vec::new(),
        next: None,
    }
}

/// All notes as one text.
fn noted(explanation: &Explanation) -> String {
    notes(explanation).join("\n")
}

#[test]
fn what_is_known_of_such_nodes_is_said_and_nothing_else() {
    let usual = explanation(&[("protocol", "mucp")], "mucp", NodeStatus::Passing);
    assert!(
        noted(&usual).contains("MICRO_SERVER_ADVERTISE") && notes(&usual).len() == 1,
        "{}",
        noted(&usual)
    );
    let nameless = explanation(&[("transport", "http")], "envelope", NodeStatus::Passing);
    assert!(noted(&nameless).contains("registered without protocol"), "{}", noted(&nameless));
    let critical = explanation(&[("protocol", "mucp")], "mucp", NodeStatus::Critical);
    assert!(noted(&critical).contains("1 of its nodes are critical"), "{}", noted(&critical));
    let broker = Explanation { service: "topic:news".to_owned(), ..usual };
    assert!(noted(&broker).contains("take events"), "{}", noted(&broker));
}

#[test]
fn every_failure_has_a_next_step() {
    for (stage, code, detail, part) in [
        (Stage::Lookup, 500, "unavailable", "--registry_address"),
        (Stage::Select, 404, "not found", "did you mean go.micro.srv.greeter?"),
        (Stage::Select, 500, "none available", "why each of its nodes"),
        (Stage::Encode, 415, "no envelope", "--protocol"),
        (Stage::Encode, 501, "helloworld.Greeter/Watch is a stream", "--stream"),
        (Stage::Connect, 500, "connection refused", "nobody listens at 127.0.0.1:9000"),
        (Stage::Connect, 500, "cannot resolve greeter:1", "a host that is not known here"),
        (Stage::Connect, 500, "no connection within 1s", "firewall"),
        (Stage::Exchange, 501, "helloworld.Greeter/Watch is a stream", "--stream"),
        (Stage::Exchange, 408, "call timeout", "--timeout"),
        (Stage::Exchange, 500, "EOF", "--service_protocol greeter=grpc"),
        (Stage::Decode, 408, "the caller's deadline passed", "--timeout"),
        (Stage::Decode, 404, "can't find method", "Say.Hello is none"),
        (Stage::Decode, 409, "no John", "its own answer"),
    ] {
        let mut failed = explanation(&[("protocol", "mucp")], "mucp", NodeStatus::Passing);
        failed.failed = Some(stage);
        failed.error = Some(Error::new("x", code, detail));
        let said = next(&failed, &["go.micro.srv.greeter".to_owned()]).expect("it failed");
        assert!(said.contains(part), "{stage:?} {code}: {said}");
    }
    let fine = explanation(&[], "mucp", NodeStatus::Passing);
    assert_eq!(next(&fine, &[]), None);
}
