//! `google.api.http` options, and what becomes of them.

use micro_build::{Builder, Error, Generated};
use std::fs;

fn generate(items: &str) -> Result<Generated, Error> {
    let folder = tempfile::tempdir().expect("temporary folder");
    let file = folder.path().join("books.proto");
    let head = "syntax = \"proto3\"; package books; import \"google/api/annotations.proto\";\n";
    fs::write(&file, format!("{head}{items}")).expect("writable");
    Builder::new().generate(&[file], &[folder.path()])
}

/// A service whose only rpc has this rule.
fn ruled(rule: &str) -> Result<Generated, Error> {
    generate(&format!(
        "message Book {{ string name = 1; Inner inner = 2; repeated string tags = 3; map<string, string> more = 4; }}
        message Inner {{ int64 id = 1; }}
        service Library {{ rpc Get(Book) returns (Book) {{ option (google.api.http) = {{ {rule} }}; }} }}"
    ))
}

#[test]
fn options_become_metadata_of_endpoints() {
    let rule = "get: \"/v1/{name=shelves/*}\" response_body: \"inner\"
        additional_bindings { get: \"/v1/{inner.id}:x\" }
        additional_bindings { post: \"/v1/books\" body: \"*\" }";
    let generated = ruled(rule).expect("valid");
    // The definition of the option is no package of the user's.
    assert_eq!(generated.files.keys().collect::<Vec<_>>(), ["books.rs"]);
    let code: String = generated.files["books.rs"].split_whitespace().collect();
    let json = r#"{\"get\":\"/v1/{name=shelves/*}\",\"responseBody\":\"inner\",\"additionalBindings\":[{\"get\":\"/v1/{inner.id}:x\"},{\"post\":\"/v1/books\",\"body\":\"*\"}]}"#;
    for (key, value) in [
        ("google.api.http", json),
        ("endpoint", "Library.Get"),
        ("handler", "rpc"),
        ("method", "GET"),
        ("path", "/v1/{name=shelves/*},/v1/{inner.id}:x"),
    ] {
        let call = format!(".endpoint_metadata(\"Get\",\"{key}\",\"{value}\"");
        assert!(code.contains(&call), "{call} is not in {code}");
    }
    assert!(code.contains(".definitions("), "{code}");
}

#[test]
fn rules_that_do_not_fit_name_file_rpc_and_rule() {
    for (rule, part) in [
        ("", "names 0 methods"),
        ("get: \"v1\"", "\"v1\" is no path template"),
        ("get: \"/v1/{title}\"", "GET /v1/{title}: books.Book has no field \"title\""),
        ("get: \"/v1/{inner.nome}\"", "books.Inner has no field \"nome\""),
        ("get: \"/v1/{inner}\"", "\"inner\" cannot stand in a path"),
        ("get: \"/v1/{tags}\"", "\"tags\" cannot stand in a path"),
        ("get: \"/v1/{more}\"", "\"more\" cannot stand in a path"),
        ("get: \"/v1/{name.x}\"", "in a field that has no fields"),
        ("get: \"/v1\" body: \"*\"", "GET /v1 has a body"),
        ("post: \"/v1\" body: \"title\"", "body: books.Book has no field \"title\""),
        ("post: \"/v1\" body: \"inner.id\"", "body: books.Book has no field \"inner.id\""),
        ("post: \"/v1/{name}\" body: \"name\"", "field \"name\" is taken from the path, and the body too"),
        ("get: \"/v1\" response_body: \"x\"", "response_body: books.Book has no field \"x\""),
    ] {
        let error = format!("{:?}", ruled(rule).expect_err(rule));
        assert!(error.starts_with("books.proto:4: rpc books.Library.Get "), "{rule}: {error}");
        assert!(error.contains(part), "{rule}: {error}");
    }
    let error = ruled("gett: \"/v1\"").expect_err("no such member").to_string();
    assert!(error.contains("books.proto:4:") && error.contains("google.api.http"), "{error}");
}

#[test]
fn two_rpcs_cannot_have_the_same_route() {
    let error = generate(
        "message M { string a = 1; string b = 2; }
        service A { rpc X(M) returns (M) { option (google.api.http) = { get: \"/v1/{a}\" }; } }
        service B { rpc Y(M) returns (M) { option (google.api.http) = { get: \"/v1/{b=*}\" }; } }",
    );
    let error = error.expect_err("clash").to_string();
    assert_eq!(error, "books.proto:4: rpc books.B.Y wants GET /v1/{b=*}, as books.A.X does");
    generate(
        "message M { string a = 1; }
        service A {
            rpc X(M) returns (M) { option (google.api.http) = { get: \"/v1/{a}\" }; }
            rpc Y(M) returns (M) { option (google.api.http) = { delete: \"/v1/{a}\" }; }
            rpc Z(M) returns (M) { option (google.api.http) = { get: \"/v1/me\" }; }
        }",
    )
    .expect("these differ");
}

#[test]
fn own_copies_of_the_option_go_before_the_bundled_one() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let api = folder.path().join("google/api");
    fs::create_dir_all(&api).expect("writable");
    fs::write(
        api.join("annotations.proto"),
        "syntax = \"proto3\"; package google.api; import \"google/protobuf/descriptor.proto\";
        message HttpRule { string get = 2; }
        extend google.protobuf.MethodOptions { HttpRule http = 72295728; }",
    )
    .expect("writable");
    let file = folder.path().join("a.proto");
    let text = |rule: &str| {
        format!(
            "syntax = \"proto3\"; import \"google/api/annotations.proto\"; message M {{}}
            service S {{ rpc A(M) returns (M) {{ option (google.api.http) = {{ {rule}: \"/a\" }}; }} }}"
        )
    };
    fs::write(&file, text("get")).expect("writable");
    let code = Builder::new().generate(&[&file], &[folder.path()]).expect("valid").files;
    assert!(code.values().any(|code| code.contains("google.api.http")), "{code:?}");
    fs::write(&file, text("put")).expect("writable");
    Builder::new().generate(&[&file], &[folder.path()]).expect_err("the user's copy has no put");
}
