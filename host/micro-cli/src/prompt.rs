//! Asking a person whether a plugin may have the permissions that it lacks.

use micro_plugin::grant::Request;
use micro_wasm::GrantPrompt;
use std::io::{BufRead, IsTerminal, Write};
use std::sync::Arc;

/// Asks on the terminal.
#[derive(Debug)]
struct Terminal;

/// Somebody to ask, if there is somebody: both the question and the answer need a terminal.
pub(crate) fn person() -> Option<Arc<dyn GrantPrompt>> {
    let there = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    there.then(|| Arc::new(Terminal) as Arc<dyn GrantPrompt>)
}

impl GrantPrompt for Terminal {
    fn ask(&self, plugin: &str, missing: &[Request]) -> bool {
        ask(plugin, missing, &mut std::io::stdin().lock(), &mut std::io::stderr().lock()).unwrap_or(false)
    }
}

/// Only a clear yes is one.
fn ask(
    plugin: &str,
    missing: &[Request],
    from: &mut impl BufRead,
    to: &mut impl Write,
) -> std::io::Result<bool> {
    writeln!(to, "The plugin {plugin} asks for:")?;
    for Request { grant, why } in missing {
        match why.as_str() {
            "" => writeln!(to, "  {grant}")?,
            why => writeln!(to, "  {grant}  ({why})")?,
        }
    }
    write!(to, "Allow this for now? [y/N] ")?;
    to.flush()?;
    let mut answer = String::new();
    from.read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_allows() {
        let missing =
            [Request { grant: "net:peers".parse().expect("a grant"), why: "the other brokers".to_owned() }];
        for (answer, allowed) in
            [("y\n", true), ("YES\n", true), ("\n", false), ("", false), ("n\n", false), ("sure\n", false)]
        {
            let mut shown = Vec::new();
            assert_eq!(
                ask("x", &missing, &mut answer.as_bytes(), &mut shown).expect("memory"),
                allowed,
                "{answer:?}"
            );
            let shown = String::from_utf8(shown).expect("text");
            assert!(shown.contains("net:peers  (the other brokers)"), "{shown}");
        }
    }
}
