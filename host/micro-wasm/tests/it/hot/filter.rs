//! Filters fail closed.

use crate::support::Lab;
use micro_core::Filter;
use micro_core::filter::{RequestHead, Verdict};
use micro_wasm::PluginFilter;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

async fn load(lab: &Lab, file: &str, options: &[(&str, &str)]) -> PluginFilter {
    lab.host.load_filter(lab.hot("filter", file, file, options)).await.expect("it loads")
}

fn head(peer: impl Into<IpAddr>) -> RequestHead<'static> {
    let fields: &[(&[u8], &[u8])] = &[(b"accept", b"*/*"), (b"x-bytes", b"\xff")];
    RequestHead { peer: peer.into(), method: "GET", target: b"/a?b=c", host: b"example.org", fields }
}

#[tokio::test]
async fn the_list_decides_who_passes() {
    let lab = Lab::new();
    let filter = load(&lab, "ip-whitelist-filter", &[("ip_whitelist", "10.0.0.0/8,2001:db8::/32")]).await;
    let passes = |peer: IpAddr| match filter.request(head(peer)).expect("it decides") {
        Verdict::Next => true,
        Verdict::Respond { status, body, .. } => {
            assert_eq!((status, body.trim_ascii()), (403, &b"forbidden"[..]));
            false
        }
        other => panic!("{other:?}"),
    };
    for (peer, expected) in [
        (IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3)), true),
        (IpAddr::V4(Ipv4Addr::new(11, 1, 2, 3)), false),
        (IpAddr::V6(Ipv4Addr::new(10, 1, 2, 3).to_ipv6_mapped()), true),
        ("2001:db8::1".parse::<Ipv6Addr>().expect("an address").into(), true),
        ("2001:db9::1".parse::<Ipv6Addr>().expect("an address").into(), false),
    ] {
        assert_eq!(passes(peer), expected, "{peer}");
    }
    let request = lab.hot("filter", "ip-whitelist-filter", "wrong", &[("ip_whitelist", "10.0.0.0/8,ten")]);
    let error = lab.host.load_filter(request).await.expect_err("no address");
    assert!(error.to_string().contains("ten"), "{error}");
}

#[tokio::test]
async fn fields_are_set_on_responses() {
    let lab = Lab::new();
    let filter = load(&lab, "header-filter", &[("header", "X-One=1,X-Two=a=b")]).await;
    let Verdict::Edit { request, response } = filter.request(head(Ipv4Addr::LOCALHOST)).expect("it decides")
    else {
        panic!("it changes something");
    };
    let fields: Vec<_> = response.iter().map(|edit| (edit.name.as_str(), &edit.value[..])).collect();
    assert!(request.is_empty());
    assert_eq!(fields, [("X-One", &b"1"[..]), ("X-Two", b"a=b")]);
}

/// Every way of failing refuses the request that met it, and that one only.
#[tokio::test]
async fn whatever_a_filter_does_wrong_refuses_the_request() {
    for fault in ["trap", "spin", "balloon", "name", "value", "framing", "many", "status", "field", "huge"] {
        let lab = Lab::new();
        let filter = load(&lab, "fault-filter", &[("fault", &format!("request:{fault}#2@2"))]).await;
        let head = head(Ipv4Addr::LOCALHOST);
        filter.request(head).expect("the first call is sound");
        let error = filter.request(head).expect_err(fault);
        assert!(!error.reason.is_empty(), "{fault}");
        filter.request(head).expect("a fresh instance");
        assert_eq!(lab.status().restarts, 1, "{fault}");
    }
}

/// A filter has no twin: quarantined, it refuses everything.
#[tokio::test]
async fn a_filter_that_fails_too_often_lets_nobody_pass() {
    let lab = Lab::with(|config| config.settings.hot_fault_budget = 3);
    let filter = load(&lab, "fault-filter", &[("fault", "request:trap@2+")]).await;
    for _ in 0..100 {
        filter.request(head(Ipv4Addr::LOCALHOST)).expect_err("nobody passes");
    }
    assert_eq!(lab.status().restarts, 4, "the budget, and one more");
}
