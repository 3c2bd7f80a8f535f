//! Every Go Micro against us, in both directions: version, protocol, content type, case (`go-micro-wire` §13.2).
//!
//! A cell is one case in one of these combinations, and its outcome is compared with what the case expects. Where a Go
//! program does otherwise, for reasons of its own, [`known`] says so. A cell that does not run is a failure.

mod caller;
mod case;
mod known;
mod load;
mod peer;
pub(crate) mod service;

use case::{Case, Outcome};
use known::Direction;
use peer::{Peer, peers};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

#[allow(missing_debug_implementations, unreachable_pub, reason = "generated code")]
pub(crate) mod messages {
    include!(concat!(env!("OUT_DIR"), "/messages.rs"));
}

/// The name of the service, as the Go programs have it.
const SERVICE: &str = "go.micro.srv.matrix";

/// One combination, and how its cases came out.
struct Column {
    peer: Peer,
    content_type: &'static str,
    outcomes: BTreeMap<Case, Outcome>,
}

/// Compares all cells with what is expected of them.
///
/// # Panics
/// Some are not as expected; the message lists them.
fn check(direction: Direction, columns: &[Column]) {
    let (mut cells, mut wrong) = (0, Vec::new());
    for Column { peer, content_type, outcomes } in columns {
        for case in peer.cases() {
            cells += 1;
            let place = format!("{direction:?} {peer} {content_type} {case:?}");
            let Some(outcome) = outcomes.get(&case) else {
                wrong.push(format!("{place}: did not run"));
                continue;
            };
            let known = known::find(direction, *peer, content_type, case);
            let checked = match known {
                None => case.expected(direction, *peer).check(outcome),
                Some((instead, reason)) => {
                    instead.check(outcome).map_err(|why| format!("{why}\n    because {reason}"))
                }
            };
            if let Err(why) = checked {
                wrong.push(format!("{place}: {why}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {cells} cells:\n{}", wrong.len(), wrong.join("\n"));
    // v0 in five content types; four that speak mucp and three that speak gRPC in two. Events only over mucp.
    assert_eq!(cells, 5 * 14 + 4 * 2 * 15 + 3 * 2 * 14);
}

/// So many combinations at a time: a Go program for each, on a machine with two processors.
const AT_ONCE: usize = 4;

async fn columns<F>(run: impl Fn(Peer, &'static str) -> F) -> Vec<Column>
where
    F: Future<Output = BTreeMap<Case, Outcome>> + Send + 'static,
{
    let (mut tasks, places) = (JoinSet::new(), Arc::new(Semaphore::new(AT_ONCE)));
    for peer in peers() {
        for &content_type in peer.content_types() {
            let (running, places) = (run(peer, content_type), places.clone());
            tasks.spawn(async move {
                let _place = places.acquire().await.expect("never closed");
                Column { peer, content_type, outcomes: running.await }
            });
        }
    }
    tasks.join_all().await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Go Micro"]
async fn every_go_micro_calls_us() {
    let service = service::start().await;
    let address = service.address().to_string();
    let columns = columns(|peer, content_type| {
        let address = address.clone();
        async move { peer.calls(&address, content_type).await }
    });
    check(Direction::GoCallsUs, &columns.await);
    service.stop().await.expect("stops");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Go Micro"]
async fn we_call_every_go_micro() {
    let columns = columns(|peer, content_type| async move {
        let (_server, address) = peer.serve().await;
        caller::go_through(peer, &address, content_type).await
    });
    check(Direction::WeCallGo, &columns.await);
}
