//! Codes of failures: what stands behind an error in brackets, and the page that it leads to.
//!
//! This is the only list. The pages in `docs/errors` are made from it, `micro error CODE` prints them, and a code keeps its
//! number for ever. Numbers go by area:
//!
//! | module | numbers | about |
//! |---|---|---|
//! | `usage` | 00xx | the command line and its input and output |
//! | `load` | 01xx | finding, checking and starting a plugin; keeping it alive |
//! | `grants` | 02xx | permissions |
//! | `registry` | 03xx | what registries answer |
//! | `call` | 04xx | calls of services |
//! | `swap` | 05xx | replacing plugins of running processes |
//! | `serve` | 06xx | services and gateways that do not start |
//! | `author` | 07xx | writing plugins |
//! | `broker` | 08xx | publishing and subscribing |

mod author;
mod broker;
mod call;
mod grants;
mod load;
mod registry;
mod serve;
mod swap;
mod usage;

use std::fmt::{self, Write};
use std::str::FromStr;

/// The code of a kind of failure. Its text form is `MICRO-0101`.
#[derive(Clone, Copy)]
pub struct Code(&'static Page);

/// What there is to say about a kind of failure.
#[derive(Debug)]
struct Page {
    number: u16,
    title: &'static str,
    meaning: &'static str,
    causes: &'static [&'static str],
    next: &'static [&'static str],
    example: &'static str,
}

/// A text that is no code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no error code {0:?}; codes look like MICRO-0101")]
pub struct UnknownCode(String);

/// Each area's codes with the names of their constants, by their numbers.
const AREAS: [&[(&str, Code)]; 9] = [
    usage::ALL,
    load::ALL,
    grants::ALL,
    registry::ALL,
    call::ALL,
    swap::ALL,
    serve::ALL,
    author::ALL,
    broker::ALL,
];

/// An error whose kind has a code.
pub trait Coded {
    /// The code of this failure.
    fn code(&self) -> Code;
}

impl Code {
    /// All codes, by their numbers.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::constants().map(|(_, code)| code)
    }

    /// The same with the name of each constant, as the source has it.
    pub fn constants() -> impl Iterator<Item = (&'static str, Self)> {
        AREAS.into_iter().flatten().copied()
    }

    /// `text` with this code at the end of its first line, where errors have it.
    pub fn mark(self, text: &str) -> String {
        match text.split_once('\n') {
            Some((first, rest)) => format!("{first} [{self}]\n{rest}"),
            None => format!("{text} [{self}]"),
        }
    }

    /// What kind of failure it is, in one line.
    pub fn title(self) -> &'static str {
        self.0.title
    }

    /// The page about it, in Markdown: meaning, common causes, what to do, an example.
    pub fn page(self) -> String {
        let Page { title, meaning, causes, next, example, .. } = self.0;
        let mut page = format!("# {self}: {title}\n\n{meaning}\n");
        for (heading, items) in [("Common causes", causes), ("What to do", next)] {
            // Writing to a String cannot fail.
            _ = write!(page, "\n## {heading}\n\n");
            items.iter().for_each(|item| _ = writeln!(page, "- {item}"));
        }
        _ = write!(page, "\n## Example\n\n```text\n{}\n```\n", example.trim_end());
        page
    }
}

impl PartialEq for Code {
    fn eq(&self, other: &Self) -> bool {
        self.0.number == other.0.number
    }
}

impl Eq for Code {}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MICRO-{:04}", self.0.number)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code({self})")
    }
}

/// `MICRO-0101`, `micro-101`, `101`.
impl FromStr for Code {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        let digits = match text.get(..6) {
            Some(prefix) if prefix.eq_ignore_ascii_case("micro-") => &text[6..],
            _ => text,
        };
        let number = digits.bytes().all(|it| it.is_ascii_digit()).then(|| digits.parse().ok()).flatten();
        let found = number.and_then(|number: u16| Self::all().find(|code| code.0.number == number));
        found.ok_or_else(|| UnknownCode(text.to_owned()))
    }
}

/// The codes of one area, and the list of them.
macro_rules! codes {
    ($($name:ident $number:literal $title:literal {
        meaning: $meaning:literal,
        causes: [$($cause:literal),+ $(,)?],
        next: [$($next:literal),+ $(,)?],
        example: $example:literal $(,)?
    })+) => {
        impl super::Code {
            $(
                #[doc = $title]
                pub const $name: Self = Self(&super::Page {
                    number: $number,
                    title: $title,
                    meaning: $meaning,
                    causes: &[$($cause),+],
                    next: &[$($next),+],
                    example: $example,
                });
            )+
        }

        pub(super) const ALL: &[(&str, super::Code)] = &[$((stringify!($name), super::Code::$name)),+];
    };
}
use codes;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_and_stay_in_their_areas() {
        let numbers: Vec<u16> = Code::all().map(|code| code.0.number).collect();
        assert!(numbers.is_sorted_by(|one, other| one < other), "{numbers:?}");
        for (area, codes) in (0..).zip(AREAS) {
            assert!(codes.iter().all(|(_, code)| code.0.number / 100 == area), "area {area}");
        }
    }

    #[test]
    fn pages_are_whole() {
        for code in Code::all() {
            let Page { title, meaning, example, .. } = code.0;
            assert!(!title.ends_with('.') && meaning.ends_with('.'), "{code}");
            assert!(example.contains(&code.to_string()), "{code}: the example does not show it");
            assert!(code.page().lines().all(|line| !line.ends_with(' ')), "{code}");
        }
    }

    #[test]
    fn the_first_line_bears_the_code() {
        assert_eq!(Code::TLS.mark("a"), "a [MICRO-0602]");
        assert_eq!(Code::TLS.mark("a\nb\nc"), "a [MICRO-0602]\nb\nc");
    }

    #[test]
    fn codes_are_read_as_people_write_them() {
        for text in ["MICRO-0101", "micro-0101", "Micro-101", "0101", "101"] {
            assert_eq!(text.parse(), Ok(Code::PLUGIN_NOT_FOUND), "{text}");
        }
        for text in ["", "MICRO-", "MICRO-9999", "MICRO-+101", "99999999", "é", "MICRO-1 "] {
            assert!(text.parse::<Code>().is_err(), "{text}");
        }
    }
}
