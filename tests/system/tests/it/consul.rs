//! Consul: the plugin's logic against a real agent, the component in real programs, and Go Micro on the other side.

mod component;
mod conformance;
mod go_micro;
mod native;
mod records;
