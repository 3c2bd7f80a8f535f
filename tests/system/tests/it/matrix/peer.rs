//! The Go programs of the matrix.

use super::case::{Case, Outcome};
use crate::world;
use micro_test::process::Program;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;
use tokio::process::Command;

/// A program that is stuck fails every case that it has not told about.
const PATIENCE: Duration = Duration::from_secs(180);

/// A Go Micro, and what it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) version: &'static str,
    pub(super) protocol: &'static str,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.version, self.protocol)
    }
}

/// All of them.
pub(super) fn peers() -> impl Iterator<Item = Peer> {
    let mucp = ["v0", "v1", "v2", "v4", "v5"].map(|version| Peer { version, protocol: "mucp" });
    let grpc = ["v1", "v2", "v4"].map(|version| Peer { version, protocol: "grpc" });
    mucp.into_iter().chain(grpc)
}

impl Peer {
    pub(super) fn is_grpc(self) -> bool {
        self.protocol == "grpc"
    }

    /// Whether its values are in envelopes.
    pub(super) fn is_enveloped(self) -> bool {
        self.version == "v0"
    }

    /// Whether its server may lose a request that follows an answer too closely (`go-micro-wire` §1.1). Our pool leaves it
    /// time for that, which is enough unless the program stands still in between.
    pub(super) fn may_stall(self) -> bool {
        self.protocol == "mucp" && matches!(self.version, "v4" | "v5")
    }

    pub(super) fn content_types(self) -> &'static [&'static str] {
        const BOTH: [&str; 5] = [
            "application/json",
            "application/protobuf",
            "application/json-rpc",
            "application/proto-rpc",
            "application/octet-stream",
        ];
        if self.is_enveloped() { &BOTH } else { &BOTH[..2] }
    }

    /// The cases that it has. Neither the first versions nor gRPC know events that are sent like calls.
    pub(super) fn cases(self) -> impl Iterator<Item = Case> {
        let events = !self.is_enveloped() && !self.is_grpc();
        Case::ALL.into_iter().filter(move |case| events || *case != Case::EVENT)
    }

    pub(super) fn command(self) -> Command {
        let mut command = Command::new(world::peers().join(self.version));
        command.args(["--protocol", self.protocol]);
        command
    }

    /// Lets it go through its cases against a server.
    pub(super) async fn calls(self, address: &str, content_type: &str) -> BTreeMap<Case, Outcome> {
        let mut command = self.command();
        command.args(["cases", "--address", address, "--content-type", content_type]);
        command.args(self.cases().map(Case::name)).kill_on_drop(true);
        let mut program = Program::start(command);
        program.exit(PATIENCE).await;
        program.line(self.cases().last().expect("there are cases").name(), PATIENCE).await;
        program.lines().iter().filter_map(|line| Outcome::parse(line)).collect()
    }

    /// Starts its server; the program and its address.
    pub(super) async fn serve(self) -> (Program, String) {
        let mut command = self.command();
        command.arg("matrix-server");
        let server = Program::start(command);
        let line = server.line("ready ", PATIENCE).await;
        let address = line.rsplit(' ').next().expect("words").to_owned();
        (server, address)
    }
}
