//! Header fields as operators write them: `X-Frame-Options=DENY`.
//!
//! ```
//! let fields = header_core::parse(["X-Frame-Options=DENY"])?;
//! assert_eq!((fields[0].name.as_str(), fields[0].value.as_str()), ("X-Frame-Options", "DENY"));
//! assert!(header_core::parse(["X Frame=DENY"]).is_err());
//! # Ok::<(), header_core::FieldError>(())
//! ```
#![warn(missing_docs)]

/// One field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// A token (RFC 9110 §5.1).
    pub name: String,
    /// Without control characters; it may be empty.
    pub value: String,
    /// Whether a field of the same name came before it.
    pub repeated: bool,
}

/// A field that cannot be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// No `=`.
    #[error("{0:?} is no header: write name=value")]
    Form(String),
    /// Not a token.
    #[error("{0:?} is no header's name: use letters, digits and '-'")]
    Name(String),
    /// Control characters.
    #[error("the value of header {0} has control characters")]
    Value(String),
    /// A field that speaks about the connection or the framing.
    #[error("header {0} says how a message is sent, which is not a filter's to choose")]
    Connection(String),
}

/// Reads `name=value` pairs. White space around names and values does not count; a value may contain `=`.
///
/// # Errors
/// See [`FieldError`].
pub fn parse<'a>(pairs: impl IntoIterator<Item = &'a str>) -> Result<Vec<Field>, FieldError> {
    let mut fields: Vec<Field> = Vec::new();
    for pair in pairs {
        let (name, value) = pair.split_once('=').ok_or_else(|| FieldError::Form(pair.to_owned()))?;
        let (name, value) = (name.trim(), value.trim());
        if !is_token(name) {
            return Err(FieldError::Name(name.to_owned()));
        }
        if CONNECTION.iter().any(|other| other.eq_ignore_ascii_case(name)) {
            return Err(FieldError::Connection(name.to_owned()));
        }
        if value.contains(|c: char| c.is_ascii_control() && c != '\t') {
            return Err(FieldError::Value(name.to_owned()));
        }
        let repeated = fields.iter().any(|field| field.name.eq_ignore_ascii_case(name));
        fields.push(Field { name: name.to_owned(), value: value.to_owned(), repeated });
    }
    Ok(fields)
}

/// RFC 9110 §7.6.1 and §7.8, RFC 9112 §6: they are about the hop or the framing.
const CONNECTION: [&str; 11] = [
    "Connection",
    "Content-Length",
    "Expect",
    "Host",
    "HTTP2-Settings",
    "Keep-Alive",
    "Proxy-Connection",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
];

/// RFC 9110 §5.6.2.
fn is_token(name: &str) -> bool {
    const OTHERS: &[u8] = b"!#$%&'*+-.^_`|~";
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || OTHERS.contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_fields() {
        let field = |name: &str, value: &str, repeated| Field {
            name: name.to_owned(),
            value: value.to_owned(),
            repeated,
        };
        let fields = parse([" X-A = b=c ", "Set-Cookie=a", "set-cookie=b", "X-Empty="]).expect("valid");
        let expected = [
            field("X-A", "b=c", false),
            field("Set-Cookie", "a", false),
            field("set-cookie", "b", true),
            field("X-Empty", "", false),
        ];
        assert_eq!(fields, expected);
        assert_eq!(parse([]), Ok(Vec::new()));
    }

    #[test]
    fn what_cannot_be_set_is_named() {
        for (pair, error) in [
            ("X-A", FieldError::Form("X-A".to_owned())),
            ("", FieldError::Form(String::new())),
            ("=a", FieldError::Name(String::new())),
            ("X A=b", FieldError::Name("X A".to_owned())),
            ("X-\u{e4}=b", FieldError::Name("X-\u{e4}".to_owned())),
            ("X-A=b\r\nX-B: c", FieldError::Value("X-A".to_owned())),
            ("X-A=\u{7f}x", FieldError::Value("X-A".to_owned())),
            ("transfer-encoding=chunked", FieldError::Connection("transfer-encoding".to_owned())),
        ] {
            assert_eq!(parse(["X-Good=1", pair]), Err(error), "{pair:?}");
        }
    }
}
