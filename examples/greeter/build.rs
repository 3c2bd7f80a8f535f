//! Generates the messages, the service trait and the client.

fn main() -> Result<(), micro_build::Error> {
    micro_build::compile_protos(&["proto/greeter.proto", "proto/api.proto"], &["proto"])
}
