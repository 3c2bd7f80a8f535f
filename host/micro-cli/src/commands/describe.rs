//! A service in words: the layout that scripts for Go Micro's command know.

use crate::output::plain;
use micro_core::registry::Metadata;
use micro_core::{Endpoint, Service, Value};
use std::fmt::Write;

/// Versions with their nodes, then the endpoints of the first version.
pub(super) fn service(name: &str, versions: &[Service]) -> String {
    let mut text = format!("service  {}\n", plain(name));
    for version in versions {
        if !version.version.is_empty() {
            push(&mut text, format_args!("\nversion {}\n", plain(&version.version)));
        }
        text.push_str("\nID\tAddress\tMetadata\n");
        for node in &version.nodes {
            let (id, address, metadata) = (plain(&node.id), plain(&node.address), pairs(&node.metadata));
            push(&mut text, format_args!("{id}\t{address}\t{metadata}\n"));
        }
    }
    for endpoint in versions.first().iter().flat_map(|version| &version.endpoints) {
        describe(&mut text, endpoint);
    }
    text
}

fn describe(text: &mut String, endpoint: &Endpoint) {
    push(text, format_args!("\nEndpoint: {}\n", plain(&endpoint.name)));
    if !endpoint.metadata.is_empty() {
        push(text, format_args!("Metadata: {}\n", pairs(&endpoint.metadata)));
    }
    push(text, format_args!("\nRequest: {}\n", fields(endpoint.request.as_ref())));
    push(text, format_args!("\nResponse: {}\n\n", fields(endpoint.response.as_ref())));
}

/// `a=1,b=2`, by key.
fn pairs(metadata: &Metadata) -> String {
    let pairs: Vec<_> =
        metadata.iter().map(|(key, value)| plain(&format!("{key}={value}")).into_owned()).collect();
    pairs.join(",")
}

fn fields(message: Option<&Value>) -> String {
    let Some(message) = message.filter(|message| !message.values.is_empty()) else {
        return "{}".to_owned();
    };
    let mut text = "{\n".to_owned();
    for value in &message.values {
        field(&mut text, value, 1);
    }
    text.push('}');
    text
}

fn field(text: &mut String, value: &Value, depth: usize) {
    let tabs = "\t".repeat(depth);
    let (name, kind) = (snake_case(&plain(&value.name)), plain(&value.kind));
    if value.values.is_empty() {
        push(text, format_args!("{tabs}{name} {kind}\n"));
        return;
    }
    push(text, format_args!("{tabs}{name} {kind} {{\n"));
    for value in &value.values {
        field(text, value, depth + 1);
    }
    push(text, format_args!("{tabs}}}\n"));
}

/// `userID` is `user_id`, `HTTPServer` is `http_server`.
fn snake_case(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut snake = String::with_capacity(name.len() + 4);
    for (at, &letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| letters[at]);
        let after_small = before.is_some_and(|it| it.is_lowercase() || it.is_ascii_digit());
        let ends_capitals =
            before.is_some_and(char::is_uppercase) && letters.get(at + 1).is_some_and(|it| it.is_lowercase());
        if letter.is_uppercase() && (after_small || ends_capitals) {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

/// Writing to a String cannot fail.
fn push(text: &mut String, more: std::fmt::Arguments<'_>) {
    _ = text.write_fmt(more);
}

#[cfg(test)]
mod tests {
    use super::*;
    use micro_core::Node;

    fn value(name: &str, kind: &str, values: Vec<Value>) -> Value {
        Value { name: name.to_owned(), kind: kind.to_owned(), values }
    }

    #[test]
    fn the_layout_is_frozen() {
        let metadata =
            |pairs: &[(&str, &str)]| pairs.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
        let request = value(
            "Request",
            "Request",
            vec![
                value("name", "string", vec![]),
                value("homeAddress", "Address", vec![value("zipCode", "string", vec![])]),
            ],
        );
        let node = Node {
            id: "greeter-1".to_owned(),
            address: "10.0.0.1:8080".to_owned(),
            metadata: metadata(&[("transport", "http"), ("protocol", "mucp")]),
            ..Node::default()
        };
        let first = Service {
            name: "greeter".to_owned(),
            version: "1.0.0".to_owned(),
            nodes: vec![node.clone()],
            endpoints: vec![
                Endpoint { name: "Say.Hello".to_owned(), request: Some(request), ..Endpoint::default() },
                Endpoint {
                    name: "Say.Watch".to_owned(),
                    metadata: metadata(&[("stream", "true")]),
                    ..Endpoint::default()
                },
            ],
            ..Service::default()
        };
        let second = Service { version: String::new(), endpoints: Vec::new(), ..first.clone() };
        let expected = "service  greeter\n\
            \nversion 1.0.0\n\
            \nID\tAddress\tMetadata\ngreeter-1\t10.0.0.1:8080\tprotocol=mucp,transport=http\n\
            \nID\tAddress\tMetadata\ngreeter-1\t10.0.0.1:8080\tprotocol=mucp,transport=http\n\
            \nEndpoint: Say.Hello\n\
            \nRequest: {\n\tname string\n\thome_address Address {\n\t\tzip_code string\n\t}\n}\n\
            \nResponse: {}\n\
            \n\
            \nEndpoint: Say.Watch\nMetadata: stream=true\n\
            \nRequest: {}\n\
            \nResponse: {}\n\
            \n";
        assert_eq!(service("greeter", &[first, second]), expected);
    }

    #[test]
    fn names_become_snake_case() {
        for (name, snake) in [
            ("name", "name"),
            ("statusCode", "status_code"),
            ("userID", "user_id"),
            ("HTTPServer", "http_server"),
            ("Name", "name"),
            ("snake_case", "snake_case"),
            ("v2Name", "v2_name"),
            ("", ""),
        ] {
            assert_eq!(snake_case(name), snake);
        }
    }
}
