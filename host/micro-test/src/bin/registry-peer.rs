//! Registers one node in a local registry and stays until it is killed, or goes at once.
//!
//! `registry-peer FOLDER SERVICE NODE TTL_MS stay|stay-detached|once`: heartbeats every third of the TTL while it stays.
#![allow(clippy::print_stdout, reason = "its output is what tests wait for")]

use micro::registry::LocalRegistry;
use micro_core::{Node, Registry, Service};
use std::time::Duration;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, name, node, ttl, mode] = arguments.as_slice() else {
        panic!("usage: registry-peer FOLDER SERVICE NODE TTL_MS stay|stay-detached|once");
    };
    let ttl = Duration::from_millis(ttl.parse().expect("a number of milliseconds"));
    let registry = LocalRegistry::new(folder);
    let registry = if mode == "stay" { registry } else { registry.detached() };
    let address = "127.0.0.1:4242".to_owned();
    let node = Node { id: node.clone(), address, ..Node::default() };
    let service =
        Service { name: name.clone(), version: "1".to_owned(), nodes: vec![node], ..Service::default() };
    let mut said = false;
    loop {
        registry.register(&service, ttl).await.expect("register");
        if !said {
            println!("registered");
            said = true;
        }
        if mode == "once" {
            return;
        }
        // Without a TTL there is nothing to extend.
        let pause = if ttl.is_zero() { Duration::from_secs(3600) } else { ttl / 3 };
        tokio::time::sleep(pause).await;
    }
}
