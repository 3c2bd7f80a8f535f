//! `micro completion`.

use crate::args;
use crate::filter_flags::Flagged;
use crate::output;
use clap_complete::Shell;

pub(super) fn print(shell: Shell, filters: &[Flagged]) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut args::command(filters), "micro", &mut script);
    output::write(&script)
}
