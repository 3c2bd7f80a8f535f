//! The program as people use it: arguments in, output and exit code out.

mod api;
mod call;
mod conformance;
mod gateway;
mod help;
mod plugin;
mod registry;
mod support;
mod swap;
