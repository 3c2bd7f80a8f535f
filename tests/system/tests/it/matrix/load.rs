//! A hundred thousand calls over connections that are kept: none is lost, and none gets the answer of another.

use super::caller::Caller;
use super::peer::{Peer, peers};
use super::service;
use crate::world::SOON;
use micro_test::process::Program;
use serde_json::Value;
use std::time::Duration;
use tokio::task::JoinSet;

const CALLS: i64 = 100_000;

/// For one Go program with all its calls, on a machine that does other things as well.
const PATIENCE: Duration = Duration::from_secs(900);

/// The peers that speak mucp, where a connection has one call at a time.
fn in_turn() -> impl Iterator<Item = Peer> {
    peers().filter(|peer| !peer.is_grpc())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Go Micro"]
async fn no_call_of_a_go_micro_is_lost() {
    let service = service::start().await;
    let mut tasks = JoinSet::new();
    for peer in in_turn() {
        let mut command = peer.command();
        command.args(["load", &CALLS.to_string(), "--address", &service.address().to_string()]);
        tasks.spawn(async move {
            let mut program = Program::start(command);
            let ended = program.exit(PATIENCE).await;
            assert!(ended.success(), "{peer}: {program}");
            let line = program.line("\"right\"", SOON).await;
            (peer, serde_json::from_str::<Value>(&line).expect("JSON"))
        });
    }
    for (peer, tally) in tasks.join_all().await {
        for count in ["wrong", "stalled", "failed"] {
            assert_eq!(tally[count], 0, "{peer}: {tally}");
        }
        assert_eq!(tally["right"], CALLS, "{peer}: {tally}");
    }
    service.stop().await.expect("stops");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Go Micro"]
async fn no_call_to_a_go_micro_is_lost() {
    let mut tasks = JoinSet::new();
    for peer in in_turn() {
        tasks.spawn(async move {
            let (_server, address) = peer.serve().await;
            let caller = Caller::new(peer, &address, "application/json");
            let mut stalls = 0;
            for number in 1..=CALLS {
                let mut answer = caller.echo(number).await;
                if answer.as_ref().is_err_and(|error| error.code == 408) {
                    stalls += 1;
                    answer = caller.echo(number).await;
                }
                assert_eq!(answer, Ok(("again".to_owned(), number)), "{peer}");
            }
            (peer, stalls)
        });
    }
    for (peer, stalls) in tasks.join_all().await {
        let allowed = if peer.may_stall() { 5 } else { 0 };
        assert!(stalls <= allowed, "{peer}: {stalls} calls were not answered");
        eprintln!("{peer}: {stalls} of {CALLS} calls had to be made again");
    }
}
