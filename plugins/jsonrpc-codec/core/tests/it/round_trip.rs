//! What is sealed comes back, whatever the texts are.

use jsonrpc_core::{Head, Role, open, seal};

fn message(role: Role, head: Head<'_>, value: &[u8]) -> Vec<u8> {
    let (mut prefix, mut suffix) = (Vec::new(), Vec::new());
    seal(role, head, value.len(), &mut prefix, &mut suffix).expect("sealed");
    [&prefix[..], value, &suffix].concat()
}

#[test]
fn the_bytes_are_those_of_2016() {
    let head = Head { id: b"0", endpoint: "Greeter.Hello", error: "" };
    assert_eq!(
        message(Role::Request, head, br#"{"name":"John"}"#),
        b"{\"method\":\"Greeter.Hello\",\"params\":[{\"name\":\"John\"}],\"id\":0}\n"
    );
    assert_eq!(
        message(Role::Response, head, br#"{"msg":"hi John"}"#),
        b"{\"id\":0,\"result\":{\"msg\":\"hi John\"},\"error\":null}\n"
    );
    let failed = Head { id: b"1", endpoint: "", error: "rpc: can't find method Greeter.Nope" };
    assert_eq!(
        message(Role::Response, failed, b"{}"),
        b"{\"id\":1,\"result\":{},\"error\":\"rpc: can't find method Greeter.Nope\"}\n"
    );
}

#[test]
fn without_a_value_or_an_id_it_is_json_still() {
    let head = Head { id: b"", endpoint: "A.B", error: "" };
    assert_eq!(message(Role::Request, head, b""), b"{\"method\":\"A.B\",\"params\":[{}],\"id\":0}\n");
    assert_eq!(message(Role::Response, head, b""), b"{\"id\":null,\"result\":{},\"error\":null}\n");
    let failed = Head { error: "no", ..head };
    assert_eq!(message(Role::Response, failed, b""), b"{\"id\":null,\"result\":null,\"error\":\"no\"}\n");
}

#[test]
fn random_envelopes_come_back() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut extra = Vec::new();
    let mut text = |most: usize| -> String {
        let letters =
            ['a', 'Z', '.', '"', '\\', '\n', '\0', '\x1f', '/', 'é', '日', '😀', '\u{2028}', '\u{7f}'];
        let length = random.usize(..most);
        (0..length).map(|_| random.choice(letters).expect("not empty")).collect()
    };
    for round in 0..20_000u64 {
        let (endpoint, error) = (text(40), text(60));
        let id = match round % 3 {
            0 => round.to_string(),
            1 => format!("\"{round}\""),
            _ => String::new(),
        };
        let value = format!("{{\"round\":{round}}}");
        for role in [Role::Request, Role::Response] {
            let head = Head { id: id.as_bytes(), endpoint: &endpoint, error: &error };
            let message = message(role, head, value.as_bytes());
            let opened = open(role, &message, &mut extra).expect("opened");
            let part = |part: jsonrpc_core::Part| {
                String::from_utf8(part.of(&message, &extra).expect("inside").to_vec()).expect("UTF-8")
            };
            let expected_id = match (role, id.is_empty()) {
                (Role::Request, true) => "0",
                _ => &id,
            };
            assert_eq!(part(opened.id), expected_id);
            assert_eq!(part(opened.endpoint), if role == Role::Request { &endpoint[..] } else { "" });
            assert_eq!(part(opened.error), if role == Role::Response { &error[..] } else { "" });
            assert_eq!(part(opened.value), value);
        }
    }
}
