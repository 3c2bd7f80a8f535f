//! Texts as JSON values of a type.

pub(super) mod described;
pub(super) mod shaped;

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use serde_json::{Number, Value};
use std::str::FromStr;

/// With padding or without.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
const PLAIN: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);

fn boolean(text: &str) -> Result<Value, String> {
    text.parse::<bool>().map(Value::from).map_err(|_| format!("is true or false, not {}", short(text)))
}

fn integer<T: FromStr + Into<Value>>(text: &str, kind: &str) -> Result<Value, String> {
    text.parse::<T>().map(Into::into).map_err(|_| format!("is an {kind}, not {}", short(text)))
}

/// A number, or one of protobuf's names for what is none. What Rust reads beyond that nobody else does.
fn float(text: &str) -> Result<Value, String> {
    if matches!(text, "NaN" | "Infinity" | "-Infinity") {
        return Ok(Value::from(text));
    }
    let is_plain = text.bytes().all(|it| it.is_ascii_digit() || b"+-.eE".contains(&it));
    let number = text.parse::<f64>().ok().filter(|_| is_plain).and_then(Number::from_f64);
    number.map(Value::Number).ok_or_else(|| format!("is a number, not {}", short(text)))
}

/// Both alphabets of base64, which messages have in the standard one.
fn bytes(text: &str) -> Result<Value, String> {
    let decoded = URL.decode(text).or_else(|_| PLAIN.decode(text));
    let decoded = decoded.map_err(|_| format!("is base64, not {}", short(text)))?;
    Ok(Value::from(STANDARD.encode(decoded)))
}

/// A text from outside as it may stand in an answer.
fn short(text: &str) -> String {
    const SHOWN: usize = 60;
    let more = if text.chars().nth(SHOWN).is_some() { "…" } else { "" };
    format!("{:?}{more}", text.chars().take(SHOWN).collect::<String>())
}
