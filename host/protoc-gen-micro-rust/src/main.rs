//! A plugin of `protoc` and `buf` that generates what `micro-build` generates in build scripts: messages, services and
//! clients for the crate `micro`. The options are those of [`micro_build::plugin::respond`].
//!
//! ```text
//! protoc --micro-rust_out=src/generated --micro-rust_opt=include_file=mod.rs -I proto proto/library.proto
//! ```

use std::io::{self, Read, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("error: {error}; this program is run by protoc or buf"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut request = Vec::new();
    io::stdin().lock().read_to_end(&mut request)?;
    let mut out = io::stdout().lock();
    out.write_all(&micro_build::plugin::respond(&request)?)?;
    Ok(out.flush()?)
}

fn complain(text: &str) {
    // Nothing can be done about a closed terminal.
    _ = writeln!(io::stderr(), "protoc-gen-micro-rust: {text}");
}
