//! How the host makes a plugin's TLS connections.

#[cfg(feature = "plugins")]
use super::BackendError;
use crate::flags::Flags;
use std::path::PathBuf;

/// How the host makes a plugin's TLS connections. Keys never reach the plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginTls {
    /// PEM file with the certificates to trust, in place of the operating system's.
    pub ca_file: Option<PathBuf>,
    /// PEM file with the certificate to show; needs `key_file`.
    pub cert_file: Option<PathBuf>,
    /// PEM file with the key of `cert_file`.
    pub key_file: Option<PathBuf>,
    /// Trusts anybody. For experiments.
    pub skip_verify: bool,
}

impl PluginTls {
    pub(super) fn with_flags(self, flags: &Flags) -> Self {
        Self {
            ca_file: flags.registry_tls_ca_file.clone().or(self.ca_file),
            cert_file: flags.registry_tls_cert_file.clone().or(self.cert_file),
            key_file: flags.registry_tls_key_file.clone().or(self.key_file),
            skip_verify: flags.registry_tls_skip_verify.unwrap_or(self.skip_verify),
        }
    }
}

#[cfg(feature = "plugins")]
impl PluginTls {
    /// None when nothing was said.
    pub(super) fn settings(&self) -> Result<Option<micro_net::tls::ClientTls>, BackendError> {
        if *self == Self::default() {
            return Ok(None);
        }
        let identity = match (&self.cert_file, &self.key_file) {
            (None, None) => None,
            (Some(certificate), Some(key)) => {
                Some(micro_net::tls::Identity { certificate: certificate.clone(), key: key.clone() })
            }
            _ => {
                let problem = "--registry_tls_cert_file and --registry_tls_key_file need each other";
                return Err(BackendError::Flag(problem.to_owned()));
            }
        };
        let roots = self.ca_file.clone();
        Ok(Some(micro_net::tls::ClientTls {
            roots,
            identity,
            insecure_skip_verify: self.skip_verify,
            ..Default::default()
        }))
    }
}
