//! TLS settings from files. The one place that names a crypto provider: two in one tree would panic at the first
//! handshake that has to choose.

mod problem;
mod self_signed;
mod verify;

pub use problem::TlsProblem;
pub use self_signed::self_signed_config;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

/// The crypto behind every connection of the process: *ring*.
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(rustls::crypto::ring::default_provider()));
    Arc::clone(&PROVIDER)
}

/// A certificate chain and its private key, both PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, followed by its intermediates.
    pub certificate: PathBuf,
    /// The private key in PKCS#8, PKCS#1 or SEC1 form.
    pub key: PathBuf,
}

/// How to be a TLS client. The default trusts the roots of the operating system and presents no certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientTls {
    /// PEM file of the only authorities to trust; `None` for those of the operating system.
    pub roots: Option<PathBuf>,
    /// What to present when the server asks for a certificate.
    pub identity: Option<Identity>,
    /// The name that certificates are checked for, in place of the host that is called: where nodes are called by IP
    /// address and their certificates have names. `None` for the host.
    pub server_name: Option<String>,
    /// Accept any certificate of any name. The connection is encrypted, but to whom is unknown.
    pub insecure_skip_verify: bool,
}

/// How to be a TLS server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTls {
    /// What to present.
    pub identity: Identity,
    /// PEM file of authorities; when given, clients must present a certificate of one of them.
    pub client_roots: Option<PathBuf>,
}

/// TLS settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file cannot be read, or is not PEM.
    #[error("cannot read {what} from {path:?}")]
    Read {
        /// `certificates` or `private key`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is fine, but holds nothing of the kind.
    #[error("no {what} in {path:?}")]
    Missing {
        /// `certificates` or `private key`.
        what: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// The file holds a certificate that cannot be an authority.
    #[error("unusable authority in {path:?}")]
    Root {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// Certificate and key do not belong together, or are of an unknown kind.
    #[error("cannot use certificate {certificate:?} with key {key:?}")]
    Identity {
        /// The certificate file.
        certificate: PathBuf,
        /// The key file.
        key: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// The operating system has no usable roots.
    #[error("no trusted certificates on this system: {problem}; name a file of roots")]
    NoNativeRoots {
        /// What was tried.
        problem: String,
    },
    /// The authorities for clients cannot be used.
    #[error("cannot verify clients with {path:?}")]
    ClientRoots {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: VerifierBuilderError,
    },
    /// The authorities for servers cannot be used.
    #[error("cannot verify servers with {roots}")]
    Roots {
        /// The file, or the operating system.
        roots: String,
        /// Why.
        #[source]
        source: VerifierBuilderError,
    },
    /// No certificate can be issued to such a name.
    #[error("{name:?} is no name of a server: use a DNS name or an IP address")]
    ServerName {
        /// As it was given.
        name: String,
    },
    /// A certificate for this process alone could not be made.
    #[error("cannot make a certificate for {names:?}: {problem}")]
    SelfSigned {
        /// What it was to be for.
        names: Vec<String>,
        /// Why.
        problem: String,
    },
}

/// A client configuration that offers the protocols `alpn`, best first; none offers nothing.
///
/// # Errors
/// A file cannot be used; see [`TlsError`].
pub fn client_config(settings: &ClientTls, alpn: &[&str]) -> Result<Arc<ClientConfig>, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("ring supports TLS 1.2 and 1.3");
    let builder = if settings.insecure_skip_verify {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(verify::AnyServer(provider())))
    } else {
        let roots = client_roots(settings.roots.as_deref())?;
        match &settings.server_name {
            None => builder.with_root_certificates(roots),
            Some(name) => {
                let verifier = Arc::new(named(settings, roots, name)?);
                builder.dangerous().with_custom_certificate_verifier(verifier)
            }
        }
    };
    let mut config = match &settings.identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let (chain, key) = load_identity(identity)?;
            builder.with_client_auth_cert(chain, key).map_err(|source| bad_identity(identity, source))?
        }
    };
    config.alpn_protocols = protocols(alpn);
    Ok(Arc::new(config))
}

/// A server configuration that accepts the protocols `alpn`, best first; none accepts any.
///
/// # Errors
/// A file cannot be used; see [`TlsError`].
pub fn server_config(settings: &ServerTls, alpn: &[&str]) -> Result<Arc<ServerConfig>, TlsError> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("ring supports TLS 1.2 and 1.3");
    let builder = match &settings.client_roots {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(roots(path)?.into(), provider())
                .build()
                .map_err(|source| TlsError::ClientRoots { path: path.clone(), source })?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let (chain, key) = load_identity(&settings.identity)?;
    let mut config =
        builder.with_single_cert(chain, key).map_err(|source| bad_identity(&settings.identity, source))?;
    config.alpn_protocols = protocols(alpn);
    Ok(Arc::new(config))
}

/// Checks certificates for `name`, whatever host was called.
fn named(settings: &ClientTls, roots: RootCertStore, name: &str) -> Result<verify::NamedServer, TlsError> {
    let server =
        ServerName::try_from(name.to_owned()).map_err(|_| TlsError::ServerName { name: name.to_owned() })?;
    let checks = WebPkiServerVerifier::builder_with_provider(roots.into(), provider()).build();
    let checks = checks.map_err(|source| {
        let roots = settings.roots.as_ref().map(|path| path.display().to_string());
        TlsError::Roots { roots: roots.unwrap_or_else(|| "the roots of this system".to_owned()), source }
    })?;
    Ok(verify::NamedServer { checks, name: server })
}

fn protocols(alpn: &[&str]) -> Vec<Vec<u8>> {
    alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect()
}

fn client_roots(file: Option<&Path>) -> Result<RootCertStore, TlsError> {
    if let Some(path) = file {
        return roots(path);
    }
    let found = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    // Systems carry the odd certificate that is too old to parse; the others are still good.
    let (usable, _) = store.add_parsable_certificates(found.certs);
    if usable == 0 {
        let problem = found.errors.first().map_or_else(|| "none found".to_owned(), ToString::to_string);
        return Err(TlsError::NoNativeRoots { problem });
    }
    Ok(store)
}

fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(path)? {
        store.add(certificate).map_err(|source| TlsError::Root { path: path.to_owned(), source })?;
    }
    Ok(store)
}

fn load_identity(
    identity: &Identity,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    let chain = certificates(&identity.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&identity.key)
        .map_err(|error| pem_error("private key", &identity.key, error))?;
    Ok((chain, key))
}

fn bad_identity(identity: &Identity, source: rustls::Error) -> TlsError {
    TlsError::Identity { certificate: identity.certificate.clone(), key: identity.key.clone(), source }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    const WHAT: &str = "certificates";
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| pem_error(WHAT, path, error))?;
    if found.is_empty() { Err(TlsError::Missing { what: WHAT, path: path.to_owned() }) } else { Ok(found) }
}

fn pem_error(what: &'static str, path: &Path, error: pem::Error) -> TlsError {
    let path = path.to_owned();
    match error {
        pem::Error::NoItemsFound => TlsError::Missing { what, path },
        pem::Error::Io(source) => TlsError::Read { what, path, source },
        other => TlsError::Read { what, path, source: io::Error::new(io::ErrorKind::InvalidData, other) },
    }
}
