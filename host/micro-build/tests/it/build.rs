//! What the generator makes of proto files, good and bad.

use micro_build::{Builder, Error, Generated};
use std::fs;
use std::path::Path;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it");

/// Generates code for a proto file of this text.
fn generate(text: &str) -> Result<Generated, Error> {
    let folder = tempfile::tempdir().expect("temporary folder");
    let file = folder.path().join("test.proto");
    fs::write(&file, text).expect("writable");
    Builder::new().generate(&[file], &[folder.path()])
}

fn proto3(items: &str) -> Result<Generated, Error> {
    generate(&format!("syntax = \"proto3\"; package p; {items}"))
}

/// The other tests use the committed files, so they have to be what the generator writes. `UPDATE_GENERATED=1` writes
/// them.
#[test]
fn committed_code_is_up_to_date() {
    let proto = format!("{FOLDER}/proto");
    let folder = Path::new(FOLDER).join("generated");
    let builder = Builder::new().out_dir(&folder).include_file("mod.rs");
    let generated = builder.generate(&[format!("{proto}/everything.proto")], &[&proto]).expect("valid");
    assert_eq!(generated.files.len(), 3);
    for (name, code) in &generated.files {
        if std::env::var_os("UPDATE_GENERATED").is_some() {
            fs::write(folder.join(name), code).expect("writable");
        }
        let committed = fs::read_to_string(folder.join(name)).expect("readable");
        assert!(committed == *code, "{name} is out of date: run this test with UPDATE_GENERATED=1");
    }
    let inputs: Vec<_> = generated.inputs.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    assert!(inputs.contains(&"everything.proto") && inputs.contains(&"other.proto"), "{inputs:?}");
}

#[test]
fn files_are_written_where_they_belong() {
    let out = tempfile::tempdir().expect("temporary folder");
    let proto = format!("{FOLDER}/proto");
    let builder = Builder::new().out_dir(out.path());
    builder.compile_protos(&[format!("{proto}/other.proto")], &[&proto]).expect("valid");
    let code = fs::read_to_string(out.path().join("test.other.rs")).expect("written");
    assert!(code.contains("pub struct Thing"), "{code}");
}

#[test]
fn mistakes_in_proto_files_name_the_place() {
    let text = proto3("message A { Missing b = 1; }").expect_err("no such type").to_string();
    assert!(text.contains("test.proto:1:") && text.contains("Missing"), "{text}");
    let text = generate("syntax = \"proto4\";").expect_err("no such syntax").to_string();
    assert!(text.contains("proto4"), "{text}");
    let text = Builder::new().generate(&["nowhere.proto"], &["."]).expect_err("no such file").to_string();
    assert!(text.contains("nowhere.proto"), "{text}");
}

#[test]
fn types_without_a_form_are_refused() {
    let any = "import \"google/protobuf/any.proto\"; message A { google.protobuf.Any b = 1; }";
    let text = proto3(any).expect_err("not supported").to_string();
    assert!(text.starts_with("p.A.b has type google.protobuf.Any"), "{text}");
    let timestamp = "import \"google/protobuf/timestamp.proto\";
        service S { rpc Now(google.protobuf.Timestamp) returns (google.protobuf.Timestamp); }";
    let text = proto3(timestamp).expect_err("not supported").to_string();
    assert!(text.starts_with("p.S.Now has type google.protobuf.Timestamp"), "{text}");
}

#[test]
fn names_that_clash_are_refused() {
    let clash = "message SayClient {} service Say { rpc Hello(SayClient) returns (SayClient); }";
    let text = proto3(clash).expect_err("defined twice").to_string();
    assert!(
        text.contains("SayClient twice in Rust: as message SayClient and as client of service Say"),
        "{text}"
    );
    let clash = "message M {} service say { rpc A(M) returns (M); } service Say { rpc A(M) returns (M); }";
    assert!(matches!(proto3(clash), Err(Error::NameClash { .. })));
}

#[test]
fn parts_can_be_left_out() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let file = folder.path().join("test.proto");
    fs::write(&file, "syntax = \"proto3\"; package p; message M {} service S { rpc A(M) returns (M); }")
        .expect("writable");
    let code = |builder: Builder| {
        let generated = builder.generate(&[&file], &[folder.path()]).expect("valid");
        generated.files.into_values().collect::<String>()
    };
    let all = code(Builder::new());
    assert!(all.contains("trait S") && all.contains("impl_proto_payload!") && all.contains("Serialize"));
    let messages = code(Builder::new().services(false));
    assert!(
        !messages.contains("trait S")
            && !messages.contains("impl_proto_payload!")
            && messages.contains("Serialize")
    );
    let own_serde = code(Builder::new().serde(false));
    assert!(own_serde.contains("impl_proto_payload!") && !own_serde.contains("Serialize"));
    let elsewhere = code(Builder::new().micro_path("::framework::micro"));
    assert!(
        elsewhere.contains("::framework::micro::Handler") && !elsewhere.contains(" ::micro"),
        "{elsewhere}"
    );
    let external = code(Builder::new().extern_path(".p.M", "::other::M"));
    assert!(!external.contains("struct M") && external.contains("request: ::other::M"), "{external}");
}

#[test]
fn a_path_that_is_none_is_refused() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let file = folder.path().join("test.proto");
    fs::write(&file, "syntax = \"proto3\"; package p; message M {}").expect("writable");
    let error = Builder::new().micro_path("a b").generate(&[&file], &[folder.path()]).expect_err("no path");
    assert!(matches!(error, Error::Path(_)), "{error}");
}
