//! Sets headers of responses: the component around [`header_core`].
//!
//! | option | type | default | meaning |
//! |---|---|---|---|
//! | `header` | list | empty | `name=value` pairs, such as `X-Frame-Options=DENY,Referrer-Policy=no-referrer` |
//!
//! A header takes the place of all of that name in the response; one that is given twice is sent twice. Values cannot
//! contain commas, which separate the items of a list.

use header_core::Field;
use micro_sdk::filter::{Edit, Edits, Filter, Request, Verdict};
use micro_sdk::hot::{Context, Invalid};
use serde::Deserialize;

/// What every request gets, made once.
#[derive(Debug)]
struct Header(Verdict);

#[derive(Debug, Deserialize)]
struct Options {
    #[serde(default)]
    header: Vec<String>,
}

impl Filter for Header {
    type Options = Options;

    fn configure(_: &Context, options: Options) -> Result<Self, Invalid> {
        let fields = header_core::parse(options.header.iter().map(String::as_str))
            .map_err(|error| Invalid::new(format!("header: {error}")))?;
        if fields.is_empty() {
            return Ok(Self(Verdict::Next));
        }
        let response = fields.into_iter().map(edit).collect();
        Ok(Self(Verdict::Edit(Edits { request: Vec::new(), response })))
    }

    fn request(&self, _: Request<'_>) -> Verdict {
        self.0.clone()
    }
}

fn edit(field: Field) -> Edit {
    if field.repeated { Edit::append(field.name, field.value) } else { Edit::set(field.name, field.value) }
}

micro_sdk::register_filter!(Header);

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(header: &[&str]) -> Result<Verdict, String> {
        let options = Options { header: header.iter().map(|&it| it.to_owned()).collect() };
        Header::configure(&Context::default(), options).map(|it| it.0).map_err(|error| error.to_string())
    }

    #[test]
    fn headers_are_set_and_repeated_ones_are_added() {
        let response = vec![Edit::set("X-A", "1"), Edit::append("X-A", "2")];
        let expected = Verdict::Edit(Edits { request: Vec::new(), response });
        assert_eq!(configured(&["X-A=1", "X-A=2"]), Ok(expected));
        assert_eq!(configured(&[]), Ok(Verdict::Next));
        let error = configured(&["Host=here"]).expect_err("not a filter's");
        assert!(error.starts_with("header: header Host"), "{error}");
    }
}
