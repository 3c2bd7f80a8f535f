//! What a transport moves: headers and a body.

use bytes::Bytes;
use std::fmt;

/// A message: headers and a body, nothing else. Ids, errors and endpoints are headers (`go-micro-wire` §1).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Message {
    /// Protocol fields and user metadata.
    pub headers: Headers,
    /// The encoded value; empty where there is none.
    pub body: Bytes,
}

/// Header fields in the order they were added. Names compare without case, on every transport (`go-micro-wire` §1.3).
///
/// All texts live in one buffer, because a message has about ten fields and one allocation is cheaper than twenty.
/// Values are bytes: HTTP does not promise UTF-8.
#[derive(Clone, Default)]
pub struct Headers {
    text: Vec<u8>,
    fields: Vec<Field>,
}

#[derive(Clone, Copy)]
struct Field {
    start: u32,
    name: u32,
    value: u32,
}

impl Headers {
    /// No fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// No fields yet, with room for `fields` of them that are `bytes` long together.
    pub fn with_capacity(fields: usize, bytes: usize) -> Self {
        Self { text: Vec::with_capacity(bytes), fields: Vec::with_capacity(fields) }
    }

    /// The number of fields.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there are no fields.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Forgets all fields and keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.fields.clear();
    }

    /// Adds a field behind those of the same name.
    pub fn append(&mut self, name: &str, value: impl AsRef<[u8]>) {
        let value = value.as_ref();
        // A message is far below 4 GiB: heads are capped at 64 KiB on the wire.
        let start = self.text.len() as u32;
        self.text.extend_from_slice(name.as_bytes());
        self.text.extend_from_slice(value);
        self.fields.push(Field { start, name: name.len() as u32, value: value.len() as u32 });
    }

    /// Sets a field, in place of all fields of this name.
    pub fn insert(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.remove(name);
        self.append(name, value);
    }

    /// Removes all fields of this name.
    pub fn remove(&mut self, name: &str) {
        let text = &self.text;
        self.fields.retain(|field| !field.name(text).eq_ignore_ascii_case(name));
    }

    /// The first value of this name, if it is UTF-8.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_bytes(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The first value of this name.
    pub fn get_bytes(&self, name: &str) -> Option<&[u8]> {
        let found = self.fields.iter().find(|field| field.name(&self.text).eq_ignore_ascii_case(name))?;
        Some(found.value(&self.text))
    }

    /// Whether there is a field of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.get_bytes(name).is_some()
    }

    /// All fields, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &[u8])> {
        self.fields.iter().map(|field| (field.name(&self.text), field.value(&self.text)))
    }

    /// All fields whose value is UTF-8, in order.
    pub fn iter_str(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter().filter_map(|(name, value)| Some((name, std::str::from_utf8(value).ok()?)))
    }
}

impl Field {
    fn name<'a>(&self, text: &'a [u8]) -> &'a str {
        let name = &text[self.start as usize..][..self.name as usize];
        std::str::from_utf8(name).expect("names are only ever copied from a str")
    }

    fn value<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        &text[(self.start + self.name) as usize..][..self.value as usize]
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = self.iter().map(|(name, value)| (name, String::from_utf8_lossy(value)));
        f.debug_map().entries(fields).finish()
    }
}

impl PartialEq for Headers {
    /// The same fields in the same order; names without case.
    fn eq(&self, other: &Self) -> bool {
        let mut pairs = self.iter().zip(other.iter());
        self.len() == other.len() && pairs.all(|((a, x), (b, y))| a.eq_ignore_ascii_case(b) && x == y)
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(fields: I) -> Self {
        let mut headers = Self::new();
        headers.extend(fields);
        headers
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>> Extend<(N, V)> for Headers {
    fn extend<I: IntoIterator<Item = (N, V)>>(&mut self, fields: I) {
        for (name, value) in fields {
            self.append(name.as_ref(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_compare_without_case_and_the_first_value_wins() {
        let mut headers = Headers::from_iter([("Micro-Id", "1"), ("micro-id", "2"), ("Foo", "")]);
        assert_eq!(headers.get("MICRO-ID"), Some("1"));
        assert_eq!(headers.get("foo"), Some(""));
        assert_eq!(headers.get("bar"), None);
        headers.insert("micro-ID", "3");
        assert_eq!(headers.iter_str().collect::<Vec<_>>(), [("Foo", ""), ("micro-ID", "3")]);
    }

    #[test]
    fn values_need_not_be_utf8() {
        let headers = Headers::from_iter([("a", b"\xff".as_slice())]);
        assert_eq!(headers.get("a"), None);
        assert_eq!(headers.get_bytes("a"), Some(b"\xff".as_slice()));
        assert_eq!(headers.iter_str().count(), 0);
    }
}
