//! `grpc.reflection.v1.ServerReflection` and its older form: what the methods of a server take and give, for whoever
//! asks. Only what generated code brought along is known ([`Handler::definitions`]).

use crate::context::Context;
use crate::handler::Handler;
use crate::stream::{Requests, Responses};
use micro_core::Error;
use prost_reflect::prost::Message;
use prost_reflect::{DescriptorError, DescriptorPool, FileDescriptor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

const NAMES: [&str; 2] = ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];
/// gRPC's codes for the two ways in which a question has no answer.
const NOT_FOUND: i32 = 5;
const UNIMPLEMENTED: i32 = 12;

/// `ServerReflectionRequest`; one of the questions is set.
#[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
#[serde(default)]
struct Question {
    #[prost(string, tag = "1")]
    host: String,
    #[prost(string, optional, tag = "3")]
    file_by_filename: Option<String>,
    #[prost(string, optional, tag = "4")]
    file_containing_symbol: Option<String>,
    #[prost(message, optional, tag = "5")]
    file_containing_extension: Option<ExtensionName>,
    #[prost(string, optional, tag = "6")]
    all_extension_numbers_of_type: Option<String>,
    #[prost(string, optional, tag = "7")]
    list_services: Option<String>,
}

/// `ExtensionRequest`.
#[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
#[serde(default)]
struct ExtensionName {
    #[prost(string, tag = "1")]
    containing_type: String,
    #[prost(int32, tag = "2")]
    extension_number: i32,
}

/// `ServerReflectionResponse`; one of the answers is set.
#[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
#[serde(default)]
struct Answer {
    #[prost(string, tag = "1")]
    valid_host: String,
    #[prost(message, optional, tag = "2")]
    original_request: Option<Question>,
    #[prost(message, optional, tag = "4")]
    file_descriptor_response: Option<Files>,
    #[prost(message, optional, tag = "5")]
    all_extension_numbers_response: Option<Numbers>,
    #[prost(message, optional, tag = "6")]
    list_services_response: Option<Services>,
    #[prost(message, optional, tag = "7")]
    error_response: Option<Failure>,
}

/// `FileDescriptorResponse`.
#[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
#[serde(default)]
struct Files {
    #[prost(bytes = "vec", repeated, tag = "1")]
    file_descriptor_proto: Vec<Vec<u8>>,
}

/// `ExtensionNumberResponse`.
#[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
#[serde(default)]
struct Numbers {
    #[prost(string, tag = "1")]
    base_type_name: String,
    #[prost(int32, repeated, tag = "2")]
    extension_number: Vec<i32>,
}

/// `ListServiceResponse`.
#[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
#[serde(default)]
struct Services {
    #[prost(message, repeated, tag = "1")]
    service: Vec<ServiceName>,
}

/// `ServiceResponse`.
#[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
#[serde(default)]
struct ServiceName {
    #[prost(string, tag = "1")]
    name: String,
}

/// `ErrorResponse`.
#[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
#[serde(default)]
struct Failure {
    #[prost(int32, tag = "1")]
    error_code: i32,
    #[prost(string, tag = "2")]
    error_message: String,
}

crate::impl_proto_payload!(Question, crate::Value::default());
crate::impl_proto_payload!(Answer, crate::Value::default());

/// An encoded `FileDescriptorSet` whose files stay encoded.
#[derive(Clone, PartialEq, Message)]
struct EncodedSet {
    #[prost(bytes = "vec", repeated, tag = "1")]
    file: Vec<Vec<u8>>,
}

/// Handlers for what some other handlers brought along; none if that is nothing. Definitions that do not fit together
/// are left out with a warning: calls need none.
pub(crate) fn handlers<'a>(handlers: impl Iterator<Item = &'a Handler>) -> Vec<Handler> {
    let mut files = BTreeMap::new();
    for set in handlers.filter_map(Handler::definition_set) {
        match EncodedSet::decode(set) {
            Ok(set) => files.extend(set.file.into_iter().filter_map(|file| Some((name(&file)?, file)))),
            Err(error) => tracing::warn!(%error, "definitions of a handler are malformed"),
        }
    }
    if files.is_empty() {
        return Vec::new();
    }
    let mut pool = DescriptorPool::new();
    for name in files.keys() {
        if let Err(error) = add(&mut pool, &files, name) {
            tracing::warn!(file = name, %error, "definitions are left out of reflection");
        }
    }
    let known = Arc::new(Known(pool));
    NAMES.into_iter().map(|name| known.clone().handler(name)).collect()
}

/// The name of an encoded `FileDescriptorProto`.
fn name(file: &[u8]) -> Option<String> {
    prost_types::FileDescriptorProto::decode(file).ok()?.name
}

/// Adds a file behind those it imports.
fn add(
    pool: &mut DescriptorPool,
    files: &BTreeMap<String, Vec<u8>>,
    name: &str,
) -> Result<(), DescriptorError> {
    if pool.get_file_by_name(name).is_some() {
        return Ok(());
    }
    let Some(file) = files.get(name) else {
        // One of those that everybody has.
        return match DescriptorPool::global().get_file_by_name(name) {
            Some(file) => {
                for import in file.dependencies() {
                    add(pool, files, import.name())?;
                }
                pool.add_file_descriptor_proto(file.file_descriptor_proto().clone())
            }
            None => Ok(()),
        };
    };
    let imports = prost_types::FileDescriptorProto::decode(&**file).map(|file| file.dependency);
    for import in imports.unwrap_or_default() {
        if import != name {
            add(pool, files, &import)?;
        }
    }
    pool.decode_file_descriptor_proto(&**file)
}

/// What there is to say.
#[derive(Debug)]
struct Known(DescriptorPool);

impl Known {
    fn handler(self: Arc<Self>, name: &str) -> Handler {
        let talk = move |_: Context, mut questions: Requests<Question>, answers: Responses<Answer>| {
            let known = self.clone();
            async move {
                while let Some(question) = questions.next().await {
                    answers.send(known.answer(question?)).await?;
                }
                Ok::<(), Error>(())
            }
        };
        let nothing = crate::Value::default;
        Handler::new(name).internal().bidirectional("ServerReflectionInfo", nothing(), nothing(), talk)
    }

    fn answer(&self, question: Question) -> Answer {
        let mut answer = Answer { valid_host: question.host.clone(), ..Answer::default() };
        let nothing = |code, text: &str| Some(Failure { error_code: code, error_message: text.to_owned() });
        if question.list_services.is_some() {
            let own = self.0.services().map(|service| service.full_name().to_owned());
            let mut names: Vec<String> = own.chain(NAMES.map(str::to_owned)).collect();
            names.sort_unstable();
            let service = names.into_iter().map(|name| ServiceName { name }).collect();
            answer.list_services_response = Some(Services { service });
        } else if let Some(name) = &question.file_by_filename {
            match self.0.get_file_by_name(name) {
                Some(file) => answer.file_descriptor_response = Some(files(&file)),
                None => answer.error_response = nothing(NOT_FOUND, &format!("no file {name}")),
            }
        } else if let Some(name) = &question.file_containing_symbol {
            match self.file_of(name) {
                Some(file) => answer.file_descriptor_response = Some(files(&file)),
                None => answer.error_response = nothing(NOT_FOUND, &format!("no symbol {name}")),
            }
        } else if let Some(name) = &question.all_extension_numbers_of_type {
            match self.0.get_message_by_name(name) {
                Some(message) => {
                    let numbers = message.extensions().filter_map(|it| i32::try_from(it.number()).ok());
                    answer.all_extension_numbers_response =
                        Some(Numbers { base_type_name: name.clone(), extension_number: numbers.collect() });
                }
                None => answer.error_response = nothing(NOT_FOUND, &format!("no message {name}")),
            }
        } else if let Some(asked) = &question.file_containing_extension {
            let number = u32::try_from(asked.extension_number).ok();
            let message = self.0.get_message_by_name(&asked.containing_type);
            match message.zip(number).and_then(|(message, number)| message.get_extension(number)) {
                Some(extension) => answer.file_descriptor_response = Some(files(&extension.parent_file())),
                None => answer.error_response = nothing(NOT_FOUND, "no such extension"),
            }
        } else {
            answer.error_response = nothing(UNIMPLEMENTED, "the request asks nothing that is known here");
        }
        answer.original_request = Some(question);
        answer
    }

    /// The file that defines a service, message, enum, or something within one.
    fn file_of(&self, symbol: &str) -> Option<FileDescriptor> {
        let pool = &self.0;
        let mut name = symbol.trim_start_matches('.');
        loop {
            let service = || pool.get_service_by_name(name).map(|it| it.parent_file());
            let message = || pool.get_message_by_name(name).map(|it| it.parent_file());
            let numbers = || pool.get_enum_by_name(name).map(|it| it.parent_file());
            let extension = || pool.get_extension_by_name(name).map(|it| it.parent_file());
            if let Some(file) = service().or_else(message).or_else(numbers).or_else(extension) {
                return Some(file);
            }
            name = name.rsplit_once('.')?.0;
        }
    }
}

/// A file and all that it imports.
fn files(file: &FileDescriptor) -> Files {
    fn collect(file: &FileDescriptor, names: &mut Vec<String>, to: &mut Files) {
        if names.iter().any(|name| name == file.name()) {
            return;
        }
        names.push(file.name().to_owned());
        to.file_descriptor_proto.push(file.encode_to_vec());
        for import in file.dependencies() {
            collect(&import, names, to);
        }
    }
    let mut all = Files::default();
    collect(file, &mut Vec::new(), &mut all);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a.proto` with a service, over a message of `google.protobuf`, whose file is not in the set.
    fn set() -> &'static [u8] {
        use prost_types::{
            FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, ServiceDescriptorProto,
        };
        let method = MethodDescriptorProto {
            name: Some("Now".to_owned()),
            input_type: Some(".google.protobuf.Empty".to_owned()),
            output_type: Some(".google.protobuf.Timestamp".to_owned()),
            ..MethodDescriptorProto::default()
        };
        let file = FileDescriptorProto {
            name: Some("a.proto".to_owned()),
            package: Some("a".to_owned()),
            dependency: vec![
                "google/protobuf/empty.proto".to_owned(),
                "google/protobuf/timestamp.proto".to_owned(),
            ],
            service: vec![ServiceDescriptorProto {
                name: Some("Clock".to_owned()),
                method: vec![method],
                options: None,
            }],
            syntax: Some("proto3".to_owned()),
            ..FileDescriptorProto::default()
        };
        Box::leak(FileDescriptorSet { file: vec![file] }.encode_to_vec().into_boxed_slice())
    }

    fn known() -> Known {
        let files: BTreeMap<_, _> = EncodedSet::decode(set())
            .expect("a set")
            .file
            .into_iter()
            .map(|file| (name(&file).expect("named"), file))
            .collect();
        let mut pool = DescriptorPool::new();
        add(&mut pool, &files, "a.proto").expect("consistent");
        Known(pool)
    }

    #[test]
    fn questions_are_answered() {
        let known = known();
        let ask = |question| known.answer(question);
        let listed = ask(Question { list_services: Some(String::new()), ..Question::default() });
        let names: Vec<_> =
            listed.list_services_response.expect("a list").service.into_iter().map(|it| it.name).collect();
        assert_eq!(names, ["a.Clock", NAMES[0], NAMES[1]]);
        for symbol in ["a.Clock", "a.Clock.Now", ".a.Clock"] {
            let question =
                Question { file_containing_symbol: Some(symbol.to_owned()), ..Question::default() };
            let answer = ask(question.clone());
            assert_eq!(answer.original_request, Some(question));
            let files = answer.file_descriptor_response.expect("files").file_descriptor_proto;
            let names: Vec<_> = files.iter().filter_map(|file| name(file)).collect();
            assert_eq!(
                names,
                ["a.proto", "google/protobuf/empty.proto", "google/protobuf/timestamp.proto"],
                "{symbol}"
            );
        }
        for question in [
            Question { file_containing_symbol: Some("b.Clock".to_owned()), ..Question::default() },
            Question { file_by_filename: Some("b.proto".to_owned()), ..Question::default() },
            Question { all_extension_numbers_of_type: Some("b".to_owned()), ..Question::default() },
            Question { file_containing_extension: Some(ExtensionName::default()), ..Question::default() },
        ] {
            assert_eq!(ask(question).error_response.expect("an error").error_code, NOT_FOUND);
        }
        assert_eq!(ask(Question::default()).error_response.expect("an error").error_code, UNIMPLEMENTED);
    }

    #[test]
    fn what_is_malformed_is_left_out() {
        assert!(handlers([Handler::new("A")].iter()).is_empty());
        assert!(handlers([Handler::new("A").definitions(b"\xff")].iter()).is_empty());
        assert_eq!(handlers([Handler::new("A").definitions(set())].iter()).len(), 2);
    }
}
