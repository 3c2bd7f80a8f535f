//! When a failed attempt is worth another one, and what every attempt goes through.

use super::Core;
use crate::client::CallOptions;
use crate::rpc::{RpcService, stack};
use micro_core::Error;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// Decides whether a failed attempt is repeated.
pub(crate) type RetryFn = Arc<dyn Fn(&Failure) -> bool + Send + Sync>;

/// Says how long to wait before a failed attempt is repeated.
pub(crate) type BackoffFn = Arc<dyn Fn(&Failure) -> Duration + Send + Sync>;

/// One attempt that failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What the caller gets if nothing else is tried.
    pub error: Error,
    /// How far the request came.
    pub reached: Reached,
    /// Counts the attempts of this call, from 0.
    pub attempt: u32,
}

/// How far a request came before the attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// Nothing of it can have been executed: no connection, or nothing was sent.
    Nothing,
    /// It was sent, and there is no telling whether the handler ran.
    Unknown,
    /// The node answered with this error.
    Handler,
}

/// The built-in rule. Handlers that are not marked idempotent never run twice.
fn worth_it(failure: &Failure, idempotent: bool) -> bool {
    match failure.reached {
        Reached::Nothing => true,
        Reached::Unknown => idempotent,
        Reached::Handler => {
            idempotent && (failure.error.code == 408 || (500..600).contains(&failure.error.code))
        }
    }
}

/// The pause before attempt `attempt` (from 1): none before the first retry, which goes to another node, then doubling
/// from 100 ms, up to 2 s.
fn pause(attempt: u32) -> Duration {
    match attempt {
        0 | 1 => Duration::ZERO,
        more => Duration::from_millis(100 << (more - 2).min(5)).min(Duration::from_secs(2)),
    }
}

impl Core {
    /// Attempts after the first one. None through a proxy: it is the proxy that looks for another node (`go-micro-wire`
    /// §7.4).
    pub(super) fn retries(&self, options: &CallOptions) -> u32 {
        match self.settings.proxy.takes(&options.addresses) {
            true => 0,
            false => options.retries.unwrap_or(self.settings.retries),
        }
    }

    /// Whether there is a reason for another attempt.
    pub(super) fn again(&self, options: &CallOptions, failure: &Failure) -> bool {
        match options.retry.as_ref().or(self.settings.retry.decide.as_ref()) {
            Some(decide) => decide(failure),
            None => worth_it(failure, options.idempotent),
        }
    }

    /// The pause before the attempt after this one.
    pub(super) fn pause_after(&self, options: &CallOptions, failure: &Failure) -> Duration {
        match options.backoff.as_ref().or(self.settings.retry.backoff.as_ref()) {
            Some(backoff) => backoff(failure),
            None => pause(failure.attempt + 1),
        }
    }

    /// What each attempt of a call goes through: the client's call layers, and inside them the call's own. None where
    /// there are none.
    pub(super) fn attempt_layers(&self, options: &CallOptions) -> Option<Cow<'_, RpcService>> {
        if options.call_layers.is_empty() {
            return self.attempt.as_ref().map(Cow::Borrowed);
        }
        let inner = stack(&options.call_layers, self.innermost.clone());
        Some(Cow::Owned(stack(&self.call_layers, inner)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cannot_have_run_is_repeated_unless_it_is_idempotent() {
        let failure = |reached, code| Failure { error: Error::new("x", code, ""), reached, attempt: 0 };
        let cases = [
            (Reached::Nothing, 500, true, true),
            (Reached::Unknown, 408, false, true),
            (Reached::Handler, 500, false, true),
            (Reached::Handler, 408, false, true),
            (Reached::Handler, 503, false, true),
            (Reached::Handler, 400, false, false),
            (Reached::Handler, 0, false, false),
        ];
        for (reached, code, plain, idempotent) in cases {
            assert_eq!(worth_it(&failure(reached, code), false), plain, "{reached:?} {code}");
            assert_eq!(worth_it(&failure(reached, code), true), idempotent, "{reached:?} {code} idempotent");
        }
    }

    #[test]
    fn pauses_grow_and_end() {
        let ms: Vec<_> = (0..9).map(|attempt| pause(attempt).as_millis()).collect();
        assert_eq!(ms, [0, 0, 100, 200, 400, 800, 1600, 2000, 2000]);
    }
}
