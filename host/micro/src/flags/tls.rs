//! Flags about TLS between services.

use crate::client::{Security, SecurityRules};
use crate::service::ServiceTls;
use clap::Args;
use micro_net::tls::{ClientTls, Identity, ServerTls};
use std::path::PathBuf;

/// TLS of this process's RPC port, and of its calls.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Framework options")]
pub struct TlsFlags {
    /// PEM file with the certificate of the RPC port, which then speaks TLS; read again when it changes
    #[arg(
        long = "server_tls_cert_file",
        env = "MICRO_SERVER_TLS_CERT_FILE",
        global = true,
        value_name = "FILE"
    )]
    pub server_tls_cert_file: Option<PathBuf>,

    /// PEM file with the key of that certificate
    #[arg(
        long = "server_tls_key_file",
        env = "MICRO_SERVER_TLS_KEY_FILE",
        global = true,
        value_name = "FILE"
    )]
    pub server_tls_key_file: Option<PathBuf>,

    /// PEM file with authorities: callers of the RPC port must show a certificate of one of them
    #[arg(
        long = "server_tls_client_ca_file",
        env = "MICRO_SERVER_TLS_CLIENT_CA_FILE",
        global = true,
        value_name = "FILE"
    )]
    pub server_tls_client_ca_file: Option<PathBuf>,

    /// Speak TLS on the RPC port with a certificate made at start, for callers that check none
    #[arg(long = "server_tls_self_signed", env = "MICRO_SERVER_TLS_SELF_SIGNED", global = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub server_tls_self_signed: Option<bool>,

    /// PEM file with the authorities that nodes called over TLS are checked against [default: the system's]
    #[arg(long = "client_tls_ca_file", env = "MICRO_CLIENT_TLS_CA_FILE", global = true, value_name = "FILE")]
    pub client_tls_ca_file: Option<PathBuf>,

    /// PEM file with the certificate to show to nodes that want one
    #[arg(
        long = "client_tls_cert_file",
        env = "MICRO_CLIENT_TLS_CERT_FILE",
        global = true,
        value_name = "FILE"
    )]
    pub client_tls_cert_file: Option<PathBuf>,

    /// PEM file with the key of that certificate
    #[arg(
        long = "client_tls_key_file",
        env = "MICRO_CLIENT_TLS_KEY_FILE",
        global = true,
        value_name = "FILE"
    )]
    pub client_tls_key_file: Option<PathBuf>,

    /// Name that nodes' certificates must be for [default: the host that is called]
    #[arg(
        long = "client_tls_server_name",
        env = "MICRO_CLIENT_TLS_SERVER_NAME",
        global = true,
        value_name = "NAME"
    )]
    pub client_tls_server_name: Option<String>,

    /// Which services are called over TLS, whatever their records say: verify, skip_verify (accept any certificate) or
    /// off; * at the end of the name stands for anything. Repeatable
    #[arg(long = "service_tls", env = "MICRO_SERVICE_TLS", value_parser = SecurityRules::parse, value_delimiter = ',', global = true, value_name = "NAME=KIND")]
    pub service_tls: Vec<(String, Security)>,
}

impl TlsFlags {
    /// The RPC port's; none when nothing was said, and then code decides.
    ///
    /// # Errors
    /// A text that says which flags do not fit.
    pub(crate) fn server(&self) -> Result<Option<ServiceTls>, String> {
        let own = self.server_tls_self_signed == Some(true);
        let identity = identity("server_tls", &self.server_tls_cert_file, &self.server_tls_key_file)?;
        let client_roots = self.server_tls_client_ca_file.clone();
        match identity {
            Some(_) if own => Err("--server_tls_self_signed makes a certificate where \
                                   --server_tls_cert_file names one: use one of them"
                .to_owned()),
            Some(identity) => Ok(Some(ServiceTls::Files(ServerTls { identity, client_roots }))),
            None if client_roots.is_some() => Err(
                "--server_tls_client_ca_file needs --server_tls_cert_file and --server_tls_key_file as well"
                    .to_owned(),
            ),
            None => Ok(own.then_some(ServiceTls::SelfSigned)),
        }
    }

    /// The client's; none when nothing was said.
    ///
    /// # Errors
    /// A text that says which flags do not fit.
    pub(crate) fn client(&self) -> Result<Option<ClientTls>, String> {
        let tls = ClientTls {
            roots: self.client_tls_ca_file.clone(),
            identity: identity("client_tls", &self.client_tls_cert_file, &self.client_tls_key_file)?,
            server_name: self.client_tls_server_name.clone(),
            insecure_skip_verify: false,
        };
        Ok((tls != ClientTls::default()).then_some(tls))
    }
}

fn identity(
    flag: &str,
    certificate: &Option<PathBuf>,
    key: &Option<PathBuf>,
) -> Result<Option<Identity>, String> {
    match (certificate, key) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => {
            Ok(Some(Identity { certificate: certificate.clone(), key: key.clone() }))
        }
        _ => Err(format!("--{flag}_cert_file and --{flag}_key_file need each other")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_that_do_not_fit_are_named() {
        let file = |name: &str| Some(PathBuf::from(name));
        for (flags, part) in [
            (
                TlsFlags { server_tls_cert_file: file("a.pem"), ..TlsFlags::default() },
                "--server_tls_cert_file and --server_tls_key_file need each other",
            ),
            (
                TlsFlags { server_tls_client_ca_file: file("ca.pem"), ..TlsFlags::default() },
                "--server_tls_client_ca_file needs",
            ),
            (
                TlsFlags {
                    server_tls_cert_file: file("a.pem"),
                    server_tls_key_file: file("a.key"),
                    server_tls_self_signed: Some(true),
                    ..TlsFlags::default()
                },
                "use one of them",
            ),
        ] {
            let error = flags.server().expect_err(part);
            assert!(error.contains(part), "{error}");
        }
        let lone = TlsFlags { client_tls_key_file: file("a.key"), ..TlsFlags::default() };
        assert!(lone.client().expect_err("no certificate").contains("--client_tls_cert_file"));
        assert_eq!(TlsFlags::default().client(), Ok(None));
        assert!(matches!(TlsFlags::default().server(), Ok(None)));
        let own = TlsFlags { server_tls_self_signed: Some(true), ..TlsFlags::default() };
        assert!(matches!(own.server(), Ok(Some(ServiceTls::SelfSigned))));
    }
}
