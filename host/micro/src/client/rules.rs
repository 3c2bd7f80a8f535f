//! What an operator says about services by their names.

use std::str::FromStr;

/// Something that an operator says about services, by patterns of their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules<T>(Vec<(String, T)>);

/// What a rule says.
pub trait RuleValue: FromStr<Err = String> + Copy {
    /// How a rule is written, with an example.
    const FORM: &'static str;
}

impl<T> Default for Rules<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: RuleValue> Rules<T> {
    /// A rule for a service; a `*` at the end stands for anything. Names win over patterns, longer patterns over shorter
    /// ones, later rules over earlier ones.
    #[must_use]
    pub fn with(mut self, service: impl Into<String>, value: T) -> Self {
        let service = service.into();
        self.0.retain(|(known, _)| *known != service);
        self.0.push((service, value));
        self.0.sort_by_key(|(pattern, _)| (pattern.ends_with('*'), std::cmp::Reverse(pattern.len())));
        self
    }

    /// One rule from a text such as `greeter=grpc` or `shop.*=mucp`.
    ///
    /// # Errors
    /// A text that says what is expected.
    pub fn parse(text: &str) -> Result<(String, T), String> {
        let (service, value) = text.split_once('=').unwrap_or_default();
        let service = service.trim();
        if service.is_empty() {
            return Err(format!("write {}", T::FORM));
        }
        if service.strip_suffix('*').unwrap_or(service).contains('*') {
            return Err("a * may only stand at the end of the name".to_owned());
        }
        Ok((service.to_owned(), value.trim().parse()?))
    }

    /// What is said about a service; none where no rule names it.
    pub fn find(&self, service: &str) -> Option<T> {
        let matches = |pattern: &str| match pattern.strip_suffix('*') {
            Some(start) => service.starts_with(start),
            None => service == pattern,
        };
        self.0.iter().find(|(pattern, _)| matches(pattern)).map(|(_, value)| *value)
    }
}

impl<T: RuleValue, S: Into<String>> FromIterator<(S, T)> for Rules<T> {
    fn from_iter<I: IntoIterator<Item = (S, T)>>(rules: I) -> Self {
        rules.into_iter().fold(Self::default(), |rules, (service, value)| rules.with(service, value))
    }
}
