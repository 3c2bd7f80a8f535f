//! Nothing that a peer sends is believed, and nothing panics.

use super::parts;
use jsonrpc_core::{Error, Head, MAX_DEPTH, MAX_ENDPOINT, MAX_ID, MAX_MESSAGE, Role, open, seal};

const REQUEST: &str = r#"{"method":"Say.H\u0065llo","params":[{"name":"J\"n","n":[-1.5e3,{}]}],"id":"x"}"#;
const RESPONSE: &str = r#"{"id":17,"result":{"a":[true,false,null,"\uD83D\uDE00"]},"error":"b\n\ud83d"}"#;

#[test]
fn what_is_no_envelope_is_refused() {
    for message in [
        "",
        " ",
        "null",
        "[]",
        "1",
        "\"x\"",
        "{",
        "{}{}",
        "{} x",
        "{},",
        "{\"id\":}",
        "{\"id\":1,}",
        "{id:1}",
        "\u{feff}{}",
        r#"{"method":1}"#,
        r#"{"method":["A.B"]}"#,
        r#"{"method":"A.B","params":[1,2]}"#,
        r#"{"method":"A.B","params":[1"#,
        r#"{"method":"A.B","method":"C.D"}"#,
        r#"{"method":"A.B","Method":"C.D"}"#,
        r#"{"method":"A.B","\u006dethod":"C.D"}"#,
        r#"{"params":[1],"params":[2]}"#,
        r#"{"id":1,"ID":2}"#,
    ] {
        assert_eq!(parts(Role::Request, message), Err(Error::Malformed), "{message}");
    }
    for message in ["{}", r#"{"id":1}"#, r#"{"id":1,"error":null}"#, r#"{"result":1,"result":2}"#] {
        assert_eq!(parts(Role::Response, message), Err(Error::Malformed), "{message}");
    }
}

#[test]
fn texts_are_utf8() {
    for message in [&b"{\"method\":\"\xff\"}"[..], b"{\"params\":[\"\xc3\"]}", b"{}\x80"] {
        assert_eq!(open(Role::Request, message, &mut Vec::new()), Err(Error::Malformed), "{message:?}");
    }
}

#[test]
fn caps_hold() {
    let long = |length| format!(r#"{{"method":"{}"}}"#, "x".repeat(length));
    assert!(parts(Role::Request, &long(MAX_ENDPOINT)).is_ok());
    assert_eq!(parts(Role::Request, &long(MAX_ENDPOINT + 1)), Err(Error::Malformed));
    let id = |digits| format!(r#"{{"id":{}}}"#, "1".repeat(digits));
    assert!(parts(Role::Request, &id(MAX_ID)).is_ok());
    assert_eq!(parts(Role::Request, &id(MAX_ID + 1)), Err(Error::Malformed));
    let deep = |depth| format!(r#"{{"params":[{}1{}]}}"#, "[".repeat(depth), "]".repeat(depth));
    assert!(parts(Role::Request, &deep(MAX_DEPTH as usize - 1)).is_ok());
    assert_eq!(parts(Role::Request, &deep(MAX_DEPTH as usize + 1)), Err(Error::Malformed));
}

#[test]
fn ids_and_lengths_that_have_no_place_are_refused() {
    let (mut prefix, mut suffix) = (b"old".to_vec(), b"old".to_vec());
    let mut sealed = |id: &[u8], endpoint: &str, length| {
        let outcome =
            seal(Role::Response, Head { id, endpoint, error: "" }, length, &mut prefix, &mut suffix);
        assert!(outcome.is_ok() || prefix.is_empty() && suffix.is_empty());
        outcome
    };
    for id in [&b"1"[..], b"\"a\"", b"null", b"-1.5", b"[1]", b""] {
        assert_eq!(sealed(id, "", 1), Ok(()), "{id:?}");
    }
    for id in [&b"1,\"x\":2"[..], b"01", b"x", b"\"", b"\xff", b" ", b"1 1"] {
        assert_eq!(sealed(id, "", 1), Err(Error::Unsupported), "{id:?}");
    }
    assert_eq!(sealed(&[b'1'; MAX_ID + 1], "", 1), Err(Error::TooLarge));
    assert_eq!(sealed(b"1", &"x".repeat(MAX_ENDPOINT + 1), 1), Err(Error::TooLarge));
    assert_eq!(sealed(b"1", "", MAX_MESSAGE + 1), Err(Error::TooLarge));
}

#[test]
fn every_cut_of_a_message_is_refused() {
    for (role, message) in [(Role::Request, REQUEST), (Role::Response, RESPONSE)] {
        assert!(parts(role, message).is_ok());
        for end in 0..message.len() {
            let cut = &message.as_bytes()[..end];
            assert_eq!(open(role, cut, &mut Vec::new()), Err(Error::Malformed), "{role:?} {end}");
        }
    }
}

#[test]
fn what_a_changed_message_says_stays_inside_it() {
    let mut random = fastrand::Rng::with_seed(1);
    let mut extra = Vec::new();
    let mut opened = 0;
    for round in 0..200_000 {
        let (role, message) = match round % 2 {
            0 => (Role::Request, REQUEST),
            _ => (Role::Response, RESPONSE),
        };
        let mut message = message.as_bytes().to_vec();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..message.len());
            match random.u8(..4) {
                0 => drop(message.remove(at)),
                1 => message.insert(at, *random.choice(b"{}[]\",:\\u0 \xff").expect("not empty")),
                2 => message[at] = random.u8(..),
                _ => message[at] ^= 1 << random.u8(..8),
            }
        }
        if let Ok(parts) = open(role, &message, &mut extra) {
            opened += 1;
            for part in [parts.id, parts.endpoint, parts.error, parts.value] {
                let bytes = part.of(&message, &extra).expect("inside");
                assert!(std::str::from_utf8(bytes).is_ok());
            }
        }
    }
    assert!(opened > 1000, "{opened}");
}
