//! Codecs: the components say what the native ones say; ranges are checked.

use crate::support::Lab;
use bytes::Bytes;
use micro_core::Codec;
use micro_core::codec::{CodecError, Envelope, Role};
use micro_wasm::PluginCodec;

async fn load(lab: &Lab, file: &str, options: &[(&str, &str)]) -> PluginCodec {
    lab.host.load_codec(lab.hot("codec", file, file, options), |_| None).await.expect("it loads")
}

fn sealed(codec: &PluginCodec, role: Role, envelope: Envelope<'_>, value: &[u8]) -> Bytes {
    let mut out = Vec::new();
    codec.seal(0, role, envelope, value, &mut out).expect("an ordinary message");
    out.into()
}

const CALL: Envelope<'_> = Envelope { id: b"7", endpoint: "Say.Hello", error: "" };

#[tokio::test]
async fn envelopes_there_and_back() {
    let lab = Lab::new();
    for (file, value) in [("jsonrpc-codec", &b"{\"name\":\"John\"}"[..]), ("protorpc-codec", b"\x0a\x04John")]
    {
        let codec = load(&lab, file, &[]).await;
        for role in [Role::Request, Role::Response] {
            let message = sealed(&codec, role, CALL, value);
            let opened = codec.open(0, role, &message).expect("its own message");
            assert_eq!((&opened.value[..], opened.error.as_str()), (value, ""), "{file} {role:?}");
            assert_eq!(&opened.id[..], b"7", "{file} {role:?}");
        }
        let failed = Envelope { error: "it \"broke\"\n\u{1f600}", ..CALL };
        let message = sealed(&codec, Role::Response, failed, b"");
        assert_eq!(codec.open(0, Role::Response, &message).expect("its own message").error, failed.error);
        let nonsense = codec.open(0, Role::Request, &Bytes::from_static(b"\xff\xff\xff\xff nonsense"));
        assert!(matches!(nonsense, Err(CodecError::Malformed(_))), "{file}: {nonsense:?}");
        assert_eq!(lab.status().restarts, 0, "{file}");
    }
}

#[tokio::test]
async fn large_values_pass() {
    let lab = Lab::new();
    let codec = load(&lab, "jsonrpc-codec", &[]).await;
    let value = format!("\"{}\"", "x".repeat(8 << 20));
    let message = sealed(&codec, Role::Request, CALL, value.as_bytes());
    let opened = codec.open(0, Role::Request, &message).expect("its own message");
    assert_eq!(opened.value.len(), value.len());
}

#[tokio::test]
async fn ranges_outside_of_the_message_cost_one_call() {
    for fault in ["outside", "overflow", "text", "trap", "spin"] {
        let lab = Lab::new();
        // Two instances are used before this thread has one: for the trial, and for the list of formats.
        let codec = load(&lab, "fault-codec", &[("fault", &format!("open:{fault}#1@3"))]).await;
        let message = sealed(&codec, Role::Request, CALL, b"{}");
        let error = codec.open(0, Role::Request, &message).expect_err(fault);
        assert!(matches!(error, CodecError::Failed { .. }), "{fault}: {error:?}");
        codec.open(0, Role::Request, &message).expect("a fresh instance");
        assert_eq!(lab.status().restarts, 1, "{fault}");
    }
}

#[tokio::test]
async fn formats_are_checked_before_anybody_depends_on_them() {
    for fault in ["none", "many", "garbage"] {
        let lab = Lab::new();
        let request = lab.hot("codec", "fault-codec", "formats", &[("fault", &format!("formats:{fault}"))]);
        let error = lab.host.load_codec(request, |_| None).await.expect_err(fault);
        assert!(error.to_string().contains("smoke"), "{error}");
        assert!(lab.host.plugins().is_empty());
    }
}
