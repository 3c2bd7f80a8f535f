//! `grpc.health.v1.Health`, which load balancers ask.

use crate::context::Context;
use crate::handler::Handler;
use crate::payload::Payload;
use crate::stream::Responses;
use micro_core::Error;
use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto,
    FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, ServiceDescriptorProto,
};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, LazyLock};

/// The question of a health check.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct HealthCheckRequest {
    /// Which service is asked for, by its full name; empty: the whole server.
    #[prost(string, tag = "1")]
    pub service: String,
}

/// The answer to a health check.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct HealthCheckResponse {
    /// 0 unknown, 1 serving, 2 not serving, 3 no such service.
    #[prost(int32, tag = "1")]
    pub status: i32,
}

impl HealthCheckResponse {
    /// The endpoint that gives it.
    pub const ENDPOINT: &str = "grpc.health.v1.Health/Check";

    const SERVING: i32 = 1;
    const UNKNOWN_SERVICE: i32 = 3;

    /// `ok` for a server that serves, as services of Go Micro say it; else the name of the status.
    pub fn text(&self) -> &'static str {
        match self.status {
            Self::SERVING => "ok",
            2 => "NOT_SERVING",
            3 => "SERVICE_UNKNOWN",
            _ => "UNKNOWN",
        }
    }
}

crate::impl_proto_payload!(HealthCheckRequest, crate::Value::default());
crate::impl_proto_payload!(HealthCheckResponse, crate::Value::default());

/// Answers for the handlers of these names, under whatever package.
pub(crate) fn handler(names: Vec<String>) -> Handler {
    let names = Arc::new(names);
    let known = move |request: &HealthCheckRequest| {
        let name = request.service.rsplit('.').next().unwrap_or_default();
        request.service.is_empty() || names.iter().any(|it| it == name)
    };
    let watched = known.clone();
    let check = move |_, request: HealthCheckRequest| {
        let answer = match known(&request) {
            // A service that does not serve does not answer either.
            true => Ok(HealthCheckResponse { status: HealthCheckResponse::SERVING }),
            false => Err(Error::not_found("go.micro.server", format!("unknown service {}", request.service))),
        };
        async move { answer }
    };
    let watch = move |_: Context, request: HealthCheckRequest, answers: Responses<HealthCheckResponse>| {
        let known = watched(&request);
        async move {
            let status =
                if known { HealthCheckResponse::SERVING } else { HealthCheckResponse::UNKNOWN_SERVICE };
            answers.send(HealthCheckResponse { status }).await?;
            // It stays like that until the server, or the caller, ends the stream.
            std::future::pending().await
        }
    };
    let nothing = HealthCheckRequest::shape;
    Handler::new("grpc.health.v1.Health")
        .internal()
        .definitions(&DEFINITION)
        .unary("Check", nothing(), nothing(), check)
        .server_streaming("Watch", nothing(), nothing(), watch)
}

/// The definition of the service, for reflection: an encoded `FileDescriptorSet`.
static DEFINITION: LazyLock<Vec<u8>> = LazyLock::new(|| definition().encode_to_vec());

fn definition() -> FileDescriptorSet {
    let field = |name: &str, kind: Type, of: Option<&str>| FieldDescriptorProto {
        name: Some(name.to_owned()),
        number: Some(1),
        r#type: Some(kind.into()),
        type_name: of.map(str::to_owned),
        label: Some(Label::Optional.into()),
        json_name: Some(name.to_owned()),
        ..FieldDescriptorProto::default()
    };
    let message = |name: &str, field, enums| DescriptorProto {
        name: Some(name.to_owned()),
        field: vec![field],
        enum_type: enums,
        ..DescriptorProto::default()
    };
    let method = |name: &str, stream| MethodDescriptorProto {
        name: Some(name.to_owned()),
        input_type: Some(".grpc.health.v1.HealthCheckRequest".to_owned()),
        output_type: Some(".grpc.health.v1.HealthCheckResponse".to_owned()),
        server_streaming: Some(stream),
        ..MethodDescriptorProto::default()
    };
    let values = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"].iter().zip(0..);
    let values = values.map(|(name, number)| EnumValueDescriptorProto {
        name: Some((*name).to_owned()),
        number: Some(number),
        options: None,
    });
    let status = EnumDescriptorProto {
        name: Some("ServingStatus".to_owned()),
        value: values.collect(),
        ..EnumDescriptorProto::default()
    };
    let of = Some(".grpc.health.v1.HealthCheckResponse.ServingStatus");
    let file = FileDescriptorProto {
        name: Some("grpc/health/v1/health.proto".to_owned()),
        package: Some("grpc.health.v1".to_owned()),
        syntax: Some("proto3".to_owned()),
        message_type: vec![
            message("HealthCheckRequest", field("service", Type::String, None), Vec::new()),
            message("HealthCheckResponse", field("status", Type::Enum, of), vec![status]),
        ],
        service: vec![ServiceDescriptorProto {
            name: Some("Health".to_owned()),
            method: vec![method("Check", false), method("Watch", true)],
            options: None,
        }],
        ..FileDescriptorProto::default()
    };
    FileDescriptorSet { file: vec![file] }
}

#[cfg(test)]
mod tests {
    #[test]
    fn its_definition_is_consistent() {
        let described = crate::grpc::Descriptors::decode(&super::DEFINITION).expect("consistent");
        assert_eq!(described.pool().services().len(), 1);
    }
}
