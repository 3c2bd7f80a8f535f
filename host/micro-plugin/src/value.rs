//! Typed values of options.

use crate::address::Address;
use crate::manifest::{OptionKind, OptionSpec};
use serde_json::Value as Json;

/// A value that was read, and the addresses in it.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) json: Json,
    pub(crate) addresses: Vec<Address>,
}

/// Reads `text` as the option's type. The error never repeats a secret.
pub(crate) fn parse(option: &OptionSpec, text: &str) -> Result<Parsed, String> {
    let mut addresses = Vec::new();
    let json = match option.kind {
        OptionKind::String | OptionKind::Secret => Json::from(text),
        OptionKind::Bool => match text.trim() {
            "true" | "1" | "yes" | "on" => Json::from(true),
            "false" | "0" | "no" | "off" => Json::from(false),
            _ => return Err("write true or false".to_owned()),
        },
        OptionKind::Integer => {
            let number: i64 = text.trim().parse().map_err(|_| "write a whole number".to_owned())?;
            Json::from(number)
        }
        OptionKind::Duration => Json::from(milliseconds(text.trim())?),
        OptionKind::List => split(text).map(Json::from).collect(),
        OptionKind::AddressList => {
            for part in split(text) {
                addresses.push(Address::parse(part, option.default_port).map_err(|error| error.to_string())?);
            }
            if addresses.is_empty() {
                return Err("write one address or several, separated by commas".to_owned());
            }
            addresses.iter().map(|address| Json::from(address.to_string())).collect()
        }
    };
    Ok(Parsed { json, addresses })
}

fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

/// A duration as Go's `time.ParseDuration` reads it, in whole milliseconds: a sequence of numbers with units, or 0.
fn milliseconds(text: &str) -> Result<u64, String> {
    const FORMS: &str = "write a duration such as 500ms, 5s or 1m30s";
    if text == "0" {
        return Ok(0);
    }
    let mut rest = text;
    let mut nanoseconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or(FORMS)?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let scale = match unit {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return Err(FORMS.to_owned()),
        };
        nanoseconds += number.parse::<f64>().map_err(|_| FORMS)? * scale;
        rest = tail;
    }
    // Go's durations are 63 bits of nanoseconds, about 292 years.
    match nanoseconds {
        _ if text.is_empty() => Err(FORMS.to_owned()),
        long if long > i64::MAX as f64 => Err("this duration is too long".to_owned()),
        short if short > 0.0 && short < 1e6 => Err("durations shorter than 1ms are not supported".to_owned()),
        fine => Ok((fine / 1e6) as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(kind: OptionKind, text: &str) -> Result<Json, String> {
        let option = OptionSpec {
            name: "x".to_owned(),
            kind,
            default: None,
            required: false,
            default_port: Some(7),
            flag: None,
            doc: String::new(),
        };
        parse(&option, text).map(|parsed| parsed.json)
    }

    #[test]
    fn each_type_has_its_json() {
        assert_eq!(read(OptionKind::String, " a "), Ok(json!(" a ")));
        assert_eq!(read(OptionKind::Bool, "yes"), Ok(json!(true)));
        assert_eq!(read(OptionKind::Integer, "-5"), Ok(json!(-5)));
        assert_eq!(read(OptionKind::List, "a, b,,c"), Ok(json!(["a", "b", "c"])));
        assert_eq!(read(OptionKind::AddressList, "a,b:1"), Ok(json!(["a:7", "b:1"])));
    }

    #[test]
    fn durations_are_those_of_go() {
        let cases =
            [("500ms", 500), ("5s", 5000), ("1m30s", 90_000), ("1.5h", 5_400_000), ("0", 0), ("0s", 0)];
        for (text, expected) in cases {
            assert_eq!(read(OptionKind::Duration, text), Ok(json!(expected)), "{text}");
        }
        for text in ["", "5", "s", "-1s", "1x", "1.2.3s", "1s2", ".s", "99999999999h", "1us"] {
            assert!(read(OptionKind::Duration, text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (kind, text) in [
            (OptionKind::Bool, "maybe"),
            (OptionKind::Integer, "1.5"),
            (OptionKind::Integer, "99999999999999999999"),
            (OptionKind::AddressList, ","),
            (OptionKind::AddressList, "a b"),
        ] {
            assert!(read(kind, text).is_err(), "{text}");
        }
    }
}
