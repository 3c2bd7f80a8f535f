use std::time::Duration;
use wasip3::http::types::ErrorCode;

/// A request without an answer, or an answer that broke off.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{authority}: {cause}")]
pub struct Error {
    /// To whom the request went: `host` or `host:port`.
    pub authority: String,
    /// How it failed.
    pub cause: Cause,
}

/// How a request failed, by what the caller can do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// The host's policy does not let this plugin talk to this address.
    #[error("the host does not allow requests to this address")]
    Denied,
    /// This is no URL, header or method. No host was asked.
    #[error("{0}")]
    Invalid(String),
    /// No connection, so the server has not seen the request: another server may be asked.
    #[error("{0}")]
    Connect(String),
    /// The server may have seen the request, or even have begun to answer.
    #[error("{0}")]
    Broken(String),
    /// Nothing came for so long.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The body is longer than the number of bytes that the caller accepts.
    #[error("the answer is longer than {0} bytes")]
    TooLarge(usize),
}

impl From<Error> for crate::Error {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error.cause {
            Cause::Denied => Self::Denied(text),
            Cause::Invalid(_) => Self::Invalid(text),
            Cause::Connect(_) | Cause::Broken(_) | Cause::Timeout(_) => Self::unavailable(text),
            Cause::TooLarge(_) => Self::Other(text),
        }
    }
}

impl From<ErrorCode> for Cause {
    fn from(code: ErrorCode) -> Self {
        let connect = |reason: &str| Self::Connect(reason.to_owned());
        match code {
            ErrorCode::HttpRequestDenied | ErrorCode::DestinationIpProhibited => Self::Denied,
            ErrorCode::ConnectionRefused => connect("connection refused"),
            ErrorCode::ConnectionTimeout => connect("no connection in time"),
            ErrorCode::ConnectionLimitReached => connect("too many connections"),
            ErrorCode::DestinationNotFound => connect("no such host"),
            ErrorCode::DestinationUnavailable => connect("host unavailable"),
            ErrorCode::DestinationIpUnroutable => connect("no route to the host"),
            ErrorCode::DnsTimeout => connect("no answer from DNS"),
            ErrorCode::DnsError(payload) => Self::Connect(match payload.rcode {
                Some(rcode) => format!("DNS: {rcode}"),
                None => "no such host".to_owned(),
            }),
            ErrorCode::TlsProtocolError => connect("TLS handshake failed"),
            ErrorCode::TlsCertificateError => connect("TLS certificate not accepted"),
            ErrorCode::TlsAlertReceived(payload) => {
                Self::Connect(format!("TLS alert: {}", payload.alert_message.unwrap_or_default()))
            }
            ErrorCode::HttpRequestUriInvalid | ErrorCode::HttpRequestMethodInvalid => {
                Self::Invalid("not a valid request".to_owned())
            }
            ErrorCode::ConnectionTerminated => Self::Broken("connection closed".to_owned()),
            ErrorCode::HttpResponseIncomplete => Self::Broken("the answer broke off".to_owned()),
            ErrorCode::ConnectionReadTimeout | ErrorCode::HttpResponseTimeout => {
                Self::Broken("no answer in time".to_owned())
            }
            ErrorCode::InternalError(Some(text)) => Self::Broken(text),
            other => Self::Broken(format!("{other:?}")),
        }
    }
}
