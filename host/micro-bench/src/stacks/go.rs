//! Go Micro: a server process and, for each measurement, a client process; or one process that is both.

use super::{Load, Stack};
use crate::Failed;
use crate::figures::Sample;
use crate::process::{Program, text_of};
use async_trait::async_trait;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use tokio::process::Command;

struct Go {
    program: PathBuf,
    protocol: &'static str,
    verb: &'static str,
    /// And where it listens.
    server: Option<(Program, String)>,
}

/// What the client says: one line of JSON.
#[derive(Deserialize)]
struct Said {
    calls: u64,
    errors: u64,
    seconds: f64,
    p50_us: f64,
    p99_us: f64,
    cpu_us: f64,
}

/// Starts the server of `program`, one of the programs of `tests/peers/bench`; `log` takes what it prints.
pub(crate) async fn serve(
    program: &Path,
    protocol: &'static str,
    log: &Path,
) -> Result<Box<dyn Stack>, Failed> {
    let mut command = Command::new(program);
    command.args(["--protocol", protocol, "serve"]);
    let server = Program::start(command, log)?;
    let line = server.line("ready ").await?;
    let address = line.split_whitespace().last().unwrap_or_default().to_owned();
    Ok(Box::new(Go { program: program.to_owned(), protocol, verb: "load", server: Some((server, address)) }))
}

/// Events, whose two sides are one process. `verb` says what publishers wait for.
pub(crate) fn events(program: &Path, verb: &'static str) -> Box<dyn Stack> {
    Box::new(Go { program: program.to_owned(), protocol: "events", verb, server: None })
}

#[async_trait]
impl Stack for Go {
    async fn measure(&self, load: Load) -> Result<Sample, Failed> {
        let mut client = Command::new(&self.program);
        client.args(["--protocol", self.protocol, self.verb]);
        if let Some((server, address)) = &self.server {
            client.args(["--address", address, "--server-pid", &server.pid()?.to_string()]);
        }
        client.args(["-c", &load.connections.to_string()]);
        client.args(["-d", &load.time.as_secs_f64().to_string()]);
        client.args(["--warm-up", &load.warm_up.as_secs_f64().to_string()]);
        let said: Said = serde_json::from_str(&text_of(client).await?)?;
        if said.errors > 0 {
            return Err(format!("{} of {} calls failed", said.errors, said.errors + said.calls).into());
        }
        Ok(Sample {
            rate: said.calls as f64 / said.seconds,
            cpu_us: said.cpu_us,
            p50_us: said.p50_us,
            p99_us: said.p99_us,
            rss_mib: None,
        })
    }
}
