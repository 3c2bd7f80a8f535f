//! Messages over HTTP/1.1: changed bodies, changed values of fields, changed bytes anywhere in a head.

use super::{ask, connect, mutate};
use crate::matrix::messages::matrix::{Answer, Ask};
use crate::transcripts::dumb::Message;
use crate::world::SOON;
use fastrand::Rng;
use micro::{Format, Payload};
use std::net::SocketAddr;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

const ENDPOINT: &str = "Matrix.Echo";
const FORMATS: [Format; 2] = [Format::Json, Format::Protobuf];

fn asked(rng: &mut Rng) -> Ask {
    Ask { name: format!("n{}\"ö", rng.u32(..)), count: rng.i64(..) }
}

/// The fields of a good request.
fn fields(format: Format) -> [(&'static str, String); 6] {
    [
        ("Content-Type", format.content_type().to_owned()),
        ("Micro-Service", "go.micro.srv.matrix".to_owned()),
        ("Micro-Endpoint", ENDPOINT.to_owned()),
        ("Micro-Method", ENDPOINT.to_owned()),
        ("Micro-Id", "7".to_owned()),
        ("Timeout", "30000000000".to_owned()),
    ]
}

fn request(fields: &[(&str, String)], body: &[u8]) -> Vec<u8> {
    let mut bytes = b"POST / HTTP/1.1\r\nHost: x\r\n".to_vec();
    for (name, value) in fields {
        bytes.extend(format!("{name}: {value}\r\n").into_bytes());
    }
    bytes.extend(format!("Content-Length: {}\r\n\r\n", body.len()).into_bytes());
    bytes.extend(body);
    bytes
}

/// Whether an answer says that something is wrong. Where it does not, it has to hold one of those that are `expected`.
fn judge(answer: &Message, format: Format, expected: &[Ask], sent: &[u8]) -> bool {
    let refused = !answer.start.starts_with("HTTP/1.1 200 ");
    if refused || answer.values("Micro-Error").next().is_some() {
        return true;
    }
    let said = Answer::from_bytes(format, &answer.body);
    let right =
        said.is_ok_and(|said| expected.iter().any(|ask| said.msg == ask.name && said.number == ask.count));
    assert!(right, "answered wrongly:\n{}\n{answer}\nexpected {expected:?}", sent.escape_ascii());
    false
}

/// A connection that is used as long as it lasts.
struct Kept {
    address: SocketAddr,
    caller: u64,
    stream: Option<BufReader<TcpStream>>,
}

impl Kept {
    fn new(address: SocketAddr, caller: u64) -> Self {
        Self { address, caller, stream: None }
    }

    /// The answer to a message whose end is beyond doubt.
    async fn ask(&mut self, bytes: &[u8]) -> Message {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => BufReader::new(connect(self.address, self.caller).await),
        };
        let talk = async {
            stream.write_all(bytes).await.map_err(|error| error.to_string())?;
            Message::read(&mut stream).await?.ok_or_else(|| "closed".to_owned())
        };
        let answer = timeout(SOON, talk).await;
        let answer = answer.unwrap_or_else(|_| panic!("left waiting: {}", bytes.escape_ascii()));
        let answer = answer.unwrap_or_else(|error| panic!("{error}: {}", bytes.escape_ascii()));
        let closes = answer.values("Connection").any(|value| value.eq_ignore_ascii_case("close"));
        self.stream = (!closes).then_some(stream);
        answer
    }
}

/// Bodies that something is changed in. Whether they still are messages is for the decoder to say: the answer has to be
/// that of what it makes of them.
pub(super) async fn bodies(address: SocketAddr, caller: u64, rng: &mut Rng, count: u64) {
    let mut kept = Kept::new(address, caller);
    for number in 0..count {
        let format = FORMATS[rng.usize(..2)];
        let mut body = asked(rng).to_bytes(format).expect("encodes").to_vec();
        // A good one now and then.
        if number % 8 != 0 {
            mutate(rng, &mut body);
        }
        let expected: Vec<_> = Ask::from_bytes(format, &body).into_iter().collect();
        let bytes = request(&fields(format), &body);
        let refused = judge(&kept.ask(&bytes).await, format, &expected, &bytes);
        assert_eq!(refused, expected.is_empty(), "{}", bytes.escape_ascii());
    }
}

/// Values of fields that something is changed in, but no line breaks: where the message ends stays beyond doubt, and
/// with it what has to become of the message.
pub(super) async fn values(address: SocketAddr, caller: u64, rng: &mut Rng, count: u64) {
    let mut kept = Kept::new(address, caller);
    for _ in 0..count {
        let (format, ask) = (FORMATS[rng.usize(..2)], asked(rng));
        let mut fields = fields(format);
        let (name, value) = &mut fields[rng.usize(..6)];
        let mut changed = std::mem::take(value).into_bytes();
        mutate(rng, &mut changed);
        changed.retain(|byte| (b' '..0x7f).contains(byte));
        *value = String::from_utf8(changed).expect("ASCII");
        let (name, value) = (*name, value.trim().to_owned());
        let bytes = request(&fields, &ask.to_bytes(format).expect("encodes"));
        let answer = kept.ask(&bytes).await;
        let refused = judge(&answer, format, &[ask], &bytes);
        if let Some(valid) = is_valid(name, &value, format) {
            assert_eq!(refused, !valid, "{}\n{answer}", bytes.escape_ascii());
        }
        let id = if name == "Micro-Id" { &value } else { "7" };
        let echoed = answer.values("Micro-Id").next().unwrap_or_default();
        assert_eq!(echoed, id, "{}\n{answer}", bytes.escape_ascii());
    }
}

/// Whether a message whose field has this value has to be answered, or refused. None: it depends on the clock.
fn is_valid(name: &str, value: &str, format: Format) -> Option<bool> {
    match name {
        // The other field names it too, where this one is empty.
        "Micro-Endpoint" => Some(value.is_empty() || value == ENDPOINT),
        "Content-Type" if value.is_empty() => (format == Format::Protobuf).then_some(true),
        "Content-Type" => Some(Format::of(value) == Some(format)),
        "Timeout" => None,
        _ => Some(true),
    }
}

/// Bytes changed anywhere in the head of a JSON message. No cut leaves its body valid but one: nothing is an empty
/// message.
pub(super) async fn heads(address: SocketAddr, caller: u64, rng: &mut Rng, count: u64) {
    let mut outcomes = [0, 0];
    for _ in 0..count {
        let whole = asked(rng);
        let body = whole.to_bytes(Format::Json).expect("encodes");
        let expected = [whole, Ask::default()];
        let mut bytes = request(&fields(Format::Json), &body);
        let mut head = bytes[..bytes.len() - body.len()].to_vec();
        for _ in 0..=rng.usize(..3) {
            mutate(rng, &mut head);
        }
        bytes = [&head[..], &body].concat();
        let said = ask(address, caller, &bytes).await;
        let mut said = BufReader::new(&said[..]);
        let mut answers = 0;
        // However many messages it took it for.
        loop {
            match Message::read(&mut said).await {
                Ok(Some(answer)) => {
                    let refused = judge(&answer, Format::Json, &expected, &bytes);
                    assert!(refused || asks_for_echo(&head), "answered wrongly: {}", bytes.escape_ascii());
                    outcomes[usize::from(refused)] += 1;
                }
                Ok(None) => break,
                Err(error) => panic!("{error}: the answer to {}", bytes.escape_ascii()),
            };
            answers += 1;
        }
        assert!(answers > 0 || !is_complete(&head, &body), "no answer: {}", bytes.escape_ascii());
    }
    assert!(outcomes.iter().all(|&count| count > 0), "answered and refused: {outcomes:?}");
}

/// Whether a head names the endpoint: an answer to another one is to a question that nobody asked.
fn asks_for_echo(head: &[u8]) -> bool {
    let field = |name: &str| {
        let mut lines = head.split(|&byte| byte == b'\n').filter_map(|line| {
            let (field, value) = line.split_at(line.iter().position(|&byte| byte == b':')?);
            field.eq_ignore_ascii_case(name.as_bytes()).then(|| value[1..].trim_ascii())
        });
        lines.next().filter(|value| !value.is_empty())
    };
    field("Micro-Endpoint").or_else(|| field("Micro-Method")) == Some(ENDPOINT.as_bytes())
}

/// Whether a head ends where the message's did, and says how long the body is: then somebody has to be told something,
/// whatever stands in between.
fn is_complete(head: &[u8], body: &[u8]) -> bool {
    let end = format!("\r\nContent-Length: {}\r\n\r\n", body.len());
    let ends = |bytes: &[u8]| {
        bytes.windows(3).any(|end| end == b"\n\r\n") || bytes.windows(2).any(|end| end == b"\n\n")
    };
    // Two bytes less than all of it: an end before the last one would be another.
    head.starts_with(b"POST / HTTP/1.1\r\n")
        && head.ends_with(end.as_bytes())
        && !ends(&head[..head.len() - 2])
}

/// A call with nothing changed.
pub(super) async fn good(address: SocketAddr) {
    let ask = Ask { name: "good".to_owned(), count: 1 };
    let bytes = request(&fields(Format::Json), &ask.to_bytes(Format::Json).expect("encodes"));
    let answer = Kept::new(address, 0).ask(&bytes).await;
    assert!(!judge(&answer, Format::Json, &[ask], &bytes), "refused: {answer}");
}
