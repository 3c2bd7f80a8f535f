//! Seeds: inputs worth starting from, and those that once broke something.
//!
//! `fuzz/seeds/TARGET.txt` has one input a line, with Rust's escapes for what is not printable ASCII, so that a seed
//! can be read and written by people, and a change of one shows up as a change of one line.
//!
//! Apart from the targets, because whoever runs those need not be built with all that they call.

use std::io;
use std::path::{Path, PathBuf};

/// A line that is no seed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("seed {line:?} has a wrong escape: write \\r \\n \\t \\\\ \\\" \\' or \\xNN")]
pub struct EscapeError {
    line: String,
}

/// The file of a target's seeds in this repository.
pub fn file(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("{target}.txt"))
}

/// The names of all targets, in the order of the alphabet: each has a file here.
///
/// # Errors
/// The folder cannot be read.
pub fn targets() -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(env!("CARGO_MANIFEST_DIR"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(".txt").map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// The line of an input. It does not end in white space, which editors take away.
pub fn line(input: &[u8]) -> String {
    let line = input.escape_ascii().to_string();
    match line.strip_suffix(' ') {
        Some(start) => format!("{start}\\x20"),
        None => line,
    }
}

/// Reads lines that [`line()`] wrote.
///
/// # Errors
/// The first line that it did not write.
pub fn read(text: &str) -> Result<Vec<Vec<u8>>, EscapeError> {
    let one = |line: &str| input(line).ok_or_else(|| EscapeError { line: line.to_owned() });
    text.lines().map(one).collect()
}

fn input(line: &str) -> Option<Vec<u8>> {
    let mut bytes = line.bytes();
    let mut input = Vec::with_capacity(line.len());
    while let Some(byte) = bytes.next() {
        input.push(match byte {
            b'\\' => match bytes.next()? {
                b'r' => b'\r',
                b'n' => b'\n',
                b't' => b'\t',
                plain @ (b'\\' | b'"' | b'\'') => plain,
                b'x' => hex(bytes.next()?)? << 4 | hex(bytes.next()?)?,
                _ => return None,
            },
            b' '..=b'~' => byte,
            _ => return None,
        });
    }
    Some(input)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_a_line() {
        let all: Vec<u8> = (0..=255).collect();
        let text = format!("{}\n\n{}\n", line(&all), line(b"\"end\"  "));
        assert_eq!(read(&text), Ok(vec![all, Vec::new(), b"\"end\"  ".to_vec()]));
        assert!(text.lines().all(|line| !line.ends_with(' ')));
    }

    #[test]
    fn other_lines_are_refused() {
        for line in ["\\", "\\q", "\\x0", "\\xgg", "é", "\u{7f}"] {
            assert_eq!(read(line), Err(EscapeError { line: line.to_owned() }));
        }
    }
}
