//! Helpers for option types. The host has validated the options against the manifest, so an option type is a plain
//! `Deserialize` struct: `string` is a `String`, `integer` any integer, `list` and `address-list` a `Vec<String>`.

use serde::Deserialize;
use std::fmt;

/// A `secret` option. Its text does not appear in `Debug`.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The secret itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// For `duration` options, which arrive as milliseconds: `#[serde(with = "micro_sdk::options::millis")]`.
pub mod millis {
    use serde::{Deserialize, Deserializer};
    use std::time::Duration;

    /// Reads a whole number of milliseconds.
    ///
    /// # Errors
    /// Anything else.
    pub fn deserialize<'de, D: Deserializer<'de>>(json: D) -> Result<Duration, D::Error> {
        u64::deserialize(json).map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[derive(Debug, Deserialize)]
    struct Options {
        token: Secret,
        #[serde(with = "millis")]
        pause: Duration,
    }

    #[test]
    fn durations_are_milliseconds_and_secrets_stay_secret() {
        let options: Options = serde_json::from_str(r#"{"token":"hunter2","pause":1500}"#).expect("valid");
        assert_eq!(options.pause, Duration::from_millis(1500));
        assert_eq!(options.token.reveal(), "hunter2");
        assert!(!format!("{options:?}").contains("hunter2"));
    }
}
