//! TLS between services of this library.

use super::{builder, echo};
use crate::client::{CallOptions, Protocol, Security};
use crate::payload::Json;
use crate::registry::MemoryRegistry;
use crate::service::{RunningService, Service, ServiceError, ServiceTls};
use crate::stream::ClientStream;
use micro_core::{Error, Registry};
use micro_net::tls::{ClientTls, Identity, ServerTls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

/// An authority, with what it signed, in files.
struct Authority {
    folder: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer =
            CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed");
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("roots.pem"), issuer.pem()).expect("written");
        Self { folder, issuer }
    }

    fn client(&self) -> ClientTls {
        ClientTls { roots: Some(self.folder.path().join("roots.pem")), ..ClientTls::default() }
    }

    fn identity(&self, name: &str) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        let file = |kind: &str| self.folder.path().join(format!("{name}.{kind}"));
        let identity = Identity { certificate: file("pem"), key: file("key") };
        std::fs::write(&identity.certificate, certificate.pem()).expect("written");
        std::fs::write(&identity.key, key.serialize_pem()).expect("written");
        identity
    }

    fn server(&self, name: &str) -> ServerTls {
        ServerTls { identity: self.identity(name), client_roots: None }
    }
}

async fn serve(registry: &MemoryRegistry, tls: impl Into<ServiceTls>) -> RunningService {
    let service = builder("echo", registry).handler(echo()).tls(tls).build().await.expect("builds");
    service.start().await.expect("starts")
}

async fn caller(registry: &MemoryRegistry, tls: ClientTls) -> Service {
    builder("caller", registry).client_tls(tls).build().await.expect("builds")
}

async fn upper(caller: &Service, options: &CallOptions) -> Result<String, Error> {
    let answer = caller.client().call_with("echo", "Echo.Upper", &Json("a".to_owned()), options).await;
    answer.map(|Json(text)| text)
}

#[tokio::test]
async fn the_record_says_that_a_node_is_called_over_tls_and_in_both_protocols_it_is() {
    let (registry, authority) = (MemoryRegistry::new(), Authority::new("ours"));
    let server = serve(&registry, authority.server("127.0.0.1")).await;
    let found = registry.get_service("echo").await.expect("memory").services;
    assert_eq!(found[0].nodes[0].metadata["secure"], "true");
    let trusting = caller(&registry, authority.client()).await;
    for protocol in [Protocol::Mucp, Protocol::GrpcJson, Protocol::Envelopes] {
        let options = CallOptions::new().protocol(protocol);
        assert_eq!(upper(&trusting, &options).await.expect("trusted"), "A", "{protocol}");
        let plain = options.security(Security::Plain);
        assert!(upper(&trusting, &plain).await.is_err(), "{protocol}: nothing but TLS is spoken there");
    }
    server.stop().await.expect("stops");
}

#[tokio::test]
async fn streams_are_secured_as_calls_are() {
    let (registry, authority) = (MemoryRegistry::new(), Authority::new("ours"));
    let server = serve(&registry, authority.server("127.0.0.1")).await;
    let (trusting, wary) =
        (caller(&registry, authority.client()).await, caller(&registry, Authority::new("b").client()).await);
    for protocol in [Protocol::Mucp, Protocol::Envelopes, Protocol::GrpcJson, Protocol::MucpOverGrpc] {
        let options = CallOptions::new().protocol(protocol);
        let opened = trusting.client().open_stream("echo", "Echo.Each", &options).await;
        let mut stream: ClientStream<Json<String>, Json<String>> = opened.expect("trusted");
        for text in ["a", "b"] {
            stream.send(&Json(text.to_owned())).await.expect("open");
            assert_eq!(stream.next().await, Some(Ok(Json(text.to_uppercase()))), "{protocol}");
        }
        stream.close_send();
        assert_eq!(stream.next().await, None, "{protocol}");
        let refused = wary.client().open_stream::<Json<String>, Json<String>>("echo", "Echo.Each", &options);
        let error = refused.await.expect_err("nobody vouches for it");
        assert!(error.detail.contains("certificate"), "{protocol}: {error}");
    }
    server.stop().await.expect("stops");
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_said_with_what_to_do() {
    let registry = MemoryRegistry::new();
    let (authority, other) = (Authority::new("ours"), Authority::new("theirs"));
    let server = serve(&registry, authority.server("fleet.test")).await;
    let once = CallOptions::new().retries(0);
    let named = |tls: ClientTls, name: &str| ClientTls { server_name: Some(name.to_owned()), ..tls };
    for (tls, advice) in [
        (authority.client(), "--client_tls_server_name"),
        (named(other.client(), "fleet.test"), "--client_tls_ca_file"),
    ] {
        let error = upper(&caller(&registry, tls).await, &once).await.expect_err("not acceptable");
        assert!(error.detail.contains(advice) && error.code == 500, "{error}");
    }
    let named = caller(&registry, named(authority.client(), "fleet.test")).await;
    assert_eq!(upper(&named, &once).await.expect("its name"), "A");
    server.stop().await.expect("stops");

    let plain = builder("echo", &registry).handler(echo()).build().await.expect("builds");
    let plain = plain.start().await.expect("starts");
    let wanted = CallOptions::new().retries(0).address(plain.address().to_string()).security(Security::Tls);
    let error = upper(&named, &wanted).await.expect_err("no TLS there");
    assert!(error.detail.contains("speaks no TLS"), "{error}");
    plain.stop().await.expect("stops");
}

#[tokio::test]
async fn a_certificate_of_its_own_making_is_accepted_where_somebody_says_so() {
    let (registry, other) = (MemoryRegistry::new(), Authority::new("theirs"));
    let server = serve(&registry, ServiceTls::SelfSigned).await;
    let wary = caller(&registry, other.client()).await;
    let error = upper(&wary, &CallOptions::new()).await.expect_err("nobody vouches for it");
    assert!(error.detail.contains("--service_tls NAME=skip_verify"), "{error}");
    let accepting = CallOptions::new().security(Security::TlsUnverified);
    assert_eq!(upper(&wary, &accepting).await.expect("accepted"), "A");
    server.stop().await.expect("stops");
}

#[tokio::test]
async fn callers_show_a_certificate_where_one_is_wanted() {
    let (registry, authority) = (MemoryRegistry::new(), Authority::new("ours"));
    let roots = authority.client().roots;
    let tls = ServerTls { client_roots: roots, ..authority.server("127.0.0.1") };
    let server = serve(&registry, tls).await;
    let nobody = caller(&registry, authority.client()).await;
    upper(&nobody, &CallOptions::new()).await.expect_err("it shows nothing");
    let identity = Some(authority.identity("caller.test"));
    let known = caller(&registry, ClientTls { identity, ..authority.client() }).await;
    assert_eq!(upper(&known, &CallOptions::new()).await.expect("known"), "A");
    server.stop().await.expect("stops");
}

#[tokio::test]
async fn unusable_files_end_the_start() {
    let (registry, authority) = (MemoryRegistry::new(), Authority::new("ours"));
    let mut tls = authority.server("127.0.0.1");
    tls.identity.key = authority.folder.path().join("absent.key");
    let service = builder("echo", &registry).tls(tls).build().await.expect("builds");
    let error = service.start().await.expect_err("no key");
    assert!(matches!(&error, ServiceError::Tls { .. }), "{error}");
    let absent =
        ClientTls { roots: Some(authority.folder.path().join("absent.pem")), ..ClientTls::default() };
    let error = builder("echo", &registry).client_tls(absent).build().await.expect_err("no roots");
    assert!(micro_net::error_chain(&error).contains("absent.pem"), "{error}");
    assert!(registry.list_services().await.expect("memory").is_empty());
}
