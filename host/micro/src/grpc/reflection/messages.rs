//! The messages of reflection, of both versions, as far as anybody here uses them.

use prost::Message;

/// `ServerReflectionRequest`; exactly one of the questions is set.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Request {
    #[prost(string, tag = "1")]
    pub(crate) host: String,
    #[prost(string, optional, tag = "3")]
    pub(crate) file_by_filename: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub(crate) file_containing_symbol: Option<String>,
    #[prost(string, optional, tag = "7")]
    pub(crate) list_services: Option<String>,
}

/// `ServerReflectionResponse`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Response {
    #[prost(string, tag = "1")]
    pub(crate) valid_host: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) original_request: Option<Request>,
    #[prost(message, optional, tag = "4")]
    pub(crate) files: Option<FileList>,
    #[prost(message, optional, tag = "6")]
    pub(crate) list_services: Option<ServiceList>,
    #[prost(message, optional, tag = "7")]
    pub(crate) error: Option<Failure>,
}

/// `FileDescriptorResponse`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct FileList {
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub(crate) file: Vec<Vec<u8>>,
}

/// `ListServiceResponse`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ServiceList {
    #[prost(message, repeated, tag = "1")]
    pub(crate) service: Vec<ServiceName>,
}

/// `ServiceResponse`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ServiceName {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
}

/// `ErrorResponse`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Failure {
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
}
