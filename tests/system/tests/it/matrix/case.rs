//! The cases, and what is expected of each.

use super::SERVICE;
use super::known::Direction;
use super::peer::Peer;
use micro_core::Error;
use serde_json::Value;
use std::fmt;

/// A case, by the name that the Go programs have for it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Case(&'static str);

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Text that needs care on its way.
pub(super) const NAME: &str = "Jörg \"😀\"\n";
/// More than a floating-point number can hold.
pub(super) const COUNT: i64 = (1 << 53) + 1;
/// Goes with every call.
pub(super) const METADATA: [(&str, &str); 3] =
    [("Tenant", "blue team"), ("X-Request-Id", "9"), ("foo", r#"a "b", c;d=1"#)];
/// A content type that no codec has.
pub(super) const STRANGE_TYPE: &str = "application/x-strange";
/// What an event says it is about.
pub(super) const TOPIC: &str = "matrix.heard";

impl Case {
    pub(super) const ECHO: Self = Self("echo");
    pub(super) const EMPTY: Self = Self("empty");
    pub(super) const REFUSE: Self = Self("refuse");
    pub(super) const BOOM: Self = Self("boom");
    pub(super) const UNKNOWN_METHOD: Self = Self("unknown-method");
    pub(super) const UNKNOWN_HANDLER: Self = Self("unknown-handler");
    pub(super) const STRANGE_TYPE: Self = Self("strange-type");
    pub(super) const DEADLINE: Self = Self("deadline");
    pub(super) const METADATA: Self = Self("metadata");
    pub(super) const KEEP_ALIVE: Self = Self("keep-alive");
    pub(super) const SERVER_ENDS: Self = Self("server-ends");
    pub(super) const CLIENT_ENDS: Self = Self("client-ends");
    pub(super) const SERVER_STREAM: Self = Self("server-stream");
    pub(super) const STREAM_ERROR: Self = Self("stream-error");
    pub(super) const EVENT: Self = Self("event");

    pub(super) const ALL: [Self; 15] = [
        Self::ECHO,
        Self::EMPTY,
        Self::REFUSE,
        Self::BOOM,
        Self::UNKNOWN_METHOD,
        Self::UNKNOWN_HANDLER,
        Self::STRANGE_TYPE,
        Self::DEADLINE,
        Self::METADATA,
        Self::KEEP_ALIVE,
        Self::SERVER_ENDS,
        Self::CLIENT_ENDS,
        Self::SERVER_STREAM,
        Self::STREAM_ERROR,
        Self::EVENT,
    ];

    pub(super) fn name(self) -> &'static str {
        self.0
    }

    /// What has to come out, where no program is known to do otherwise.
    pub(super) fn expected(self, direction: Direction, peer: Peer) -> Expected {
        let answers = |answers| Expected { answers, error: None };
        let we_answer = direction == Direction::GoCallsUs;
        match self {
            Self::ECHO => answers(&[(NAME, COUNT)]),
            Self::EMPTY => answers(&[("", 0)]),
            Self::REFUSE => Expected::error(Some(SERVICE), 409, r#"no "naïve": 100%"#),
            // Plain text has no code; Go's gRPC clients make one up.
            Self::BOOM => Expected::error(None, if peer.is_grpc() && we_answer { 500 } else { 0 }, "boom"),
            Self::UNKNOWN_METHOD if peer.is_grpc() => Expected::error(None, 501, "Nope"),
            Self::UNKNOWN_HANDLER if peer.is_grpc() => Expected::error(None, 501, "Nobody"),
            // Ours says so in a code; Go's in text alone.
            Self::UNKNOWN_METHOD => {
                Expected::error(None, if we_answer { 404 } else { 0 }, "rpc: can't find method ")
            }
            Self::UNKNOWN_HANDLER => {
                Expected::error(None, if we_answer { 404 } else { 0 }, "rpc: can't find service Nobody")
            }
            // A status of gRPC, of which its clients make an error.
            Self::STRANGE_TYPE if we_answer && peer.is_grpc() => {
                Expected::error(None, 501, "application/grpc+x-strange")
            }
            Self::STRANGE_TYPE if we_answer => Expected::error(None, 415, "unsupported content type"),
            // Our client knows by itself what cannot be understood.
            Self::STRANGE_TYPE if peer.is_enveloped() => Expected::error(None, 415, "takes envelopes only"),
            Self::STRANGE_TYPE if peer.is_grpc() => Expected::error(None, 415, "does not go over gRPC"),
            Self::STRANGE_TYPE => {
                Expected::error(None, 415, "nsupported Content-Type: application/x-strange")
            }
            Self::DEADLINE => Expected::error(None, 408, "deadline"),
            Self::METADATA => answers(&[(r#"blue team|9|a "b", c;d=1"#, 0)]),
            Self::KEEP_ALIVE => answers(&[("", 1000)]),
            Self::SERVER_ENDS => answers(&[("a", 1), ("b", 2), ("c", 3)]),
            Self::CLIENT_ENDS => answers(&[("", 1), ("", 2), ("with the end", 0)]),
            Self::SERVER_STREAM => answers(&[("n", 1), ("n", 2), ("n", 3), ("n", 4), ("n", 5)]),
            Self::STREAM_ERROR => {
                let failed = Expected::error(Some(SERVICE), 409, "no more of x");
                Expected { answers: &[("x", 1)], ..failed }
            }
            Self::EVENT => answers(&[("heard 7", 0)]),
            Self(other) => unreachable!("{other} is no case"),
        }
    }
}

/// What came out: every answer, and then an error, if any.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) answers: Vec<(String, i64)>,
    pub(super) error: Option<Error>,
}

impl Outcome {
    /// Reads what a Go program printed.
    pub(super) fn parse(line: &str) -> Option<(Case, Self)> {
        let value: Value = serde_json::from_str(line).ok()?;
        let case = Case::ALL.into_iter().find(|case| value["case"] == case.name())?;
        let answer = |answer: &Value| {
            let text = answer["msg"].as_str().unwrap_or_default().to_owned();
            (text, answer["number"].as_i64().unwrap_or_default())
        };
        let answers = value["answers"].as_array().map(|answers| answers.iter().map(answer).collect());
        let error = value["error"].as_str().filter(|text| !text.is_empty());
        // A Go program that reads a stream over gRPC gets its library's text around ours.
        let error =
            error.map(|text| Error::parse(text.split_once(" desc = ").map_or(text, |(_, ours)| ours)));
        Some((case, Self { answers: answers.unwrap_or_default(), error }))
    }
}

/// What is expected to come out.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    /// A text that ends with `*` stands for all that begin like it.
    pub(super) answers: &'static [(&'static str, i64)],
    /// Its id where that says something, its code, and a part of its text.
    pub(super) error: Option<(Option<&'static str>, u16, &'static str)>,
}

impl Expected {
    pub(super) const fn error(id: Option<&'static str>, code: u16, part: &'static str) -> Self {
        Self { answers: &[], error: Some((id, code, part)) }
    }

    /// # Errors
    /// Says what is different.
    pub(super) fn check(&self, outcome: &Outcome) -> Result<(), String> {
        let answer = |((expected, count), (text, number)): (&(&str, i64), &(String, i64))| {
            let text_fits = match expected.strip_suffix('*') {
                Some(start) => text.starts_with(start),
                None => text == expected,
            };
            text_fits && count == number
        };
        let answered = self.answers.len() == outcome.answers.len()
            && self.answers.iter().zip(&outcome.answers).all(answer);
        let same = match (&self.error, &outcome.error) {
            (None, None) => true,
            (Some((id, code, part)), Some(error)) => {
                id.is_none_or(|id| id == error.id) && *code == error.code && error.detail.contains(part)
            }
            _ => false,
        };
        if same && answered {
            return Ok(());
        }
        Err(format!("{outcome:?}\n    expected {self:?}"))
    }
}
