//! What gets through to hyper.

use super::*;

/// What hyper would read of `parts` that arrive one after the other, and whether the end is an error.
fn passed<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> (String, bool) {
    let mut reader = Reader::default();
    let mut out = Vec::new();
    let mut room = [0; 7];
    for part in parts {
        reader.take(part);
        while reader.cleared > 0 {
            let mut buf = ReadBuf::new(&mut room);
            assert!(reader.give(&mut buf).expect("bytes come before the error"));
            out.extend_from_slice(buf.filled());
        }
    }
    let broken = reader.give(&mut ReadBuf::new(&mut room)).is_err();
    (String::from_utf8_lossy(&out).into_owned(), broken)
}

const REFUSED: &str = "\0\r\n\r\n";

#[test]
fn good_requests_pass_however_they_are_cut() {
    for text in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://a/b HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nT: 1\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        for size in [1, 2, 3, 16, 1000] {
            assert_eq!(passed(text.as_bytes().chunks(size)), (text.to_owned(), false), "{size}: {text}");
        }
    }
}

#[test]
fn what_readers_could_disagree_about_is_refused() {
    for head in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding: \x0bchunked",
        "Transfer-Encoding:\r\n chunked",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 5",
        "Content-Length: +5",
        "Content-Length: -5",
        "Content-Length: 0x5",
        "Content-Length: 5 5",
        "Content-Length:",
        "Content-Length: 99999999999999999999",
        "Content-Length : 5",
        "X: a\r\n folded",
        "X: a\rContent-Length: 5",
        "X: a\nContent-Length: 5",
        "X: \0",
        "Host: b",
    ] {
        let text = format!("POST / HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n");
        for size in [1, 1000] {
            let (seen, _) = passed(text.as_bytes().chunks(size));
            assert_eq!(seen, REFUSED, "{size}: {head:?}");
        }
    }
    for text in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        assert_eq!(passed([text.as_bytes()]).0, REFUSED, "{text:?}");
    }
}

#[test]
fn earlier_requests_are_not_lost_with_a_bad_one() {
    let good = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let bad = "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n";
    let text = format!("{good}{bad}{good}");
    assert_eq!(passed([text.as_bytes()]).0, format!("{good}{REFUSED}"));
}

#[test]
fn bad_chunks_end_the_body_with_an_error() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for chunk in
        ["x\r\n", "5\nhello\r\n0\r\n\r\n", "-1\r\n", "5\r\nhello!\r\n", "fffffffffffffffff\r\n", "\r\n"]
    {
        let text = format!("{head}{chunk}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
        let (seen, broken) = passed([text.as_bytes()]);
        assert!(broken && !seen.contains("smuggled"), "{chunk:?}: {seen:?}");
    }
}

#[test]
fn large_heads_are_hypers_and_upgraded_bytes_are_nobodys() {
    let large = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "y".repeat(http1_core::MAX_HEAD));
    assert_eq!(passed([large.as_bytes()]).0.len(), large.len());
    let mut reader = Reader::default();
    reader.take(b"GET / HTTP/1");
    assert_eq!(reader.cleared, 0);
    reader.release();
    assert_eq!(reader.cleared, 12);
    reader.take(b"\x81\x85 no head at all");
    assert_eq!(reader.cleared, reader.bytes.len());

    let mut refused = Reader::default();
    refused.take(b"\x81\x85 no head at all\r\n\r\n");
    refused.release();
    refused.take(b"more");
    assert_eq!(&refused.bytes[..], NO_REQUEST);
}
