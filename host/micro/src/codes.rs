//! The codes of failures that programs with this library can have.

use crate::backends::BackendError;
use crate::service::ServiceError;
use micro_core::code::{Code, Coded};
use micro_core::{BrokerError, Error, RegistryError};
use micro_net::listen::ListenError;
use micro_net::tls::TlsError;

impl Coded for BackendError {
    fn code(&self) -> Code {
        match self {
            Self::Flag(_) => Code::VALUE,
            Self::NoOptions { .. } | Self::Ambiguous { .. } => Code::BACKEND_OPTIONS,
            Self::NoBroker(_) => Code::BROKER_KIND,
            Self::NoPlugins(_) => Code::PLUGIN_SUPPORT,
            #[cfg(feature = "plugins")]
            Self::Host(error) => error.code(),
            #[cfg(feature = "plugins")]
            Self::Plugin(error) => error.code(),
        }
    }
}

impl Coded for ServiceError {
    fn code(&self) -> Code {
        match self {
            Self::Flag(_) => Code::VALUE,
            Self::Backend { source, .. } => source.code(),
            Self::Listen { .. } => Code::LISTEN,
            Self::Broker { source, .. } => source.code(),
            Self::Tls { .. } => Code::TLS,
            Self::Admin { .. } | Self::Hook { .. } => Code::START,
        }
    }
}

/// The code of the first error in a chain of causes whose kind has one.
pub fn code_of(error: &(dyn std::error::Error + 'static)) -> Option<Code> {
    std::iter::successors(Some(error), |error| error.source()).find_map(own_code)
}

fn own_code(error: &(dyn std::error::Error + 'static)) -> Option<Code> {
    fn of<E: Coded + std::error::Error + 'static>(error: &(dyn std::error::Error + 'static)) -> Option<Code> {
        error.downcast_ref::<E>().map(Coded::code)
    }
    let known = of::<ServiceError>(error)
        .or_else(|| of::<BackendError>(error))
        .or_else(|| of::<RegistryError>(error))
        .or_else(|| of::<BrokerError>(error))
        .or_else(|| of::<Error>(error));
    #[cfg(feature = "plugins")]
    let known = known
        .or_else(|| of::<micro_wasm::LoadError>(error))
        .or_else(|| of::<micro_wasm::SwapError>(error))
        .or_else(|| of::<micro_wasm::HostError>(error))
        .or_else(|| of::<micro_wasm::probe::CallError>(error));
    // The network knows no codes.
    known
        .or_else(|| error.is::<ListenError>().then_some(Code::LISTEN))
        .or_else(|| error.is::<TlsError>().then_some(Code::TLS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn the_first_error_that_has_a_code_counts() {
        let unknown = io::Error::other("x");
        assert_eq!(code_of(&unknown), None);
        let flag = ServiceError::Backend {
            service: "a".to_owned(),
            source: BackendError::NoPlugins("b".to_owned()),
        };
        assert_eq!(code_of(&flag), Some(Code::PLUGIN_SUPPORT));
        let wrapped =
            io::Error::other(RegistryError::Other { registry: "a".to_owned(), reason: "b".to_owned() });
        assert_eq!(code_of(&wrapped), None, "an io::Error names the cause of its payload, not the payload");
        assert_eq!(code_of(&Error::not_found("go.micro.client", "x")), Some(Code::CALL_NO_NODE));
        assert_eq!(code_of(&Error::not_found("greeter", "x")), Some(Code::CALL_NO_ENDPOINT));
    }
}
