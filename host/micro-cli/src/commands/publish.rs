//! `micro publish`.

use crate::args::{Format, PublishArgs};
use crate::failure::{self, Next, coded};
use crate::output::{self, plain};
use crate::session::Session;
use bytes::Bytes;
use micro::broker::Published;
use micro::{Broker, Client, Flags};
use micro_core::{BrokerError, Code, Headers, Message};
use serde_json::json;
use serde_json::value::RawValue;
use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;
use tokio::sync::mpsc;

const EXAMPLE: &str = r#"micro publish orders '{"id": 7}'"#;

/// The largest event that is read from standard input, in bytes: what the ports of services take.
const MAX_EVENT: u64 = 64 << 20;

/// Lines that are handed to the broker at once, and what is read ahead for that, in bytes.
const LINES: usize = 1024;
const AHEAD: usize = 64 << 10;

pub(super) async fn run(flags: &Flags, format: Format, arguments: PublishArgs) -> anyhow::Result<()> {
    let PublishArgs { topic, event: words, header, content_type, lines } = arguments;
    let topic = match topic {
        Some(topic) if lines || !words.is_empty() => topic,
        _ => return Err(coded(Code::ARGUMENT_MISSING, "require topic and message", EXAMPLE)),
    };
    if lines && (words.len() > 1 || words.iter().any(|word| word != "-")) {
        let next = "micro publish --lines orders < events.jsonl";
        return Err(coded(Code::VALUE, "--lines takes events from standard input only", next));
    }
    let single = if lines { None } else { Some(event(&words, &content_type)?) };
    let mut headers = Headers::new();
    for item in &header {
        let pair = micro::flags::key_value("header", item).map_err(anyhow::Error::msg);
        let (key, value) = pair.next_as(Code::VALUE, "micro publish --header key=value …")?;
        headers.insert(&key, value);
    }
    let session = Session::healthy(flags).await?;
    let publisher = Publisher {
        broker: session.backends.broker.clone(),
        client: session.client.clone(),
        topic: topic.clone(),
        content_type,
        headers,
    };
    let outcome = match single {
        Some(body) => publisher.publish(vec![body]).await,
        // A task: those who look after the sockets run it themselves, and need not wake this thread for each answer.
        None => tokio::spawn(publisher.lines()).await.map_err(anyhow::Error::from).flatten(),
    };
    let location = session.backends.broker.location();
    session.close().await;
    let sum = outcome?;
    let Published { delivered, refused, missed } = sum.published;
    let json = json!({
        "topic": topic, "events": sum.events, "delivered": delivered, "refused": refused, "missed": missed
    });
    output::answer(format, || "ok\n".to_owned(), &json)?;
    let topic = plain(&topic);
    if sum.unheard > 0 {
        let what = if sum.events == 1 {
            "the event is gone".to_owned()
        } else {
            format!("{} events are gone", sum.unheard)
        };
        output::eprint(&format!("nobody subscribes to {topic} among {location}: {what}\n"));
    }
    if refused > 0 {
        output::eprint(&format!("subscribers of {topic} could not process what they got, {refused} times\n"));
    }
    if missed > 0 {
        output::eprint(&format!("subscribers of {topic} could not be reached, {missed} times\n"));
    }
    Ok(())
}

/// What became of all events together.
#[derive(Default)]
struct Sum {
    events: usize,
    unheard: usize,
    published: Published,
}

struct Publisher {
    broker: Arc<dyn Broker>,
    client: Client,
    topic: String,
    content_type: String,
    headers: Headers,
}

impl Publisher {
    /// The error is that of the first event that was lost.
    async fn publish(&self, events: Vec<Bytes>) -> anyhow::Result<Sum> {
        let message = |body| self.client.event(&self.topic, &self.content_type, body, &self.headers);
        let messages: Vec<Message> = events.into_iter().map(message).collect();
        let mut sum = Sum { events: messages.len(), ..Sum::default() };
        for outcome in self.broker.publish(&self.topic, messages).await {
            let published = outcome.map_err(|error| failed(error, &self.broker.location()))?;
            sum.add(published);
        }
        Ok(sum)
    }

    /// Publishes what is read while it is read on.
    async fn lines(self) -> anyhow::Result<Sum> {
        let (read, mut batches) = mpsc::channel(1);
        let content_type = self.content_type.clone();
        tokio::task::spawn_blocking(move || read_lines(&content_type, &read));
        let mut sum = Sum::default();
        while let Some(events) = batches.recv().await {
            let part = self.publish(events?).await?;
            sum.events += part.events;
            sum.unheard += part.unheard;
            sum.add_counts(part.published);
        }
        Ok(sum)
    }
}

/// Hands the lines of standard input over until its end, until one is no event, or until nobody takes them.
fn read_lines(content_type: &str, batches: &mpsc::Sender<anyhow::Result<Vec<Bytes>>>) {
    let mut input = BufReader::with_capacity(AHEAD, std::io::stdin());
    let mut number = 0;
    loop {
        let (events, failure) = batch(&mut input, content_type, &mut number);
        let ended = events.is_empty() || failure.is_some();
        let taken = events.is_empty() || batches.blocking_send(Ok(events)).is_ok();
        if let Some(failure) = failure {
            // Whoever takes no more has failed before.
            _ = batches.blocking_send(Err(failure));
        }
        if ended || !taken {
            return;
        }
    }
}

/// The lines that are there, as many as fit; at least one, unless the end is reached. Who writes one now and then waits
/// for no others. Lines before one that is no event are events; `number` counts all.
fn batch<R: Read>(
    input: &mut BufReader<R>,
    content_type: &str,
    number: &mut usize,
) -> (Vec<Bytes>, Option<anyhow::Error>) {
    let mut events = Vec::new();
    while events.is_empty() || events.len() < LINES && input.buffer().contains(&b'\n') {
        let mut line = Vec::new();
        let read = input.by_ref().take(MAX_EVENT + 1).read_until(b'\n', &mut line);
        match read.next_as(Code::VALUE, "hand the events over on standard input") {
            Ok(0) => break,
            Ok(_) => *number += 1,
            Err(error) => return (events, Some(error)),
        }
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        match checked(line.to_vec(), content_type, Some(*number)) {
            Ok(event) => events.push(event),
            Err(error) => return (events, Some(error)),
        }
    }
    (events, None)
}

impl Sum {
    fn add(&mut self, published: Published) {
        self.unheard += usize::from(published.is_unheard());
        self.add_counts(published);
    }

    fn add_counts(&mut self, published: Published) {
        let Published { delivered, refused, missed } = published;
        let sum = &mut self.published;
        // A broker that does not say is one that never does.
        sum.delivered = delivered.map(|delivered| sum.delivered.unwrap_or(0) + delivered);
        sum.refused += refused;
        sum.missed += missed;
    }
}

/// The words together, or standard input for a dash.
fn event(words: &[String], content_type: &str) -> anyhow::Result<Bytes> {
    if words != ["-"] {
        return checked(words.join(" ").into_bytes(), content_type, None);
    }
    let mut input = Vec::new();
    let read = std::io::stdin().lock().take(MAX_EVENT + 1).read_to_end(&mut input);
    read.next_as(Code::VALUE, "hand the event over on standard input")?;
    checked(input, content_type, None)
}

/// What is said to be JSON must be JSON; it is sent as it was typed.
fn checked(body: Vec<u8>, content_type: &str, line: Option<usize>) -> anyhow::Result<Bytes> {
    let place = line.map(|number| format!("line {number}: ")).unwrap_or_default();
    if body.len() as u64 > MAX_EVENT {
        let text = format!("{place}the event is larger than {MAX_EVENT} bytes");
        return Err(coded(Code::VALUE, text, "publish where it can be had instead"));
    }
    if micro::Format::of(content_type) == Some(micro::Format::Json) {
        let parsed: Result<&RawValue, _> = serde_json::from_slice(&body);
        parsed.map_err(|error| {
            let next = format!("write the event as JSON: {EXAMPLE}; or say what it is with --content_type");
            coded(Code::VALUE, format!("{place}{error}"), next)
        })?;
    }
    Ok(body.into())
}

/// An error of the broker, with what can be done about it.
pub(super) fn failed(error: BrokerError, location: &str) -> anyhow::Error {
    let next = match error {
        BrokerError::Unavailable { .. } | BrokerError::Timeout { .. } => {
            format!("check that the registry answers; asked {location}")
        }
        BrokerError::Undelivered { .. } => {
            "micro get service micro.http.broker shows who subscribes; records of processes that are gone end within a minute".to_owned()
        }
        BrokerError::Invalid { .. } => "choose another topic, queue or header".to_owned(),
        BrokerError::Denied { .. } => "allow it with --registry_allow, or check the credentials".to_owned(),
        BrokerError::Plugin { .. } | BrokerError::Other { .. } => "try again; --log_level=debug shows more".to_owned(),
    };
    failure::with_next(error, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_sent_as_they_were_typed() {
        let words = |words: &[&str], kind: &str| {
            event(&words.iter().map(|&it| it.to_owned()).collect::<Vec<_>>(), kind)
        };
        let json = "application/json";
        assert_eq!(
            words(&["{\"n\":", "12345678901234567890}"], json).expect("JSON"),
            "{\"n\": 12345678901234567890}"
        );
        assert_eq!(words(&["hello", "there"], "text/plain").expect("anything"), "hello there");
        for bad in [&["{n: 1}"][..], &["hello"]] {
            words(bad, json).expect_err("no JSON");
        }
    }

    #[test]
    fn lines_are_taken_as_they_come() {
        /// Gives one piece with each read, as a pipe does.
        struct Pipe(Vec<&'static [u8]>);
        impl Read for Pipe {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                let Some(piece) = self.0.pop() else { return Ok(0) };
                buffer[..piece.len()].copy_from_slice(piece);
                Ok(piece.len())
            }
        }
        let mut input = BufReader::new(Pipe(vec![b"5", b"3}\n\n 4 \n", b"1\n2\n{\"a\":"]));
        let mut number = 0;
        let mut next = || {
            let (events, failure) = batch(&mut input, "application/json", &mut number);
            assert!(failure.is_none(), "{failure:?}");
            events
        };
        assert_eq!(next(), ["1", "2"]);
        assert_eq!(next(), ["{\"a\":3}", "4"]);
        assert_eq!(next(), ["5"]);
        assert!(next().is_empty(), "the end");
        assert_eq!(number, 6);
    }

    #[test]
    fn lines_before_one_that_is_no_event_are_events() {
        let mut input = BufReader::new(&b"1\n\n2\nnope\n3\n"[..]);
        let (events, failure) = batch(&mut input, "application/json", &mut 0);
        assert_eq!(events, ["1", "2"]);
        let failure = failure.expect("a line that is no JSON").to_string();
        assert!(failure.starts_with("line 4: expected ident"), "{failure}");
    }

    #[test]
    fn outcomes_add_up() {
        let mut sum = Sum::default();
        let of = |delivered, missed| Published { delivered: Some(delivered), missed, ..Published::default() };
        for published in [of(2, 0), of(0, 0), of(1, 1)] {
            sum.add(published);
        }
        assert_eq!((sum.unheard, sum.published), (1, of(3, 1)));
    }
}
