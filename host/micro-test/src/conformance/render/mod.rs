//! Reports for people, for programs (JSON, the form of [`super::Report`] itself) and for test servers (JUnit XML).

mod junit;
mod text;

pub use junit::junit;
pub use text::{line, text};

/// A text that may hold anything, for a terminal or XML, where control characters have no place.
fn plain(text: &str) -> String {
    let escape = |letter: char| match letter {
        '\n' | '\t' => vec![letter],
        _ if letter.is_control() => letter.escape_default().collect(),
        '\u{fffe}' | '\u{ffff}' => vec!['\u{fffd}'],
        _ => vec![letter],
    };
    text.chars().flat_map(escape).collect()
}
