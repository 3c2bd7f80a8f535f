//! Talking to a cluster: which member, with which token, and what failures mean.

use crate::Error;
use crate::config::{Login, Settings};
use crate::gateway::{Answer, Status, Token, code, shorten};
use crate::http::{Body, Chunk, HttpClient, HttpError, Origin, Request};
use futures::lock::Mutex;
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The longest answer that is taken whole.
pub(crate) const MAX_ANSWER: usize = 16 << 20;
/// An error's text is short; more than this is something else.
const MAX_ERROR: usize = 64 << 10;

/// Where warnings go.
pub(crate) type Warn = Box<dyn Fn(&str)>;

pub(crate) struct Client<H> {
    http: H,
    origins: Vec<Origin>,
    /// Index of the member that answered last; it is asked first.
    current: Cell<usize>,
    login: Option<Login>,
    session: RefCell<Session>,
    /// One call logs in, the others wait for its token.
    logging_in: Mutex<()>,
    warn: Rc<Warn>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Session {
    None,
    Token(Rc<str>),
    /// The cluster has no authentication switched on.
    Open,
}

/// A call without an answer, before it is known whose problem that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// No answer, or one that says nothing about other members.
    Down {
        reason: String,
        denied: bool,
    },
    /// The server's answer.
    Refused {
        origin: String,
        status: Status,
    },
    TooLong {
        origin: String,
        limit: usize,
    },
    Malformed {
        origin: String,
        what: String,
    },
}

/// How long the work of one member may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Until the next byte.
    pub(crate) pause: Duration,
    /// Until the end.
    pub(crate) deadline: Instant,
}

impl<H: HttpClient> Client<H> {
    pub(crate) fn new(http: H, settings: Settings, warn: Rc<Warn>) -> (Self, crate::keys::Layout) {
        let Settings { origins, login, layout } = settings;
        let session = RefCell::new(Session::None);
        let client =
            Self { http, origins, current: Cell::new(0), login, session, logging_in: Mutex::new(()), warn };
        (client, layout)
    }

    /// The member that answered last.
    pub(crate) fn current(&self) -> &Origin {
        &self.origins[self.current.get()]
    }

    /// Asks, and reads the answer as one JSON object.
    pub(crate) async fn call<T: Answer>(
        &self,
        deadline: Instant,
        path: &str,
        request: &Value,
    ) -> Result<T, Fault> {
        let text = self.ask(deadline, path, request.to_string().into_bytes(), whole).await?;
        self.read_answer(path, &text)
    }

    fn read_answer<T: Answer>(&self, path: &str, text: &[u8]) -> Result<T, Fault> {
        let malformed = |what: String| Fault::malformed(self.current(), format!("{path}: {what}"));
        let answer: T = serde_json::from_slice(text).map_err(|e| malformed(e.to_string()))?;
        // `{}` is what something else might say to anything.
        if answer.is_sound() { Ok(answer) } else { Err(malformed("nothing in it".to_owned())) }
    }

    /// Asks, and leaves the answer to `read`, whose failures count as the member's.
    pub(crate) async fn ask<T>(
        &self,
        deadline: Instant,
        path: &str,
        json: Vec<u8>,
        read: impl AsyncFn(&Origin, H::Body, Patience) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let session = self.session(deadline).await?;
        match self.ask_members(deadline, path, &json, &session, &read).await {
            Err(Fault::Refused { status, .. }) if self.login.is_some() && status.wants_login() => {
                // Another call may have renewed the token meanwhile.
                if *self.session.borrow() == session {
                    self.session.replace(Session::None);
                }
                let session = self.session(deadline).await?;
                self.ask_members(deadline, path, &json, &session, &read).await
            }
            answer => answer,
        }
    }

    /// Asks one member after the other until one answers, each with an equal share of the time that is left.
    async fn ask_members<T>(
        &self,
        deadline: Instant,
        path: &str,
        json: &[u8],
        session: &Session,
        read: &impl AsyncFn(&Origin, H::Body, Patience) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let (first, count) = (self.current.get(), self.origins.len());
        let (mut reasons, mut all_denied) = (Vec::with_capacity(count), true);
        for turn in 0..count {
            let index = (first + turn) % count;
            let rest = deadline.saturating_duration_since(Instant::now());
            let left = u32::try_from(count - turn).unwrap_or(u32::MAX);
            let patience = Patience { pause: rest / left, deadline };
            if rest.is_zero() {
                reasons.push(format!("{}: no time left to ask", self.origins[index]));
                all_denied = false;
                continue;
            }
            match self.ask_member(index, path, json.to_vec(), session, patience, read).await {
                Err(Fault::Down { reason, denied }) => {
                    reasons.push(reason);
                    all_denied &= denied;
                }
                Err(Fault::Refused { origin, status })
                    if status.is_this_member() && !status.wants_login() =>
                {
                    reasons.push(format!("{origin}: {}", status.message));
                    all_denied = false;
                }
                answer => {
                    self.current.set(index);
                    return answer;
                }
            }
        }
        Err(Fault::Down { reason: reasons.join("; "), denied: all_denied })
    }

    async fn ask_member<T>(
        &self,
        index: usize,
        path: &str,
        json: Vec<u8>,
        session: &Session,
        patience: Patience,
        read: &impl AsyncFn(&Origin, H::Body, Patience) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let origin = &self.origins[index];
        let token = match session {
            Session::Token(token) => Some(&**token),
            Session::None | Session::Open => None,
        };
        let request = Request { origin, path, token, json, within: patience.pause };
        let response = self.http.post(request).await.map_err(|error| Fault::down(origin, error))?;
        if response.status == 200 {
            return read(origin, response.body, patience).await;
        }
        // Whatever of the text does not come in time or is too long is not missed: the status is there.
        let text = collect(origin, response.body, patience, MAX_ERROR).await.unwrap_or_default();
        Err(Fault::Refused { origin: origin.to_string(), status: Status::read(response.status, &text) })
    }

    /// The token to send. Logs in if there is none yet.
    async fn session(&self, deadline: Instant) -> Result<Session, Fault> {
        let Some(login) = &self.login else { return Ok(Session::None) };
        let _one_at_a_time = self.logging_in.lock().await;
        let known = self.session.borrow().clone();
        if known != Session::None {
            return Ok(known);
        }
        let request = json!({ "name": login.username, "password": login.password }).to_string().into_bytes();
        let path = "/v3/auth/authenticate";
        let session = match self.ask_members(deadline, path, &request, &Session::None, &whole).await {
            Ok(text) => Session::Token(self.read_answer::<Token>(path, &text)?.token.into()),
            Err(Fault::Refused { status, .. })
                if status.message.contains("authentication is not enabled") =>
            {
                (self.warn)("etcd has authentication switched off: username and password are not used");
                Session::Open
            }
            // Of the answers to a login, all that is no outage means that these credentials will not do.
            Err(Fault::Refused { origin, status }) if status.code == code::INVALID_ARGUMENT => {
                let status = Status { code: code::PERMISSION_DENIED, ..status };
                return Err(Fault::Refused { origin, status });
            }
            Err(fault) => return Err(fault),
        };
        self.session.replace(session.clone());
        Ok(session)
    }
}

/// Reads an answer to its end. A function, so that code is generated once for all kinds of answers.
async fn whole<B: Body>(origin: &Origin, body: B, patience: Patience) -> Result<Vec<u8>, Fault> {
    collect(origin, body, patience, MAX_ANSWER).await
}

/// Reads a body to its end.
async fn collect<B: Body>(
    origin: &Origin,
    mut body: B,
    patience: Patience,
    limit: usize,
) -> Result<Vec<u8>, Fault> {
    let mut all = Vec::new();
    loop {
        match patience.read(origin, &mut body).await? {
            Some(bytes) if all.len() + bytes.len() > limit => {
                return Err(Fault::TooLong { origin: origin.to_string(), limit });
            }
            Some(bytes) => all.extend_from_slice(&bytes),
            None => return Ok(all),
        }
    }
}

impl Patience {
    /// The next bytes; none at the end.
    pub(crate) async fn read<B: Body>(
        &self,
        origin: &Origin,
        body: &mut B,
    ) -> Result<Option<Vec<u8>>, Fault> {
        let wait = self.pause.min(self.deadline.saturating_duration_since(Instant::now()));
        match body.read(wait).await.map_err(|error| Fault::down(origin, error))? {
            Chunk::Bytes(bytes) => Ok(Some(bytes)),
            Chunk::End => Ok(None),
            Chunk::Idle => {
                let reason = format!("no more of the answer within {} ms", wait.as_millis());
                Err(Fault::down(origin, HttpError::Unreachable(reason)))
            }
        }
    }
}

impl Fault {
    pub(crate) fn down(origin: &Origin, error: HttpError) -> Self {
        match error {
            HttpError::Denied(why) => {
                Self::Down { reason: format!("{origin}: {}", shorten(&why)), denied: true }
            }
            HttpError::Unreachable(why) => {
                Self::Down { reason: format!("{origin}: {}", shorten(&why)), denied: false }
            }
        }
    }

    pub(crate) fn malformed(origin: &Origin, what: impl Into<String>) -> Self {
        Self::Malformed { origin: origin.to_string(), what: shorten(&what.into()) }
    }

    /// The code of the server's answer, if there is one.
    pub(crate) fn code(&self) -> Option<u32> {
        match self {
            Self::Refused { status, .. } => Some(status.code),
            Self::Down { .. } | Self::TooLong { .. } | Self::Malformed { .. } => None,
        }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Down { reason, denied: true } => Self::Denied(reason),
            Fault::Down { reason, denied: false } => Self::Unavailable(reason),
            Fault::TooLong { origin, limit } => {
                Self::Other(format!("{origin}: the answer is longer than {} MiB", limit >> 20))
            }
            Fault::Malformed { origin, what } => {
                Self::Other(format!("{origin}: not an answer of etcd: {what}"))
            }
            Fault::Refused { origin, status } => {
                let text = format!("{origin}: {}", status.message);
                match status.code {
                    // Authentication was switched on, and nobody told this plugin a user.
                    _ if status.wants_login() => Self::Denied(text),
                    code::PERMISSION_DENIED => Self::Denied(text),
                    code::RESOURCE_EXHAUSTED | code::UNAVAILABLE | code::DEADLINE_EXCEEDED => {
                        Self::Unavailable(text)
                    }
                    code::INVALID_ARGUMENT | code::OUT_OF_RANGE => Self::Invalid(text),
                    code::UNIMPLEMENTED => {
                        Self::Other(format!("{text} (is etcd's v3 JSON gateway switched off?)"))
                    }
                    _ => Self::Other(text),
                }
            }
        }
    }
}
