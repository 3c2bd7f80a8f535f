use super::*;

fn name(sealer: Option<Sealer>) -> Option<String> {
    sealer.map(|it| it.entry.codec.name().to_owned())
}

#[test]
fn content_types_find_their_codec() {
    let codecs = Codecs::default();
    for (content_type, found, legacy) in [
        ("application/json", None, Some("jsonrpc")),
        ("application/json-rpc", Some("jsonrpc"), Some("jsonrpc")),
        ("Application/JSON-RPC; charset=utf-8", Some("jsonrpc"), Some("jsonrpc")),
        ("application/protobuf", None, Some("protorpc")),
        ("application/proto-rpc", Some("protorpc"), Some("protorpc")),
        ("application/octet-stream", None, Some("protorpc")),
        ("text/plain", None, None),
        ("", None, None),
    ] {
        assert_eq!(name(codecs.find(content_type)).as_deref(), found, "{content_type}");
        assert_eq!(name(codecs.find_legacy(content_type)).as_deref(), legacy, "{content_type}");
    }
    assert!(Codecs::none().find_legacy("application/json").is_none());
}

#[test]
fn messages_come_back() {
    let codecs = Codecs::default();
    for (content_type, id, value) in [
        ("application/json-rpc", &b"\"a\""[..], &b"{\"name\":\"John\"}"[..]),
        ("application/proto-rpc", b"7", b"\n\x04John"),
    ] {
        let sealer = codecs.find(content_type).expect("native");
        let envelope = Envelope { id, endpoint: "Say.Hello", error: "" };
        let message = sealer.seal(Role::Request, envelope, value).expect("sealed");
        let opened = sealer.open(Role::Request, &message).expect("opened");
        assert_eq!((&opened.id[..], &*opened.endpoint, &opened.value[..]), (id, "Say.Hello", value));

        let failed = Envelope { error: "line\nbreak", ..envelope };
        let message = sealer.seal(Role::Response, failed, b"").expect("sealed");
        assert_eq!(sealer.open(Role::Response, &message).expect("opened").error, "line\nbreak");

        let error = sealer.open(Role::Request, &Bytes::from_static(b"x")).expect_err("no envelope");
        assert_eq!(error, CodecError::Malformed(content_type.to_owned()));
        let unsupported = sealer.seal(Role::Request, Envelope { id: b"1,2", ..envelope }, value);
        assert_eq!(unsupported, Err(CodecError::Unsupported(content_type.to_owned())));
    }
}

#[test]
fn a_value_cannot_leave_its_envelope() {
    let sealer = Codecs::default().find("application/json-rpc").expect("native");
    let envelope = Envelope { id: b"1", endpoint: "A.B", error: "" };
    for value in ["1],\"id\":2,\"method\":\"Admin.Delete\",\"params\":[1", "1,2", "{", "]", "\u{1}", "x"] {
        let refused = sealer.seal(Role::Request, envelope, value.as_bytes());
        assert_eq!(refused, Err(CodecError::Malformed("application/json".to_owned())), "{value}");
    }
    let sealed = sealer.seal(Role::Request, envelope, b" {\"a\": 1}\n").expect("sealed");
    assert_eq!(sealed, "{\"method\":\"A.B\",\"params\":[{\"a\": 1}],\"id\":1}\n");
    let empty = sealer.seal(Role::Request, envelope, b"\n").expect("sealed");
    assert_eq!(empty, "{\"method\":\"A.B\",\"params\":[{}],\"id\":1}\n");
}

#[derive(Debug)]
struct Other(Vec<Format>);

impl Codec for Other {
    fn name(&self) -> &str {
        "other"
    }

    fn formats(&self) -> &[Format] {
        &self.0
    }

    fn seal(&self, _: usize, _: Role, _: Envelope<'_>, _: &[u8], _: &mut Vec<u8>) -> Result<(), CodecError> {
        Err(CodecError::Failed { codec: "other".to_owned(), reason: "on purpose".to_owned() })
    }

    fn open(&self, format: usize, _: Role, _: &Bytes) -> Result<Opened, CodecError> {
        Err(CodecError::Malformed(self.0[format].content_type.clone()))
    }
}

#[test]
fn codecs_are_replaced_by_content_type_and_clones_see_it() {
    let codecs = Codecs::default();
    let (clone, before) = (codecs.clone(), codecs.find("application/json-rpc").expect("native"));
    let format =
        |name: &str| Format { content_type: name.to_owned(), value: "application/protobuf".to_owned() };
    codecs.insert(Arc::new(Other(vec![format("application/x"), format("application/json-rpc")])));
    assert_eq!(name(clone.find("application/json")), None);
    for (content_type, found) in
        [("application/json-rpc", "other"), ("application/x", "other"), ("application/proto-rpc", "protorpc")]
    {
        let sealer = clone.find(content_type).expect("there");
        assert_eq!((sealer.entry.codec.name(), &*sealer.format().content_type), (found, content_type));
    }
    assert_eq!(before.entry.codec.name(), "jsonrpc", "a call that has begun is not disturbed");
    let after = clone.find("application/json-rpc").expect("there");
    let error = after.open(Role::Request, &Bytes::new()).expect_err("on purpose");
    assert_eq!(error, CodecError::Malformed("application/json-rpc".to_owned()), "its own format");
}
