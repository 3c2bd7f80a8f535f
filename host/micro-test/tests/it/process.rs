//! Other programs, seen from a test.

use micro_test::process::{Program, Signal};
use std::time::Duration;
use tokio::process::Command;

const SOON: Duration = Duration::from_secs(10);

fn shell(script: &str) -> Program {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    Program::start(command)
}

#[tokio::test]
async fn output_and_end_are_seen() {
    let mut program = shell("echo out; echo err >&2; printf 'no newline'; exit 3");
    assert_eq!(program.line("err", SOON).await, "err");
    assert_eq!(program.exit(SOON).await.code(), Some(3));
    program.line("no newline", SOON).await;
    let mut lines = program.lines();
    lines.sort();
    assert_eq!(lines, ["err", "no newline", "out"]);
}

#[tokio::test]
async fn signals_arrive() {
    let mut program = shell("trap 'echo stopping; exit 0' TERM; echo ready; while :; do sleep 0.05; done");
    program.line("ready", SOON).await;
    program.signal(Signal::TERM);
    program.line("stopping", SOON).await;
    assert!(program.exit(SOON).await.success());
}

#[tokio::test]
async fn dropping_kills() {
    let program = shell("echo ready; exec sleep 600");
    program.line("ready", SOON).await;
    let stat = format!("/proc/{}/stat", program.pid());
    drop(program);
    micro_test::eventually("it is dead", SOON, async || {
        std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "))
    })
    .await;
}
