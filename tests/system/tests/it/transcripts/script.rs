//! Conversations as they are written down.

use std::time::Duration;

/// Who is under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Server,
    Client,
}

/// One conversation.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) role: Role,
    pub(super) steps: Vec<(usize, Step)>,
}

/// What happens, with the line it stands in.
#[derive(Debug)]
pub(super) enum Step {
    Call {
        legacy: bool,
        stream: bool,
        endpoint: String,
        content_type: String,
        body: Vec<u8>,
    },
    /// Our client, on its stream.
    Say(Vec<u8>),
    HangUp,
    /// Nobody does anything.
    Pause(Duration),
    /// The peer.
    Send(Vec<u8>),
    Receive(Vec<Check>),
    Closed,
    Answer(Vec<u8>),
    Failure {
        code: u16,
        id: String,
        detail: String,
    },
    End,
}

/// What a message has to have.
#[derive(Debug)]
pub(super) enum Check {
    Start(String),
    Field(String, String),
    NoField(String),
    Body(Vec<u8>),
    BodyHas(Vec<u8>),
}

impl Script {
    /// # Errors
    /// The line that says nothing.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (mut role, mut steps) = (None, Vec::new());
        for (number, line) in text.lines().enumerate() {
            let number = number + 1;
            let read = Self::line(line, &mut role, &mut steps, number);
            read.ok_or_else(|| format!("line {number} says nothing: {line}"))?;
        }
        Ok(Self { role: role.ok_or("it has no role")?, steps })
    }

    fn line(
        line: &str,
        role: &mut Option<Role>,
        steps: &mut Vec<(usize, Step)>,
        number: usize,
    ) -> Option<()> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let step = match (word, rest) {
            ("" | "#", _) => return Some(()),
            ("role", _) => {
                *role = Some(if rest == "server" { Role::Server } else { Role::Client });
                return Some(());
            }
            ("call" | "call-legacy" | "stream", _) => {
                let mut words = rest.splitn(3, ' ').map(str::to_owned);
                Step::Call {
                    legacy: word == "call-legacy",
                    stream: word == "stream",
                    endpoint: words.next()?,
                    content_type: words.next()?,
                    body: unescaped(&words.next().unwrap_or_default())?,
                }
            }
            ("say", _) => Step::Say(unescaped(rest)?),
            ("hang", "up") => Step::HangUp,
            ("pause", _) => Step::Pause(Duration::from_millis(rest.strip_suffix(" ms")?.parse().ok()?)),
            (">", _) => {
                let bytes = unescaped(rest)?;
                if let Some((_, Step::Send(before))) = steps.last_mut() {
                    before.extend(bytes);
                    return Some(());
                }
                Step::Send(bytes)
            }
            ("=", "closed") => Step::Closed,
            ("=", _) => {
                let (begins, check) = check(rest)?;
                match steps.last_mut() {
                    Some((_, Step::Receive(checks))) if !begins => {
                        checks.push(check);
                        return Some(());
                    }
                    _ => Step::Receive(vec![check]),
                }
            }
            ("!", "end") => Step::End,
            ("!", _) => match rest.split_once(' ').unwrap_or((rest, "")) {
                ("answer", body) => Step::Answer(unescaped(body)?),
                ("error", rest) => {
                    let mut words = rest.splitn(3, ' ').map(str::to_owned);
                    Step::Failure {
                        code: words.next()?.parse().ok()?,
                        id: words.next()?,
                        detail: words.next().unwrap_or_default(),
                    }
                }
                _ => return None,
            },
            _ => return None,
        };
        steps.push((number, step));
        Some(())
    }
}

/// A check, and whether another message begins with it.
fn check(text: &str) -> Option<(bool, Check)> {
    if let Some(start) = text.strip_prefix("start ") {
        return Some((true, Check::Start(start.to_owned())));
    }
    let check = if let Some(part) = text.strip_prefix("body has ") {
        Check::BodyHas(unescaped(part)?)
    } else if text == "body" {
        Check::Body(Vec::new())
    } else if let Some(body) = text.strip_prefix("body ") {
        Check::Body(unescaped(body)?)
    } else if let Some(name) = text.strip_prefix("no ") {
        Check::NoField(name.to_owned())
    } else {
        let (name, value) = text.split_once(": ")?;
        Check::Field(name.to_owned(), value.to_owned())
    };
    Some((false, check))
}

fn unescaped(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let (escape, after) = rest.split_first()?;
        rest = after;
        match escape {
            b'r' => bytes.push(b'\r'),
            b'n' => bytes.push(b'\n'),
            b'\\' => bytes.push(b'\\'),
            b'x' => {
                let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = &rest[2..];
            }
            _ => return None,
        }
    }
    Some(bytes)
}

impl Check {
    /// # Errors
    /// What is there instead.
    pub(super) fn of(&self, message: &super::dumb::Message) -> Result<(), String> {
        let right = match self {
            Self::Start(start) => message.start.starts_with(start.as_str()),
            Self::Field(name, value) => message.values(name).any(|found| match value.as_str() {
                "*" => true,
                "#" => found.bytes().all(|it| it.is_ascii_digit()) && !found.is_empty(),
                value => found == value,
            }),
            Self::NoField(name) => message.values(name).next().is_none(),
            Self::Body(body) => message.body == *body,
            Self::BodyHas(part) => message.body.windows(part.len()).any(|found| found == part),
        };
        if right { Ok(()) } else { Err(format!("expected {self:?} of\n{message}")) }
    }
}
