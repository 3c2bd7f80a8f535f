//! The path of a request: decoded, and in the one form that routing sees.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use std::borrow::Cow;

/// What must not stand in a path as it is (RFC 3986 §3.3), and `%` itself.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// A path as it should be treated.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Cleaned<'a> {
    /// It is clean. Decoded.
    Clean(Cow<'a, str>),
    /// It has empty or dot segments; this is the clean path, encoded, for the `Location` of a redirect.
    Redirect(String),
}

/// Decodes a path and looks for empty and dot segments, after decoding: `%2e%2e` is `..` to whoever decodes it later.
/// None for a path that is not absolute, or not UTF-8 when decoded, or has control characters.
pub(crate) fn clean(path: &str) -> Option<Cleaned<'_>> {
    if !path.starts_with('/') {
        return None;
    }
    let decoded =
        if path.contains('%') { percent_decode_str(path).decode_utf8().ok()? } else { Cow::Borrowed(path) };
    if decoded.chars().any(char::is_control) {
        return None;
    }
    if decoded[1..].split('/').all(is_plain) || is_clean_folder(&decoded) {
        return Some(Cleaned::Clean(decoded));
    }
    Some(Cleaned::Redirect(utf8_percent_encode(&cleaned(&decoded), ESCAPED).to_string()))
}

fn is_plain(segment: &str) -> bool {
    !matches!(segment, "" | "." | "..")
}

/// One slash at the end, or alone, is no empty segment.
fn is_clean_folder(path: &str) -> bool {
    let inside = path[1..].strip_suffix('/').unwrap_or(&path[1..]);
    path == "/" || inside.split('/').all(is_plain)
}

fn cleaned(path: &str) -> String {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => _ = segments.pop(),
            name => segments.push(name),
        }
    }
    let slash = if path.ends_with('/') && !segments.is_empty() { "/" } else { "" };
    format!("/{}{slash}", segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clean_paths_are_decoded_and_kept() {
        for (path, decoded) in [
            ("/", "/"),
            ("/foo/bar", "/foo/bar"),
            ("/foo/bar/", "/foo/bar/"),
            ("/foo%20bar", "/foo bar"),
            ("/%E2%82%AC", "/€"),
            ("/.well-known/x", "/.well-known/x"),
            ("/a..b/...", "/a..b/..."),
        ] {
            assert_eq!(clean(path), Some(Cleaned::Clean(decoded.into())), "{path}");
        }
    }

    #[test]
    fn empty_and_dot_segments_are_redirected() {
        for (path, target) in [
            ("//", "/"),
            ("//example.org/x", "/example.org/x"),
            ("/foo//bar", "/foo/bar"),
            ("/foo/bar//", "/foo/bar/"),
            ("/foo/./bar", "/foo/bar"),
            ("/foo/../bar/", "/bar/"),
            ("/../..", "/"),
            ("/foo/..", "/"),
            ("/foo/%2e%2e/bar", "/bar"),
            ("/foo%2F%2Fb%3Fr", "/foo/b%3Fr"),
            ("/%2F%2Fexample.org", "/example.org"),
        ] {
            assert_eq!(clean(path), Some(Cleaned::Redirect(target.to_owned())), "{path}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for path in ["", "*", "foo", "/%ff", "/a%0d%0ab", "/%00"] {
            assert_eq!(clean(path), None, "{path}");
        }
    }
}
