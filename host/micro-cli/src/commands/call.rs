//! `micro call`.

use crate::args::{CallArgs, Format};
use crate::commands::definitions;
use crate::failure::{Next, coded};
use crate::output;
use crate::session::Session;
use bytes::Bytes;
use micro::{Body, CallOptions, Flags, RpcHead, RpcRequest};
use micro_core::{Code, Coded, Error};
use serde_json::value::RawValue;

pub(super) async fn run(flags: &Flags, format: Format, arguments: CallArgs) -> anyhow::Result<()> {
    let example = r#"micro call go.micro.srv.greeter Say.Hello '{"name": "John"}'"#;
    let (Some(service), Some(endpoint)) = (arguments.service.clone(), arguments.endpoint.clone()) else {
        return Err(coded(Code::ARGUMENT_MISSING, "require service and method", example));
    };
    let request =
        request(&arguments.request).next_as(Code::VALUE, format!("write the request as JSON: {example}"))?;
    let options = options(&arguments)?;
    let session = match arguments.address {
        Some(_) => Session::open(flags).await?,
        None => Session::healthy(flags).await?,
    };

    let head = RpcHead::new(&service, &endpoint, "application/json");
    let request = RpcRequest { head, body: Body::Unary(request) };
    let outcome = async { session.client.send(request, &options).await?.body.into_unary().await };
    let reply = outcome.await.map_err(|error| failed(&service, &endpoint, &error))?;
    match format {
        Format::Raw | Format::Junit => output::write(&reply)?,
        Format::Text | Format::Json => {
            let next = "--output=raw prints the bytes as they came";
            let reply =
                indented(&reply).ok_or_else(|| coded(Code::CALL_ANSWER, "the answer is not JSON", next))?;
            output::write(reply.as_bytes())?;
        }
    }
    session.close().await;
    Ok(())
}

/// What the arguments say about a call.
pub(super) fn options(arguments: &CallArgs) -> anyhow::Result<CallOptions> {
    let mut options = CallOptions::new();
    for item in &arguments.metadata {
        let pair = micro::flags::key_value("metadata", item).map_err(anyhow::Error::msg);
        let (key, value) = pair.next_as(Code::VALUE, "micro call --metadata key=value …")?;
        options = options.metadata(&key, &value);
    }
    if let Some(timeout) = arguments.timeout {
        options = options.timeout(timeout);
    }
    if let Some(protocol) = arguments.protocol {
        options = options.protocol(protocol);
    }
    if let Some(descriptors) = definitions::read(&arguments.definitions)? {
        options = options.descriptors(descriptors);
    }
    if let Some(address) = &arguments.address {
        options = options.address(address);
    }
    Ok(options)
}

/// The words together, which must be JSON; none are an empty object. Sent as it was typed, so numbers keep every digit.
pub(super) fn request(words: &[String]) -> Result<Bytes, serde_json::Error> {
    let text = words.join(" ");
    if text.trim().is_empty() {
        return Ok(Bytes::from_static(b"{}"));
    }
    serde_json::from_str::<&RawValue>(&text)?;
    Ok(text.into())
}

pub(super) fn failed(service: &str, endpoint: &str, error: &Error) -> anyhow::Error {
    let next = match (error.code, error.id.as_str()) {
        (404, "go.micro.client") => {
            "micro list services shows what is registered; --address calls a node directly".to_owned()
        }
        (501, "go.micro.client.codec") if error.detail.contains("is a stream") => {
            format!("micro stream {service} {endpoint} JSON opens it")
        }
        (501, "go.micro.client.codec") => {
            format!(
                "micro get service {service} shows its methods, micro call --help shows --proto and --descriptor_set"
            )
        }
        (404, "go.micro.client.codec") => format!("micro get service {service} shows its methods"),
        (404 | 501, _) => format!("micro get service {service} shows its endpoints"),
        (408, _) => format!("give it more time with --timeout, or ask its nodes with micro health {service}"),
        (500.., "go.micro.client" | "go.micro.client.transport") => {
            format!("micro health {service} asks each of its nodes")
        }
        _ => format!("micro get service {service} shows what its endpoints take"),
    };
    coded(error.code(), format!("error calling {service}.{endpoint}: {error}"), next)
}

/// JSON indented with TABs, as Go's encoder does it: order, numbers and texts stay as they are. None if it is no JSON.
pub(super) fn indented(json: &[u8]) -> Option<String> {
    let json = if json.trim_ascii().is_empty() { b"{}" } else { json };
    let json = serde_json::from_slice::<&RawValue>(json).ok()?.get();
    let mut text = String::with_capacity(json.len() * 2);
    let mut depth = 0;
    let mut in_string = false;
    let mut escaped = false;
    // An opened object or array whose first member has not come yet.
    let mut opened = false;
    let line = |text: &mut String, depth: usize| {
        text.push('\n');
        (0..depth).for_each(|_| text.push('\t'));
    };
    for letter in json.chars() {
        if in_string {
            text.push(letter);
            in_string = escaped || letter != '"';
            escaped = !escaped && letter == '\\';
            continue;
        }
        if letter.is_ascii_whitespace() {
            continue;
        }
        if matches!(letter, '}' | ']') {
            depth -= 1;
            if !opened {
                line(&mut text, depth);
            }
            opened = false;
            text.push(letter);
            continue;
        }
        if opened {
            line(&mut text, depth);
            opened = false;
        }
        text.push(letter);
        match letter {
            '"' => in_string = true,
            '{' | '[' => {
                depth += 1;
                opened = true;
            }
            ':' => text.push(' '),
            ',' => line(&mut text, depth),
            _ => {}
        }
    }
    text.push('\n');
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_indented_and_nothing_else() {
        for (json, expected) in [
            (r#"{"msg":"Hello John"}"#, "{\n\t\"msg\": \"Hello John\"\n}\n"),
            (
                r#"{"b":1,"a":[1, {}, [ ],"x"]}"#,
                "{\n\t\"b\": 1,\n\t\"a\": [\n\t\t1,\n\t\t{},\n\t\t[],\n\t\t\"x\"\n\t]\n}\n",
            ),
            ("12345678901234567890\n", "12345678901234567890\n"),
            (r#""a\"{b\\""#, "\"a\\\"{b\\\\\"\n"),
            (" [[[]]] ", "[\n\t[\n\t\t[]\n\t]\n]\n"),
            ("", "{}\n"),
            ("null", "null\n"),
        ] {
            assert_eq!(indented(json.as_bytes()).as_deref(), Some(expected), "{json}");
        }
        for no_json in [&b"{"[..], b"hello", b"\xff", b"{}{}"] {
            assert_eq!(indented(no_json), None, "{no_json:?}");
        }
    }

    #[test]
    fn words_are_one_request() {
        let words = |words: &[&str]| request(&words.iter().map(|&it| it.to_owned()).collect::<Vec<_>>());
        assert_eq!(words(&[]).as_deref().ok(), Some(&b"{}"[..]));
        assert_eq!(
            words(&["{\"n\":", "12345678901234567890}"]).as_deref().ok(),
            Some(&b"{\"n\": 12345678901234567890}"[..])
        );
        assert!(words(&["{name: John}"]).is_err());
    }
}
