//! A message as the HTTP broker carries it: `{"Header":{…},"Body":"<base64>"}` (`go-micro-wire` §§1, 9.1).

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use micro_core::{Headers, Message};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// Names the topic from 2.5 on, and for the dispatch of servers from 1.1x on.
pub(super) const TOPIC: &str = "Micro-Topic";
/// Names the topic up to 1.18.
pub(super) const OLD_TOPIC: &str = ":topic";

/// Written with padding, as Go's is, and read with or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A body that is no message.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON, or not of this shape.
    #[error("Error parsing request body: {0}")]
    Json(#[from] serde_json::Error),
    /// The body inside is not base64.
    #[error("Error parsing request body: Body: {0}")]
    Base64(#[from] base64::DecodeError),
}

/// A message that cannot be written, because JSON holds texts only.
#[derive(Debug, thiserror::Error)]
#[error("header {0:?} is not UTF-8")]
pub(crate) struct EncodeError(String);

/// Writes a message. Its topic is the one given, whatever its headers say; `old` says it in the way of the first
/// versions, to whose subscribers [`TOPIC`] is one header among others.
pub(crate) fn encode(topic: &str, message: &Message, old: bool) -> Result<Bytes, EncodeError> {
    let mut out = Vec::with_capacity(message.body.len() * 4 / 3 + 64 * message.headers.len() + 64);
    out.extend_from_slice(b"{\"Header\":{");
    let mut field = |name: &str, value: &str| {
        if !out.ends_with(b"{") {
            out.push(b',');
        }
        write_text(name, &mut out);
        out.push(b':');
        write_text(value, &mut out);
    };
    let own_topic = message.headers.get(TOPIC).filter(|own| old && !own.is_empty());
    field(TOPIC, own_topic.unwrap_or(topic));
    if old {
        field(OLD_TOPIC, topic);
    }
    for (index, (name, value)) in message.headers.iter().enumerate() {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        // An object has each name once.
        let repeated = || message.headers.iter().take(index).any(|(earlier, _)| is(earlier));
        if is(TOPIC) || is(OLD_TOPIC) || repeated() {
            continue;
        }
        field(name, std::str::from_utf8(value).map_err(|_| EncodeError(name.to_owned()))?);
    }
    out.extend_from_slice(b"},\"Body\":\"");
    let start = out.len();
    out.resize(start + message.body.len().div_ceil(3) * 4, 0);
    let written = BASE64.encode_slice(&message.body, &mut out[start..]).expect("it was made long enough");
    out.truncate(start + written);
    out.extend_from_slice(b"\"}");
    Ok(out.into())
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("texts have a JSON form, and memory takes it");
}

/// Reads a message: members in any case, as Go has it, headers in any number, `null` for nothing.
///
/// # Errors
/// See [`DecodeError`].
pub fn decode(data: &[u8]) -> Result<Message, DecodeError> {
    let Raw { headers, body, .. } = serde_json::from_slice(data)?;
    let body = match &body {
        None => Bytes::new(),
        Some(text) => decode_body(text)?.into(),
    };
    Ok(Message { headers, body })
}

fn decode_body(text: &str) -> Result<Vec<u8>, base64::DecodeError> {
    // Go's decoder skips line breaks.
    if text.bytes().any(|byte| byte == b'\n' || byte == b'\r') {
        let joined: String = text.chars().filter(|it| !matches!(it, '\n' | '\r')).collect();
        return BASE64.decode(joined);
    }
    BASE64.decode(text)
}

/// Whether this is a message rather than a call in an envelope: an object with a member `Header`.
pub(super) fn is_message(data: &[u8]) -> bool {
    serde_json::from_slice(data).is_ok_and(|raw: Raw<'_>| raw.has_header)
}

struct Raw<'a> {
    headers: Headers,
    body: Option<Cow<'a, str>>,
    has_header: bool,
}

/// A text that borrows what needs no unescaping.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Raw<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with Header and Body")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Raw<'de>, M::Error> {
                let mut raw = Raw { headers: Headers::new(), body: None, has_header: false };
                while let Some(Text(name)) = map.next_key()? {
                    if name.eq_ignore_ascii_case("Header") {
                        raw.headers = map.next_value::<Option<Fields>>()?.unwrap_or_default().0;
                        raw.has_header = true;
                    } else if name.eq_ignore_ascii_case("Body") {
                        raw.body = map.next_value::<Option<Text<'de>>>()?.map(|Text(text)| text);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(raw)
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[derive(Default)]
struct Fields(Headers);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Fields, M::Error> {
                let mut headers = Headers::new();
                while let Some(Text(name)) = map.next_key()? {
                    // `null` is the empty text to Go.
                    let value = map.next_value::<Option<Text<'de>>>()?;
                    headers.append(&name, value.map_or(Cow::Borrowed(""), |Text(text)| text).as_bytes());
                }
                Ok(Fields(headers))
            }
        }
        deserializer.deserialize_map(Map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(headers: &[(&str, &str)], body: &'static [u8]) -> Message {
        Message { headers: headers.iter().copied().collect(), body: Bytes::from_static(body) }
    }

    #[test]
    fn messages_name_their_topic_as_each_version_reads_it() {
        let event = message(&[("Foo", "a\"b"), ("micro-topic", "own"), ("foo", "again")], b"\xff\xfe");
        let current = encode("t", &event, false).expect("texts");
        assert_eq!(current, r#"{"Header":{"Micro-Topic":"t","Foo":"a\"b"},"Body":"//4="}"#);
        let old = encode("t", &event, true).expect("texts");
        assert_eq!(old, r#"{"Header":{"Micro-Topic":"own",":topic":"t","Foo":"a\"b"},"Body":"//4="}"#);
        let read = decode(&current).expect("valid");
        assert_eq!(read.headers.get("Foo"), Some("a\"b"));
        assert_eq!(&read.body[..], b"\xff\xfe");
        let mut odd = Message::default();
        odd.headers.append("x", b"\xff");
        assert!(encode("t", &odd, false).is_err());
    }

    #[test]
    fn what_go_reads_is_read() {
        for (json, body) in [
            (r#"{"Header":{"a":"b"},"Body":null}"#, &b""[..]),
            (r#"{"Header":{"a":"b"}}"#, b""),
            (r#"{"body":"aGk=","HEADER":{"a":"b"},"More":[{"x":1}]}"#, b"hi"),
            (r#" {"Header":{"a":"b","n":null},"Body":"aG\nk="} "#, b"hi"),
            (r#"{"Header":{"a":"x"},"Header":{"\u0061":"b"},"Body":"aGk"}"#, b"hi"),
        ] {
            let read = decode(json.as_bytes()).unwrap_or_else(|error| panic!("{json}: {error}"));
            assert_eq!((read.headers.get("a"), &read.body[..]), (Some("b"), body), "{json}");
            assert!(is_message(json.as_bytes()));
        }
        assert!(decode(br#"{"Header":null,"Body":""}"#).expect("valid").headers.is_empty());
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for json in [
            "",
            "{",
            "[]",
            "null",
            "1",
            r#"{"Header":{"a":1}}"#,
            r#"{"Header":[]}"#,
            r#"{"Header":{},"Body":"*"}"#,
            r#"{"Header":{},"Body":{}}"#,
            r#"{"Header":{},"Body":"aGk="}x"#,
        ] {
            decode(json.as_bytes()).expect_err(json);
        }
        let call = br#"{"method":"Say.Hello","params":[{}],"id":1}"#;
        assert!(!is_message(call) && decode(call).is_ok_and(|message| message.headers.is_empty()));
        let deep = [&b"{\"x\":"[..], &[b'['; 100_000], b"}"].concat();
        decode(&deep).expect_err("too deep");
    }

    /// Bytes of any kind are read or refused, and what was read is written and read again.
    #[test]
    fn anything_is_read_or_refused() {
        let mut random = fastrand::Rng::with_seed(7);
        let seeds: [&[u8]; 3] = [
            br#"{"Header":{"Micro-Topic":"t","Content-Type":"application/json"},"Body":"aGVsbG8="}"#,
            br#"{"header":{":topic":"t","a":null,"\u00fc":"\ud83d\ude00"},"body":null,"x":[1,{"y":2.5}]}"#,
            br#"{"Header":{},"Body":"//79"}"#,
        ];
        let (mut read, mut refused) = (0, 0);
        for _ in 0..50_000 {
            let mut bytes = seeds[random.usize(..seeds.len())].to_vec();
            for _ in 0..random.usize(..4) {
                let at = random.usize(..bytes.len());
                match random.u8(..4) {
                    0 => bytes[at] = random.u8(..),
                    1 => bytes.insert(at, b"{}[]\",:\\0nu/="[random.usize(..13)]),
                    2 => bytes.truncate(at + 1),
                    _ => _ = bytes.remove(at),
                }
                if bytes.is_empty() {
                    bytes.push(b'{');
                }
            }
            let Ok(message) = decode(&bytes) else {
                refused += 1;
                continue;
            };
            read += 1;
            let again = decode(&encode("t", &message, false).expect("texts")).expect("our own");
            assert_eq!(again.body, message.body);
        }
        assert!(read > 1000 && refused > 1000, "{read} {refused}");
    }
}
