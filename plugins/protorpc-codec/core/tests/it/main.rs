//! Envelopes as Go Micro programs of several versions write them, and envelopes that nobody should write.

use protorpc_core::{Error, Head, MAX_ENDPOINT, MAX_MESSAGE, Role, open, seal};

/// Bytes from hexadecimal digits and `|texts|`.
fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for (at, piece) in text.split('|').enumerate() {
        match at % 2 {
            1 => out.extend_from_slice(piece.as_bytes()),
            _ => {
                let digits: Vec<u8> = piece.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
                out.extend(digits.chunks(2).map(|pair| {
                    let pair = std::str::from_utf8(pair).expect("digits");
                    u8::from_str_radix(pair, 16).expect("a byte")
                }));
            }
        }
    }
    out
}

/// `(id, endpoint, error, value)`.
fn parts(role: Role, message: &[u8]) -> Result<[String; 4], Error> {
    let mut extra = b"left over".to_vec();
    let opened = open(role, message, &mut extra)?;
    Ok([opened.id, opened.endpoint, opened.error, opened.value]
        .map(|part| String::from_utf8(part.of(message, &extra).expect("inside").to_vec()).expect("UTF-8")))
}

fn sealed(role: Role, head: Head<'_>, value: &[u8]) -> Vec<u8> {
    let (mut prefix, mut suffix) = (b"old".to_vec(), b"old".to_vec());
    seal(role, head, value.len(), &mut prefix, &mut suffix).expect("sealed");
    [&prefix[..], value, &suffix].concat()
}

const REFUSED_2016: &str =
    "0000003c 0a0c |Greeter.Nope| 11 0500000000000000 1a23 |rpc: can't find method Greeter.Nope| 00000000";
const ANSWERED_2016: &str = "00000019 0a0c |Debug.Health| 11 0500000000000000 1a00 00000004 0a02 |ok|";

#[test]
fn answers_that_were_seen() {
    for (message, expected) in [
        (REFUSED_2016, ["5", "Greeter.Nope", "rpc: can't find method Greeter.Nope", ""]),
        (
            "00000028 0a00 11 0000000000000000 1a1b |rpc: can't find method Nope| 00000000",
            ["0", "", "rpc: can't find method Nope", ""],
        ),
        (
            "0000001d 1a1b |rpc: can't find method Nope| 00000000",
            ["0", "", "rpc: can't find method Nope", ""],
        ),
        (ANSWERED_2016, ["5", "Debug.Health", "", "\n\x02ok"]),
    ] {
        assert_eq!(parts(Role::Response, &bytes(message)), Ok(expected.map(str::to_owned)), "{message}");
    }
}

#[test]
fn what_we_write_is_what_2016_wrote() {
    let head = Head { id: b"5", endpoint: "Debug.Health", error: "" };
    assert_eq!(sealed(Role::Response, head, b"\n\x02ok"), bytes(ANSWERED_2016));
    let head = Head { id: b"5", endpoint: "Greeter.Nope", error: "rpc: can't find method Greeter.Nope" };
    assert_eq!(sealed(Role::Response, head, b""), bytes(REFUSED_2016));
    let request = sealed(Role::Request, Head { id: b"", endpoint: "A.B", error: "left out" }, b"x");
    assert_eq!(request, bytes("0000000e 0a03 |A.B| 11 0000000000000000 00000001 |x|"));
}

#[test]
fn other_spellings_are_read() {
    let empty = ["0", "", "", ""].map(str::to_owned);
    for (role, message, expected) in [
        (Role::Request, "00000000 00000000", empty.clone()),
        (Role::Response, "00000000 00000000", empty.clone()),
        // Unknown fields of every type, the error's number among them, and a sequence of another type.
        (Role::Request, "00000011 1a01 |x| 2001 2d00000000 3a01 |y| 1005 2001 00000000", empty),
        // The last one counts.
        (
            Role::Request,
            "00000018 0a01 |A| 11 0100000000000000 11 ffffffffffffffff 0a01 |B| 00000001 |v|",
            ["18446744073709551615", "B", "", "v"].map(str::to_owned),
        ),
    ] {
        assert_eq!(parts(role, &bytes(message)), Ok(expected), "{message}");
    }
}

#[test]
fn what_is_no_envelope_is_refused() {
    for message in [
        "",
        "00",
        "000000",
        "00000000",
        "00000000 000000",
        "00000000 00000001",
        "00000000 00000000 00",
        "ffffffff",
        "00000001 0a 00000000",
        "00000003 0a05 |x| 00000000",
        "00000003 0a01 ff 00000000",
        "00000002 0b0c 00000000",
        "7fffffff 0000",
        "00000000 ffffffff",
    ] {
        assert_eq!(parts(Role::Request, &bytes(message)), Err(Error::Malformed), "{message}");
    }
    // A bare protobuf message: its first bytes are no plausible length.
    assert_eq!(parts(Role::Request, b"\n\x04John"), Err(Error::Malformed));
}

#[test]
fn what_has_no_place_is_refused() {
    let (mut prefix, mut suffix) = (Vec::new(), Vec::new());
    let mut sealed = |id: &[u8], endpoint: &str, length| {
        let outcome = seal(Role::Request, Head { id, endpoint, error: "" }, length, &mut prefix, &mut suffix);
        assert!(outcome.is_ok() || prefix.is_empty() && suffix.is_empty());
        outcome
    };
    assert_eq!(sealed(b"18446744073709551615", "", 0), Ok(()));
    for id in [&b"18446744073709551616"[..], b"-1", b"+1", b"1.5", b"\"1\"", b"x"] {
        assert_eq!(sealed(id, "", 0), Err(Error::Unsupported), "{id:?}");
    }
    assert_eq!(sealed(b"1", &"x".repeat(MAX_ENDPOINT + 1), 0), Err(Error::TooLarge));
    assert_eq!(sealed(b"1", "", MAX_MESSAGE + 1), Err(Error::TooLarge));
}

#[test]
fn random_envelopes_come_back_and_every_cut_is_refused() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..2_000 {
        let letters = ['a', '.', '\0', '"', 'é', '😀'];
        let mut text = |most: usize| -> String {
            let length = random.usize(..most);
            (0..length).map(|_| random.choice(letters).expect("not empty")).collect()
        };
        let (endpoint, error) = (text(60), text(200));
        let id = random.u64(..).to_string();
        let value: Vec<u8> = (0..random.usize(..100)).map(|_| random.u8(..128)).collect();
        for role in [Role::Request, Role::Response] {
            let message =
                sealed(role, Head { id: id.as_bytes(), endpoint: &endpoint, error: &error }, &value);
            let value = String::from_utf8(value.clone()).expect("ASCII");
            let error = if role == Role::Response { error.clone() } else { String::new() };
            assert_eq!(parts(role, &message), Ok([id.clone(), endpoint.clone(), error, value]));
            for end in 0..message.len() {
                assert_eq!(open(role, &message[..end], &mut Vec::new()), Err(Error::Malformed));
            }
        }
    }
}

#[test]
fn what_a_changed_message_says_stays_inside_it() {
    let mut random = fastrand::Rng::with_seed(1);
    let (refused, answered) = (bytes(REFUSED_2016), bytes(ANSWERED_2016));
    let mut extra = Vec::new();
    let mut opened = 0;
    for round in 0..200_000 {
        let mut message = if round % 2 == 0 { refused.clone() } else { answered.clone() };
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..message.len());
            match random.u8(..4) {
                0 => drop(message.remove(at)),
                1 => message.insert(at, random.u8(..)),
                2 => message[at] = random.u8(..),
                _ => message[at] ^= 1 << random.u8(..8),
            }
        }
        let role = if random.bool() { Role::Request } else { Role::Response };
        if let Ok(parts) = open(role, &message, &mut extra) {
            opened += 1;
            assert!(parts.value.of(&message, &extra).is_some());
            for part in [parts.id, parts.endpoint, parts.error] {
                assert!(std::str::from_utf8(part.of(&message, &extra).expect("inside")).is_ok());
            }
        }
    }
    assert!(opened > 1000, "{opened}");
}
