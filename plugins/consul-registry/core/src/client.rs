//! Talking to agents: which one, and what failures mean.

use crate::Error;
use crate::config::Secret;
use crate::gate::Gate;
use crate::http::{HttpClient, HttpError, Method, Origin, Request, Response};
use futures::future::{Either, select};
use std::cell::Cell;
use std::pin::pin;
use std::time::{Duration, Instant};

/// The longest answer that is read, in bytes: thousands of instances.
const MAX_ANSWER: usize = 32 << 20;
/// Bytes of an error's text that are shown.
const MAX_TEXT: usize = 300;
/// What a blocking query may take longer than it was asked to wait: consul adds up to a sixteenth, the way some more.
const SLACK: Duration = Duration::from_secs(2);

/// Requests at the same time that are answered at once; others wait for their turn.
const MAX_SHORT: usize = 32;

pub(crate) struct Client<H> {
    pub(crate) http: H,
    pub(crate) origins: Vec<Origin>,
    /// Index of the agent that answered last; it is asked first.
    current: Cell<usize>,
    token: Option<Secret>,
    /// Query of every request, beginning with `?`.
    everywhere: String,
    /// Requests that are answered at once.
    short: Gate,
}

/// One question.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    /// Parameters, each with `&` before it.
    pub(crate) query: &'a str,
    pub(crate) body: &'a [u8],
    /// Whom to ask first. None: the agent that answered last.
    pub(crate) first: Option<usize>,
    /// How long consul was asked to wait before it answers.
    pub(crate) patience: Option<Duration>,
}

impl<'a> Ask<'a> {
    pub(crate) fn get(path: &'a str, query: &'a str) -> Self {
        Self { method: Method::Get, path, query, body: &[], first: None, patience: None }
    }

    pub(crate) fn put(path: &'a str, body: &'a [u8]) -> Self {
        Self { method: Method::Put, path, query: "", body, first: None, patience: None }
    }
}

/// A good answer, and whose it is.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) agent: usize,
    pub(crate) origin: String,
    pub(crate) path: String,
    pub(crate) response: Response,
}

/// A question without a good answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nobody answered, or only with what says nothing about other agents.
    Down {
        reason: String,
        denied: bool,
    },
    /// An agent's answer.
    Refused {
        origin: String,
        status: u16,
        text: String,
    },
    TooLong {
        origin: String,
    },
    Malformed {
        origin: String,
        what: String,
    },
}

impl<H: HttpClient> Client<H> {
    pub(crate) fn new(http: H, origins: Vec<Origin>, token: Option<Secret>, everywhere: String) -> Self {
        Self { http, origins, current: Cell::new(0), token, everywhere, short: Gate::new(MAX_SHORT) }
    }

    pub(crate) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Asks one agent after the other until one answers, each with an equal share of the time that is left.
    pub(crate) async fn ask(&self, deadline: Instant, ask: Ask<'_>) -> Result<Answer, Fault> {
        let (first, count) = (ask.first.unwrap_or(self.current.get()), self.origins.len());
        let (mut reasons, mut all_denied) = (Vec::with_capacity(count), true);
        let mut last = None;
        for turn in 0..count {
            let agent = (first + turn) % count;
            let origin = &self.origins[agent];
            let rest = deadline.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                reasons.push(format!("{origin}: no time left to ask"));
                (all_denied, last) = (false, None);
                continue;
            }
            let left = u32::try_from(count - turn).unwrap_or(u32::MAX);
            let share = match ask.patience {
                Some(patience) => (patience + patience / 16 + SLACK).min(rest),
                None => rest / left,
            };
            // Whole milliseconds, because people read it.
            let share = Duration::from_millis(u64::try_from(share.as_millis()).unwrap_or(u64::MAX));
            match self.ask_one(agent, share, ask).await {
                Err(Fault::Down { reason, denied }) => {
                    reasons.push(reason);
                    (all_denied, last) = (all_denied && denied, None);
                }
                // Of this agent's state, not of the question.
                Err(Fault::Refused { origin, status, text }) if status == 429 || status >= 500 => {
                    reasons.push(format!("{origin}: {text}"));
                    all_denied = false;
                    last = Some(Fault::Refused { origin, status, text });
                }
                answer => {
                    self.current.set(agent);
                    return answer;
                }
            }
        }
        match last {
            Some(refused) if count == 1 => Err(refused),
            _ => Err(Fault::Down { reason: reasons.join("; "), denied: all_denied }),
        }
    }

    /// Asks one agent.
    pub(crate) async fn ask_one(
        &self,
        agent: usize,
        within: Duration,
        ask: Ask<'_>,
    ) -> Result<Answer, Fault> {
        let origin = &self.origins[agent];
        let joined = format!("{}{}{}", ask.path, self.everywhere, ask.query);
        // `?&a` is what joining leaves where nothing applies everywhere.
        let path = joined.replacen("?&", "?", 1);
        let path = path.strip_suffix('?').unwrap_or(&path);
        let token = self.token.as_ref().map(|token| token.0.as_str());
        let Ask { method, body, .. } = ask;
        let began = Instant::now();
        let _place = match ask.patience {
            // Those who wait are counted elsewhere.
            Some(_) => None,
            None => match select(pin!(self.short.enter()), pin!(self.http.sleep(within))).await {
                Either::Left((place, _)) => Some(place),
                Either::Right(_) => {
                    let reason = format!("{origin}: {MAX_SHORT} requests to it have no answer yet");
                    return Err(Fault::Down { reason, denied: false });
                }
            },
        };
        let within = within.saturating_sub(began.elapsed());
        let request = Request { origin, method, path, token, body, within, limit: MAX_ANSWER };
        let response = self.http.send(request).await.map_err(|error| match error {
            HttpError::Denied(why) => {
                Fault::Down { reason: format!("{origin}: {}", shorten(&why)), denied: true }
            }
            HttpError::Unreachable(why) => {
                Fault::Down { reason: format!("{origin}: {}", shorten(&why)), denied: false }
            }
            HttpError::TooLong => Fault::TooLong { origin: origin.to_string() },
        })?;
        if response.status != 200 {
            let text = shorten(&String::from_utf8_lossy(&response.body));
            let text = if text.is_empty() { format!("status {}", response.status) } else { text };
            return Err(Fault::Refused { origin: origin.to_string(), status: response.status, text });
        }
        Ok(Answer { agent, origin: origin.to_string(), path: ask.path.to_owned(), response })
    }
}

impl Fault {
    /// The agent does not know what the question is about. Until 1.11 such answers had another status.
    pub(crate) fn is_unknown(&self) -> bool {
        match self {
            Self::Refused { status: 404, .. } => true,
            Self::Refused { status: 500, text, .. } => {
                ["nknown service", "nknown check", "does not have associated TTL"]
                    .iter()
                    .any(|it| text.contains(it))
            }
            _ => false,
        }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        let (origin, status, text) = match fault {
            Fault::Down { reason, denied: true } => return Self::Denied(reason),
            Fault::Down { reason, denied: false } => return Self::Unavailable(reason),
            Fault::TooLong { origin } => {
                return Self::Other(format!("{origin}: the answer is longer than {} MiB", MAX_ANSWER >> 20));
            }
            Fault::Malformed { origin, what } => {
                return Self::Other(format!("{origin}: not an answer of consul: {}", shorten(&what)));
            }
            Fault::Refused { origin, status, text } => (origin, status, text),
        };
        let refused = ["Permission denied", "ACL not found", "cripts are disabled"];
        let is_denial = matches!(status, 401 | 403) || refused.iter().any(|it| text.contains(it));
        let text = format!("{origin}: {text}");
        match status {
            _ if is_denial => Self::Denied(text),
            400 | 413 => Self::Invalid(text),
            404 | 405 => Self::Other(format!("{text} (is this consul's HTTP API?)")),
            429 | 500.. => Self::Unavailable(text),
            _ => Self::Other(text),
        }
    }
}

/// One line of bounded length, for people.
pub(crate) fn shorten(text: &str) -> String {
    let text = text.trim();
    let cut = text.floor_char_boundary(MAX_TEXT);
    let mut short = text[..cut].replace(char::is_control, " ");
    if cut < text.len() {
        short.push('…');
    }
    short
}
