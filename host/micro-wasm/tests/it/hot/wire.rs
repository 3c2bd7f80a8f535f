//! The wire component writes and reads what the wire of the program does, byte for byte.

use super::{OK, POST, TEN, read, written};
use crate::support::Lab;
use http1_core::{End, Framing, MAX_HEAD, Method, Role, Start};
use micro_net::wire::{HeadError, NativeWire, Wire};
use micro_wasm::PluginWire;

async fn http(lab: &Lab) -> PluginWire {
    lab.host.load_wire(lab.hot("transport", "http-transport", "http-transport", &[])).await.expect("it loads")
}

/// Words or bytes of both, or that both refuse.
fn same<T: PartialEq + std::fmt::Debug>(
    what: &str,
    component: Result<T, HeadError>,
    native: Result<T, HeadError>,
) {
    match (component, native) {
        (Ok(component), Ok(native)) => assert_eq!(component, native, "{what}"),
        (Err(HeadError::Protocol(component)), Err(HeadError::Protocol(native))) => {
            assert_eq!(component, native, "{what}");
        }
        other => panic!("{what}: {other:?}"),
    }
}

#[tokio::test]
async fn heads_are_the_same_in_both_roles() {
    let lab = Lab::new();
    let component = http(&lab).await;
    let fields: [(&[u8], &[u8]); 5] = [
        (b"Content-Type", b"application/json"),
        (b"X-Mine", b"\xff not UTF-8"),
        (b"Micro-Id", b"7"),
        (b"Connection", b"close"),
        (b"Empty", b""),
    ];
    let starts = [POST, OK, Start::Request { method: "PURGE", path: b"/a?b=c", host: b"[::1]:80" }];
    let ends = [
        TEN,
        End { framing: Framing::Chunked, close: true },
        End { framing: Framing::None, close: false },
        End { framing: Framing::Length(u64::MAX), close: false },
    ];
    for start in starts {
        for end in ends {
            let bytes = |wire: &dyn Fn(&mut Vec<u8>) -> Result<(), HeadError>| {
                let mut out = b"before ".to_vec();
                wire(&mut out).map(|()| out)
            };
            let by_component = bytes(&|out| component.encode(start, fields, end, out));
            let by_native = bytes(&|out| NativeWire.encode(start, fields, end, out));
            same(&format!("{start:?} {end:?}"), by_component, by_native);
        }
    }
}

#[tokio::test]
async fn every_cut_of_a_head_reads_the_same() {
    let lab = Lab::new();
    let component = http(&lab).await;
    let request = written(&NativeWire, POST).expect("a good head");
    let response = written(&NativeWire, OK).expect("a good head");
    for (role, data) in [(Role::Request, request), (Role::Response, response)] {
        for cut in 0..=data.len() {
            let decoded = |wire: &dyn Fn(&mut Vec<u32>) -> Result<usize, HeadError>| {
                let mut words = Vec::new();
                let consumed = wire(&mut words)?;
                // Without a head, no other word counts.
                Ok((consumed, if consumed == 0 { Vec::new() } else { words }))
            };
            let data = &data[..cut];
            let by_component = decoded(&|words| component.decode(role, Method::POST, data, words));
            let by_native = decoded(&|words| NativeWire.decode(role, Method::POST, data, words));
            same(&format!("{role:?} cut at {cut}"), by_component, by_native);
        }
    }
}

#[tokio::test]
async fn heads_of_64_kib_and_more() {
    let lab = Lab::new();
    let component = http(&lab).await;
    for length in [MAX_HEAD - 1, MAX_HEAD, MAX_HEAD + 1, 4 * MAX_HEAD] {
        let frame = b"POST / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n".len();
        let value = "v".repeat(length - frame);
        let data = format!("POST / HTTP/1.1\r\nHost: a\r\nX: {value}\r\n\r\n");
        assert_eq!(data.len(), length);
        same(
            &format!("{length} bytes"),
            read(&component, data.as_bytes()),
            read(&NativeWire, data.as_bytes()),
        );
    }
    let many: String = (0..200).map(|at| format!("X-{at}: 1\r\n")).collect();
    let data = format!("POST / HTTP/1.1\r\nHost: a\r\n{many}\r\n");
    same("200 fields", read(&component, data.as_bytes()), read(&NativeWire, data.as_bytes()));
    let value = vec![b'v'; MAX_HEAD];
    let mut out = Vec::new();
    let refused = component.encode(POST, [(&b"X"[..], &value[..])], TEN, &mut out);
    assert!(matches!(refused, Err(HeadError::Protocol(http1_core::Error::TooLarge))), "{refused:?}");
    assert!(out.is_empty());
    assert_eq!(lab.status().restarts, 0, "all of this is ordinary");
}
