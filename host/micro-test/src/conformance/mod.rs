//! `micro plugin test`: what a plugin file has to do, as rules that are checked one by one.
//!
//! | module | holds |
//! |---|---|
//! | [`rule`] | the rules: what each demands and why |
//! | [`subject`], [`lab`] | the file under test; hosts that run it |
//! | [`run`](mod@run) | the order of things: which rule is checked when, and what a fault of the plugin means |
//! | [`structure`] | what can be seen without running it |
//! | [`selector`], [`codec`], [`filter`], [`wire`] | contract and properties of the pure kinds, against their traits |
//! | [`registry`] | the same for registries: [`crate::registry`], backends and networks that misbehave, supervision |
//! | [`hot`] | what plugins that run per request have in common: instances, swaps, memory |
//! | [`performance`] | what calls cost |
//! | [`report`], [`render`] | what came of it, as text, JSON and JUnit XML |
//!
//! The checks of pure kinds work on the traits of `micro-core` and `micro-net`, so the parts of the program that do the
//! same as a plugin are held to the same rules.

pub mod codec;
pub mod filter;
mod hot;
mod lab;
pub mod performance;
mod registry;
pub mod render;
pub mod report;
pub mod rule;
mod run;
pub mod selector;
mod structure;
pub mod subject;
pub mod wire;

pub use report::{CaseResult, Level, Outcome, Report};
pub use rule::{RULES, Rule, Suite};
pub use run::{Event, Plan, WireFault, run};
pub use subject::Subject;

pub(crate) use crate::registry::Failure;

/// What came of a check; a text adds something that a person may want to know.
pub type Verdict = Result<Option<String>, Failure>;

/// Fails the check unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::conformance::Failure(format!($($message)+)));
        }
    };
}
pub(crate) use ensure;

/// Bytes as they may appear in a report.
pub(crate) fn shown(bytes: &[u8]) -> String {
    const MOST: usize = 80;
    let text = bytes[..bytes.len().min(MOST)].escape_ascii();
    if bytes.len() > MOST { format!("\"{text}\"… ({} bytes)", bytes.len()) } else { format!("\"{text}\"") }
}
