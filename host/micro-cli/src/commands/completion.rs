//! `micro completion`.

use crate::args;
use crate::output;
use clap_complete::Shell;

pub(super) fn print(shell: Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut args::command(), "micro", &mut script);
    output::write(&script)
}
