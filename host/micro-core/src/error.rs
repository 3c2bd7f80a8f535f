//! The error that travels on the wire: `{"id","code","detail","status"}`.

use crate::code::{Code, Coded};
use serde::{Deserialize, Serialize};
use std::fmt;

/// An error as Go Micro sends it (`go-micro-wire` §4.1). Its text form **is** the JSON object: in the `Micro-Error`
/// header, in gateway answers, in logs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    /// Where it arose: `go.micro.client`, or by convention the name of the service whose handler failed.
    #[serde(default)]
    pub id: String,
    /// An HTTP status code; 0 when the other side sent plain text.
    #[serde(default)]
    pub code: u16,
    /// What happened, for people.
    #[serde(default)]
    pub detail: String,
    /// The reason phrase of `code`.
    #[serde(default)]
    pub status: String,
}

impl Error {
    /// An error with the standard reason phrase of `code`.
    pub fn new(id: impl Into<String>, code: u16, detail: impl Into<String>) -> Self {
        Self { id: id.into(), code, detail: detail.into(), status: reason(code).to_owned() }
    }

    /// Reads an error's text: the JSON object, or any other text as `detail` with code 0.
    pub fn parse(text: &str) -> Self {
        let object = text.trim_start().starts_with('{').then(|| serde_json::from_str(text).ok()).flatten();
        object.unwrap_or_else(|| Self { detail: text.to_owned(), ..Self::default() })
    }

    /// Whether this is an overall or connection timeout (code 408).
    pub fn is_timeout(&self) -> bool {
        self.code == 408
    }

    /// Whether the thing asked for does not exist (code 404).
    pub fn is_not_found(&self) -> bool {
        self.code == 404
    }

    /// Code 400.
    pub fn bad_request(id: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(id, 400, detail)
    }

    /// Code 401.
    pub fn unauthorized(id: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(id, 401, detail)
    }

    /// Code 403.
    pub fn forbidden(id: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(id, 403, detail)
    }

    /// Code 404.
    pub fn not_found(id: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(id, 404, detail)
    }

    /// Code 405.
    pub fn method_not_allowed(id: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(id, 405, detail)
    }

    /// Code 408.
    pub fn timeout(id: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(id, 408, detail)
    }

    /// Code 409.
    pub fn conflict(id: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(id, 409, detail)
    }

    /// Code 500.
    pub fn internal(id: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(id, 500, detail)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = serde_json::to_string(self).map_err(|_| fmt::Error)?;
        // The one control character that JSON lets stand, and that no header field may hold.
        f.write_str(&text.replace('\u{7f}', "\\u007f"))
    }
}

impl std::error::Error for Error {}

/// By status, and by who says so: what the client found out by itself begins with its own name.
impl Coded for Error {
    fn code(&self) -> Code {
        let own = self.id.starts_with("go.micro.client");
        // Calls over gRPC are converted by what is known of the methods; a node was found then.
        let codec = self.id == "go.micro.client.codec";
        match self.code {
            501 if codec => Code::CALL_DEFINITIONS,
            404 if own && !codec => Code::CALL_NO_NODE,
            404 | 501 => Code::CALL_NO_ENDPOINT,
            408 => Code::CALL_TIMEOUT,
            401 | 403 => Code::CALL_REFUSED,
            400 => Code::CALL_REQUEST,
            _ if own => Code::CALL_UNREACHABLE,
            _ => Code::CALL_FAILED,
        }
    }
}

/// The reason phrase of an HTTP status code (RFC 9110 §15), as Go's `http.StatusText` spells it; empty if unknown.
pub fn reason(code: u16) -> &'static str {
    match code {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Request Entity Too Large",
        414 => "Request URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        422 => "Unprocessable Entity",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_is_the_json_object_of_go_micro() {
        let error = Error::bad_request("greeter.hello", "bad x");
        let text = r#"{"id":"greeter.hello","code":400,"detail":"bad x","status":"Bad Request"}"#;
        assert_eq!(error.to_string(), text);
        assert_eq!(Error::parse(text), error);
    }

    #[test]
    fn no_text_breaks_a_header_field() {
        let error = Error::internal("a\u{7f}", (0..0xff).map(char::from).collect::<String>());
        let text = error.to_string();
        assert!(!text.bytes().any(|byte| byte.is_ascii_control()), "{text}");
        assert_eq!(Error::parse(&text), error);
    }

    #[test]
    fn other_texts_are_a_detail_without_code() {
        for text in ["boom", "", "{", "{\"code\":\"x\"}", "[1]", "{\"code\":70000}"] {
            assert_eq!(Error::parse(text), Error { detail: text.to_owned(), ..Error::default() });
        }
        // Go leaves out empty members from v2 on.
        assert_eq!(Error::parse(r#"{"code":404}"#), Error { code: 404, ..Error::default() });
    }
}
