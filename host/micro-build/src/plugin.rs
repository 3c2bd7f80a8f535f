//! The same generator as a plugin of `protoc` and `buf`: `protoc-gen-micro-rust`.

use crate::builder::Builder;
use crate::error::Error;
use crate::sources::Sources;
use prost::Message;

/// `google.protobuf.compiler.CodeGeneratorRequest`. The files stay encoded, so that options of theirs are kept that
/// nobody here knows.
#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(string, repeated, tag = "1")]
    file_to_generate: Vec<String>,
    #[prost(string, optional, tag = "2")]
    parameter: Option<String>,
    #[prost(bytes = "vec", repeated, tag = "15")]
    proto_file: Vec<Vec<u8>>,
}

/// `google.protobuf.compiler.CodeGeneratorResponse`.
#[derive(Clone, PartialEq, Message)]
struct Response {
    #[prost(string, optional, tag = "1")]
    error: Option<String>,
    #[prost(uint64, optional, tag = "2")]
    supported_features: Option<u64>,
    #[prost(message, repeated, tag = "15")]
    file: Vec<File>,
}

#[derive(Clone, PartialEq, Message)]
struct File {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(string, optional, tag = "15")]
    content: Option<String>,
}

/// `optional` in proto3 is understood.
const PROTO3_OPTIONAL: u64 = 1;

/// Answers an encoded `CodeGeneratorRequest` with an encoded `CodeGeneratorResponse`, in which mistakes of the user's
/// are told.
///
/// The parameter is a list with commas:
///
/// | option | meaning |
/// |---|---|
/// | `include_file=NAME` | also writes this file, which includes all others in the modules that their packages name |
/// | `services=false` | messages only |
/// | `serde=false` | no JSON form |
/// | `micro_path=PATH` | the path of the crate `micro`, `::micro` unless given |
/// | `extern_path=.PROTO=RUST` | uses types that another crate has generated; repeatable |
///
/// # Errors
/// Bytes that are no request at all.
pub fn respond(request: &[u8]) -> Result<Vec<u8>, prost::DecodeError> {
    let request = Request::decode(request)?;
    let mut response = Response { supported_features: Some(PROTO3_OPTIONAL), ..Response::default() };
    match generate(&request) {
        Ok(generated) => {
            let file = |(name, content)| File { name: Some(name), content: Some(content) };
            response.file = generated.files.into_iter().map(file).collect();
        }
        Err(text) => response.error = Some(text),
    }
    Ok(response.encode_to_vec())
}

fn generate(request: &Request) -> Result<crate::Generated, String> {
    let builder = configured(request.parameter.as_deref().unwrap_or_default())?;
    // The `Debug` form of this error is its text with its causes.
    let text = |error: Error| format!("{error:?}");
    let sources = Sources::decode(&request.proto_file, &request.file_to_generate).map_err(text)?;
    builder.generate_from(sources).map_err(text)
}

fn configured(parameter: &str) -> Result<Builder, String> {
    // The files stand beside each other, so they find each other without OUT_DIR.
    let mut builder = Builder::new().out_dir(".");
    for option in parameter.split(',').map(str::trim).filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=').unwrap_or((option, "true"));
        let flag = || value.parse::<bool>().map_err(|_| format!("{name} is true or false, not {value:?}"));
        builder = match name {
            "include_file" if is_file_name(value) => builder.include_file(value),
            "services" => builder.services(flag()?),
            "serde" => builder.serde(flag()?),
            "micro_path" => builder.micro_path(value),
            "extern_path" => {
                let (proto, rust) = value.split_once('=').ok_or("extern_path is PROTO=RUST")?;
                builder.extern_path(proto, rust)
            }
            "include_file" => return Err(format!("include_file is the name of a file, not {value:?}")),
            _ => {
                return Err(format!(
                    "no option {name:?}: include_file, services, serde, micro_path and extern_path are known"
                ));
            }
        };
    }
    Ok(builder)
}

fn is_file_name(name: &str) -> bool {
    !name.is_empty() && name != "true" && !name.contains(['/', '\\']) && !name.starts_with('.')
}
