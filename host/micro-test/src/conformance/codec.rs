//! What every codec must do.

use super::{Verdict, ensure, shown};
use bytes::Bytes;
use fastrand::Rng;
use micro_core::Codec;
use micro_core::codec::{CodecError, Envelope, Opened, Role};

/// A check of a codec; the number is where random things begin.
pub(crate) type Check = fn(&dyn Codec, u64) -> Verdict;

/// The rules and their checks.
pub(crate) const CASES: &[(&str, Check)] = &[
    ("codec.formats.sound", formats),
    ("codec.seal.ordinary", ordinary),
    ("codec.seal.repeatable", repeatable),
    ("codec.open.refuses", refuses),
    ("codec.open.large", large),
    ("codec.round-trip", round_trip),
    ("codec.open.mutated", mutated),
    ("codec.open.noise", noise),
];

/// What is no message of any format.
const GARBAGE: &[&[u8]] = &[
    b"<html><body><h1>502 Bad Gateway</h1></body></html>\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8\xf7\xf6\xf5\xf4\xf3\xf2\xf1\xf0",
    b"no message of any format, only words",
    b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    b"{\"unfinished\": \"",
];

const TEXTS: [&str; 6] = [
    "Say.Hello",
    "a.b",
    "Say.Gr\u{fc}\u{df}",
    "Greeter.With \"quotes\" and \\",
    "\u{1f600}.\u{65e5}",
    "tab\tand\nline",
];

/// Checks all rules that codecs can be held to natively; the first that does not hold is named.
///
/// # Errors
/// The rule and what was seen.
pub fn conforms(codec: &dyn Codec, seed: u64) -> Result<(), String> {
    CASES.iter().try_for_each(|(rule, check)| {
        check(codec, seed).map(drop).map_err(|failure| format!("{rule}: {failure}"))
    })
}

/// A value as the format has it inside.
fn value(codec: &dyn Codec, format: usize, random: &mut Rng) -> Vec<u8> {
    let length = 1 << random.u32(1..14);
    let length = random.usize(1..=length);
    match codec.formats()[format].value.as_str() {
        "application/json" => json(random, length),
        _ => (0..length).map(|_| random.u8(..)).collect(),
    }
}

/// A JSON object with everything that a reader of JSON can stumble over.
fn json(random: &mut Rng, length: usize) -> Vec<u8> {
    let texts = ["plain", "\"}]{[", "\\", "\u{1f600}\u{0}", "params", ""];
    let text = texts[random.usize(..texts.len())].repeat(1 + length / 16);
    let numbers = [0.5, -1e30, f64::from(random.u32(..))];
    let value = serde_json::json!({ "text": text, "deep": [[{"a": [null, true]}]], "n": numbers, "id": 1, "method": "x" });
    value.to_string().into_bytes()
}

fn seal(
    codec: &dyn Codec,
    format: usize,
    role: Role,
    envelope: Envelope<'_>,
    value: &[u8],
) -> Result<Bytes, CodecError> {
    let mut message = Vec::new();
    codec.seal(format, role, envelope, value, &mut message)?;
    Ok(message.into())
}

/// What came back is what was sent.
fn same(opened: &Opened, role: Role, envelope: Envelope<'_>, value: &[u8]) -> Verdict {
    let id = &opened.id[..];
    ensure!(
        envelope.id.is_empty() || id == envelope.id,
        "the id {} came back as {}",
        shown(envelope.id),
        shown(id)
    );
    if role == Role::Request || !opened.endpoint.is_empty() {
        ensure!(
            opened.endpoint == envelope.endpoint,
            "the endpoint {:?} came back as {:?}",
            envelope.endpoint,
            opened.endpoint
        );
    }
    ensure!(opened.error == envelope.error, "the error {:?} came back as {:?}", envelope.error, opened.error);
    // Formats that have either an error or a value drop the value.
    let value_counts = envelope.error.is_empty() || !opened.value.is_empty();
    ensure!(
        !value_counts || opened.value == value,
        "the value {} came back as {}",
        shown(value),
        shown(&opened.value)
    );
    Ok(None)
}

fn formats(codec: &dyn Codec, _: u64) -> Verdict {
    let formats = codec.formats();
    ensure!(!formats.is_empty(), "it serves no content type");
    for (at, format) in formats.iter().enumerate() {
        let name = &format.content_type;
        let sound = name.contains('/')
            && name.bytes().all(|it| it.is_ascii_graphic() && !it.is_ascii_uppercase() && it != b';');
        ensure!(sound, "{name:?} is no content type in lower case without parameters");
        let known = matches!(format.value.as_str(), "application/json" | "application/protobuf");
        ensure!(known, "{name} is around {:?}, which the host cannot write", format.value);
        ensure!(!formats[..at].iter().any(|other| other.content_type == *name), "{name} is served twice");
    }
    Ok(Some(formats.iter().map(|it| it.content_type.as_str()).collect::<Vec<_>>().join(", ")))
}

fn ordinary(codec: &dyn Codec, seed: u64) -> Verdict {
    for format in 0..codec.formats().len() {
        for (role, error) in [(Role::Request, ""), (Role::Response, ""), (Role::Response, "not found")] {
            let value = value(codec, format, &mut Rng::with_seed(seed));
            let envelope = Envelope { id: b"1", endpoint: "Say.Hello", error };
            let message = seal(codec, format, role, envelope, &value)
                .map_err(|error| super::Failure(format!("{role:?}: it does not seal: {error}")))?;
            let opened = codec.open(format, role, &message).map_err(|error| {
                super::Failure(format!(
                    "{role:?}: it does not open its own message {}: {error}",
                    shown(&message)
                ))
            })?;
            same(&opened, role, envelope, &value)?;
        }
    }
    Ok(None)
}

fn repeatable(codec: &dyn Codec, seed: u64) -> Verdict {
    for format in 0..codec.formats().len() {
        let value = value(codec, format, &mut Rng::with_seed(seed));
        let envelope = Envelope { id: b"7", endpoint: "Say.Hello", error: "" };
        let first = seal(codec, format, Role::Request, envelope, &value);
        for _ in 0..3 {
            let again = seal(codec, format, Role::Request, envelope, &value);
            ensure!(first == again, "{first:?} was {again:?} the next time");
        }
    }
    Ok(None)
}

fn refuses(codec: &dyn Codec, _: u64) -> Verdict {
    for format in 0..codec.formats().len() {
        for role in [Role::Request, Role::Response] {
            for garbage in GARBAGE {
                let opened = codec.open(format, role, &Bytes::from_static(garbage));
                ensure!(is_refusal(&opened), "{} as {role:?} was opened as {opened:?}", shown(garbage));
            }
            // Whatever stands before the value cannot be missing.
            let marker: &[u8] = b"{\"marker\":\"\"}";
            let envelope = Envelope { id: b"1", endpoint: "Say.Hello", error: "" };
            let Ok(message) = seal(codec, format, role, envelope, marker) else { continue };
            let before = message.windows(marker.len()).position(|part| part == marker).unwrap_or_default();
            for cut in 1..before {
                let opened = codec.open(format, role, &message.slice(..cut));
                ensure!(
                    is_refusal(&opened),
                    "{}, which breaks off, was opened as {opened:?}",
                    shown(&message[..cut])
                );
            }
        }
    }
    Ok(None)
}

/// An error by the contract, not a failure of the codec.
fn is_refusal(opened: &Result<Opened, CodecError>) -> bool {
    matches!(opened, Err(CodecError::Malformed(_) | CodecError::Unsupported(_) | CodecError::TooLarge(_)))
}

fn large(codec: &dyn Codec, seed: u64) -> Verdict {
    const LARGE: usize = 8 << 20;
    for format in 0..codec.formats().len() {
        let value = match codec.formats()[format].value.as_str() {
            "application/json" => format!("{{\"text\":\"{}\"}}", "x".repeat(LARGE)).into_bytes(),
            _ => vec![seed as u8; LARGE],
        };
        let envelope = Envelope { id: b"1", endpoint: "Say.Hello", error: "" };
        let sealed = seal(codec, format, Role::Request, envelope, &value);
        let message =
            sealed.map_err(|error| super::Failure(format!("it does not seal {LARGE} bytes: {error}")))?;
        let opened = codec.open(format, Role::Request, &message);
        let opened =
            opened.map_err(|error| super::Failure(format!("it does not open {LARGE} bytes: {error}")))?;
        ensure!(opened.value == value, "a value of {LARGE} bytes came back with {}", opened.value.len());
    }
    Ok(None)
}

fn round_trip(codec: &dyn Codec, seed: u64) -> Verdict {
    const ROUNDS: u64 = 500;
    let mut refused = 0;
    for round in 0..ROUNDS {
        let mut random = Rng::with_seed(seed.wrapping_add(round));
        let format = random.usize(..codec.formats().len());
        let (role, error) = match random.u8(..3) {
            0 => (Role::Request, ""),
            1 => (Role::Response, ""),
            _ => (Role::Response, TEXTS[random.usize(..TEXTS.len())]),
        };
        let id = if random.u8(..4) == 0 { String::new() } else { random.u32(..).to_string() };
        let envelope = Envelope { id: id.as_bytes(), endpoint: TEXTS[random.usize(..TEXTS.len())], error };
        let value = value(codec, format, &mut random);
        let message = match seal(codec, format, role, envelope, &value) {
            Ok(message) => message,
            Err(CodecError::Unsupported(_) | CodecError::TooLarge(_)) => {
                refused += 1;
                continue;
            }
            Err(error) => {
                return Err(super::Failure(format!("round {round}: sealing {envelope:?}: {error}")));
            }
        };
        let opened = codec.open(format, role, &message).map_err(|error| {
            super::Failure(format!(
                "round {round}: it does not open its own message {}: {error}",
                shown(&message)
            ))
        })?;
        same(&opened, role, envelope, &value)
            .map_err(|failure| super::Failure(format!("round {round}: {failure}")))?;
    }
    ensure!(refused < ROUNDS / 2, "{refused} of {ROUNDS} messages were refused as unsupported");
    Ok(Some(format!("{ROUNDS} messages, {refused} of them refused as unsupported")))
}

fn mutated(codec: &dyn Codec, seed: u64) -> Verdict {
    const ROUNDS: u64 = 2000;
    for round in 0..ROUNDS {
        let mut random = Rng::with_seed(seed.wrapping_add(round));
        let format = random.usize(..codec.formats().len());
        let role = if random.bool() { Role::Request } else { Role::Response };
        let envelope = Envelope { id: b"12", endpoint: TEXTS[random.usize(..TEXTS.len())], error: "" };
        let value = value(codec, format, &mut random);
        let Ok(message) = seal(codec, format, role, envelope, &value) else { continue };
        let message = mutate(message.into(), &mut random);
        let opened = codec.open(format, role, &message.clone().into());
        if let Err(CodecError::Failed { reason, .. }) = opened {
            return Err(super::Failure(format!("round {round}: {} made it fail: {reason}", shown(&message))));
        }
    }
    Ok(Some(format!("{ROUNDS} messages")))
}

/// Cut off, doubled, with bytes changed, taken out or put in.
pub(crate) fn mutate(mut bytes: Vec<u8>, random: &mut Rng) -> Vec<u8> {
    for _ in 0..random.usize(1..4) {
        if bytes.is_empty() {
            return bytes;
        }
        // Mistakes near the start are about the envelope, those behind it about the value.
        let end = if random.bool() { bytes.len().min(64) } else { bytes.len() };
        let at = random.usize(..end);
        match random.u8(..6) {
            0 => bytes.truncate(at),
            1 => bytes[at] = random.u8(..),
            2 => bytes[at] ^= 1 << random.u8(..8),
            3 => drop(bytes.remove(at)),
            4 => bytes.insert(at, random.u8(..)),
            _ => {
                let piece = bytes[at..(at + 16).min(bytes.len())].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}

fn noise(codec: &dyn Codec, seed: u64) -> Verdict {
    const ROUNDS: u64 = 1000;
    let mut taken = 0;
    for round in 0..ROUNDS {
        let mut random = Rng::with_seed(seed.wrapping_add(round));
        let format = random.usize(..codec.formats().len());
        let noise: Bytes = (0..random.usize(16..300)).map(|_| random.u8(..)).collect();
        match codec.open(format, Role::Request, &noise) {
            Ok(_) => taken += 1,
            Err(CodecError::Failed { reason, .. }) => {
                return Err(super::Failure(format!(
                    "round {round}: {} made it fail: {reason}",
                    shown(&noise)
                )));
            }
            Err(_) => {}
        }
    }
    // Chance makes a message now and then where a format is little more than lengths.
    ensure!(taken <= ROUNDS / 100, "{taken} of {ROUNDS} pieces of noise were opened");
    Ok(Some(format!("{ROUNDS} pieces, {taken} of them opened")))
}
