//! The one way to standard output, which carries nothing but answers.

use crate::args::Format;
use crate::failure::Next;
use micro_core::Code;
use serde::Serialize;
use std::borrow::Cow;
use std::io::{ErrorKind, Write};

/// Writes an answer. A reader that has seen enough (`| head`) is no error.
pub(crate) fn write(answer: &[u8]) -> anyhow::Result<()> {
    write_on(answer).map(drop)
}

/// Writes a part of an answer that has no end; false if nobody reads it any more.
pub(crate) fn write_on(answer: &[u8]) -> anyhow::Result<bool> {
    let mut out = std::io::stdout().lock();
    match out.write_all(answer).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => {
            Err(error).next_as(Code::OUTPUT, "standard output cannot be written to: check where it goes")
        }
    }
}

/// Writes one of many answers. Whether there is still somebody who reads.
pub(crate) fn write_more(answer: &[u8]) -> anyhow::Result<bool> {
    let mut out = std::io::stdout().lock();
    match out.write_all(answer).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        other => other
            .map(|()| true)
            .next_as(Code::OUTPUT, "standard output cannot be written to: check where it goes"),
    }
}

/// Writes an answer in the form that was asked for: `text` for people, `json` in one line.
pub(crate) fn answer(
    format: Format,
    text: impl FnOnce() -> String,
    json: &impl Serialize,
) -> anyhow::Result<()> {
    match format {
        Format::Text | Format::Raw | Format::Junit => write(text().as_bytes()),
        Format::Json => {
            let mut line = serde_json::to_vec(json)?;
            line.push(b'\n');
            write(&line)
        }
    }
}

/// Writes what belongs beside an answer to standard error.
pub(crate) fn eprint(text: &str) {
    // Nothing can be done about a closed terminal.
    _ = std::io::stderr().write_all(text.as_bytes());
}

/// A text from a registry or a service as it may appear on a terminal: control characters would steer it.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if !text.chars().any(char::is_control) {
        return Cow::Borrowed(text);
    }
    let escape = |letter: char| {
        let control = letter.is_control();
        let shown = if control { letter.escape_default().to_string() } else { letter.to_string() };
        shown.chars().collect::<Vec<_>>()
    };
    Cow::Owned(text.chars().flat_map(escape).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_not_sent() {
        assert_eq!(plain("a\u{1b}[2Jb\n\u{9b}é"), "a\\u{1b}[2Jb\\n\\u{9b}é");
        assert!(matches!(plain("go.micro.srv.greeter"), Cow::Borrowed(_)));
    }
}
