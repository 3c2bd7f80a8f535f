//! What Go programs are known to do otherwise, each with its reason. Nothing in here is about us.

use super::case::{Case, Expected};
use super::peer::Peer;

/// Who calls whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    GoCallsUs,
    WeCallGo,
}

/// A difference, for all cells that it names.
struct Rule {
    direction: Direction,
    /// Versions that it is about.
    versions: &'static [&'static str],
    protocol: &'static str,
    /// A content type, or every one.
    content_type: Option<&'static str>,
    cases: &'static [Case],
    reason: &'static str,
    instead: Expected,
}

const RULES: &[Rule] = &[
    Rule {
        direction: Direction::GoCallsUs,
        versions: &["v0"],
        protocol: "mucp",
        content_type: None,
        cases: &[Case::STRANGE_TYPE],
        reason: "it reads errors in envelopes only, and nobody knows which envelope an unknown type has",
        instead: Expected::error(None, 500, "EOF"),
    },
    Rule {
        direction: Direction::GoCallsUs,
        versions: &["v1", "v2"],
        protocol: "grpc",
        content_type: None,
        cases: &[Case::STRANGE_TYPE],
        reason: "its clients make the same error of every status that holds none of Go Micro",
        instead: Expected::error(Some("go.micro.client"), 500, "application/grpc+x-strange"),
    },
    Rule {
        direction: Direction::GoCallsUs,
        versions: &["v2", "v4"],
        protocol: "grpc",
        content_type: None,
        cases: &[Case::CLIENT_ENDS],
        reason: "closing a stream cancels the call, and which of the two arrives first is luck",
        instead: Expected { answers: &[("", 1), ("", 2), ("with the end*", 0)], error: None },
    },
    Rule {
        direction: Direction::WeCallGo,
        versions: &["v2"],
        protocol: "mucp",
        content_type: Some("application/protobuf"),
        cases: &[Case::REFUSE, Case::BOOM, Case::UNKNOWN_METHOD, Case::UNKNOWN_HANDLER],
        reason: "its protobuf codec cannot write the body that an error has not, and so the error is never answered",
        instead: Expected::error(Some("go.micro.client"), 408, "deadline"),
    },
    Rule {
        direction: Direction::WeCallGo,
        versions: &["v2"],
        protocol: "mucp",
        content_type: Some("application/protobuf"),
        cases: &[Case::SERVER_ENDS],
        reason: NO_EOS,
        instead: Expected { answers: &[("a", 1), ("b", 2), ("c", 3)], error: SILENCE },
    },
    Rule {
        direction: Direction::WeCallGo,
        versions: &["v2"],
        protocol: "mucp",
        content_type: Some("application/protobuf"),
        cases: &[Case::SERVER_STREAM],
        reason: NO_EOS,
        instead: Expected { answers: &[("n", 1), ("n", 2), ("n", 3), ("n", 4), ("n", 5)], error: SILENCE },
    },
    Rule {
        direction: Direction::WeCallGo,
        versions: &["v2"],
        protocol: "mucp",
        content_type: Some("application/protobuf"),
        cases: &[Case::STREAM_ERROR],
        reason: NO_EOS,
        instead: Expected { answers: &[("x", 1)], error: SILENCE },
    },
];

const NO_EOS: &str = "its protobuf codec cannot write the message that ends a stream either";
/// Of the test: nothing more came.
const SILENCE: Option<(Option<&str>, u16, &str)> = Some((None, 500, "no message for"));

/// The difference that is known of a cell, and its reason.
pub(super) fn find(
    direction: Direction,
    peer: Peer,
    content_type: &str,
    case: Case,
) -> Option<(&'static Expected, &'static str)> {
    let about = |rule: &&Rule| {
        rule.direction == direction
            && rule.versions.contains(&peer.version)
            && rule.protocol == peer.protocol
            && rule.content_type.is_none_or(|only| only == content_type)
            && rule.cases.contains(&case)
    };
    RULES.iter().find(about).map(|rule| (&rule.instead, rule.reason))
}
