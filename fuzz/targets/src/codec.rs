//! Envelopes of calls.

/// A role in the first byte, a message behind it. What is opened and sealed again opens to the same.
macro_rules! envelope {
    ($name:ident, $core:ident) => {
        pub(crate) fn $name(data: &[u8]) {
            use $core::{Head, Role, open, seal};
            let Some((role, data)) = data.split_first() else { return };
            let role = if role % 2 == 0 { Role::Request } else { Role::Response };
            let mut extra = Vec::new();
            let Ok(opened) = open(role, data, &mut extra) else { return };
            let part = |part: $core::Part| part.of(data, &extra).expect("a part of the message");
            let text = |it| std::str::from_utf8(part(it)).expect("a text");
            let head =
                Head { id: part(opened.id), endpoint: text(opened.endpoint), error: text(opened.error) };
            let value = part(opened.value);

            let (mut message, mut suffix) = (Vec::new(), Vec::new());
            seal(role, head, value.len(), &mut message, &mut suffix).expect("what was read can be written");
            message.extend_from_slice(value);
            message.extend_from_slice(&suffix);
            let mut extra = Vec::new();
            let again = open(role, &message, &mut extra).expect("our own message");
            let part = |part: $core::Part| part.of(&message, &extra).expect("a part of the message");
            if !head.id.is_empty() {
                assert_eq!(part(again.id), head.id, "id");
            }
            if !value.is_empty() {
                assert_eq!(part(again.value), value, "value");
            }
            match role {
                Role::Request => assert_eq!(part(again.endpoint), head.endpoint.as_bytes(), "endpoint"),
                Role::Response => assert_eq!(part(again.error), head.error.as_bytes(), "error"),
            }
        }
    };
}

envelope!(jsonrpc, jsonrpc_core);
envelope!(protorpc, protorpc_core);
