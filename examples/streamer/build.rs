//! Generates the messages, the service trait and the client.

fn main() -> Result<(), micro_build::Error> {
    micro_build::Builder::new()
        .include_file("streamer.rs")
        .compile_protos(&["proto/streamer.proto"], &["proto"])
}
