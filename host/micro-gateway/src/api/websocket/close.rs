//! How websockets end.

use micro_core::Error;
use tokio_tungstenite::tungstenite::Error as SocketError;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// The bytes of a reason that fit into a frame that closes (RFC 6455 §5.5).
const LONGEST_REASON: usize = 123;
/// Codes of errors are added to this: 4000 to 4999 is for programs (RFC 6455 §7.4.2).
const ERRORS: u16 = 4000;

/// Why a websocket ends.
#[derive(Debug)]
pub(super) enum Ended {
    /// The service has said everything.
    Normally,
    /// The client closed, or its connection is gone.
    ByClient,
    /// The call failed.
    Failed(Error),
    /// The client sent what cannot be taken, or is not heard of any more.
    Refused(CloseCode, String),
}

impl Ended {
    /// The end that an error of the connection is.
    pub(super) fn of_socket(error: &SocketError) -> Self {
        match error {
            SocketError::Capacity(_) => {
                let why = format!("a message is larger than {} bytes", super::LARGEST_MESSAGE);
                Self::Refused(CloseCode::Size, why)
            }
            SocketError::Utf8(_) => Self::Refused(CloseCode::Invalid, "a text is not UTF-8".to_owned()),
            SocketError::Protocol(error) => Self::Refused(CloseCode::Protocol, error.to_string()),
            _ => Self::ByClient,
        }
    }

    /// The last message before the end.
    pub(super) fn message(&self) -> Option<String> {
        match self {
            Self::Failed(error) => Some(format!("{{\"error\":{error}}}")),
            _ => None,
        }
    }

    /// The frame that closes; none where the client has closed.
    pub(super) fn frame(&self) -> Option<CloseFrame> {
        let (code, reason) = match self {
            Self::Normally => (CloseCode::Normal, ""),
            Self::ByClient => return None,
            Self::Failed(error) => {
                let code = if (400..600).contains(&error.code) { error.code } else { 500 };
                (CloseCode::from(ERRORS + code), error.detail.as_str())
            }
            Self::Refused(code, why) => (*code, why.as_str()),
        };
        let end = (0..=LONGEST_REASON.min(reason.len())).rev().find(|&at| reason.is_char_boundary(at));
        let reason = reason[..end.unwrap_or(0)].to_owned();
        Some(CloseFrame { code, reason: reason.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_become_codes_of_ours() {
        for (code, expected) in [(404, 4404), (500, 4500), (0, 4500), (700, 4500), (408, 4408)] {
            let ended = Ended::Failed(Error::new("a", code, "ä".repeat(100)));
            let frame = ended.frame().expect("a frame");
            assert_eq!(u16::from(frame.code), expected);
            assert!(frame.reason.len() <= LONGEST_REASON && frame.reason.starts_with("ä"));
        }
        assert_eq!(u16::from(Ended::Normally.frame().expect("a frame").code), 1000);
        assert!(Ended::ByClient.frame().is_none());
    }
}
