//! `/healthz` and `/readyz`.

use crate::answer;
use axum::response::Response;
use http::StatusCode;
use serde_json::json;
use std::fmt;
use std::sync::Arc;

/// Tells whether this process should get requests, or why not.
#[derive(Clone)]
pub struct ReadyCheck(Arc<dyn Fn() -> Result<(), Vec<String>> + Send + Sync>);

impl ReadyCheck {
    /// A check that gives the reasons against readiness.
    pub fn new(check: impl Fn() -> Result<(), Vec<String>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(check))
    }

    /// The answer to `/readyz`: 200, or 503 with the reasons.
    pub(crate) fn answer(&self) -> Response {
        let (status, body) = match (self.0)() {
            Ok(()) => (StatusCode::OK, json!({ "ready": true, "reasons": [] })),
            Err(reasons) => (StatusCode::SERVICE_UNAVAILABLE, json!({ "ready": false, "reasons": reasons })),
        };
        answer::content(status, answer::JSON, body.to_string())
    }
}

/// Ready from the start.
impl Default for ReadyCheck {
    fn default() -> Self {
        Self::new(|| Ok(()))
    }
}

impl From<micro::Readiness> for ReadyCheck {
    fn from(readiness: micro::Readiness) -> Self {
        Self::new(move || readiness.check())
    }
}

impl fmt::Debug for ReadyCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReadyCheck").field(&(self.0)()).finish()
    }
}

/// The answer to `/healthz`: the process answers, and that is all it says.
pub(crate) fn alive() -> Response {
    answer::content(StatusCode::OK, answer::JSON, json!({ "status": "ok" }).to_string())
}
