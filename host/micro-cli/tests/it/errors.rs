//! Codes: behind errors, and explained.

use crate::support::{Home, fixture};

#[tokio::test]
async fn every_code_is_explained_offline() {
    let home = Home::new();
    let all = home.run(&["error"]).await;
    assert_eq!(all.code, 0);
    let codes: Vec<&str> = all.out.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(codes.len() > 40 && codes.contains(&"MICRO-0101"), "{codes:?}");
    for code in ["MICRO-0101", "micro-101", "0101"] {
        let page = home.run(&["error", code]).await;
        assert!(page.out.starts_with("# MICRO-0101: "), "{page:?}");
        for heading in ["\n## Common causes\n", "\n## What to do\n", "\n## Example\n"] {
            assert!(page.out.contains(heading), "{page:?}");
        }
    }
    assert_eq!(home.run(&["error", "601", "--output=json"]).await.json()["code"], "MICRO-0601");
    home.run(&["error", "MICRO-9999"]).await.complains(&["no error code \"MICRO-9999\"", "[MICRO-0004]"]);
}

/// The code stands at the end of the first line, whatever follows.
#[tokio::test]
async fn failures_have_the_code_of_their_kind() {
    let home = Home::new();
    let fixtures = [
        "fault-registry",
        "fault-wrong-contract",
        "fault-missing-import",
        "fault-wrong-kind",
        "fault-selector",
    ];
    let [registry, contract, import, kind, selector] =
        fixtures.map(|name| fixture(name).display().to_string());
    std::fs::write(home.path().join("text.wasm"), "no component").expect("writable");
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = format!("--address={}", port.local_addr().expect("bound"));
    let pinned = format!("--registry={registry}@sha256:{}", "ab".repeat(32));
    let [selector, contract, import, kind, registry] =
        [selector, contract, import, kind, registry].map(|file| format!("--registry={file}"));
    let failures: [(&str, Vec<&str>); 25] = [
        ("0001", vec!["get", "service", "--regsitry=etcd"]),
        ("0001", vec!["plugin", "call"]),
        ("0002", vec!["lst"]),
        ("0003", vec!["get", "service"]),
        ("0003", vec!["call", "greeter"]),
        ("0004", vec!["call", "greeter", "Say.Hello", "{name: 1}"]),
        ("0006", vec!["list", "services", "--output=raw"]),
        ("0101", vec!["--registry=gone", "list", "services"]),
        ("0103", vec![&pinned, "list", "services"]),
        ("0104", vec!["--registry=text.wasm", "list", "services"]),
        ("0105", vec![&selector, "list", "services"]),
        ("0106", vec![&contract, "list", "services"]),
        ("0107", vec![&registry, "--registry_opt=x=1", "list", "services"]),
        ("0108", vec![&import, "list", "services"]),
        ("0110", vec![&kind, "list", "services"]),
        ("0111", vec![&registry, "--registry_opt=fault=configure:trap", "list", "services"]),
        ("0112", vec![&registry, "--registry_opt=fault=configure:invalid", "list", "services"]),
        ("0117", vec!["--registry_address=127.0.0.1:1", "list", "services"]),
        ("0308", vec!["get", "service", "nobody"]),
        ("0401", vec!["call", "nobody", "Say.Hello"]),
        ("0404", vec!["call", "--address=127.0.0.1:1", "greeter", "Say.Hello"]),
        ("0501", vec!["plugin", "swap", "registry", "x.wasm"]),
        ("0601", vec!["api", &taken, "--server_address=127.0.0.1:0"]),
        ("0602", vec!["api", "--tls_cert_file=x.pem"]),
        ("0605", vec!["api", "--handler=grpc"]),
    ];
    for (code, arguments) in failures {
        let failed = home.run(&arguments).await;
        let first = failed.err.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
        assert_eq!(failed.code, 1, "{arguments:?}: {failed:?}");
        assert!(first.ends_with(&format!(" [MICRO-{code}]")), "{code} for {arguments:?}: {failed:?}");
    }
}
