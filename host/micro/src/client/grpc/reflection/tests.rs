//! Servers that describe themselves, and servers that only seem to.

use super::*;
use micro_core::Message as WireMessage;
use micro_net::grpc::{ChannelConfig, Incoming, Outgoing, Status};
use micro_net::wire::{Handler, Limits, Request as WireRequest, serve_rpc};
use micro_net::{Listener, Stop};
use prost_types::{MethodDescriptorProto, ServiceDescriptorProto};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// How it answers what it is asked.
type Answer = Arc<dyn Fn(&Request) -> Response + Send + Sync>;

#[derive(Clone)]
struct Fake {
    path: &'static str,
    answer: Answer,
    asked: Arc<AtomicUsize>,
}

impl Handler for Fake {
    async fn handle(&self, request: WireRequest) -> WireMessage {
        request.message
    }

    async fn call(&self, mut call: Incoming) -> Result<Outgoing, Status> {
        if call.path != self.path {
            return Err(Status::new(Code::UNIMPLEMENTED, "no such method"));
        }
        self.asked.fetch_add(1, SeqCst);
        let request = Request::decode(call.messages.only().await?).expect("a question");
        let message = Bytes::from((self.answer)(&request).encode_to_vec());
        Ok(Outgoing { answer: message.into(), ..Outgoing::default() })
    }
}

/// What is known of a server that answers like this, asked twice, and how many questions that took.
async fn ask(
    path: &'static str,
    answer: impl Fn(&Request) -> Response + Send + Sync + 'static,
) -> (Result<Descriptors, ReflectionError>, usize) {
    let listener = Listener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().to_string();
    let fake = Fake { path, answer: Arc::new(answer), asked: Arc::default() };
    let asked = fake.asked.clone();
    let stop = Stop::new();
    let server = tokio::spawn(serve_rpc(listener, fake, Limits::default(), stop.clone(), Duration::ZERO));
    let (channels, reflected) = (Channels::new(ChannelConfig::default()), Reflected::default());
    let first = reflected.get(&channels, &address, PATIENCE).await;
    if first.is_ok() {
        let before = asked.load(SeqCst);
        assert!(reflected.get(&channels, &address, PATIENCE).await.is_ok());
        assert_eq!(asked.load(SeqCst), before, "it is remembered");
    }
    stop.soon.cancel();
    server.await.expect("no panic");
    (first, asked.load(SeqCst))
}

fn file(name: &str, imports: &[&str]) -> FileDescriptorProto {
    FileDescriptorProto {
        name: Some(name.to_owned()),
        package: Some("a".to_owned()),
        dependency: imports.iter().map(|&it| it.to_owned()).collect(),
        syntax: Some("proto3".to_owned()),
        ..FileDescriptorProto::default()
    }
}

/// `a.B` with `C`, whose message is in a file that is imported.
fn with_service() -> FileDescriptorProto {
    let method = MethodDescriptorProto {
        name: Some("C".to_owned()),
        input_type: Some(".a.M".to_owned()),
        output_type: Some(".a.M".to_owned()),
        ..MethodDescriptorProto::default()
    };
    let service = ServiceDescriptorProto { name: Some("B".to_owned()), method: vec![method], options: None };
    FileDescriptorProto { service: vec![service], ..file("b.proto", &["m.proto"]) }
}

fn with_message() -> FileDescriptorProto {
    let message = prost_types::DescriptorProto { name: Some("M".to_owned()), ..Default::default() };
    FileDescriptorProto { message_type: vec![message], ..file("m.proto", &[]) }
}

fn files(files: &[FileDescriptorProto]) -> Response {
    let file = files.iter().map(Message::encode_to_vec).collect();
    Response { files: Some(FileList { file }), ..Response::default() }
}

fn services(names: &[&str]) -> Response {
    let service = names.iter().map(|&name| ServiceName { name: name.to_owned() }).collect();
    Response { list_services: Some(ServiceList { service }), ..Response::default() }
}

fn failure(message: &str) -> Response {
    Response { error: Some(Failure { code: 5, message: message.to_owned() }), ..Response::default() }
}

/// One file an answer, as some servers have it, and one service that they cannot describe.
fn good(request: &Request) -> Response {
    match (&request.list_services, request.file_containing_symbol.as_deref(), &request.file_by_filename) {
        (Some(_), ..) => services(&["a.B", "a.Lost"]),
        (_, Some("a.B"), _) => files(&[with_service()]),
        (.., Some(name)) if name == "m.proto" => files(&[with_message()]),
        _ => failure("not found"),
    }
}

#[tokio::test]
async fn both_versions_are_understood() {
    for path in PATHS {
        let (described, asked) = ask(path, good).await;
        let endpoints = described.expect("described").endpoints();
        assert_eq!(endpoints.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["a.B/C"], "{path}");
        assert_eq!(asked, 4, "the list, two services, an import");
    }
    let (nothing, asked) = ask("/other", good).await;
    assert!(matches!(nothing, Err(ReflectionError::Absent)) && asked == 0, "{nothing:?}");
}

#[tokio::test]
async fn nonsense_has_an_end() {
    let endless = |request: &Request| match &request.file_by_filename {
        // Each file imports the next one.
        Some(name) => {
            let number: usize = name.parse().expect("one of these");
            files(&[file(name, &[&(number + 1).to_string()])])
        }
        None if request.list_services.is_some() => services(&["a.B"]),
        None => files(&[file("0", &["1"])]),
    };
    let (error, asked) = ask(PATHS[0], endless).await;
    assert!(matches!(error, Err(ReflectionError::TooLarge)), "{error:?}");
    assert!(asked <= MAX_FILES + 2, "{asked}");

    let large = |request: &Request| match request.list_services {
        Some(_) => services(&["a.B"]),
        None => files(&[file(&"x".repeat(MAX_BYTES + 1), &[])]),
    };
    let (error, _) = ask(PATHS[0], large).await;
    assert!(matches!(error, Err(ReflectionError::TooLarge)), "{error:?}");

    type Says = fn(&Request) -> Response;
    let cases: [(Says, &str); 5] = [
        (|_| Response::default(), "hold no service"),
        (
            |request| match request.list_services {
                Some(_) => services(&["a.B"]),
                None => {
                    Response { files: Some(FileList { file: vec![vec![0xff; 8]] }), ..Response::default() }
                }
            },
            "nonsense",
        ),
        (
            |request| match request.file_by_filename {
                Some(_) => failure("gone"),
                None => good(request),
            },
            "no file \"m.proto\": gone",
        ),
        (
            |request| match request.file_by_filename {
                Some(_) => files(&[file("other.proto", &[])]),
                None => good(request),
            },
            "another file in place of \"m.proto\"",
        ),
        (
            |request| match request.file_by_filename {
                Some(_) => files(&[file("m.proto", &[])]),
                None => good(request),
            },
            "unusable protobuf definitions",
        ),
    ];
    for (says, expected) in cases {
        let (error, _) = ask(PATHS[0], says).await;
        let error = micro_net::error_chain(&error.expect_err(expected));
        assert!(error.contains(expected), "{expected}: {error}");
    }
}
