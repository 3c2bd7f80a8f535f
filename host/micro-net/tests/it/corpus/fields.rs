//! Fields, above all those that say where a body ends.

use super::{Verdict, check_heads};
use http1_core::{Error, Framing};

const PLAIN: Verdict = Some(Ok(Framing::None));
const CHUNKED: Verdict = Some(Ok(Framing::Chunked));
const BAD: Verdict = Some(Err(Error::Malformed));
const CODING: Verdict = Some(Err(Error::Unsupported));

const fn length(length: u64) -> Verdict {
    Some(Ok(Framing::Length(length)))
}

/// What stands between `POST / HTTP/1.1\r\nHost: a\r\n` and `\r\n\r\n`, and the verdict.
const LENGTHS: [(&[u8], Verdict); 61] = [
    (b"Content-Length: 5", length(5)),
    (b"Content-Length:5", length(5)),
    (b"Content-Length: 0", length(0)),
    (b"Content-Length: 003", length(3)),
    (b"conTENT-leNGTH: 5", length(5)),
    (b"Content-Length:  42 ", length(42)),
    (b"Content-Length:\t42\t  ", length(42)),
    (b"Content-Length: 18446744073709551615", length(u64::MAX)),
    (b"Content-Length: 65537", length(65537)),
    // Numbers that are none.
    (b"Content-Length:", BAD),
    (b"Content-Length: ", BAD),
    (b"Content-Length: +5", BAD),
    (b"Content-Length: -5", BAD),
    (b"Content-Length: -0", BAD),
    (b"Content-Length: 5.0", BAD),
    (b"Content-Length: 5e0", BAD),
    (b"Content-Length: 0x5", BAD),
    (b"Content-Length: 1_0", BAD),
    (b"Content-Length: 5;", BAD),
    (b"Content-Length: \"5\"", BAD),
    (b"Content-Length: $5", BAD),
    (b"Content-Length: five", BAD),
    (b"Content-Length: 4 2", BAD),
    (b"Content-Length: 13 37", BAD),
    (b"Content-Length: 1\t2", BAD),
    (b"Content-Length: 5\x0b", BAD),
    (b"Content-Length: \x0b5", BAD),
    (b"Content-Length: 5\x11", BAD),
    (b"Content-Length: 5\0", BAD),
    (b"Content-Length: 5\xa0", BAD),
    (b"Content-Length: \xd9\xa5", BAD),
    (b"Content-Length: 18446744073709551616", BAD),
    (b"Content-Length: 1000000000000000000000", BAD),
    // Several.
    (b"Content-Length: 5\r\nContent-Length: 5", length(5)),
    (b"Content-Length: 5\r\nContent-Length: 05", length(5)),
    (b"Content-Length: 5\r\nContent-Length: 6", BAD),
    (b"Content-Length: 5\r\nX: y\r\ncontent-length: 6", BAD),
    (b"Content-Length: 5\r\nContent-Length: 5\r\nContent-Length: 0", BAD),
    (b"Content-Length: 5,5", BAD),
    (b"Content-Length: 5, 5", BAD),
    (b"Content-Length: 5, 6", BAD),
    // Names that are almost it.
    (b"Content-Length : 5", BAD),
    (b"Content-Length\t: 5", BAD),
    (b" Content-Length: 5", BAD),
    (b"\tContent-Length: 5", BAD),
    (b"Content- Length: 5", BAD),
    (b"Content-Length\x01: 5", BAD),
    (b"\x01Content-Length: 5", BAD),
    (b"\0Content-Length: 5", BAD),
    (b"Content\rLength: 5", BAD),
    (b"Content-Length\r: 5", BAD),
    (b"Content-Length\n: 5", BAD),
    (b"\"Content-Length\": 5", BAD),
    (b"\xe2\x80\x83Content-Length: 5", BAD),
    (b"Content_Length: 5", PLAIN),
    (b"X-Content-Length: 5", PLAIN),
    // Names that hide behind another field.
    (b"X: y\nContent-Length: 5", BAD),
    (b"X: y\rContent-Length: 5", BAD),
    (b"X:\nContent-Length: 5", BAD),
    (b"X:\rContent-Length: 5", BAD),
    (b"X: y\0Content-Length: 5", BAD),
];

const CODINGS: [(&[u8], Verdict); 60] = [
    (b"Transfer-Encoding: chunked", CHUNKED),
    (b"Transfer-Encoding:chunked", CHUNKED),
    (b"transfer-encoding: CHUNKED", CHUNKED),
    (b"Transfer-Encoding:\tchunked", CHUNKED),
    (b"Transfer-Encoding: chunked \t", CHUNKED),
    (b"TE: chunked", PLAIN),
    // Other codings, and lists of them.
    (b"Transfer-Encoding:", CODING),
    (b"Transfer-Encoding: identity", CODING),
    (b"Transfer-Encoding: gzip", CODING),
    (b"Transfer-Encoding: pigeons", CODING),
    (b"Transfer-Encoding: gzip, chunked", CODING),
    (b"Transfer-Encoding: identity, chunked", CODING),
    (b"Transfer-Encoding: chunked, identity", CODING),
    (b"Transfer-Encoding: chunked, gzip", CODING),
    (b"Transfer-Encoding: chunked, chunked", CODING),
    (b"Transfer-Encoding: chunked,", CODING),
    (b"Transfer-Encoding: ,chunked", CODING),
    (b"Transfer-Encoding: chunked;q=1", CODING),
    (b"Transfer-Encoding: \"chunked\"", CODING),
    (b"Transfer-Encoding: 'chunked'", CODING),
    (b"Transfer-Encoding: xchunked", CODING),
    (b"Transfer-Encoding: chunkedx", CODING),
    (b"Transfer-Encoding: chunkedchunked", CODING),
    (b"Transfer-Encoding: chunk", CODING),
    (b"Transfer-Encoding: ch unked", CODING),
    (b"Transfer-Encoding: chunked\xa0", CODING),
    (b"Transfer-Encoding: \xa0chunked", CODING),
    (b"Transfer-Encoding: chunked\xc2\x85", CODING),
    (b"Transfer-Encoding: chun\xe2\x84\xaaed", CODING),
    (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", CODING),
    (b"Transfer-Encoding: chunked\r\ntransfer-encoding: identity", CODING),
    (b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", CODING),
    (b"Transfer-Encoding:\r\nTransfer-Encoding: chunked", CODING),
    // Control characters.
    (b"Transfer-Encoding: \x0bchunked", BAD),
    (b"Transfer-Encoding: chunked\x0b", BAD),
    (b"Transfer-Encoding: \x01chunked", BAD),
    (b"Transfer-Encoding: chunked\x7f", BAD),
    (b"Transfer-Encoding: chunked\0", BAD),
    (b"Transfer-Encoding: chunked\n", BAD),
    (b"Transfer-Encoding: chunked\r", BAD),
    // Folded.
    (b"Transfer-Encoding:\r\n chunked", BAD),
    (b"Transfer-Encoding: chunked\r\n  abc", BAD),
    // Names that are almost it.
    (b"Transfer-Encoding : chunked", BAD),
    (b"Transfer-Encoding\t: chunked", BAD),
    (b" Transfer-Encoding: chunked", BAD),
    (b"\x01Transfer-Encoding: chunked", BAD),
    (b"Transfer- Encoding: chunked", BAD),
    (b"Transfer-Encoding", BAD),
    (b"Tran\xc5\xbffer-Encoding: chunked", BAD),
    (b"Transfer-Encod\xc4\xb1ng: chunked", BAD),
    (b"Transfer_Encoding: chunked", PLAIN),
    (b"Transfer---Encoding: chunked", PLAIN),
    (b"X: y\nTransfer-Encoding: chunked", BAD),
    (b"X:\rTransfer-Encoding: chunked", BAD),
    // Together with a length.
    (b"Content-Length: 5\r\nTransfer-Encoding: chunked", BAD),
    (b"Transfer-Encoding: chunked\r\nContent-Length: 5", BAD),
    (b"Transfer-Encoding: chunked\r\nContent-Length: 0", BAD),
    (b"Content-Length: 5\r\nTransfer-Encoding: identity", CODING),
    (b"Content-Length: 5\r\nTransfer-Encoding:", CODING),
    (b"Content-Length: 5\r\nTransfer-Encoding : chunked", BAD),
];

const OTHERS: [(&[u8], Verdict); 45] = [
    (b"Foo:", PLAIN),
    (b"Foo: \t ", PLAIN),
    (b"Foo: a\tb  c", PLAIN),
    (b"Foo::bar", PLAIN),
    (b"Foo: \xff", PLAIN),
    (b"Foo: caf\xc3\xa9", PLAIN),
    (b"!#$%&'*+-.^_`|~09: x", PLAIN),
    (b"Foo: a\r\nFoo: b", PLAIN),
    (b"Expect: 100-continue", PLAIN),
    (b"Expect: nothing", PLAIN),
    (b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk", PLAIN),
    (b"Connection: close", PLAIN),
    (b"Connection: Host, Content-Length", PLAIN),
    (b"Host: a", PLAIN),
    (b"Host: b", BAD),
    (b"hOST:  b", BAD),
    // Names.
    (b": x", BAD),
    (b" : x", BAD),
    (b"Foo", BAD),
    (b"Foo bar", BAD),
    (b"Foo bar: x", BAD),
    (b"Foo : x", BAD),
    (b"Fo@: x", BAD),
    (b"Foo/1: x", BAD),
    (b"Foo[]: x", BAD),
    (b"Foo{: x", BAD),
    (b"Foo=1: x", BAD),
    (b"Foo,: x", BAD),
    (b"Foo\\: x", BAD),
    (b"F\xc3\xb6o: x", BAD),
    (b"Foo\x01bar: x", BAD),
    (b"Foo\0: x", BAD),
    (b"Foo\x7f: x", BAD),
    // Values.
    (b"Foo: \0", BAD),
    (b"Foo: a\0", BAD),
    (b"Foo: \x0c", BAD),
    (b"Foo: a\x08b", BAD),
    (b"Foo: \x1b[31m", BAD),
    (b"Foo: \x7f", BAD),
    // Lines.
    (b"Foo: x\r\n\tfolded", BAD),
    (b"Foo\r\n : x", BAD),
    (b"Foo: x\r\r\nBar: y", BAD),
    (b"Foo: x\n\rBar: y", BAD),
    (b"Foo: x\rBar: y", BAD),
    (b"\rZGET /evil: HTTP/1.1", BAD),
];

async fn check(cases: &[(&[u8], Verdict)]) {
    let head = |fields: &[u8]| [b"POST / HTTP/1.1\r\nHost: a\r\n", fields, b"\r\n\r\n"].concat();
    check_heads(cases.iter().map(|(fields, verdict)| (head(fields), *verdict))).await;
}

#[tokio::test]
async fn lengths() {
    check(&LENGTHS).await;
}

#[tokio::test]
async fn codings() {
    check(&CODINGS).await;
}

#[tokio::test]
async fn other_fields() {
    check(&OTHERS).await;
}

#[tokio::test]
async fn old_versions_have_no_codings() {
    let request = |version: &str, field: &str| {
        format!("POST / HTTP/{version}\r\nHost: a\r\n{field}\r\n\r\n").into_bytes()
    };
    let (coding, short) = ("Transfer-Encoding: chunked", "Content-Length: 5");
    check_heads([
        (request("1.0", coding), BAD),
        (request("0.9", coding), Some(Err(Error::Version))),
        (request("0.9", short), Some(Err(Error::Version))),
        (request("1.0", short), length(5)),
        (request("1.0", "Connection: keep-alive"), PLAIN),
    ])
    .await;
}

#[tokio::test]
async fn heads_end_at_their_limits() {
    let head_of = |size: usize| {
        let mut head = b"POST / HTTP/1.1\r\nHost: a\r\nLast: ".to_vec();
        head.resize(size - 4, b'x');
        head.extend_from_slice(b"\r\n\r\n");
        head
    };
    let fields_of =
        |count: usize| format!("POST / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(count)).into_bytes();
    let large = Some(Err(Error::TooLarge));
    check_heads([
        (head_of(http1_core::MAX_HEAD - 1), PLAIN),
        (head_of(http1_core::MAX_HEAD), PLAIN),
        (head_of(http1_core::MAX_HEAD + 1), large),
        (fields_of(http1_core::MAX_FIELDS), PLAIN),
        (fields_of(http1_core::MAX_FIELDS + 1), large),
        (b"\r\n".repeat(http1_core::MAX_HEAD / 2), large),
        (vec![b'G'; http1_core::MAX_HEAD], large),
    ])
    .await;
}
