//! TLS in both directions, with certificates made for the test.

use crate::support::{PATIENCE, Server, message, soon};
use micro_net::tls::{ClientTls, Identity, ServerTls, TlsError, client_config, server_config};
use micro_net::wire::{ExchangeError, Limits, Pool, PoolConfig};
use micro_net::{DialError, Dialer, EgressPolicy, StaticResolver};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// An authority, and PEM files of it and of what it signed.
pub(crate) struct Authority {
    folder: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer =
            CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed");
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("roots.pem"), issuer.pem()).expect("written");
        Self { folder, issuer }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    pub(crate) fn roots(&self) -> PathBuf {
        self.path("roots.pem")
    }

    pub(crate) fn identity(&self, name: &str) -> Identity {
        self.identity_with(name, |_| {})
    }

    /// An identity whose certificate says something unusual.
    pub(crate) fn identity_with(&self, name: &str, say: impl FnOnce(&mut CertificateParams)) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        say(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        let identity = Identity {
            certificate: self.path(&format!("{name}.pem")),
            key: self.path(&format!("{name}.key")),
        };
        std::fs::write(&identity.certificate, certificate.pem()).expect("written");
        std::fs::write(&identity.key, key.serialize_pem()).expect("written");
        identity
    }
}

pub(crate) async fn server(identity: Identity, client_roots: Option<PathBuf>) -> Server {
    let config = server_config(&ServerTls { identity, client_roots }, &["http/1.1"]).expect("good files");
    Server::with(Limits::default(), PATIENCE, |listener| listener.with_tls(config)).await
}

/// Two exchanges with `server.test` by name.
pub(crate) async fn call(server: &Server, tls: &ClientTls) -> Result<String, ExchangeError> {
    let names = StaticResolver::new().with("server.test", [server.addr.ip()]);
    let dialer = Dialer::new(EgressPolicy::unrestricted()).with_resolver(Arc::new(names));
    let tls = Some(client_config(tls, &["http/1.1"]).expect("good files"));
    let pool = Pool::new(PoolConfig { dialer, tls, ..PoolConfig::default() });
    let address = format!("server.test:{}", server.addr.port());
    let mut body = String::new();
    for part in ["hello ", "again"] {
        let answer = soon(pool.exchange(&address, &message(&[], part), PATIENCE)).await?;
        body += std::str::from_utf8(&answer.body).expect("an echo");
        assert_eq!(pool.idle(), 1, "TLS connections are reused, tickets or not");
    }
    Ok(body)
}

#[tokio::test]
async fn a_trusted_server_is_called_and_an_untrusted_one_is_not() {
    let (authority, other) = (Authority::new("ours"), Authority::new("theirs"));
    let server = server(authority.identity("server.test"), None).await;
    let trusting = ClientTls { roots: Some(authority.roots()), ..ClientTls::default() };
    assert_eq!(call(&server, &trusting).await.expect("trusted"), "hello again");
    let blind = ClientTls { insecure_skip_verify: true, ..ClientTls::default() };
    assert_eq!(call(&server, &blind).await.expect("not looked at"), "hello again");
    let wary = ClientTls { roots: Some(other.roots()), ..ClientTls::default() };
    let error = call(&server, &wary).await.expect_err("not trusted");
    assert!(matches!(error, ExchangeError::Dial(DialError::Tls { .. })), "{error:?}");
    assert!(micro_net::error_chain(&error).contains("UnknownIssuer"), "{}", micro_net::error_chain(&error));
    server.stopped().await;
}

#[tokio::test]
async fn a_certificate_of_another_name_is_not_accepted() {
    let authority = Authority::new("ours");
    let server = server(authority.identity("other.test"), None).await;
    let tls = ClientTls { roots: Some(authority.roots()), ..ClientTls::default() };
    let error = call(&server, &tls).await.expect_err("the wrong name");
    assert!(matches!(&error, ExchangeError::Dial(error) if error.is_certificate()), "{error:?}");
}

#[tokio::test]
async fn a_server_that_wants_certificates_gets_them_or_refuses() {
    let (authority, stranger) = (Authority::new("ours"), Authority::new("theirs"));
    let server = server(authority.identity("server.test"), Some(authority.roots())).await;
    let mut tls = ClientTls { roots: Some(authority.roots()), ..ClientTls::default() };
    // In TLS 1.3 the client finds out with its first read.
    assert!(!matches!(call(&server, &tls).await, Ok(_) | Err(ExchangeError::Status { .. })));
    tls.identity = Some(authority.identity("client.test"));
    assert_eq!(call(&server, &tls).await.expect("known"), "hello again");
    tls.identity = Some(stranger.identity("client.test"));
    assert!(call(&server, &tls).await.is_err());
    assert_eq!(server.echo.state.started.get(), 2, "only the known client got through");
}

#[tokio::test]
async fn plain_and_tls_do_not_mix() {
    let authority = Authority::new("ours");
    let tls_server = server(authority.identity("server.test"), None).await;
    let mut raw = tls_server.connect().await;
    raw.send("GET / HTTP/1.1\r\n\r\n").await;
    let got = raw.rest().await;
    assert!(!got.contains("HTTP"), "{got:?}");
    let plain_server = Server::start().await;
    let tls = ClientTls { roots: Some(authority.roots()), ..ClientTls::default() };
    let error = call(&plain_server, &tls).await.expect_err("no TLS there");
    assert!(
        matches!(&error, ExchangeError::Dial(it @ DialError::Tls { .. }) if !it.is_certificate()),
        "{error:?}"
    );
}

#[test]
fn unusable_files_are_named() {
    let authority = Authority::new("ours");
    let (first, second) = (authority.identity("a.test"), authority.identity("b.test"));
    let empty = authority.path("empty.pem");
    std::fs::write(&empty, "nothing here").expect("written");
    let absent = authority.path("absent.pem");
    let serve = |certificate: &Path, key: &Path| {
        let identity = Identity { certificate: certificate.to_owned(), key: key.to_owned() };
        server_config(&ServerTls { identity, client_roots: None }, &[]).expect_err("unusable")
    };
    let trust = |roots: &Path| {
        let tls = ClientTls { roots: Some(roots.to_owned()), ..ClientTls::default() };
        client_config(&tls, &[]).expect_err("unusable")
    };
    for (error, file, problem) in [
        (trust(&absent), &absent, "No such file"),
        (trust(&empty), &empty, "no certificates in"),
        (serve(&empty, &first.key), &empty, "no certificates in"),
        (serve(&absent, &first.key), &absent, "cannot read certificates"),
        (serve(&first.certificate, &absent), &absent, "cannot read private key"),
        (serve(&first.certificate, &empty), &empty, "no private key in"),
        (serve(&first.certificate, &second.key), &second.key, "cannot use certificate"),
    ] {
        let text = micro_net::error_chain(&error);
        assert!(text.contains(&file.display().to_string()) && text.contains(problem), "{text}");
    }
    let tls = ClientTls { roots: Some(authority.roots()), ..ClientTls::default() };
    assert!(!matches!(client_config(&tls, &[]), Err(TlsError::Missing { .. })));
}
