//! The event rows: events of 64 bytes through brokers without a server, from publishers to one subscriber.

use crate::Failed;
use crate::rows::{Missing, Row, Wanted};
use crate::setup::Setup;
use crate::stacks::{Stack, events, go};
use crate::tools;

/// Go Micro's row, with publishers that wait until the handler has an event.
pub(crate) const GO: &str = "events-go-v4";
/// And with publishers that wait for no more than publishing does.
pub(crate) const GO_FLOOD: &str = "events-go-v4-flood";

/// All ids.
pub(crate) fn ids(setups: &[Setup]) -> Vec<String> {
    let ours = setups.iter().map(|setup| format!("events-{}", setup.id()));
    ours.chain([GO.to_owned(), GO_FLOOD.to_owned()]).collect()
}

/// Starts what is wanted.
pub(crate) async fn start(setups: &[Setup], wanted: &Wanted, missing: &mut Vec<Missing>) -> Vec<Row> {
    let mut rows = Vec::new();
    for id in ids(setups).into_iter().filter(|id| wanted.has(id)) {
        match one(&id, setups).await {
            Ok((what, stack)) => rows.push(Row { id, what, stack }),
            Err(error) => missing.push(Missing::new(id, &error)),
        }
    }
    rows
}

async fn one(id: &str, setups: &[Setup]) -> Result<(String, Box<dyn Stack>), Failed> {
    let of_go = [
        (GO, "Go Micro v4.11.0, http broker", "load"),
        (GO_FLOOD, "the same, published without waiting", "flood"),
    ];
    if let Some((_, what, verb)) = of_go.into_iter().find(|(known, ..)| *known == id) {
        let program = tools::go_program("v4").await?;
        return Ok((what.to_owned(), go::events(&program, verb)));
    }
    let setup = setups.iter().find(|setup| id == format!("events-{}", setup.id()));
    let setup = setup.ok_or_else(|| format!("no row {id}"))?;
    Ok((format!("micro, {}", setup.what()), events::start(setup).await?))
}
