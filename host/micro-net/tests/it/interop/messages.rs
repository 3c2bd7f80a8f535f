//! The messages of `grpc.testing`, as far as the tests use them.

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(super) struct Empty {}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Payload {
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) body: bytes::Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct EchoStatus {
    #[prost(int32, tag = "1")]
    pub(super) code: i32,
    #[prost(string, tag = "2")]
    pub(super) message: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SimpleRequest {
    #[prost(int32, tag = "2")]
    pub(super) response_size: i32,
    #[prost(message, optional, tag = "3")]
    pub(super) payload: Option<Payload>,
    #[prost(message, optional, tag = "7")]
    pub(super) response_status: Option<EchoStatus>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SimpleResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) payload: Option<Payload>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct StreamingInputCallRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) payload: Option<Payload>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct StreamingInputCallResponse {
    #[prost(int32, tag = "1")]
    pub(super) aggregated_payload_size: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ResponseParameters {
    #[prost(int32, tag = "1")]
    pub(super) size: i32,
    #[prost(int32, tag = "2")]
    pub(super) interval_us: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct StreamingOutputCallRequest {
    #[prost(message, repeated, tag = "2")]
    pub(super) response_parameters: Vec<ResponseParameters>,
    #[prost(message, optional, tag = "3")]
    pub(super) payload: Option<Payload>,
    #[prost(message, optional, tag = "7")]
    pub(super) response_status: Option<EchoStatus>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct StreamingOutputCallResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) payload: Option<Payload>,
}

/// So many zeros.
pub(super) fn payload(size: i32) -> Option<Payload> {
    Some(Payload { body: vec![0; usize::try_from(size).expect("positive")].into() })
}

/// A request of `there` bytes for an answer of `back`.
pub(super) fn simple(back: i32, there: i32) -> SimpleRequest {
    SimpleRequest { response_size: back, payload: payload(there), response_status: None }
}

/// A request of `there` bytes for answers of these sizes.
pub(super) fn output(back: &[i32], there: i32) -> StreamingOutputCallRequest {
    let parameters = back.iter().map(|&size| ResponseParameters { size, interval_us: 0 });
    StreamingOutputCallRequest {
        response_parameters: parameters.collect(),
        payload: payload(there),
        response_status: None,
    }
}
