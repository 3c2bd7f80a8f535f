//! Saying what a server serves: `grpc.reflection.v1`, and the older `v1alpha`, which differs in its name alone.

mod messages;

pub(crate) use messages::{Failure, FileList, Request, Response, ServiceList, ServiceName};

use super::Descriptors;
use crate::handler::Handler;
use crate::payload::{Payload, Raw};
use crate::stream::{Requests, Responses};
use crate::{Context, Error};
use micro_net::grpc::Code;
use prost::Message;
use prost_reflect::{DescriptorPool, FileDescriptor};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The names of the service.
const NAMES: [&str; 2] = ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];

/// The service, which tells of those of `described` that one of the handlers serves, and of health.
pub(crate) fn handlers(served: &[String], described: &[Descriptors]) -> Vec<Handler> {
    let mut all = described.to_vec();
    all.extend(super::health::descriptors());
    let known = Arc::new(Known { served: served.to_vec(), described: all });
    let handler = |name: &&str| {
        let known = known.clone();
        let info = move |_: Context, mut questions: Requests<Raw>, answers: Responses<Raw>| {
            let known = known.clone();
            async move {
                while let Some(question) = questions.next().await {
                    let question = Request::decode(question?.0);
                    let question =
                        question.map_err(|error| Error::bad_request("go.micro.server", error.to_string()))?;
                    answers.send(Raw(known.answer(question).encode_to_vec().into())).await?;
                }
                Ok(())
            }
        };
        let nothing = Raw::shape;
        Handler::new(*name).internal().bidirectional("ServerReflectionInfo", nothing(), nothing(), info)
    };
    NAMES.iter().map(handler).collect()
}

/// What can be told.
struct Known {
    /// The names of handlers.
    served: Vec<String>,
    described: Vec<Descriptors>,
}

impl Known {
    fn answer(&self, question: Request) -> Response {
        let missing = |what: String| Failure { code: Code::NOT_FOUND.0.cast_signed(), message: what };
        let mut answer = Response { valid_host: question.host.clone(), ..Response::default() };
        if question.list_services.is_some() {
            answer.list_services = Some(self.services());
        } else if let Some(name) = &question.file_by_filename {
            match self.pools().find_map(|pool| pool.get_file_by_name(name)) {
                Some(file) => answer.files = Some(files(&file)),
                None => answer.error = Some(missing(format!("no file {name}"))),
            }
        } else if let Some(symbol) = &question.file_containing_symbol {
            match self.pools().find_map(|pool| file_of(pool, symbol)) {
                Some(file) => answer.files = Some(files(&file)),
                None => answer.error = Some(missing(format!("no symbol {symbol}"))),
            }
        } else {
            answer.error = Some(missing("nothing is known of extensions".to_owned()));
        }
        answer.original_request = Some(question);
        answer
    }

    fn pools(&self) -> impl Iterator<Item = &DescriptorPool> {
        self.described.iter().map(Descriptors::pool)
    }

    /// Those that somebody serves: a handler has the last part of the name, or all of it.
    fn services(&self) -> ServiceList {
        let serves = |name: &str| {
            let short = name.rsplit('.').next().unwrap_or(name);
            self.served.iter().any(|handler| handler == name || handler == short)
        };
        let names = self.pools().flat_map(|pool| pool.services().collect::<Vec<_>>());
        let names = names.map(|service| service.full_name().to_owned());
        let names: BTreeSet<_> = names.filter(|name| serves(name)).collect();
        ServiceList { service: names.into_iter().map(|name| ServiceName { name }).collect() }
    }
}

/// The file that defines a service, a message, an enum, or something inside one of them.
fn file_of(pool: &DescriptorPool, symbol: &str) -> Option<FileDescriptor> {
    let service = || pool.get_service_by_name(symbol).map(|it| it.parent_file());
    let message = || pool.get_message_by_name(symbol).map(|it| it.parent_file());
    let r#enum = || pool.get_enum_by_name(symbol).map(|it| it.parent_file());
    let inside = || {
        let (outer, inner) = symbol.rsplit_once('.')?;
        let method = || {
            let service = pool.get_service_by_name(outer)?;
            service.methods().any(|method| method.name() == inner).then(|| service.parent_file())
        };
        let field = || {
            let message = pool.get_message_by_name(outer)?;
            message.get_field_by_name(inner).map(|_| message.parent_file())
        };
        method().or_else(field)
    };
    service().or_else(message).or_else(r#enum).or_else(inside)
}

/// A file, and all that it imports.
fn files(file: &FileDescriptor) -> FileList {
    let mut names = BTreeSet::new();
    let mut waiting = vec![file.clone()];
    let mut found = Vec::new();
    while let Some(file) = waiting.pop() {
        if names.insert(file.name().to_owned()) {
            found.push(file.encode_to_vec());
            waiting.extend(file.dependencies());
        }
    }
    FileList { file: found }
}
