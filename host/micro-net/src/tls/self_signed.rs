//! A certificate that a server makes for itself.

use super::{TlsError, protocols, provider};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use std::sync::Arc;

/// A server configuration with a certificate that nobody vouches for: made now, for `names` (DNS names and IP addresses),
/// and gone with the process. Callers can encrypt with it, but not tell who answers; those that verify refuse it. It is
/// what Go Micro's transports present when they are told to be secure and nothing else.
///
/// # Errors
/// A name that no certificate can be for.
pub fn self_signed_config(names: &[String], alpn: &[&str]) -> Result<Arc<ServerConfig>, TlsError> {
    let failed = |error: &dyn std::error::Error| TlsError::SelfSigned {
        names: names.to_vec(),
        problem: error.to_string(),
    };
    let mut params = CertificateParams::new(names.to_vec()).map_err(|error| failed(&error))?;
    params.distinguished_name.push(DnType::CommonName, "self-signed by micro");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate().map_err(|error| failed(&error))?;
    let certificate = params.self_signed(&key).map_err(|error| failed(&error))?;
    let key = PrivateKeyDer::try_from(key.serialize_der())
        .map_err(|problem| TlsError::SelfSigned { names: names.to_vec(), problem: problem.to_owned() })?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("ring supports TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .map_err(|error| failed(&error))?;
    config.alpn_protocols = protocols(alpn);
    Ok(Arc::new(config))
}
