//! Chunked bodies.

use super::{MAX_BODY, PROBE, PROBED, asked, received, server};

/// What becomes of a body.
#[derive(Clone, Copy, Debug)]
enum Body {
    Is(&'static str),
    /// It is refused with this status.
    Refused(u16),
    /// It does not end.
    Short,
}
use Body::{Is, Refused, Short};

const BAD: Body = Refused(400);
const LARGE: Body = Refused(413);

/// What follows a head that announces chunks.
const CASES: [(&[u8], Body); 81] = [
    (b"0\r\n\r\n", Is("")),
    (b"a\r\n0123456789\r\n0\r\n\r\n", Is("0123456789")),
    (b"A\r\n0123456789\r\n0\r\n\r\n", Is("0123456789")),
    (b"5\r\nhello\r\n6\r\n world\r\n000\r\n\r\n", Is("hello world")),
    (b"0000000000000005\r\nhello\r\n0\r\n\r\n", Is("hello")),
    (b"2\r\n\r\n\r\n0\r\n\r\n", Is("\r\n")),
    (b"5\r\n0\r\n\r\n\r\n0\r\n\r\n", Is("0\r\n\r\n")),
    // Extensions.
    (b"5;a\r\nhello\r\n0\r\n\r\n", Is("hello")),
    (b"5;a=b;c=\"d e\"\r\nhello\r\n0;f\r\n\r\n", Is("hello")),
    (b"5;a=\"b\\\"c\"\r\nhello\r\n0\r\n\r\n", Is("hello")),
    (b"5;a=\"b; c\r\nhello\r\n0\r\n\r\n", Is("hello")),
    (b"2;\r\naa\r\n0\r\n\r\n", Is("aa")),
    (b"2 ; a = b\r\naa\r\n0\r\n\r\n", Is("aa")),
    (b"2;\xff\r\naa\r\n0\r\n\r\n", Is("aa")),
    (b"5;a\nhello\r\n0\r\n\r\n", BAD),
    (b"5;a\rb\r\nhello\r\n0\r\n\r\n", BAD),
    (b"5;\0\r\nhello\r\n0\r\n\r\n", BAD),
    (b"5;\x01\r\nhello\r\n0\r\n\r\n", BAD),
    (b"5;\x7f\r\nhello\r\n0\r\n\r\n", BAD),
    (b"2 erfrferferf\r\naa\r\n0 rrrr\r\n\r\n", BAD),
    (b"0;\n\r\n", BAD),
    // White space around sizes.
    (b"a \r\n0123456789\r\n0\r\n\r\n", Is("0123456789")),
    (b"2\t \r\naa\r\n0  \r\n\r\n", Is("aa")),
    (b" 2\r\naa\r\n0\r\n\r\n", BAD),
    (b"\t2\r\naa\r\n0\r\n\r\n", BAD),
    (b"2 0\r\naa\r\n0\r\n\r\n", BAD),
    (b"3 \n  \r\nfoo\r\n0\r\n\r\n", BAD),
    (b"2\x0b\r\naa\r\n0\r\n\r\n", BAD),
    (b"2\x0c\r\naa\r\n0\r\n\r\n", BAD),
    // Sizes that are none.
    (b"\r\n", BAD),
    (b";a\r\n", BAD),
    (b"g\r\n", BAD),
    (b"-1\r\n", BAD),
    (b"-0\r\n\r\n", BAD),
    (b"+2\r\naa\r\n0\r\n\r\n", BAD),
    (b"0x2\r\naa\r\n0\r\n\r\n", BAD),
    (b"2h\r\naa\r\n0\r\n\r\n", BAD),
    (b"2.0\r\naa\r\n0\r\n\r\n", BAD),
    (b"2,\r\naa\r\n0\r\n\r\n", BAD),
    (b"2_0\r\naa\r\n0\r\n\r\n", BAD),
    (b"\"2\"\r\naa\r\n0\r\n\r\n", BAD),
    (b"2\0\r\naa\r\n0\r\n\r\n", BAD),
    (b"\xef\xbb\xbf2\r\naa\r\n0\r\n\r\n", BAD),
    (b"\xef\xbc\x92\r\naa\r\n0\r\n\r\n", BAD),
    (b"00000000000000002\r\naa\r\n0\r\n\r\n", BAD),
    // Sizes that are too large, for a body or for a number.
    (b"10001\r\n", LARGE),
    (b"7fffffff\r\n", LARGE),
    (b"ffffffff\r\n", LARGE),
    (b"100000002\r\naa\r\n0\r\n\r\n", LARGE),
    (b"7fffffffffffffff\r\n", LARGE),
    (b"fffffffffffffffe\r\n", LARGE),
    (b"ffffffffffffffff\r\n", LARGE),
    (b"10000000000000002\r\naa\r\n0\r\n\r\n", LARGE),
    (b"ffffffffffffffff0\r\n", LARGE),
    // Ends of lines that are only half of one.
    (b"2\naa\r\n0\r\n\r\n", BAD),
    (b"2\raa\r\n0\r\n\r\n", BAD),
    (b"2\r\r\naa\r\n0\r\n\r\n", BAD),
    (b"2\n\raa\r\n0\r\n\r\n", BAD),
    (b"5\r\r;ABCD\r\n34\r\nE\r\n0\r\n\r\n", BAD),
    (b"2\r\naa\n0\r\n\r\n", BAD),
    (b"2\r\naa\r0\r\n\r\n", BAD),
    (b"2\r\naa0\r\n\r\n", BAD),
    (b"0\r\n\n", BAD),
    (b"0\r\n\r\r\n", BAD),
    (b"0\n\r\n", BAD),
    // Data that is longer or shorter than was said.
    (b"2\r\naaa\r\n0\r\n\r\n", BAD),
    (b"5\r\nabcd\r\n0\r\n\r\n", BAD),
    // Trailers.
    (b"0\r\nVary: *\r\nContent-Type: text/plain\r\nA:\r\n\r\n", Is("")),
    (b"0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", Is("")),
    (b"0\r\nGET /evil HTTP/1.1\r\nHost: a\r\n\r\n", BAD),
    (b"0\r\n A: b\r\n\r\n", BAD),
    (b"0\r\nA : b\r\n\r\n", BAD),
    (b"0\r\nA: b\r\n c\r\n\r\n", BAD),
    (b"0\r\n: b\r\n\r\n", BAD),
    (b"0\r\nA: b\n\r\n", BAD),
    (b"0\r\nA: \0\r\n\r\n", BAD),
    // Bodies that do not end.
    (b"", Short),
    (b"5\r\nhel", Short),
    (b"5\r\nhello\r\n", Short),
    (b"0\r\n", Short),
    (b"0\r\nA: b\r\n", Short),
];

#[tokio::test]
async fn chunks() {
    let server = server().await;
    for (body, expected) in CASES {
        let text = body.escape_ascii().to_string();
        let request = [b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", body].concat();
        let (bodies, end) = received(&request).await;
        // What does not end swallows whatever follows, so nothing may follow it.
        let probe = if matches!(expected, Short) { b"" } else { PROBE };
        let answers = asked(&server, &[&request, probe].concat()).await;
        let answers: Vec<_> = answers.iter().map(|(status, body)| (*status, body.as_str())).collect();
        match expected {
            Is(body) => {
                assert_eq!((bodies, end), (vec![body.to_owned()], None), "{text}");
                assert_eq!(answers, [(200, body), PROBED], "{text}");
            }
            Refused(status) => {
                assert_eq!((bodies, end), (Vec::new(), Some(status)), "{text}");
                assert_eq!(answers, [(status, "")], "{text}");
            }
            Short => {
                assert_eq!((bodies, end), (Vec::new(), None), "{text}");
                assert_eq!(answers, [], "{text}");
            }
        }
    }
    server.stopped().await;
}

#[tokio::test]
async fn what_surrounds_chunks_is_bounded() {
    let server = server().await;
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (body, expected) in [
        (format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(4 << 10)), (200, "x")),
        (format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat((4 << 10) + 1)), (400, "")),
        (format!("1{}\r\nx\r\n0\r\n\r\n", " ".repeat((4 << 10) + 1)), (400, "")),
        (format!("{}0\r\n\r\n", "1;e\r\nx\r\n".repeat((4 << 10) + 1)), (400, "")),
        (format!("0\r\nA:{}\r\n\r\n", "t".repeat((16 << 10) - 2)), (200, "")),
        (format!("0\r\nA:{}\r\n\r\n", "t".repeat((16 << 10) - 1)), (400, "")),
        (format!("0\r\n{}\r\n", "A:\r\n".repeat((8 << 10) + 1)), (400, "")),
        (format!("{}0\r\n\r\n", "1\r\nx\r\n".repeat(MAX_BODY + 1)), (413, "")),
        ("0".repeat(1 << 20), (400, "")),
    ] {
        let answers = asked(&server, format!("{head}{body}").as_bytes()).await;
        assert_eq!(answers, [(expected.0, expected.1.to_owned())], "{body:.40}");
    }
    server.stopped().await;
}
