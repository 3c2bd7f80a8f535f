//! `micro completion`.

use crate::args::Cli;
use crate::output;
use clap::CommandFactory;
use clap_complete::Shell;

pub(super) fn print(shell: Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "micro", &mut script);
    output::write(&script)
}
