//! The generator as a plugin of `protoc`.

use micro_build::plugin;
use prost::Message;
use prost_types::compiler::{CodeGeneratorRequest, CodeGeneratorResponse};
use std::fs;

/// What `protoc` would ask for a file of this text.
fn request(text: &str, parameter: Option<&str>) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("temporary folder");
    let file = folder.path().join("books.proto");
    fs::write(&file, text).expect("writable");
    let mut compiler = micro_rest::compiler(&[folder.path()]).expect("a folder");
    compiler.include_imports(true).include_source_info(true).open_file(&file).expect("valid");
    let set = compiler.encode_file_descriptor_set();
    let mut request = CodeGeneratorRequest {
        file_to_generate: vec!["books.proto".to_owned()],
        parameter: parameter.map(str::to_owned),
        ..CodeGeneratorRequest::default()
    }
    .encode_to_vec();
    // Both messages are appended field by field: the set's field 1 becomes the request's field 15.
    for file in files(&set) {
        prost::encoding::bytes::encode(15, &file, &mut request);
    }
    request
}

/// The encoded files of an encoded set, with options that generated types do not know.
fn files(set: &[u8]) -> Vec<Vec<u8>> {
    #[derive(Clone, PartialEq, Message)]
    struct Set {
        #[prost(bytes = "vec", repeated, tag = "1")]
        file: Vec<Vec<u8>>,
    }
    Set::decode(set).expect("a set").file
}

fn respond(text: &str, parameter: Option<&str>) -> CodeGeneratorResponse {
    let response = plugin::respond(&request(text, parameter)).expect("a request");
    CodeGeneratorResponse::decode(response.as_slice()).expect("a response")
}

const BOOKS: &str = "syntax = \"proto3\"; package shop.books; import \"google/api/annotations.proto\";
    // A book.
    message Book { optional string name = 1; }
    service Library { rpc Get(Book) returns (Book) { option (google.api.http) = { get: \"/v1/{name}\" }; } }";

#[test]
fn it_generates_what_build_scripts_generate() {
    let response = respond(BOOKS, Some("include_file=all.rs"));
    assert_eq!(response.error, None);
    assert_eq!(response.supported_features, Some(1), "optional in proto3");
    let names: Vec<_> = response.file.iter().map(|file| file.name()).collect();
    assert_eq!(names, ["all.rs", "shop.books.rs"]);
    let code = response.file[1].content();
    for part in ["/// A book.", "pub trait Library", "LibraryClient", "google.api.http", "/v1/{name}"] {
        assert!(code.contains(part), "{part} is not in {code}");
    }
    assert!(response.file[0].content().contains("include!(\"shop.books.rs\")"));
}

#[test]
fn options_are_those_of_the_builder() {
    let code = |parameter| {
        respond(BOOKS, Some(parameter)).file.iter().map(|it| it.content().to_owned()).collect::<String>()
    };
    assert!(!code("services=false").contains("trait Library"));
    assert!(!code("serde=false").contains("Serialize"));
    assert!(code("micro_path=::other::micro").contains("::other::micro::"));
    for (parameter, part) in [
        ("nonsense", "no option \"nonsense\": include_file"),
        ("services=maybe", "true or false"),
        ("include_file=../x.rs", "name of a file"),
        ("extern_path=a", "PROTO=RUST"),
        ("micro_path=1", "no Rust path"),
    ] {
        let response = respond(BOOKS, Some(parameter));
        assert!(
            response.error().contains(part) && response.file.is_empty(),
            "{parameter}: {}",
            response.error()
        );
    }
}

#[test]
fn mistakes_are_told_in_the_response() {
    let response = respond(&BOOKS.replace("{name}", "{title}"), None);
    assert!(
        response.error().contains("books.proto") && response.error().contains("title"),
        "{}",
        response.error()
    );
    let mut broken = request(BOOKS, None);
    prost::encoding::string::encode(1, &"absent.proto".to_owned(), &mut broken);
    let response = plugin::respond(&broken).expect("a request");
    let response = CodeGeneratorResponse::decode(response.as_slice()).expect("a response");
    assert!(response.error().contains("absent.proto"), "{}", response.error());
    assert!(plugin::respond(b"\xff").is_err());
}
