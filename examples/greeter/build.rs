//! Generates the messages, the service traits and the clients.

fn main() -> Result<(), micro_build::Error> {
    micro_build::Builder::new()
        .include_file("greeter.rs")
        .compile_protos(&["proto/greeter.proto", "proto/greeter_api.proto"], &["proto"])
}
