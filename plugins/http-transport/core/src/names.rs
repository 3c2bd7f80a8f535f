//! Well-known field names and their ids. The table is part of the contract: append, never reorder.

/// The names by id; id 0 means that a name is spelled out.
pub const NAMES: [&str; 42] = [
    "",
    "Host",
    "Content-Type",
    "Content-Length",
    "Transfer-Encoding",
    "Connection",
    "Expect",
    "Upgrade",
    "Keep-Alive",
    "Proxy-Connection",
    "TE",
    "Trailer",
    "Accept",
    "Accept-Encoding",
    "User-Agent",
    "Date",
    "Authorization",
    "Timeout",
    "Micro-Id",
    "Micro-Service",
    "Micro-Method",
    "Micro-Endpoint",
    "Micro-Error",
    "Micro-Stream",
    "Micro-Topic",
    "Micro-Protocol",
    "Micro-Target",
    "Micro-From-Service",
    "Micro-Namespace",
    "Micro-Trace-Id",
    "Micro-Span-Id",
    "X-Micro-Id",
    "X-Micro-Service",
    "X-Micro-Method",
    "X-Micro-Endpoint",
    "X-Micro-Error",
    "X-Micro-Stream",
    "X-Micro-Topic",
    "X-Micro-Target",
    "X-Micro-From-Service",
    "Traceparent",
    "Tracestate",
];

/// Which of several peers on one address is meant.
pub const HOST: u32 = 1;
/// The length of the body.
pub const CONTENT_LENGTH: u32 = 3;
/// How the body is coded.
pub const TRANSFER_ENCODING: u32 = 4;
/// Options of this connection.
pub const CONNECTION: u32 = 5;
/// What the client waits for before it sends the body.
pub const EXPECT: u32 = 6;
/// Other protocols that the client would speak.
pub const UPGRADE: u32 = 7;
const TRAILER: u32 = 11;

/// Whether a field speaks about the connection (whom it is for included) or about where the body ends, rather than
/// about the message. The encoder writes these itself and leaves out those that it is given.
pub fn is_connection_field(id: u32) -> bool {
    id == HOST || (CONTENT_LENGTH..=TRAILER).contains(&id)
}

/// The id of a name in any letter case; 0 if it is not in the table.
pub fn id(name: &[u8]) -> u32 {
    // Candidates by length, so that most names cost one comparison.
    let candidates: &[u32] = match name.len() {
        2 => &[10],
        4 => &[1, 15],
        6 => &[6, 12],
        7 => &[17, 7, 11],
        8 => &[18],
        10 => &[14, 5, 8, 31, 41],
        11 => &[22, 24, 40],
        12 => &[2, 20, 23, 26],
        13 => &[19, 16, 30, 35, 37],
        14 => &[3, 21, 25, 29, 33, 36, 38],
        15 => &[13, 28, 32],
        16 => &[9, 34],
        17 => &[4],
        18 => &[27],
        20 => &[39],
        _ => &[],
    };
    let found = candidates.iter().find(|id| NAMES[**id as usize].as_bytes().eq_ignore_ascii_case(name));
    found.copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_finds_its_id_in_any_case() {
        for (expected, name) in NAMES.iter().enumerate().skip(1) {
            for name in [name.to_string(), name.to_lowercase(), name.to_uppercase()] {
                assert_eq!(id(name.as_bytes()), expected as u32, "{name}");
            }
        }
        for name in ["", "X", "Micro-Idx", "Hosts"] {
            assert_eq!(id(name.as_bytes()), 0, "{name}");
        }
    }

    #[test]
    fn constants_name_what_they_say() {
        for (id, name) in [
            (HOST, "Host"),
            (CONTENT_LENGTH, "Content-Length"),
            (TRANSFER_ENCODING, "Transfer-Encoding"),
            (CONNECTION, "Connection"),
            (EXPECT, "Expect"),
            (UPGRADE, "Upgrade"),
            (TRAILER, "Trailer"),
        ] {
            assert_eq!(NAMES[id as usize], name);
        }
    }
}
