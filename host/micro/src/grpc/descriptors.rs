//! What a gRPC service's methods take and give, known while the program runs: from the service itself by reflection, or
//! from files. With it JSON becomes a message and back, without generated code.

use bytes::Bytes;
use micro_core::registry::Metadata;
use micro_core::{Endpoint, Error, Value};
use prost_reflect::prost::Message as _;
use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor,
    MethodDescriptor, SerializeOptions,
};
use prost_types::FileDescriptorSet;

/// How deep the fields of messages are shown (`go-micro-wire` §6.3).
const DEPTH: usize = 3;
/// So many names of methods are put into an error's text.
const SHOWN: usize = 12;
/// Reflection, health: not what somebody wants to see of a service.
const INTERNAL: [&str; 2] = ["grpc.reflection.", "grpc.health."];

/// As JSON looks between services: the names of the proto file, numbers as numbers.
const WRITING: SerializeOptions = SerializeOptions::new()
    .use_proto_field_name(true)
    .stringify_64_bit_integers(false)
    .use_enum_numbers(true);
/// A field that nobody knows is a mistake of the caller's, and losing it silently helps nobody.
const READING: DeserializeOptions = DeserializeOptions::new().deny_unknown_fields(true);

/// Definitions that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DescriptorError {
    /// The bytes are no `FileDescriptorSet`, or its files do not fit together.
    #[error("unusable protobuf definitions")]
    Invalid(#[from] prost_reflect::DescriptorError),
    /// There is no service in them.
    #[error("the protobuf definitions hold no service")]
    Empty,
}

/// The definitions of gRPC services. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Descriptors {
    pool: DescriptorPool,
}

impl Descriptors {
    /// From an encoded `FileDescriptorSet`, as `protoc --include_imports --descriptor_set_out` writes it.
    ///
    /// # Errors
    /// See [`DescriptorError`].
    pub fn decode(set: &[u8]) -> Result<Self, DescriptorError> {
        Self::checked(DescriptorPool::decode(set)?)
    }

    /// From the files that a compiler or a server gave. Those they import have to be among them.
    ///
    /// # Errors
    /// See [`DescriptorError`].
    pub fn new(set: FileDescriptorSet) -> Result<Self, DescriptorError> {
        Self::checked(DescriptorPool::from_file_descriptor_set(set)?)
    }

    fn checked(pool: DescriptorPool) -> Result<Self, DescriptorError> {
        let empty = pool.services().len() == 0;
        if empty { Err(DescriptorError::Empty) } else { Ok(Self { pool }) }
    }

    /// The definitions themselves.
    pub fn pool(&self) -> &DescriptorPool {
        &self.pool
    }

    /// The method that an endpoint is: `Struct.Method` in whatever package, or `pkg.Service/Method`.
    pub fn of_endpoint(&self, endpoint: &str) -> Option<MethodDescriptor> {
        let (service, method) = endpoint.trim_start_matches('/').rsplit_once(['/', '.'])?;
        let exact = self.pool.get_service_by_name(service);
        let found = exact.or_else(|| {
            let mut same = self.pool.services().filter(|known| known.name() == service);
            same.next().filter(|_| same.next().is_none())
        });
        found?.methods().find(|known| known.name() == method)
    }

    /// The methods as endpoints, `pkg.Service/Method`, with the shapes of their messages; those of the server's own
    /// services, such as reflection, are left out.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        let services = self.pool.services();
        let shown =
            services.filter(|service| !INTERNAL.iter().any(|start| service.full_name().starts_with(start)));
        let endpoint = |method: MethodDescriptor| {
            let streams = method.is_client_streaming() || method.is_server_streaming();
            let metadata = streams.then(|| ("stream".to_owned(), "true".to_owned()));
            Endpoint {
                name: name(&method),
                request: Some(shape(&method.input())),
                response: Some(shape(&method.output())),
                metadata: metadata.into_iter().collect::<Metadata>(),
            }
        };
        let mut endpoints: Vec<_> =
            shown.flat_map(|service| service.methods().map(endpoint).collect::<Vec<_>>()).collect();
        endpoints.sort_by(|a, b| a.name.cmp(&b.name));
        endpoints
    }

    /// The method that is called at `path`, or, where nothing is there, the only one of that service and method in
    /// whatever package: Go Micro writes the service's name in its place.
    ///
    /// # Errors
    /// Code 404 with the methods that there are; 501 for a method that streams.
    pub(crate) fn method(&self, path: &str) -> Result<Method, Error> {
        let method = self.find(path)?;
        if method.is_client_streaming() || method.is_server_streaming() {
            let detail = format!("{} is a stream, and is called with one message each way", name(&method));
            return Err(Error::new(super::CODEC, 501, detail));
        }
        Ok(Method::new(&method))
    }

    /// As [`Descriptors::method`], for methods of whatever kind.
    pub(crate) fn stream(&self, path: &str) -> Result<Method, Error> {
        self.find(path).map(|method| Method::new(&method))
    }

    fn find(&self, path: &str) -> Result<MethodDescriptor, Error> {
        let wanted = path.trim_start_matches('/');
        let methods = || self.pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
        let short = |name: &str| name.rsplit('.').next().map(str::to_owned);
        let exact = wanted.split_once('/').and_then(|(service, method)| {
            let service = self.pool.get_service_by_name(service)?;
            service.methods().find(|known| known.name() == method)
        });
        let method = exact.or_else(|| {
            let mut same = methods().filter(|method| short(&name(method)) == short(wanted));
            same.next().filter(|_| same.next().is_none())
        });
        method.ok_or_else(|| {
            let mut known: Vec<_> = self.endpoints().into_iter().map(|endpoint| endpoint.name).collect();
            let more = if known.len() > SHOWN { ", …" } else { "" };
            known.truncate(SHOWN);
            let detail = format!("no method {wanted} (known: {}{more})", known.join(", "));
            Error::not_found(super::CODEC, detail)
        })
    }
}

/// A method that can be called with JSON.
#[derive(Clone, Debug)]
pub(crate) struct Method {
    /// `/pkg.Service/Method`.
    pub(crate) path: String,
    input: MessageDescriptor,
    output: MessageDescriptor,
}

impl Method {
    fn new(method: &MethodDescriptor) -> Self {
        Self { path: format!("/{}", name(method)), input: method.input(), output: method.output() }
    }

    /// A request in protobuf. Nothing is an empty message.
    ///
    /// # Errors
    /// Code 400 with what does not fit.
    pub(crate) fn request(&self, json: &[u8]) -> Result<Bytes, Error> {
        let json = if json.trim_ascii().is_empty() { b"{}" } else { json };
        let mut reader = serde_json::Deserializer::from_slice(json);
        let message = DynamicMessage::deserialize_with_options(self.input.clone(), &mut reader, &READING);
        let message = message.and_then(|message| reader.end().map(|()| message));
        let message = message.map_err(|error| {
            let detail = format!("the request is no {}: {error}", self.input.full_name());
            Error::bad_request(super::CODEC, detail)
        })?;
        Ok(message.encode_to_vec().into())
    }

    /// A response in JSON.
    ///
    /// # Errors
    /// Code 500 for bytes that are no such message.
    pub(crate) fn response(&self, message: &[u8]) -> Result<Bytes, Error> {
        let wrong = |error: String| {
            let detail = format!("the answer is no {}: {error}", self.output.full_name());
            Error::internal(super::CODEC, detail)
        };
        let message =
            DynamicMessage::decode(self.output.clone(), message).map_err(|error| wrong(error.to_string()))?;
        let mut json = Vec::new();
        let mut writer = serde_json::Serializer::new(&mut json);
        message.serialize_with_options(&mut writer, &WRITING).map_err(|error| wrong(error.to_string()))?;
        Ok(json.into())
    }
}

/// `pkg.Service/Method`.
fn name(method: &MethodDescriptor) -> String {
    format!("{}/{}", method.parent_service().full_name(), method.name())
}

fn shape(message: &MessageDescriptor) -> Value {
    let name = message.name().to_owned();
    Value { kind: name.clone(), name, values: values(message, DEPTH) }
}

fn values(message: &MessageDescriptor, depth: usize) -> Vec<Value> {
    if depth == 0 {
        return Vec::new();
    }
    let value = |field: FieldDescriptor| {
        let inner = match field.kind() {
            Kind::Message(message) if !field.is_map() => values(&message, depth - 1),
            _ => Vec::new(),
        };
        Value { name: field.name().to_owned(), kind: kind(&field), values: inner }
    };
    message.fields().map(value).collect()
}

/// In Go's words, as registries show types.
fn kind(field: &FieldDescriptor) -> String {
    let name = match field.kind() {
        _ if field.is_map() => return "map".to_owned(),
        Kind::Double => "float64",
        Kind::Float => "float32",
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => "int32",
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => "int64",
        Kind::Uint32 | Kind::Fixed32 => "uint32",
        Kind::Uint64 | Kind::Fixed64 => "uint64",
        Kind::Bool => "bool",
        Kind::String => "string",
        Kind::Bytes => "[]uint8",
        Kind::Message(message) => return list(field, message.name()),
        Kind::Enum(of) => return list(field, of.name()),
    };
    list(field, name)
}

fn list(field: &FieldDescriptor, name: &str) -> String {
    if field.is_list() { format!("[]{name}") } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost_types::field_descriptor_proto::{Label, Type};
    use prost_types::{
        DescriptorProto, FieldDescriptorProto, FileDescriptorProto, MethodDescriptorProto,
        ServiceDescriptorProto,
    };

    fn field(number: i32, name: &str, kind: Type, of: Option<&str>, label: Label) -> FieldDescriptorProto {
        FieldDescriptorProto {
            name: Some(name.to_owned()),
            number: Some(number),
            r#type: Some(kind.into()),
            type_name: of.map(str::to_owned),
            label: Some(label.into()),
            ..FieldDescriptorProto::default()
        }
    }

    fn method(name: &str, stream: bool) -> MethodDescriptorProto {
        MethodDescriptorProto {
            name: Some(name.to_owned()),
            input_type: Some(".pets.Pet".to_owned()),
            output_type: Some(".pets.Pet".to_owned()),
            server_streaming: Some(stream),
            ..MethodDescriptorProto::default()
        }
    }

    /// `pets.Store` with `Add` and the stream `Watch`, over a message that holds itself.
    fn store() -> Descriptors {
        let fields = vec![
            field(1, "pet_name", Type::String, None, Label::Optional),
            field(2, "age", Type::Int64, None, Label::Optional),
            field(3, "friends", Type::Message, Some(".pets.Pet"), Label::Repeated),
        ];
        let pet =
            DescriptorProto { name: Some("Pet".to_owned()), field: fields, ..DescriptorProto::default() };
        let service = ServiceDescriptorProto {
            name: Some("Store".to_owned()),
            method: vec![method("Add", false), method("Watch", true)],
            options: None,
        };
        let file = FileDescriptorProto {
            name: Some("pets.proto".to_owned()),
            package: Some("pets".to_owned()),
            message_type: vec![pet],
            service: vec![service],
            syntax: Some("proto3".to_owned()),
            ..FileDescriptorProto::default()
        };
        Descriptors::new(FileDescriptorSet { file: vec![file] }).expect("consistent")
    }

    #[test]
    fn json_becomes_a_message_and_back() {
        let add = store().method("/pets.Store/Add").expect("there");
        for (json, back) in [
            (r#"{"pet_name":"Rex","age":9007199254740993}"#, r#"{"pet_name":"Rex","age":9007199254740993}"#),
            (r#"{"petName":"Rex","age":"7","friends":[{}]}"#, r#"{"pet_name":"Rex","age":7,"friends":[{}]}"#),
            ("", "{}"),
            (" \n", "{}"),
        ] {
            let message = add.request(json.as_bytes()).expect("fits");
            assert_eq!(add.response(&message).expect("fits"), back);
        }
        for json in ["{", "[]", "{}{}", r#"{"age":"x"}"#, r#"{"nome":"Rex"}"#, &"[".repeat(1 << 16)] {
            let error = add.request(json.as_bytes()).expect_err("does not fit");
            assert!(error.code == 400 && error.detail.contains("pets.Pet"), "{error}");
        }
        assert_eq!(add.response(b"\xff").expect_err("no message").code, 500);
        // As deep as nobody can mean it.
        let nested = (0..500).fold(Vec::new(), |inner: Vec<u8>, _| {
            let mut outer = vec![0x1a];
            prost::encoding::encode_varint(inner.len() as u64, &mut outer);
            outer.extend(inner);
            outer
        });
        assert_eq!(add.response(&nested).expect_err("too deep").code, 500);
    }

    #[test]
    fn methods_are_found_in_whatever_package() {
        let store = store();
        for path in ["/pets.Store/Add", "pets.Store/Add", "/shop.Store/Add", "/Store/Add"] {
            assert_eq!(
                store.method(path).map(|method| method.path).as_deref(),
                Ok("/pets.Store/Add"),
                "{path}"
            );
        }
        assert_eq!(store.method("/pets.Store/Watch").expect_err("a stream").code, 501);
        let error = store.method("/pets.Store/Sell").expect_err("not there");
        assert!(error.code == 404 && error.detail.contains("pets.Store/Add"), "{error}");
    }

    #[test]
    fn endpoints_show_what_methods_take() {
        let endpoints = store().endpoints();
        let names: Vec<_> = endpoints.iter().map(|endpoint| endpoint.name.as_str()).collect();
        assert_eq!(names, ["pets.Store/Add", "pets.Store/Watch"]);
        assert_eq!(endpoints[1].metadata.get("stream").map(String::as_str), Some("true"));
        let request = endpoints[0].request.as_ref().expect("a shape");
        let kinds: Vec<_> = request.values.iter().map(|it| (it.name.as_str(), it.kind.as_str())).collect();
        assert_eq!(kinds, [("pet_name", "string"), ("age", "int64"), ("friends", "[]Pet")]);
        assert_eq!(request.values[2].values[2].values[2].values, [], "depth has an end");
        assert!(matches!(Descriptors::decode(b""), Err(DescriptorError::Empty)));
        assert!(matches!(Descriptors::decode(b"\xff"), Err(DescriptorError::Invalid(_))));
    }
}
