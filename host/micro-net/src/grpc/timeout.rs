//! `grpc-timeout`: a number of up to eight digits and a unit.

use std::time::Duration;

/// The largest number that is written. Finer than to a thousandth nobody counts, and as texts the timeouts of calls that
/// are alike should be, too: then they take a byte, and no room among the fields that a connection remembers (RFC 7541).
const MOST: u128 = 999_999;
/// The largest number that there is, in hours: eleven thousand years.
const LAST: u128 = 99_999_999;

/// The units, the finest first, in nanoseconds.
const UNITS: [(u8, u128); 6] = [
    (b'n', 1),
    (b'u', 1_000),
    (b'm', 1_000_000),
    (b'S', 1_000_000_000),
    (b'M', 60_000_000_000),
    (b'H', 3_600_000_000_000),
];

/// The text of a timeout, in the finest unit that holds it, rounded up: the callee should not give up before the caller.
pub(super) fn format(timeout: Duration) -> String {
    let nanoseconds = timeout.as_nanos();
    let fitting = UNITS.iter().map(|&(unit, size)| (nanoseconds.div_ceil(size), unit));
    let hours = (nanoseconds.div_ceil(UNITS[5].1).min(LAST), UNITS[5].0);
    let (number, unit) = fitting.into_iter().find(|&(number, _)| number <= MOST).unwrap_or(hours);
    format!("{number}{}", char::from(unit))
}

/// None for what is no timeout.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let (unit, digits) = text.as_bytes().split_last()?;
    let size = UNITS.iter().find(|(name, _)| name == unit)?.1;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits.iter().fold(0, |number, digit| number * 10 + u128::from(digit - b'0'));
    // Eight digits of hours are 3.6e20 ns, more than 64 bits hold.
    let nanoseconds = u64::try_from(number * size).unwrap_or(u64::MAX);
    Some(Duration::from_nanos(nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_short_and_never_less() {
        for (timeout, text) in [
            (Duration::ZERO, "0n"),
            (Duration::from_nanos(999_999), "999999n"),
            (Duration::from_nanos(100_000_001), "100001u"),
            (Duration::from_nanos(4_999_950_001), "5000m"),
            (Duration::from_secs(5), "5000m"),
            (Duration::from_secs(3600), "3600S"),
            (Duration::from_nanos(u64::MAX), "5124096H"),
            (Duration::from_secs(u64::MAX), "99999999H"),
        ] {
            assert_eq!(format(timeout), text);
        }
    }

    #[test]
    fn what_is_no_timeout_is_none() {
        for (text, expected) in [
            ("1H", Some(Duration::from_secs(3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("3S", Some(Duration::from_secs(3))),
            ("4m", Some(Duration::from_millis(4))),
            ("5u", Some(Duration::from_micros(5))),
            ("0n", Some(Duration::ZERO)),
            ("99999999H", Some(Duration::from_nanos(u64::MAX))),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
        for text in ["", "S", "1", "1s", "-1S", "+1S", "1.5S", "123456789n", "1 S", "1Sx", "²S"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
