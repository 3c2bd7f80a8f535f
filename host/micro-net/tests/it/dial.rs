//! What the dialer reaches, and what it refuses to reach.

use crate::support::soon;
use futures::future::BoxFuture;
use micro_net::{DialError, Dialer, EgressPolicy, Resolver, StaticResolver, Target};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::net::TcpListener;

fn policy(rules: &[String]) -> EgressPolicy {
    EgressPolicy::new(rules.iter().map(|rule| rule.parse().expect("a rule")))
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    (listener, port)
}

fn dialer(rules: &[String], names: StaticResolver) -> Dialer {
    Dialer::new(policy(rules)).with_resolver(Arc::new(names)).with_timeout(Duration::from_secs(2))
}

#[tokio::test]
async fn an_allowed_name_that_points_at_a_forbidden_address_is_denied() {
    let (_listener, port) = listener().await;
    for address in
        ["169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254", "0.0.0.0", "::", "224.0.0.1"]
    {
        let names = StaticResolver::new().with("good.example.com", [ip(address)]);
        for rule in [format!("good.example.com:{port}"), format!("*:{port}"), "*:*".to_owned()] {
            let dialer = dialer(std::slice::from_ref(&rule), names.clone());
            let error = dialer.dial(&Target::new("good.example.com", port), None).await.expect_err(address);
            let DialError::Denied(denied) = error else { panic!("{rule} for {address}: {error:?}") };
            let canonical = ip(address).to_canonical();
            assert!(denied.to_string().contains(&canonical.to_string()), "{denied}");
        }
    }
}

#[tokio::test]
async fn of_several_addresses_only_allowed_ones_are_dialled() {
    let (_listener, port) = listener().await;
    let names = StaticResolver::new().with("mixed", [ip("169.254.169.254"), ip("127.0.0.1")]);
    let stream = dialer(&[format!("mixed:{port}")], names).dial(&Target::new("mixed", port), None).await;
    assert_eq!(
        stream.expect("connects").tcp().expect("over TCP").peer_addr().expect("connected").ip(),
        ip("127.0.0.1")
    );
}

/// A resolver whose second answer differs from its first, as in DNS rebinding.
#[derive(Debug, Default)]
struct Rebinding {
    asked: AtomicUsize,
}

impl Resolver for Rebinding {
    fn resolve<'a>(&'a self, _host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        let first = self.asked.fetch_add(1, SeqCst) == 0;
        let address = if first { ip("127.0.0.1") } else { ip("169.254.169.254") };
        Box::pin(std::future::ready(Ok(vec![SocketAddr::new(address, port)])))
    }
}

#[tokio::test]
async fn a_name_is_resolved_once_and_every_connection_is_checked_anew() {
    let (_listener, port) = listener().await;
    let resolver = Arc::new(Rebinding::default());
    let dialer = Dialer::new(policy(&[format!("rebind:{port}")])).with_resolver(resolver.clone());
    let target = Target::new("rebind", port);
    dialer.dial(&target, None).await.expect("the first answer is fine, and it is the one that is used");
    assert_eq!(resolver.asked.load(SeqCst), 1);
    let error = dialer.dial(&target, None).await.expect_err("the second is not");
    assert!(matches!(error, DialError::Denied(_)), "{error:?}");
}

#[tokio::test]
async fn a_denied_name_is_not_even_resolved() {
    let resolver = Arc::new(Rebinding::default());
    let dialer = Dialer::new(policy(&["other:80".to_owned()])).with_resolver(resolver.clone());
    for target in
        ["secret.evil.com:80", "other:81", "169.254.169.254:80", "[::ffff:a9fe:a9fe]:80", "127.0.0.1:80"]
    {
        let error = dialer.dial(&target.parse().expect("a target"), None).await.expect_err(target);
        assert!(matches!(error, DialError::Denied(_)), "{target}: {error:?}");
    }
    assert_eq!(resolver.asked.load(SeqCst), 0);
}

#[tokio::test]
async fn a_resolver_does_not_choose_the_port() {
    #[derive(Debug)]
    struct WrongPort;
    impl Resolver for WrongPort {
        fn resolve<'a>(&'a self, _: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
            Box::pin(std::future::ready(Ok(vec![SocketAddr::new(ip("127.0.0.1"), port.wrapping_add(1))])))
        }
    }
    let (_listener, port) = listener().await;
    let dialer = Dialer::new(policy(&[format!("a:{port}")])).with_resolver(Arc::new(WrongPort));
    let stream = dialer.dial(&Target::new("a", port), None).await.expect("connects");
    assert_eq!(stream.tcp().expect("over TCP").peer_addr().expect("connected").port(), port);
}

#[tokio::test]
async fn a_dead_address_does_not_hide_a_living_one() {
    let (_listener, port) = listener().await;
    // Nothing listens on the first; 127.0.0.2 is this machine too.
    let names = StaticResolver::new().with("two", [ip("127.0.0.2"), ip("127.0.0.1")]);
    let dialer = dialer(&[format!("two:{port}")], names);
    let stream = soon(dialer.dial(&Target::new("two", port), None)).await.expect("connects");
    assert_eq!(stream.tcp().expect("over TCP").peer_addr().expect("connected").ip(), ip("127.0.0.1"));
}

#[tokio::test]
async fn failures_name_the_target_and_the_address() {
    let (taken, port) = listener().await;
    drop(taken);
    let names = StaticResolver::new().with("one", [ip("127.0.0.1")]).with("none", []);
    let dialer = dialer(&["*:*".to_owned()], names);
    for (host, expected) in [
        (
            "one",
            format!("cannot connect to one:{port} at 127.0.0.1:{port}: Connection refused (os error 111)"),
        ),
        ("none", format!("cannot resolve none:{port}: the name has no addresses")),
        ("absent", format!("cannot resolve absent:{port}: no such name")),
    ] {
        let error = dialer.dial(&Target::new(host, port), None).await.expect_err(host);
        assert_eq!(micro_net::error_chain(&error), expected);
        assert_eq!(error.is_refused(), host == "one");
    }
}

#[tokio::test]
async fn resolving_counts_against_the_deadline() {
    #[derive(Debug)]
    struct Never;
    impl Resolver for Never {
        fn resolve<'a>(&'a self, _: &'a str, _: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
            Box::pin(std::future::pending())
        }
    }
    let dialer = Dialer::new(EgressPolicy::unrestricted());
    let dialer = dialer.with_resolver(Arc::new(Never)).with_timeout(Duration::from_millis(50));
    let error = soon(dialer.dial(&Target::new("a", 1), None)).await.expect_err("never resolves");
    assert!(error.is_timeout());
    assert_eq!(error.to_string(), "no connection to a:1 within 50ms, resolving the name");
}
