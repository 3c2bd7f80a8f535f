//! The suite that every registry must pass, against a real agent.

use super::native::Native;
use crate::server::{Kind, Server};
use micro_core::Registry;
use micro_test::registry::{Expect, run};
use std::sync::Arc;

fn expect() -> Expect {
    // Consul takes names and ids of any letter case for the same, and the case has both "/a" and "/A". The other names are
    // in `records::unusual_names_come_back`.
    Expect { unusual_names: false, ..Expect::default() }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs consul"]
async fn the_suite_holds() {
    let server = Server::start(Kind::Consul).await;
    let consul = Arc::new(Native::at(&server.address));
    run(async || consul.clone() as Arc<dyn Registry>, &expect(), None).await.assert();
}

/// With ACLs, and with an instance for each case that knows nothing of the others.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs consul"]
async fn the_suite_holds_with_a_token() {
    let server = Server::start_with(Kind::Consul, &[("CONSUL_TOKEN", "root")]).await;
    let config = consul_core::Config {
        addresses: vec![server.address.clone()],
        token: "root".to_owned(),
        ..consul_core::Config::default()
    };
    let new = async || Arc::new(Native::new(config.clone())) as Arc<dyn Registry>;
    run(new, &expect(), None).await.assert();
}
