//! `micro subscribe`.

use super::publish::failed;
use crate::args::{Format, SubscribeArgs};
use crate::failure::{Next, coded};
use crate::output::{self, plain};
use crate::session::Session;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use micro::Flags;
use micro::broker::{SubscribeOptions, Subscription};
use micro_core::{Code, Message};
use serde::Serialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use tokio::signal::unix::{SignalKind, signal};

/// Events that are taken at once.
const BATCH: usize = 64;

pub(super) async fn run(flags: &Flags, format: Format, arguments: SubscribeArgs) -> anyhow::Result<()> {
    let example = "micro subscribe orders --queue=billing";
    let topic = arguments.topic.ok_or_else(|| coded(Code::ARGUMENT_MISSING, "require topic", example))?;
    let mut terminate = signal(SignalKind::terminate()).next("run it where signals can be received")?;
    let session = Session::attached(flags).await?;
    let broker = session.backends.broker.clone();
    let options = SubscribeOptions::new().queue(arguments.queue.unwrap_or_default());
    let subscribed = broker.subscribe(&topic, &options).await;
    let subscription = subscribed.map_err(|error| failed(error, &broker.location()))?;
    let shared = options.queue.as_deref().map(|queue| format!(" in queue {}", plain(queue)));
    let shared = shared.unwrap_or_default();
    output::eprint(&format!("subscribed to {}{shared}; Ctrl-C ends it\n", plain(&topic)));
    let outcome = tokio::select! {
        outcome = print(&*subscription, format, arguments.count) => outcome,
        _ = tokio::signal::ctrl_c() => Ok(()),
        _ = terminate.recv() => Ok(()),
    };
    // Publishers should not come any more when nobody prints.
    if let Err(error) = subscription.close().await {
        tracing::warn!(%error, "the subscription did not end well");
    }
    drop(subscription);
    session.close().await;
    outcome
}

/// Prints events until so many were printed, or nobody reads them.
async fn print(subscription: &dyn Subscription, format: Format, count: Option<usize>) -> anyhow::Result<()> {
    let mut left = count.unwrap_or(usize::MAX);
    while left > 0 {
        let next = "try again; --log_level=debug shows more";
        let deliveries = subscription.next(left.min(BATCH)).await.next(next)?;
        if deliveries.is_empty() {
            break;
        }
        left -= deliveries.len();
        let mut lines = Vec::new();
        for delivery in deliveries {
            match format {
                Format::Json => {
                    serde_json::to_writer(&mut lines, &Event::new(subscription.topic(), &delivery.message))?
                }
                Format::Text | Format::Raw | Format::Junit => lines.extend(text(&delivery.message).bytes()),
            }
            lines.push(b'\n');
        }
        if !output::write_on(&lines)? {
            break;
        }
    }
    Ok(())
}

/// The body in one line: as text, or in base64 where it is none.
fn text(event: &Message) -> Cow<'_, str> {
    match std::str::from_utf8(&event.body) {
        Ok(text) => match one_line(text) {
            Some(json) => Cow::Owned(json),
            None => plain(text),
        },
        Err(_) => Cow::Owned(STANDARD.encode(&event.body)),
    }
}

/// A JSON document without line breaks, which mean nothing between its parts and cannot be within its texts.
fn one_line(text: &str) -> Option<String> {
    serde_json::from_str::<&RawValue>(text).ok()?;
    Some(text.trim().replace(['\n', '\r'], " "))
}

/// An event as programs read it. Of the three forms of a body there is the first that fits.
#[derive(Serialize)]
struct Event<'a> {
    topic: &'a str,
    header: BTreeMap<&'a str, Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

impl<'a> Event<'a> {
    fn new(topic: &'a str, message: &'a Message) -> Self {
        let header =
            message.headers.iter().map(|(name, value)| (name, String::from_utf8_lossy(value))).collect();
        let mut event = Self { topic, header, body: None, text: None, base64: None };
        match std::str::from_utf8(&message.body) {
            Ok(text) => match one_line(text).and_then(|json| RawValue::from_string(json).ok()) {
                Some(json) => event.body = Some(json),
                None => event.text = Some(text),
            },
            Err(_) => event.base64 = Some(STANDARD.encode(&message.body)),
        }
        event
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: &'static [u8]) -> Message {
        let headers = [("Foo", "bar")].into_iter().collect();
        Message { headers, body: bytes::Bytes::from_static(body) }
    }

    #[test]
    fn an_event_is_one_line() {
        for (body, line, json) in [
            (&b"{\"a\":\n \"b\\nc\"}\n"[..], "{\"a\":  \"b\\nc\"}", r#""body":{"a":  "b\nc"}"#),
            (b"12345678901234567890", "12345678901234567890", r#""body":12345678901234567890"#),
            (b"two\nlines", "two\\nlines", r#""text":"two\nlines""#),
            (b"", "", r#""text":"""#),
            (b"\xff\xfe", "//4=", r#""base64":"//4=""#),
        ] {
            let message = message(body);
            assert_eq!(text(&message), line);
            let event = serde_json::to_string(&Event::new("t", &message)).expect("JSON");
            assert_eq!(event, format!(r#"{{"topic":"t","header":{{"Foo":"bar"}},{json}}}"#));
        }
    }
}
