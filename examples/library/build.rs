//! Generates the messages, the service trait, its routes and the client.

fn main() -> Result<(), micro_build::Error> {
    micro_build::Builder::new()
        .include_file("library.rs")
        .compile_protos(&["proto/library.proto"], &["proto"])
}
