//! What was wrong with a TLS connection, for those who have to say what to do about it.

use rustls::{AlertDescription, CertificateError, Error};
use std::error::Error as StdError;
use std::io;

/// Why two sides did not agree on TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsProblem {
    /// The certificate is of nobody whom this side trusts.
    UnknownAuthority,
    /// The certificate is good, for another name than the one that was called.
    WrongName,
    /// The certificate is not valid any more.
    Expired,
    /// The certificate is not valid yet, or a clock is wrong.
    NotYetValid,
    /// The certificate is one of an authority, which servers made for themselves often are; it proves nothing.
    SelfMade,
    /// Anything else about the certificate.
    Certificate,
    /// The other side wants a certificate from this one, or another one.
    ClientCertificate,
    /// The other side does not speak TLS.
    NoTls,
}

impl TlsProblem {
    /// The problem at the bottom of an error; none where it is about something else.
    pub fn of(error: &(dyn StdError + 'static)) -> Option<Self> {
        std::iter::successors(Some(error), |&error| match error.downcast_ref::<io::Error>() {
            // Its source is that of its payload, not the payload.
            Some(outer) => outer.get_ref().map(|inner| inner as &(dyn StdError + 'static)),
            None => error.source(),
        })
        .find_map(|error| error.downcast_ref::<Error>())
        .and_then(Self::of_rustls)
    }

    fn of_rustls(error: &Error) -> Option<Self> {
        Some(match error {
            Error::InvalidCertificate(certificate) => match certificate {
                // The latter: somebody trusted has the name of the authority, and another key.
                CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownAuthority,
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                    Self::WrongName
                }
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    Self::NotYetValid
                }
                // The name of the case is all that rustls hands on.
                CertificateError::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => {
                    Self::SelfMade
                }
                _ => Self::Certificate,
            },
            Error::AlertReceived(
                AlertDescription::CertificateRequired
                | AlertDescription::NoCertificate
                | AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA
                | AlertDescription::AccessDenied,
            ) => Self::ClientCertificate,
            Error::InvalidMessage(_) => Self::NoTls,
            _ => return None,
        })
    }
}
