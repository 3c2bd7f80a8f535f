//! `grpc.testing.TestService`.

use super::messages::*;
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use micro_core::{Headers, Message as WireMessage};
use micro_net::grpc::{Answer, Code, Incoming, Messages, Outgoing, Status};
use micro_net::wire::{Handler, Request};
use prost::Message;
use std::time::Duration;

#[derive(Clone, Debug)]
pub(super) struct TestService;

impl Handler for TestService {
    async fn handle(&self, request: Request) -> WireMessage {
        request.message
    }

    async fn call(&self, call: Incoming) -> Result<Outgoing, Status> {
        let Incoming { path, metadata, mut messages, .. } = call;
        let method = path.strip_prefix("/grpc.testing.TestService/").unwrap_or_default();
        let answer = match method {
            "EmptyCall" => {
                decode::<Empty>(messages.only().await?)?;
                encoded(&Empty {}).into()
            }
            "UnaryCall" => {
                let request: SimpleRequest = decode(messages.only().await?)?;
                refuse(request.response_status)?;
                encoded(&SimpleResponse { payload: payload(request.response_size) }).into()
            }
            "StreamingInputCall" => {
                let mut sum = 0;
                while let Some(message) = messages.next().await? {
                    let request: StreamingInputCallRequest = decode(message)?;
                    sum += request.payload.map_or(0, |payload| payload.body.len());
                }
                let sum = i32::try_from(sum).expect("small");
                encoded(&StreamingInputCallResponse { aggregated_payload_size: sum }).into()
            }
            "StreamingOutputCall" | "FullDuplexCall" => Answer::Many(answers(messages).boxed()),
            _ => return Err(Status::new(Code::UNIMPLEMENTED, format!("no method {path}"))),
        };
        let echoed = |wanted: &str| -> Headers {
            metadata.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted)).collect()
        };
        let (initial, trailing) =
            (echoed("x-grpc-test-echo-initial"), echoed("x-grpc-test-echo-trailing-bin"));
        Ok(Outgoing { metadata: initial, answer, trailers: trailing })
    }
}

/// What each request asks for, one after the other.
fn answers(messages: Messages) -> impl Stream<Item = Result<Bytes, Status>> + Send {
    let asked = messages.map(|message| {
        let request: StreamingOutputCallRequest = decode(message?)?;
        refuse(request.response_status)?;
        Ok(request.response_parameters)
    });
    asked.flat_map(|asked: Result<Vec<ResponseParameters>, Status>| match asked {
        Err(status) => stream::iter([Err(status)]).boxed(),
        Ok(parameters) => stream::iter(parameters)
            .then(async |parameters| {
                let pause = u64::try_from(parameters.interval_us).unwrap_or_default();
                if pause > 0 {
                    tokio::time::sleep(Duration::from_micros(pause)).await;
                }
                Ok(encoded(&StreamingOutputCallResponse { payload: payload(parameters.size) }))
            })
            .boxed(),
    })
}

fn decode<T: Message + Default>(message: Bytes) -> Result<T, Status> {
    T::decode(message).map_err(|error| Status::new(Code::INVALID_ARGUMENT, error.to_string()))
}

fn encoded(message: &impl Message) -> Bytes {
    message.encode_to_vec().into()
}

/// Some callers want an error.
fn refuse(status: Option<EchoStatus>) -> Result<(), Status> {
    match status {
        Some(EchoStatus { code, message }) if code != 0 => {
            Err(Status::new(Code(code.cast_unsigned()), message))
        }
        _ => Ok(()),
    }
}
