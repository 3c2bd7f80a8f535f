//! What tests of this project share, and what `micro plugin test` runs. Not for production.
//!
//! | module | holds |
//! |---|---|
//! | [`conformance`] | what a plugin file has to do, as rules that are checked one by one: `micro plugin test` |
//! | [`registry`] | the conformance suite that every registry must pass, native or plugin |
//! | [`broker`] | the conformance suite that every broker must pass |
//! | [`doubles`] | a registry that fails, hangs and forgets on demand |
//! | [`proxy`] | a TCP proxy that delays, hangs, resets, refuses and loses on demand |
//! | [`process`] | other programs: their output, signals to them, their end |
//! | [`eventually`] | waiting for a condition instead of sleeping |
//!
//! Helpers panic when a test cannot go on; suites report.

pub mod broker;
pub mod conformance;
pub mod doubles;
pub mod process;
pub mod proxy;
pub mod registry;
mod wait;

pub use wait::{eventually, wait_until};
