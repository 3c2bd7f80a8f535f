//! What is in a record comes back.

use super::Failure;
use super::case::{Fixture, ensure};
use micro_core::registry::Metadata;
use micro_core::{Endpoint, Service, Value};

/// Names that differ in what backends are tempted to mix up. Each is registered under the prefix of the case.
const NAMES: &[&str] = &[
    "/a",
    "/a/b",
    "-a-b",
    "/a-b",
    ".a.b",
    "_a",
    " a",
    "a ",
    "%2Fa",
    "/../a",
    "//a",
    "/A",
    "?a=b#c",
    ":1",
    "*",
    "\\a",
    "\"a\"",
    "ü",
    "日本語",
    "🦀",
    "e\u{301}",
    "é",
];

pub(super) async fn unusual_names_are_told_apart(f: &Fixture) -> Result<(), Failure> {
    if !f.expect.unusual_names {
        return Ok(());
    }
    let long = format!("-{}", "x".repeat(300));
    let names: Vec<&str> = NAMES.iter().copied().chain([long.as_str()]).collect();
    for name in &names {
        f.register(&f.service(name, name, &[name])).await?;
    }
    for name in &names {
        f.finds(&f.name(name), &[f.service(name, name, &[name])]).await?;
    }
    let listed = f.registry.list_services().await?;
    for name in &names {
        ensure!(listed.contains(&f.name(name)), "{name:?} is not listed");
    }
    for name in &names {
        f.registry.deregister(&f.service(name, name, &[name])).await?;
        f.finds(&f.name(name), &[]).await?;
    }
    Ok(())
}

fn value(name: &str, kind: &str, values: Vec<Value>) -> Value {
    Value { name: name.to_owned(), kind: kind.to_owned(), values }
}

fn metadata(pairs: &[(&str, &str)]) -> Metadata {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// Registers, and waits until exactly that is found.
async fn comes_back(f: &Fixture, service: Service) -> Result<(), Failure> {
    f.register(&service).await?;
    f.finds(&service.name, std::slice::from_ref(&service)).await
}

pub(super) async fn endpoints_come_back_as_they_were(f: &Fixture) -> Result<(), Failure> {
    let deep = (0..10).fold(value("leaf", "string", Vec::new()), |tree, depth| {
        value(&format!("level{depth}"), "Level", vec![tree, value("other", "[]int64", Vec::new())])
    });
    let endpoints = vec![
        Endpoint { name: "Plain.Call".to_owned(), ..Endpoint::default() },
        Endpoint {
            name: "Say.Hello".to_owned(),
            request: Some(value("Request", "Request", vec![value("name", "string", Vec::new())])),
            response: Some(deep),
            metadata: metadata(&[("stream", "true"), ("path", r#"["^/a?$"]"#)]),
        },
        Endpoint {
            name: "Ünïcode.Näme".to_owned(),
            request: None,
            response: Some(value("", "", Vec::new())),
            ..Endpoint::default()
        },
    ];
    comes_back(f, Service { endpoints, ..f.service("", "1", &["a", "b"]) }).await
}

pub(super) async fn metadata_comes_back_as_it_was(f: &Fixture) -> Result<(), Failure> {
    let odd = metadata(&[
        ("empty", ""),
        ("", "empty key"),
        ("Case", "upper"),
        ("case", "lower"),
        ("日本", "Grüße 🦀"),
        ("quotes", r#"{"a":"b\\"}"#),
        ("lines", "a\r\nb\tc"),
        ("spaces", "  a  "),
        ("protocol", "mucp"),
    ]);
    for (at, metadata) in [Metadata::new(), odd].into_iter().enumerate() {
        let mut service = f.service(&format!("-{at}"), "1", &["a", "b"]);
        service.nodes[0].metadata = metadata.clone();
        if f.expect.service_metadata {
            service.metadata = metadata;
        }
        comes_back(f, service).await?;
    }
    Ok(())
}

pub(super) async fn large_records_come_back_whole(f: &Fixture) -> Result<(), Failure> {
    let mut service = f.service("", "1", &["a"]);
    // Three quarters, because the backend's own form needs room as well.
    for at in 0.. {
        let fields = (0..8).map(|at| value(&format!("field{at}"), "string", Vec::new())).collect();
        let request = Some(value("Request", "Request", fields));
        service.endpoints.push(Endpoint {
            name: format!("Say.Hello{at:04}"),
            request,
            ..Endpoint::default()
        });
        if micro_core::record::to_json(&service).len() > f.expect.record_size * 3 / 4 {
            break;
        }
    }
    comes_back(f, service).await
}
