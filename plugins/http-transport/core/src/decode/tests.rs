use super::*;
use crate::Head;

fn decoded(role: Role, method: Method, data: &[u8]) -> Result<(usize, Vec<u32>), Error> {
    let mut words = Vec::new();
    decode(role, method, data, &mut words).map(|consumed| (consumed, words))
}

fn with_head<T>(role: Role, method: Method, data: &[u8], look: impl FnOnce(Head<'_>) -> T) -> T {
    let (consumed, words) = decoded(role, method, data).unwrap_or_else(|error| panic!("{error}: {data:?}"));
    let head = Head::new(&words, data).unwrap_or_else(|| panic!("bad words {words:?} for {data:?}"));
    assert_eq!(head.consumed(), consumed);
    look(head)
}

fn fields<'a>(head: Head<'a>) -> Vec<(&'a str, &'a [u8])> {
    head.fields().map(|(_, name, value)| (name, value)).collect()
}

const REQUEST: &[u8] =
    b"\r\nBREW /pot?x=1 HTTP/1.1\r\nhost: a:1\r\nMICRO-ID:\t7 \r\nFoo: \r\nB\xc3: x\r\n\r\n";

#[test]
fn a_request_is_described_completely() {
    let data = b"BREW /pot?x=1 HTTP/1.1\r\nhost: a:1\r\nMICRO-ID:\t7 \r\nFoo: \r\nbar: \xff\r\nContent-Length: 4294967296\r\n\r\nbody";
    with_head(Role::Request, Method::NONE, data, |head| {
        assert_eq!((head.method(), head.path(), head.status()), ("BREW", &b"/pot?x=1"[..], 0));
        assert_eq!(head.framing(), Framing::Length(1 << 32));
        assert_eq!(head.consumed(), data.len() - 4);
        assert!(head.keep_alive() && !head.expects_continue());
        let expected: [(&str, &[u8]); 5] = [
            ("Host", b"a:1"),
            ("Micro-Id", b"7"),
            ("Foo", b""),
            ("bar", b"\xff"),
            ("Content-Length", b"4294967296"),
        ];
        assert_eq!(fields(head), expected);
        assert_eq!(head.fields().map(|(id, ..)| id).collect::<Vec<_>>(), [1, 18, 0, 0, 3]);
    });
    assert_eq!(decoded(Role::Request, Method::NONE, REQUEST), Err(Error::Malformed), "a name is a token");
}

#[test]
fn a_response_is_described_completely() {
    let data = b"HTTP/1.1 404 Not Found here\r\nContent-Length: 3\r\n\r\nabc";
    with_head(Role::Response, Method::POST, data, |head| {
        assert_eq!((head.status(), head.reason()), (404, &b"Not Found here"[..]));
        assert_eq!((head.method(), head.path()), ("", &b""[..]));
        assert_eq!(head.framing(), Framing::Length(3));
    });
    with_head(Role::Response, Method::POST, b"HTTP/1.1 200\r\n\r\n", |head| assert_eq!(head.reason(), b""));
}

#[test]
fn more_bytes_are_asked_for_at_every_cut() {
    let request: &[u8] = b"\r\nPOST / HTTP/1.1\r\nHost: a\r\nMicro-Id: 1\r\nX:  \r\n\r\n";
    let response: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Y: z\r\n\r\n";
    for (role, data) in [(Role::Request, request), (Role::Response, response)] {
        for cut in 0..data.len() {
            assert_eq!(decoded(role, Method::POST, &data[..cut]), Ok((0, vec![])), "{cut} of {data:?}");
        }
        assert_eq!(decoded(role, Method::POST, data).map(|(consumed, _)| consumed), Ok(data.len()));
    }
}

#[test]
fn what_readers_could_disagree_about_is_refused() {
    use Error::{Malformed, Unsupported, Version};
    for (text, expected) in [
        ("POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", Malformed),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", Malformed),
        ("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", Malformed),
        ("POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n", Malformed),
        ("POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n", Malformed),
        ("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", Malformed),
        ("POST / HTTP/1.1\r\nContent-Length: 1 2\r\n\r\n", Malformed),
        ("POST / HTTP/1.1\r\nContent-Length: 0x1\r\n\r\n", Malformed),
        ("POST / HTTP/1.1\r\nContent-Length:\r\n\r\n", Malformed),
        ("POST / HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\n", Malformed),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", Unsupported),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", Unsupported),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: identity\r\n\r\n", Unsupported),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n", Unsupported),
        ("POST / HTTP/1.1\r\nTransfer-Encoding:\r\n\r\n", Unsupported),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: \x0bchunked\r\n\r\n", Malformed),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n", Unsupported),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", Malformed),
        ("POST / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", Malformed),
        ("POST / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", Malformed),
        ("POST / HTTP/1.1\r\n A: b\r\n\r\n", Malformed),
        ("POST / HTTP/1.1\r\nA : b\r\n\r\n", Malformed),
        ("POST / HTTP/1.1\r\n: b\r\n\r\n", Malformed),
        ("POST / HTTP/1.1\r\nA\r\n\r\n", Malformed),
        ("POST / HTTP/1.1\r\nA: b\rc\r\n\r\n", Malformed),
        ("POST / HTTP/1.1\r\nA: b\0c\r\n\r\n", Malformed),
        ("POST / HTTP/1.1\r\nA: b\n\r\n", Malformed),
        ("POST / HTTP/1.1\r\nA: b\nC: d\r\n\r\n", Malformed),
        ("POST / HTTP/1.1\r\nA:\nC: d\r\n\r\n", Malformed),
        ("POST / HTTP/1.1\r\nA: \t\nC: d\r\n\r\n", Malformed),
        ("POST / HTTP/1.1\r\nA: b\r\n\n", Malformed),
        ("POST / HTTP/1.1\nA: b\r\n\r\n", Malformed),
        ("\nPOST / HTTP/1.1\r\nA: b\r\n\r\n", Malformed),
        ("POST  / HTTP/1.1\r\n\r\n", Malformed),
        ("POST / x HTTP/1.1\r\n\r\n", Version),
        ("POST /\x01 HTTP/1.1\r\n\r\n", Malformed),
        ("P(ST / HTTP/1.1\r\n\r\n", Malformed),
        ("POST / HTTP/1.2\r\n\r\n", Version),
        ("POST / HTTP/2.0\r\n\r\n", Version),
        ("POST / HTTP/0.9\r\n\r\n", Version),
    ] {
        assert_eq!(decoded(Role::Request, Method::NONE, text.as_bytes()), Err(expected), "{text:?}");
    }
}

#[test]
fn bodies_end_where_the_request_says() {
    for (head, framing) in [
        ("GET / HTTP/1.1", Framing::None),
        ("POST / HTTP/1.1\r\nContent-Length: 0", Framing::Length(0)),
        ("POST / HTTP/1.1\r\nContent-Length: 007", Framing::Length(7)),
        ("POST / HTTP/1.1\r\nContent-Length: 7\r\nContent-Length: 7", Framing::Length(7)),
        ("POST / HTTP/1.1\r\ncontent-length: 18446744073709551615", Framing::Length(u64::MAX)),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: Chunked", Framing::Chunked),
    ] {
        let data = format!("{head}\r\n\r\n");
        with_head(Role::Request, Method::NONE, data.as_bytes(), |head| {
            assert_eq!(head.framing(), framing, "{data:?}")
        });
    }
}

#[test]
fn bodies_of_responses_depend_on_the_request() {
    let get = Method::from_name("GET");
    for (method, head, framing, keep_alive) in [
        (get, "HTTP/1.1 200 OK", Framing::UntilClose, false),
        (get, "HTTP/1.1 200 OK\r\nContent-Length: 5", Framing::Length(5), true),
        (get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", Framing::Chunked, true),
        (Method::HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 5", Framing::None, true),
        (Method::HEAD, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", Framing::None, true),
        (Method::HEAD, "HTTP/1.1 200 OK", Framing::None, true),
        (get, "HTTP/1.1 204 No Content\r\nContent-Length: 5", Framing::None, true),
        (get, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5", Framing::None, true),
        (get, "HTTP/1.1 100 Continue", Framing::None, true),
        (get, "HTTP/1.1 101 Switching", Framing::None, true),
        (Method::CONNECT, "HTTP/1.1 200 OK\r\nContent-Length: 5", Framing::None, true),
        (Method::CONNECT, "HTTP/1.1 403 Forbidden\r\nContent-Length: 5", Framing::Length(5), true),
        (get, "HTTP/1.0 200 OK\r\nContent-Length: 5", Framing::Length(5), false),
    ] {
        let data = format!("{head}\r\n\r\n");
        with_head(Role::Response, method, data.as_bytes(), |head| {
            assert_eq!((head.framing(), head.keep_alive()), (framing, keep_alive), "{data:?}");
        });
    }
    for text in [
        "HTTP/1.1 099 x\r\n\r\n",
        "HTTP/1.1 20 x\r\n\r\n",
        "HTTP/1.1 2000 x\r\n\r\n",
        "HTTP/1.1 abc x\r\n\r\n",
    ] {
        assert_eq!(decoded(Role::Response, get, text.as_bytes()), Err(Error::Malformed), "{text:?}");
    }
    for text in ["HTTP/1.1 200 OK\n\r\n", "HTTP/1.1 200\n\r\n", "HTTP/1.1 200 OK\r\nA: b\n\r\n"] {
        assert_eq!(decoded(Role::Response, get, text.as_bytes()), Err(Error::Malformed), "{text:?}");
    }
}

#[test]
fn flags_follow_version_and_fields() {
    for (head, keep_alive, expects, upgrade) in [
        ("GET / HTTP/1.1", true, false, false),
        ("GET / HTTP/1.1\r\nConnection: Close", false, false, false),
        ("GET / HTTP/1.1\r\nConnection: x, close", false, false, false),
        (
            "GET / HTTP/1.1\r\nConnection: x\r\nConnection: close\r\nConnection: keep-alive",
            false,
            false,
            false,
        ),
        ("GET / HTTP/1.0", false, false, false),
        ("GET / HTTP/1.0\r\nConnection: Keep-Alive", true, false, false),
        ("GET / HTTP/1.0\r\nExpect: 100-continue", false, false, false),
        ("POST / HTTP/1.1\r\nExpect: 100-Continue", true, true, false),
        ("GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket", true, false, true),
        ("GET / HTTP/1.1\r\nUpgrade: websocket", true, false, false),
    ] {
        let data = format!("{head}\r\n\r\n");
        with_head(Role::Request, Method::NONE, data.as_bytes(), |head| {
            let flags = (head.keep_alive(), head.expects_continue(), head.wants_upgrade());
            assert_eq!(flags, (keep_alive, expects, upgrade), "{data:?}");
        });
    }
}

/// A request head of exactly `length` bytes.
fn head_of(length: usize) -> Vec<u8> {
    let mut data = b"POST / HTTP/1.1\r\nLast: ".to_vec();
    data.resize(length - 4, b'x');
    data.extend_from_slice(b"\r\n\r\n");
    data
}

#[test]
fn heads_end_at_64_kib() {
    for length in [MAX_HEAD - 1, MAX_HEAD] {
        let mut data = head_of(length);
        data.extend_from_slice(b"body");
        with_head(Role::Request, Method::NONE, &data, |head| {
            assert_eq!(head.consumed(), length);
            let (_, _, value) = head.fields().next().expect("a field");
            assert_eq!(value.len(), length - 4 - 23);
            assert!(value.iter().all(|byte| *byte == b'x'));
        });
    }
    let too_long = head_of(MAX_HEAD + 1);
    assert_eq!(decoded(Role::Request, Method::NONE, &too_long), Err(Error::TooLarge));
    assert_eq!(decoded(Role::Request, Method::NONE, &too_long[..MAX_HEAD]), Err(Error::TooLarge));
    assert_eq!(decoded(Role::Request, Method::NONE, &too_long[..MAX_HEAD - 1]), Ok((0, vec![])));
}

#[test]
fn a_field_in_the_last_bytes_of_the_largest_head_is_found() {
    let mut data = head_of(MAX_HEAD - 6);
    data.truncate(data.len() - 2);
    data.extend_from_slice(b"Z: y\r\n\r\n");
    assert_eq!(data.len(), MAX_HEAD);
    with_head(Role::Request, Method::NONE, &data, |head| {
        assert_eq!(fields(head).last(), Some(&("Z", &b"y"[..])));
    });
}

#[test]
fn at_most_128_fields() {
    for (count, good) in [(MAX_FIELDS, true), (MAX_FIELDS + 1, false)] {
        let data = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(count));
        let result = decoded(Role::Request, Method::NONE, data.as_bytes()).map(|_| ());
        assert_eq!(result, if good { Ok(()) } else { Err(Error::TooLarge) });
    }
}

#[test]
fn random_bytes_never_panic() {
    let seeds: [&[u8]; 3] = [
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nMicro-Id:  1 \r\n\r\n",
        b"\r\n\r\nGET / HTTP/1.0\r\n\r\n",
    ];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize
    };
    let interesting = b"\r\n \t:\0,;0aZ\xff/";
    let mut heads = 0;
    for _ in 0..100_000 {
        let mut data = seeds[random() % seeds.len()].to_vec();
        for _ in 0..random() % 4 {
            let at = random() % data.len();
            let byte = interesting[random() % interesting.len()];
            if random() % 2 == 0 { data[at] = byte } else { data.insert(at, byte) }
        }
        for role in [Role::Request, Role::Response] {
            if let Ok((consumed, words)) = decoded(role, Method::POST, &data)
                && consumed > 0
            {
                heads += 1;
                let head = Head::new(&words, &data).expect("our own words are good");
                // Whatever was accepted has clean lines.
                let text = &data[..consumed];
                assert!(!text.contains(&0), "{data:?}");
                assert!(
                    text.split(|byte| *byte == b'\n').rev().skip(1).all(|line| line.ends_with(b"\r")),
                    "{data:?}"
                );
                assert!(head.fields().all(|(_, name, _)| !name.is_empty()));
            }
        }
    }
    assert!(heads > 1000, "mutations leave enough heads intact, got {heads}");
}
