//! The program, as `protoc` runs it.

use std::io::Write;
use std::process::{Command, Output, Stdio};

/// Runs it with a request on standard input.
fn run(request: &[u8]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_protoc-gen-micro-rust"));
    program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = program.spawn().expect("starts");
    child.stdin.take().expect("piped").write_all(request).expect("it reads");
    child.wait_with_output().expect("ends")
}

#[test]
fn mistakes_are_in_the_response_and_nonsense_is_not_answered() {
    // Field 2 is the parameter: "x".
    let output = run(&[0x12, 1, b'x']);
    let response = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && response.contains("no option \"x\""), "{output:?}");
    let output = run(b"\xff");
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && complaint.contains("run by protoc or buf"), "{output:?}");
    assert!(output.stdout.is_empty());
    // Nothing asked, nothing generated: only the features, which are field 2.
    let output = run(b"");
    assert_eq!((output.status.success(), &*output.stdout), (true, &[0x10, 1][..]));
}
