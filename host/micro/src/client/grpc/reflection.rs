//! Asking a gRPC server what it serves: `grpc.reflection.v1`, or the older `v1alpha`.
//!
//! The method is a stream; here each question is a stream of its own with one message each way, which every server
//! answers.

use crate::grpc::{DescriptorError, Descriptors};
use bytes::Bytes;
use micro_core::Headers;
use micro_net::grpc::{Call, CallError, Channels, Code, Codec};
use prost::Message;
use prost_types::FileDescriptorProto;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

const PATHS: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// How long an answer is good. A server that is replaced at the same address may have other methods.
const FRESH: Duration = Duration::from_secs(300);
/// How long a server without reflection is not asked again.
const ABSENT: Duration = Duration::from_secs(10);
/// How long the questions may take, all together; a caller's own deadline may be shorter.
const PATIENCE: Duration = Duration::from_secs(10);
/// A server may name so many files, of so many bytes together.
const MAX_FILES: usize = 2000;
const MAX_BYTES: usize = 16 << 20;

/// What a server says of its methods, asked for when it is first needed.
#[derive(Debug, Default)]
pub(in crate::client) struct Reflected(Mutex<Option<Known>>);

#[derive(Debug)]
struct Known {
    since: Instant,
    /// None: it has no reflection.
    descriptors: Option<Descriptors>,
}

/// Why it is not known what a server's methods take.
#[derive(Debug, thiserror::Error)]
pub(in crate::client) enum ReflectionError {
    #[error("it offers no reflection")]
    Absent,
    #[error(transparent)]
    Call(CallError),
    #[error("it did not say within {PATIENCE:?} what it serves")]
    Timeout,
    #[error("its reflection answers nonsense: {0}")]
    Malformed(String),
    #[error("its reflection names more than {MAX_FILES} files or {MAX_BYTES} bytes")]
    TooLarge,
    #[error("its reflection is not consistent")]
    Inconsistent(#[from] DescriptorError),
}

impl Reflected {
    /// Asks, unless it is known. Callers that come at the same time ask once.
    pub(super) async fn get(
        &self,
        channels: &Channels,
        address: &str,
        connect_timeout: Duration,
    ) -> Result<Descriptors, ReflectionError> {
        let mut known = self.0.lock().await;
        if let Some(Known { since, descriptors }) = &*known {
            let fresh = if descriptors.is_some() { FRESH } else { ABSENT };
            if since.elapsed() < fresh {
                return descriptors.clone().ok_or(ReflectionError::Absent);
            }
        }
        let server = Server { channels, address, connect_timeout };
        let asked = tokio::time::timeout(PATIENCE, server.describe()).await;
        let asked = asked.unwrap_or(Err(ReflectionError::Timeout));
        if let Ok(_) | Err(ReflectionError::Absent) = &asked {
            *known = Some(Known { since: Instant::now(), descriptors: asked.as_ref().ok().cloned() });
        }
        asked
    }
}

/// The server that is asked.
struct Server<'a> {
    channels: &'a Channels,
    address: &'a str,
    connect_timeout: Duration,
}

impl Server<'_> {
    async fn describe(&self) -> Result<Descriptors, ReflectionError> {
        let listing = Request { list_services: Some("*".to_owned()), ..Request::default() };
        let (path, listed) = self.first(&listing).await?;
        let services = listed.list_services.map(|list| list.service).unwrap_or_default();
        let mut files = Files::default();
        for service in services {
            let question =
                Request { file_containing_symbol: Some(service.name.clone()), ..Request::default() };
            let answer = self.ask(path, &question).await?;
            if let Some(error) = answer.error {
                // Some servers list what they cannot describe. The others are still good.
                tracing::debug!(
                    service = service.name,
                    code = error.code,
                    error = error.message,
                    "not described"
                );
                continue;
            }
            files.add(answer)?;
        }
        // What the files import, and what those import.
        while let Some(name) = files.missing() {
            let question = Request { file_by_filename: Some(name.clone()), ..Request::default() };
            let answer = self.ask(path, &question).await?;
            if let Some(Failure { message, .. }) = answer.error {
                return Err(ReflectionError::Malformed(format!("no file {name:?}: {message}")));
            }
            files.add(answer)?;
            if !files.by_name.contains_key(&name) {
                return Err(ReflectionError::Malformed(format!("another file in place of {name:?}")));
            }
        }
        let file = files.by_name.into_values().map(|file| file.encoded).collect();
        Ok(Descriptors::decode(&EncodedSet { file }.encode_to_vec())?)
    }

    /// The answer of the first version that is there, and its path.
    async fn first(&self, request: &Request) -> Result<(&'static str, Response), ReflectionError> {
        for path in PATHS {
            match self.ask(path, request).await {
                Err(ReflectionError::Call(CallError::Status(status)))
                    if status.code == Code::UNIMPLEMENTED => {}
                outcome => return Ok((path, outcome?)),
            }
        }
        Err(ReflectionError::Absent)
    }

    async fn ask(&self, path: &str, request: &Request) -> Result<Response, ReflectionError> {
        let message = Bytes::from(request.encode_to_vec());
        let metadata = Headers::new();
        let call = Call {
            path,
            codec: Codec::Proto,
            metadata: &metadata,
            timeout: Some(PATIENCE),
            message: &message,
        };
        let reply = self.channels.call(self.address, &call, self.connect_timeout).await;
        let reply = reply.map_err(ReflectionError::Call)?;
        Response::decode(reply.message).map_err(|error| ReflectionError::Malformed(error.to_string()))
    }
}

/// What has been collected.
#[derive(Debug, Default)]
struct Files {
    by_name: BTreeMap<String, File>,
    bytes: usize,
}

/// A file as it came, with options of its methods that no generated type knows.
#[derive(Debug)]
struct File {
    imports: Vec<String>,
    encoded: Vec<u8>,
}

/// `FileDescriptorSet` whose files are encoded already.
#[derive(Clone, PartialEq, Message)]
struct EncodedSet {
    #[prost(bytes = "vec", repeated, tag = "1")]
    file: Vec<Vec<u8>>,
}

impl Files {
    fn add(&mut self, answer: Response) -> Result<(), ReflectionError> {
        for file in answer.files.map(|files| files.file).unwrap_or_default() {
            self.bytes += file.len();
            if self.by_name.len() >= MAX_FILES || self.bytes > MAX_BYTES {
                return Err(ReflectionError::TooLarge);
            }
            let known = FileDescriptorProto::decode(&*file);
            let known = known.map_err(|error| ReflectionError::Malformed(error.to_string()))?;
            let file = File { imports: known.dependency, encoded: file };
            self.by_name.entry(known.name.unwrap_or_default()).or_insert(file);
        }
        Ok(())
    }

    /// A file that is imported and not here.
    fn missing(&self) -> Option<String> {
        let mut imports = self.by_name.values().flat_map(|file| &file.imports);
        imports.find(|name| !self.by_name.contains_key(*name)).cloned()
    }
}

/// `ServerReflectionRequest`; exactly one field is set.
#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(string, optional, tag = "3")]
    file_by_filename: Option<String>,
    #[prost(string, optional, tag = "4")]
    file_containing_symbol: Option<String>,
    #[prost(string, optional, tag = "7")]
    list_services: Option<String>,
}

/// `ServerReflectionResponse`.
#[derive(Clone, PartialEq, Message)]
struct Response {
    #[prost(message, optional, tag = "4")]
    files: Option<FileList>,
    #[prost(message, optional, tag = "6")]
    list_services: Option<ServiceList>,
    #[prost(message, optional, tag = "7")]
    error: Option<Failure>,
}

/// `FileDescriptorResponse`.
#[derive(Clone, PartialEq, Message)]
struct FileList {
    #[prost(bytes = "vec", repeated, tag = "1")]
    file: Vec<Vec<u8>>,
}

/// `ListServiceResponse`.
#[derive(Clone, PartialEq, Message)]
struct ServiceList {
    #[prost(message, repeated, tag = "1")]
    service: Vec<ServiceName>,
}

/// `ServiceResponse`.
#[derive(Clone, PartialEq, Message)]
struct ServiceName {
    #[prost(string, tag = "1")]
    name: String,
}

/// `ErrorResponse`.
#[derive(Clone, PartialEq, Message)]
struct Failure {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

#[cfg(test)]
mod tests;
