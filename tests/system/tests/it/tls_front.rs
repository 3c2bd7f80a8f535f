//! TLS in front of a server that speaks none, with certificates made for the test.

use micro_net::tls::{Identity, ServerTls, server_config};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// How long ago, or for how long, a certificate is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Validity {
    Good,
    Expired,
}

/// Listens until it is dropped.
pub(crate) struct Front {
    folder: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
    shown: Arc<Mutex<TlsAcceptor>>,
    accepting: JoinHandle<()>,
    pub(crate) address: SocketAddr,
}

impl Front {
    pub(crate) async fn start(folder: &Path, server: SocketAddr, validity: Validity) -> Self {
        let mut authority = CertificateParams::new(Vec::new()).expect("no names");
        authority.distinguished_name.push(DnType::CommonName, "of the test");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(authority, key).expect("signed");
        std::fs::write(folder.join("roots.pem"), issuer.pem()).expect("written");
        let shown = Arc::new(Mutex::new(acceptor(folder, &issuer, validity)));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let accepting = tokio::spawn(accept(listener, server, shown.clone()));
        Self { folder: folder.to_owned(), issuer, shown, accepting, address }
    }

    /// Shows another certificate to new connections.
    pub(crate) fn show(&self, validity: Validity) {
        *self.shown.lock().expect("not poisoned") = acceptor(&self.folder, &self.issuer, validity);
    }

    /// PEM file of the authority.
    pub(crate) fn roots(&self) -> PathBuf {
        self.folder.join("roots.pem")
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn acceptor(folder: &Path, issuer: &CertifiedIssuer<'static, KeyPair>, validity: Validity) -> TlsAcceptor {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
    if validity == Validity::Expired {
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2020, 2, 1));
    }
    let certificate = params.signed_by(&key, issuer).expect("signed");
    let identity = Identity { certificate: folder.join("front.pem"), key: folder.join("front.key") };
    std::fs::write(&identity.certificate, certificate.pem()).expect("written");
    std::fs::write(&identity.key, key.serialize_pem()).expect("written");
    let settings = ServerTls { identity, client_roots: None };
    server_config(&settings, &["http/1.1"]).expect("good files").into()
}

async fn accept(listener: TcpListener, server: SocketAddr, shown: Arc<Mutex<TlsAcceptor>>) {
    // Connections end with it.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        let acceptor = shown.lock().expect("not poisoned").clone();
        connections.spawn(async move {
            // What fails is seen by the client.
            let Ok(mut client) = acceptor.accept(client).await else { return };
            let Ok(mut server) = TcpStream::connect(server).await else { return };
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        });
        while connections.try_join_next().is_some() {}
    }
}
