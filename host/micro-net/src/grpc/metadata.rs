//! Metadata as header fields: names in lower case, values of names that end in `-bin` in base64.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use micro_core::Headers;

/// Writes no padding and reads with or without, as the protocol has it.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Names that belong to the protocol, or to one connection (RFC 9113 §8.2.2).
const RESERVED: [&str; 12] = [
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// Whether a name, in lower case, is no user's.
fn is_reserved(name: &str) -> bool {
    name.starts_with("grpc-") || RESERVED.contains(&name)
}

/// Adds metadata to header fields. Reserved names are left out.
///
/// # Errors
/// The name of a field that cannot be sent, or whose value cannot.
pub(super) fn write(metadata: &Headers, fields: &mut HeaderMap) -> Result<(), String> {
    for (name, value) in metadata.iter() {
        if name.starts_with(':') {
            continue;
        }
        // In lower case from here on.
        let field = HeaderName::from_bytes(name.as_bytes()).map_err(|_| name.to_owned())?;
        if is_reserved(field.as_str()) {
            continue;
        }
        let value = match field.as_str().ends_with("-bin") {
            true => HeaderValue::try_from(BASE64.encode(value)),
            false => HeaderValue::from_bytes(value),
        };
        let value = value.map_err(|_| name.to_owned())?;
        fields.try_append(field, value).map_err(|_| "too many fields".to_owned())?;
    }
    Ok(())
}

/// The metadata among header fields. Binary values that are not base64 are left out: nobody can have meant them.
pub(super) fn read(fields: &HeaderMap, metadata: &mut Headers) {
    for (name, value) in fields {
        let name = name.as_str();
        if is_reserved(name) {
            continue;
        }
        if !name.ends_with("-bin") {
            metadata.append(name, value.as_bytes());
            continue;
        }
        for value in value.as_bytes().split(|&it| it == b',') {
            match BASE64.decode(value.trim_ascii()) {
                Ok(value) => metadata.append(name, value),
                Err(error) => tracing::debug!(name, %error, "binary metadata left out"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(fields: &[(&str, &[u8])]) -> Result<HeaderMap, String> {
        let metadata: Headers = fields.iter().copied().collect();
        let mut map = HeaderMap::new();
        write(&metadata, &mut map).map(|()| map)
    }

    #[test]
    fn metadata_comes_back_as_it_was() {
        let sent: [(&str, &[u8]); 4] =
            [("Foo", b"bar"), ("foo", b"baz"), ("Data-Bin", &[0, 255, 10]), ("more-bin", b"")];
        let map = written(&sent).expect("can be sent");
        assert_eq!(map["data-bin"], "AP8K");
        let mut received = Headers::new();
        read(&map, &mut received);
        assert_eq!(received, sent.iter().copied().collect());
    }

    #[test]
    fn names_of_the_protocol_are_left_out() {
        let map = written(&[("TE", b"x"), ("Grpc-Timeout", b"1S"), ("content-type", b"x"), ("Host", b"x")]);
        assert!(map.expect("nothing to send").is_empty());
        let mut received = Headers::new();
        let fields = [("grpc-status", "0"), ("content-type", "application/grpc"), ("x", "y")];
        let map =
            fields.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        read(&HeaderMap::from_iter(map), &mut received);
        assert_eq!(received.iter_str().collect::<Vec<_>>(), [("x", "y")]);
    }

    #[test]
    fn what_cannot_be_sent_is_named() {
        assert_eq!(written(&[("a b", b"x")]), Err("a b".to_owned()));
        assert_eq!(written(&[("line", b"x\ny")]), Err("line".to_owned()));
        assert_eq!(written(&[("", b"x")]), Err(String::new()));
    }

    #[test]
    fn binary_values_with_padding_lists_and_nonsense() {
        let map = HeaderMap::from_iter([(
            HeaderName::from_static("a-bin"),
            HeaderValue::from_static("AA==, AQ,!!,Ag=="),
        )]);
        let mut received = Headers::new();
        read(&map, &mut received);
        let values: Vec<_> = received.iter().map(|(_, value)| value.to_vec()).collect();
        assert_eq!(values, [[0], [1], [2]]);
    }
}
