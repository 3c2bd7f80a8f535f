//! The program as people use it: arguments in, output and exit code out.

mod api;
mod call;
mod conformance;
mod docs;
mod errors;
mod explain;
mod gateway;
mod help;
mod languages;
mod plugin;
mod plugin_call;
mod plugin_run;
mod registry;
mod rest;
mod support;
mod swap;
