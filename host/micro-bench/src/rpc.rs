//! The RPC rows: unary calls of 64 bytes over every stack.

use crate::Failed;
use crate::rows::{Missing, Row, Wanted};
use crate::setup::Setup;
use crate::stacks::framework::{self, Calls};
use crate::stacks::{Stack, go, hyper_http1, tonic_grpc};
use crate::tools;
use std::path::Path;

/// Id, program, protocol and description of Go Micro's rows.
const GO: [(&str, &str, &str, &str); 3] = [
    ("go-v1-mucp", "v1", "mucp", "Go Micro v1.18.0, mucp"),
    ("go-v4-mucp", "v4", "mucp", "Go Micro v4.11.0, mucp"),
    ("go-v4-grpc", "v4", "grpc", "Go Micro v4.11.0, gRPC plugin"),
];

/// All ids.
pub(crate) fn ids(setups: &[Setup]) -> Vec<String> {
    let mut ids = Vec::new();
    for setup in setups {
        let id = setup.id();
        ids.extend([format!("micro-{id}"), format!("bare-{id}"), format!("micro-grpc-{id}")]);
    }
    ids.extend(["hyper", "tonic", "tonic-shared"].map(str::to_owned));
    ids.extend(GO.map(|(id, ..)| id.to_owned()));
    ids
}

/// Starts what is wanted. `scratch` takes the logs of other programs.
pub(crate) async fn start(
    setups: &[Setup],
    wanted: &Wanted,
    scratch: &Path,
    missing: &mut Vec<Missing>,
) -> Vec<Row> {
    let mut rows = Vec::new();
    for id in ids(setups).into_iter().filter(|id| wanted.has(id)) {
        match one(&id, setups, scratch).await {
            Ok((what, stack)) => rows.push(Row { id, what, stack }),
            Err(error) => missing.push(Missing::new(id, &error)),
        }
    }
    rows
}

async fn one(id: &str, setups: &[Setup], scratch: &Path) -> Result<(String, Box<dyn Stack>), Failed> {
    for setup in setups {
        if id == format!("micro-{}", setup.id()) {
            return Ok((format!("micro, {}", setup.what()), framework::start(setup, Calls::Mucp).await?));
        }
        if id == format!("bare-{}", setup.id()) {
            return Ok((format!("micro's bare loop, {}", setup.what()), setup.bare().await?));
        }
        if id == format!("micro-grpc-{}", setup.id()) {
            return Ok((
                format!("micro, gRPC, {}", setup.what()),
                framework::start(setup, Calls::Grpc).await?,
            ));
        }
    }
    if let Some((_, program, protocol, what)) = GO.into_iter().find(|(it, ..)| *it == id) {
        let program = tools::go_program(program).await?;
        return Ok((what.to_owned(), go::serve(&program, protocol, &scratch.join(id)).await?));
    }
    match id {
        "hyper" => Ok(("hyper, HTTP/1.1".to_owned(), hyper_http1::start().await?)),
        "tonic" => Ok(("tonic, a connection per caller".to_owned(), tonic_grpc::start(false).await?)),
        "tonic-shared" => Ok(("tonic, one connection".to_owned(), tonic_grpc::start(true).await?)),
        _ => Err(format!("no row {id}").into()),
    }
}
