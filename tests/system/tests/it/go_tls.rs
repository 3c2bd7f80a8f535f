//! Both directions against Go Micro programs over TLS.

use crate::world::{Etcd, SOON, World, peers};
use micro_test::process::Program;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Output;
use tokio::process::Command;

/// Versions with mucp, etcd and a transport that can be secure; whether their clients check certificates unasked.
const VERSIONS: [(&str, bool); 3] = [("v1", false), ("v2", false), ("v4", true)];

/// `roots.pem`, and `node.pem` with `node.key` for 127.0.0.1, in a folder.
fn certificates(folder: &Path) -> [String; 3] {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed");
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, &issuer).expect("signed");
    let texts = [issuer.pem(), certificate.pem(), key.serialize_pem()];
    let files = ["roots.pem", "node.pem", "node.key"].map(|file| folder.join(file));
    for (file, text) in files.iter().zip(texts) {
        std::fs::write(file, text).expect("written");
    }
    files.map(|file| file.display().to_string())
}

async fn run(program: &Path, arguments: &[&str]) -> Output {
    let output = tokio::time::timeout(SOON, Command::new(program).args(arguments).output()).await;
    output.unwrap_or_else(|_| panic!("{program:?} {arguments:?} hangs")).expect("it runs")
}

#[tokio::test]
#[ignore = "needs etcd and Go Micro"]
async fn go_calls_our_secure_port_and_checks_it_where_it_is_told_whom_to_trust() {
    let (peers, etcd) = (peers(), Etcd::start().await);
    let world = World::new();
    let [roots, certificate, key] = certificates(world.path());
    let tls = [format!("--server_tls_cert_file={certificate}"), format!("--server_tls_key_file={key}")];
    let _greeter = world.greeter(&["--registry=etcd", &etcd.flag(), &tls[0], &tls[1]]).await;
    let service = "go.micro.srv.greeter";
    for (version, checks) in VERSIONS {
        let call = async |secure: &[&str], content_type: &str| {
            let common = ["--registry", &etcd.address, "--content-type", content_type];
            let call = ["call", service, "Say.Hello", r#"{"name":"Go"}"#];
            run(&peers.join(version), &[secure, &common, &call].concat()).await
        };
        for content_type in ["application/json", "application/protobuf"] {
            let output = call(&["--secure", "--ca", &roots], content_type).await;
            assert!(output.status.success(), "{version}: {output:?}");
            let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
            assert_eq!(answer, json!({ "msg": "Hello Go" }), "{version} {content_type}");
        }
        let unchecked = call(&["--secure"], "application/json").await;
        assert_eq!(unchecked.status.success(), !checks, "{version}: {unchecked:?}");
        let plain = call(&[], "application/json").await;
        assert!(!plain.status.success(), "{version}: nothing but TLS is spoken there");
    }
}

#[tokio::test]
#[ignore = "needs etcd and Go Micro"]
async fn we_call_secure_go_services_unseen_or_checked() {
    let (peers, etcd) = (peers(), Etcd::start().await);
    let world = World::new();
    let [roots, certificate, key] = certificates(world.path());
    let registry = ["--registry=etcd".to_owned(), etcd.flag(), "--client_retries=0".to_owned()];
    for (version, _) in VERSIONS {
        let serve = async |name: &str, secure: &[&str]| {
            let mut server = Command::new(peers.join(version));
            server.args(["--registry", &etcd.address, "--name", name]).args(secure).arg("server");
            let server = Program::start(server);
            server.line("ready", SOON).await;
            server
        };
        let call = |name: &str, flags: &[String]| {
            let mut arguments = registry.to_vec();
            arguments.extend_from_slice(flags);
            arguments.extend(["call", name, "Say.Hello", r#"{"name":"Rust"}"#].map(str::to_owned));
            arguments
        };
        let fails = async |name: &str, flags: &[String]| {
            let arguments = call(name, flags);
            world.fail("micro", &arguments.iter().map(String::as_str).collect::<Vec<_>>()).await
        };
        let succeeds = async |name: &str, flags: &[String]| {
            let arguments = call(name, flags);
            let answer =
                world.succeed("micro", &arguments.iter().map(String::as_str).collect::<Vec<_>>()).await;
            let answer: Value = serde_json::from_str(&answer).expect("JSON");
            assert_eq!(answer, json!({ "msg": "Hello Rust" }), "{name}");
        };
        let trusting = format!("--client_tls_ca_file={roots}");

        // A certificate of its own making.
        let name = format!("go.tls.made.{version}");
        let _made = serve(&name, &["--secure"]).await;
        let plain = fails(&name, &[]).await;
        assert!(plain.contains("say so") && plain.contains("--service_tls NAME="), "{version}: {plain}");
        let checked = fails(&name, &["--service_tls=go.tls.*=verify".to_owned(), trusting.clone()]).await;
        assert!(checked.contains("--service_tls NAME=skip_verify"), "{version}: {checked}");
        succeeds(&name, &["--service_tls=go.tls.*=skip_verify".to_owned()]).await;

        // One of an authority.
        let name = format!("go.tls.signed.{version}");
        let _signed = serve(&name, &["--secure", "--cert", &certificate, "--key", &key]).await;
        succeeds(&name, &["--service_tls=go.tls.*=verify".to_owned(), trusting]).await;
    }
}
