//! The program as people use it: arguments in, output and exit code out.

mod api;
mod call;
mod gateway;
mod help;
mod languages;
mod plugin;
mod registry;
mod support;
mod swap;
