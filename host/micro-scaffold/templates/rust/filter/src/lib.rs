//! @name@: lets through only requests that carry the key, and takes the key away before anybody else sees it.
//!
//! | option   | is                           |
//! |----------|------------------------------|
//! | `header` | the field that the key is in |
//! | `key`    | the key                      |

use micro_sdk::filter::{Edit, Edits, Filter, Request, Response, Verdict};
use micro_sdk::hot::{Context, Invalid};

/// The filter.
pub struct Key {
    header: String,
    key: String,
}

/// Its options.
#[derive(serde::Deserialize)]
pub struct Options {
    header: String,
    key: String,
}

impl Filter for Key {
    type Options = Options;

    fn configure(_: &Context, options: Options) -> Result<Self, Invalid> {
        if options.key.is_empty() {
            return Err(Invalid::new("option key: an empty key would let everybody through"));
        }
        Ok(Self { header: options.header, key: options.key })
    }

    fn request(&self, request: Request<'_>) -> Verdict {
        let named = request.head.fields().filter(|it| it.name.eq_ignore_ascii_case(self.header.as_bytes()));
        self.decide(&named.map(|field| field.value).collect::<Vec<_>>())
    }
}

impl Key {
    fn decide(&self, given: &[&[u8]]) -> Verdict {
        match given {
            [one] if same(one, self.key.as_bytes()) => {
                Verdict::Edit(Edits { request: vec![Edit::remove(&self.header)], response: Vec::new() })
            }
            _ => Verdict::Respond(Response::text(401, &format!("the field {} must have the key\n", self.header))),
        }
    }
}

/// In a time that does not depend on how much of the key is right.
fn same(given: &[u8], key: &[u8]) -> bool {
    let differences = given.iter().zip(key).fold(0, |sum, (a, b)| sum | (a ^ b));
    given.len() == key.len() && differences == 0
}

micro_sdk::register_filter!(Key);

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key { header: "X-Api-Key".to_owned(), key: "secret".to_owned() }
    }

    #[test]
    fn the_key_lets_through_and_is_taken_away() {
        let removed = Edits { request: vec![Edit::remove("X-Api-Key")], response: Vec::new() };
        assert_eq!(key().decide(&[b"secret"]), Verdict::Edit(removed));
    }

    #[test]
    fn everything_else_is_refused() {
        for given in [&[][..], &[&b""[..]], &[b"secre"], &[b"secrets"], &[b"secret", b"secret"]] {
            let verdict = key().decide(given);
            assert!(matches!(&verdict, Verdict::Respond(response) if response.status == 401), "{verdict:?}");
        }
    }
}
