//! `micro api` under load and attack, with certificates that change, and in front of other servers.

use crate::api::gateway;
use crate::support::{Home, SOON};
use micro_net::tls::{ClientTls, client_config};
use micro_test::eventually;
use micro_test::process::{Program, Signal};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SerialNumber};
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How many descriptors the program has open.
fn descriptors(program: &Program) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", program.pid())).map_or(0, Iterator::count)
}

/// All that comes back until the gateway closes.
async fn exchange(address: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let mut answer = Vec::new();
    // A connection that is reset says no more.
    let talk = async {
        stream.write_all(bytes).await?;
        stream.read_to_end(&mut answer).await
    };
    let _ = tokio::time::timeout(SOON, talk).await.expect("it closes");
    String::from_utf8_lossy(&answer).into_owned()
}

const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn floods_leave_nothing_behind() {
    let home = Home::new();
    let greeter = home.greeter("go.micro.api.greeter").await;
    let flags =
        ["--api_max_connections=50", "--api_client_timeout=1s", "--drain_delay=10ms", "--no_access_log"];
    let (mut program, address) = gateway(&home, &flags).await;
    let call: &[u8] =
        b"POST /greeter/say/hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}";
    let answer = exchange(&address, call).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let baseline = descriptors(&program);

    // Silent ones, more than there is room for; then all kinds of nonsense.
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(TcpStream::connect(&address).await.expect("the kernel takes them"));
    }
    // Two less than there are places: what the first call needed may still have been closing when it was counted.
    eventually("the places are taken", SOON, async || descriptors(&program) >= baseline + 48).await;
    assert!(descriptors(&program) <= baseline + 60, "{} of {baseline}", descriptors(&program));
    drop(silent);
    let huge = [b"GET / HTTP/1.1\r\nX: ".as_slice(), &vec![b'x'; 300_000]].concat();
    for round in 0..20 {
        for nonsense in [
            b"\0".as_slice(),
            b"GET / HTTP/1.1\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"POST /greeter/say/hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            &huge,
        ] {
            let answer = exchange(&address, nonsense).await;
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{round}: {answer}");
        }
    }
    let answer = exchange(&address, call).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    eventually("descriptors return", SOON, async || descriptors(&program) <= baseline + 2).await;
    assert!(!program.lines().iter().any(|line| line.contains("panicked")), "{program}");
    program.signal(Signal::TERM);
    assert_eq!(program.exit(SOON).await.code(), Some(0), "{program}");
    greeter.stop().await.expect("stops");
}

/// A new key and a certificate with this serial for `localhost`, signed by an authority.
fn write_identity(folder: &Path, authority: &CertifiedIssuer<'static, KeyPair>, serial: u64) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    params.serial_number = Some(SerialNumber::from(serial));
    let certificate = params.signed_by(&key, authority).expect("signed");
    std::fs::write(folder.join("cert.pem"), certificate.pem()).expect("written");
    std::fs::write(folder.join("key.pem"), key.serialize_pem()).expect("written");
}

/// Whether the served certificate has this serial: a DER integer of eight bytes.
async fn serves(folder: &Path, address: &str, serial: u64) -> bool {
    let tls = ClientTls { roots: Some(folder.join("ca.pem")), ..ClientTls::default() };
    let config = client_config(&tls, &["http/1.1"]).expect("good files");
    let tcp = TcpStream::connect(address).await.expect("it listens");
    let name = "localhost".to_owned().try_into().expect("a name");
    let mut stream = tokio_rustls::TlsConnector::from(config).connect(name, tcp).await.expect("trusted");
    let certificate = stream.get_ref().1.peer_certificates().expect("presented")[0].to_vec();
    stream.write_all(HEALTH).await.expect("written");
    let mut answer = String::new();
    // It closes without a farewell of TLS, or with one.
    let _ = stream.read_to_string(&mut answer).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let wanted = [&[2, 8][..], &serial.to_be_bytes()].concat();
    certificate.windows(wanted.len()).any(|bytes| bytes == wanted)
}

#[tokio::test]
async fn certificates_are_read_again_and_bad_ones_are_not_used() {
    let (first, second) = (0x1122_3344_5566_7788, 0x1122_3344_5566_7799);
    let home = Home::new();
    let folder = home.path();
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority =
        CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed");
    std::fs::write(folder.join("ca.pem"), authority.pem()).expect("written");
    write_identity(folder, &authority, first);
    let flags = ["--enable_tls", "--tls_cert_file=cert.pem", "--tls_key_file=key.pem"];
    let (program, address) = gateway(&home, &flags).await;
    assert!(serves(folder, &address, first).await);

    std::fs::write(folder.join("cert.pem"), "nothing").expect("written");
    program.line("the new certificate cannot be used, serving the old one", SOON).await;
    assert!(serves(folder, &address, first).await);

    write_identity(folder, &authority, second);
    eventually("the new certificate is served", SOON, async || serves(folder, &address, second).await).await;
    program.line("certificate read again", SOON).await;
}

#[tokio::test]
async fn any_http_server_can_stand_behind_it() {
    let home = Home::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let node = listener.local_addr().expect("bound");
    let pages = tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.expect("accepted");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(tcp.read_u8().await.expect("a head"));
        }
        tcp.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage").await.expect("written");
        String::from_utf8_lossy(&head).into_owned()
    });
    let record =
        format!(r#"{{"name":"go.micro.web.shop","version":"1","nodes":[{{"id":"1","address":"{node}"}}]}}"#);
    home.run(&["register", "service", &record]).await.is("ok\n");
    let flags = [
        "--api_handler=web",
        "--api_namespace=go.micro.web",
        "--enable_stats",
        "--api_cors=https://a.example",
    ];
    let (_program, address) = gateway(&home, &flags).await;
    let get = |path: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: a\r\nOrigin: https://a.example\r\nConnection: close\r\n\r\n")
    };
    let answer = exchange(&address, get("/shop/x?y=z").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("page"), "{answer}");
    assert!(answer.contains("access-control-allow-origin: https://a.example"), "{answer}");
    let head = pages.await.expect("no panic");
    assert!(head.starts_with("GET /shop/x?y=z HTTP/1.1\r\n"), "{head}");
    let metrics = exchange(&address, get("/metrics").as_bytes()).await;
    assert!(metrics.contains("micro_http_requests_total{status=\"2xx\"} 1\n"), "{metrics}");
}
