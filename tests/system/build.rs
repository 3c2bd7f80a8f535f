//! Generates the messages of the matrix.

fn main() -> Result<(), micro_build::Error> {
    micro_build::Builder::new()
        .include_file("messages.rs")
        .compile_protos(&["proto/matrix.proto"], &["proto"])
}
