//! Generates code for `proto/`, compares it with `generated/`, and uses it as a service would.

mod annotations;
mod build;
#[allow(dead_code, unreachable_pub, reason = "generated code does not know who uses it")]
mod generated;
mod json;
mod plugin;
mod services;
