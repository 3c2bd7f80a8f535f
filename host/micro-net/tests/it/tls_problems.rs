//! What is said about a TLS connection that did not come about, and certificates that servers make for themselves.

use crate::support::{PATIENCE, Server};
use crate::tls::{Authority, call, server};
use micro_net::tls::{ClientTls, TlsProblem, self_signed_config};
use micro_net::wire::Limits;
use rcgen::{BasicConstraints, CertificateParams, IsCa, date_time_ymd};

#[tokio::test]
async fn each_problem_of_a_certificate_is_told_apart() {
    let (authority, other) = (Authority::new("ours"), Authority::new("theirs"));
    // Made anew under the old name, as it happens to authorities of tests and small fleets.
    let again = Authority::new("ours");
    let namesake = ClientTls { roots: Some(again.roots()), ..ClientTls::default() };
    let trusting = ClientTls { roots: Some(authority.roots()), ..ClientTls::default() };
    let stranger = ClientTls { roots: Some(other.roots()), ..ClientTls::default() };
    let usual: fn(&mut CertificateParams) = |_| {};
    let expired: fn(&mut CertificateParams) = |params| {
        (params.not_before, params.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1))
    };
    let early: fn(&mut CertificateParams) = |params| {
        (params.not_before, params.not_after) = (date_time_ymd(3001, 1, 1), date_time_ymd(3002, 1, 1))
    };
    let made: fn(&mut CertificateParams) = |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    for (name, say, tls, problem) in [
        ("server.test", usual, &stranger, TlsProblem::UnknownAuthority),
        ("server.test", usual, &namesake, TlsProblem::UnknownAuthority),
        ("other.test", usual, &trusting, TlsProblem::WrongName),
        ("server.test", expired, &trusting, TlsProblem::Expired),
        ("server.test", early, &trusting, TlsProblem::NotYetValid),
        ("server.test", made, &trusting, TlsProblem::SelfMade),
    ] {
        let identity = authority.identity_with(name, say);
        let server = server(identity, None).await;
        let error = call(&server, tls).await.expect_err("not acceptable");
        assert_eq!(TlsProblem::of(&error), Some(problem), "{error:?}");
        server.stopped().await;
    }
}

#[tokio::test]
async fn a_missing_certificate_of_the_client_and_a_plain_port_are_told_apart() {
    let authority = Authority::new("ours");
    let tls = ClientTls { roots: Some(authority.roots()), ..ClientTls::default() };
    let strict = server(authority.identity("server.test"), Some(authority.roots())).await;
    let error = call(&strict, &tls).await.expect_err("no certificate to show");
    assert_eq!(TlsProblem::of(&error), Some(TlsProblem::ClientCertificate), "{error:?}");
    strict.stopped().await;
    let plain = Server::start().await;
    let error = call(&plain, &tls).await.expect_err("no TLS there");
    assert_eq!(TlsProblem::of(&error), Some(TlsProblem::NoTls), "{error:?}");
    plain.stopped().await;
    let nobody =
        micro_net::wire::ExchangeError::from("no address".parse::<micro_net::Target>().expect_err("none"));
    assert_eq!(TlsProblem::of(&nobody), None);
}

#[tokio::test]
async fn certificates_are_checked_for_the_name_that_was_asked_for() {
    let authority = Authority::new("ours");
    let server = server(authority.identity("fleet.test"), None).await;
    let named = |name: &str| ClientTls {
        roots: Some(authority.roots()),
        server_name: Some(name.to_owned()),
        ..ClientTls::default()
    };
    assert_eq!(call(&server, &named("fleet.test")).await.expect("its name"), "hello again");
    let error = call(&server, &named("server.test")).await.expect_err("not its name");
    assert_eq!(TlsProblem::of(&error), Some(TlsProblem::WrongName), "{error:?}");
    let error = micro_net::tls::client_config(&named("no name"), &[]).expect_err("not a name at all");
    assert!(error.to_string().contains("\"no name\""), "{error}");
    server.stopped().await;
}

#[tokio::test]
async fn a_certificate_of_its_own_making_serves_those_who_do_not_ask() {
    let other = Authority::new("theirs");
    let names = ["server.test".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let config = self_signed_config(&names, &["http/1.1"]).expect("good names");
    let server = Server::with(Limits::default(), PATIENCE, |listener| listener.with_tls(config)).await;
    let blind = ClientTls { insecure_skip_verify: true, ..ClientTls::default() };
    assert_eq!(call(&server, &blind).await.expect("not looked at"), "hello again");
    let wary = ClientTls { roots: Some(other.roots()), ..ClientTls::default() };
    let error = call(&server, &wary).await.expect_err("nobody vouches for it");
    assert_eq!(TlsProblem::of(&error), Some(TlsProblem::UnknownAuthority), "{error:?}");
    server.stopped().await;
    let error = self_signed_config(&["sp\u{e4}t".to_owned()], &[]).expect_err("not an ASCII name");
    assert!(error.to_string().contains("cannot make a certificate"), "{error}");
}
