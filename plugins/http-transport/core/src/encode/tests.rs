use super::*;
use crate::{Head, Method, Role, decode};

type Fields<'a> = &'a [(&'a [u8], &'a [u8])];

const POST: Start<'_> = Start::Request { method: "POST", path: b"/", host: b"a:1" };
const OK: Start<'_> = Start::Response { status: 200, reason: b"OK" };

fn encoded(start: Start<'_>, fields: Fields<'_>, framing: Framing) -> Result<String, Error> {
    let (mut out, mut packed, mut from_packed) = (Vec::new(), Vec::new(), Vec::new());
    let end = End { framing, close: false };
    let result = encode(start, fields.iter().copied(), end, &mut out);
    // Both forms of the fields are one.
    if pack(start, fields.iter().copied(), &mut packed).is_ok() {
        let (role, status) = match start {
            Start::Request { .. } => (Role::Request, 0),
            Start::Response { status, .. } => (Role::Response, status),
        };
        assert_eq!(encode_packed(role, status, &packed, end, &mut from_packed), result);
        assert_eq!(from_packed.is_empty(), result.is_err());
    }
    result.map(|()| String::from_utf8(out).expect("ASCII"))
}

#[test]
fn heads_look_as_expected() {
    let fields: Fields<'_> = &[(b"Micro-Id", b"7"), (b"foo", b"")];
    assert_eq!(
        encoded(POST, fields, Framing::Length(12)).as_deref(),
        Ok("POST / HTTP/1.1\r\nHost: a:1\r\nMicro-Id: 7\r\nfoo: \r\nContent-Length: 12\r\n\r\n")
    );
    assert_eq!(
        encoded(OK, &[], Framing::Chunked).as_deref(),
        Ok("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    );
    let start = Start::Response { status: 404, reason: b"Not Found" };
    assert_eq!(encoded(start, &[], Framing::None).as_deref(), Ok("HTTP/1.1 404 Not Found\r\n\r\n"));
    let mut out = b"before".to_vec();
    let end = End { framing: Framing::Length(u64::MAX), close: true };
    encode(OK, [], end, &mut out).expect("a head");
    let expected =
        b"beforeHTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\nConnection: close\r\n\r\n";
    assert_eq!(out, expected);
}

#[test]
fn fields_of_the_connection_are_not_the_messages_to_choose() {
    let fields: Fields<'_> = &[
        (b"content-length", b"99"),
        (b"Transfer-Encoding", b"chunked"),
        (b"CONNECTION", b"close"),
        (b"Host", b"evil"),
        (b"Expect", b"100-continue"),
        (b"Upgrade", b"x"),
        (b"Kept", b"yes"),
    ];
    assert_eq!(
        encoded(OK, fields, Framing::Length(0)).as_deref(),
        Ok("HTTP/1.1 200 OK\r\nKept: yes\r\nContent-Length: 0\r\n\r\n")
    );
}

#[test]
fn nothing_can_be_injected() {
    for value in ["a\r\nb: c", "a\nb", "a\rb", "a\0b", "\x7f", "\x1b[0m"] {
        assert_eq!(
            encoded(OK, &[(b"x", value.as_bytes())], Framing::None),
            Err(Error::Malformed),
            "{value:?}"
        );
        let host = Start::Request { method: "POST", path: b"/", host: value.as_bytes() };
        assert_eq!(encoded(host, &[], Framing::None), Err(Error::Malformed), "{value:?}");
        let reason = Start::Response { status: 500, reason: value.as_bytes() };
        assert_eq!(encoded(reason, &[], Framing::None), Err(Error::Malformed), "{value:?}");
    }
    for name in ["", "a b", "a:", "a\r\nb", "ä", "a\0"] {
        assert_eq!(encoded(OK, &[(name.as_bytes(), b"x")], Framing::None), Err(Error::Malformed), "{name:?}");
    }
    for path in ["", "/a b", "/\r\nx", "/\x7f"] {
        let start = Start::Request { method: "POST", path: path.as_bytes(), host: b"a" };
        assert_eq!(encoded(start, &[], Framing::None), Err(Error::Malformed), "{path:?}");
    }
    for method in ["", "PO ST", "P\r\n"] {
        let start = Start::Request { method, path: b"/", host: b"a" };
        assert_eq!(encoded(start, &[], Framing::None), Err(Error::Malformed), "{method:?}");
    }
    for status in [0, 99, 1000] {
        let start = Start::Response { status, reason: b"" };
        assert_eq!(encoded(start, &[], Framing::None), Err(Error::Malformed), "{status}");
    }
}

#[test]
fn heads_that_no_decoder_would_take_are_not_written() {
    let value = vec![b'x'; MAX_HEAD];
    assert_eq!(encoded(OK, &[(b"a", &value)], Framing::None), Err(Error::TooLarge));
    let many: Vec<(&[u8], &[u8])> = vec![(b"a", b"b"); MAX_FIELDS];
    assert_eq!(encoded(OK, &many, Framing::None), Err(Error::TooLarge));
    assert!(encoded(OK, &many[..MAX_FIELDS - 3], Framing::Length(1)).is_ok());
}

#[test]
fn what_is_written_reads_back() {
    let fields: Fields<'_> =
        &[(b"Micro-Error", b"{\"id\":\"x\"}"), (b"tab", b"a\tb"), (b"utf8", "ä".as_bytes())];
    for (role, start) in [(Role::Request, POST), (Role::Response, OK)] {
        let mut out = Vec::new();
        encode(start, fields.iter().copied(), End { framing: Framing::Length(3), close: true }, &mut out)
            .expect("a head");
        let mut words = Vec::new();
        assert_eq!(decode(role, Method::POST, &out, &mut words), Ok(out.len()));
        let head = Head::new(&words, &out).expect("good words");
        assert_eq!((head.framing(), head.keep_alive()), (Framing::Length(3), false));
        let read: Vec<_> = head.fields().map(|(_, name, value)| (name.as_bytes(), value)).collect();
        let read: Vec<_> = read.into_iter().filter(|field| fields.contains(field)).collect();
        assert_eq!(read, fields);
    }
}

#[test]
fn broken_packs_are_refused_at_every_cut() {
    let mut packed = Vec::new();
    pack(OK, [(&b"Micro-Id"[..], &b"7"[..]), (b"foo", b"bar")], &mut packed).expect("small fields");
    let reason = 2 + b"OK".len();
    let whole_fields = [reason, reason + 5, packed.len()];
    for cut in 0..=packed.len() {
        let mut out = Vec::new();
        let end = End { framing: Framing::None, close: false };
        let result = encode_packed(Role::Response, 200, &packed[..cut], end, &mut out);
        assert_eq!(result.is_ok(), whole_fields.contains(&cut), "{cut}");
        assert_eq!(out.is_empty(), result.is_err());
    }
    let end = End { framing: Framing::None, close: false };
    for unknown in [&[0, 0, 0xff, 0xff, 0, 0][..], &[1, 0], b"\xff"] {
        let result = encode_packed(Role::Response, 200, unknown, end, &mut Vec::new());
        assert_eq!(result, Err(Error::Malformed), "{unknown:?}");
    }
}
