//! `google.api.http`: templates of paths, and rules.

use crate::parts;
use micro_rest::{MatchedPath, Rule, Template, TemplateSegment};
use std::fmt::Write;

/// A template, another one, a path, then values for the template's variables. What is filled in is found again.
pub(crate) fn template(data: &[u8]) {
    let (texts, _) = parts(data);
    let texts: Vec<&str> = texts.into_iter().filter_map(|text| std::str::from_utf8(text).ok()).collect();
    let Some((first, rest)) = texts.split_first() else { return };
    let Ok(template) = Template::parse(first) else { return };
    assert_eq!(Template::parse(template.as_str()).as_ref(), Ok(&template));

    let (other, rest) = rest.split_first().unwrap_or((&"", rest));
    if let Ok(other) = Template::parse(other) {
        let order = template.precedence(&other);
        assert_eq!(order.reverse(), other.precedence(&template), "{template} and {other}");
        assert!(order.is_ne() || template.segments().count() == other.segments().count());
    }
    let (path, values) = rest.split_first().unwrap_or((&"", rest));
    if let Some(path) = MatchedPath::parse(path)
        && let Some(found) = template.matches(&path)
    {
        assert_eq!(found.len(), template.variables().len());
    }

    let (path, expected) = fill(&template, values);
    let parsed = MatchedPath::parse(&path).expect("an absolute path of text");
    let found = template.matches(&parsed).unwrap_or_else(|| panic!("{path} is no {template}"));
    assert_eq!(found, expected, "{path}");
}

/// A path of a template, and what its variables are in it.
fn fill<'t>(template: &'t Template, values: &[&str]) -> (String, Vec<(&'t str, String)>) {
    let mut values = values.iter().copied().filter(|value| !value.is_empty());
    let mut path = String::new();
    // A variable with its segments as they were meant, and whether its value may be several.
    let mut filled: Vec<(&str, Vec<String>, bool)> =
        template.variables().iter().map(|variable| (&*variable.field, Vec::new(), false)).collect();
    for (segment, variable) in template.segments() {
        let parts: Vec<String> = match segment {
            TemplateSegment::One => vec![values.next().unwrap_or("x").to_owned()],
            TemplateSegment::Rest => values.by_ref().map(str::to_owned).collect(),
            TemplateSegment::Literal(literal) => vec![literal.clone()],
        };
        for part in &parts {
            path.push('/');
            escape(part, &mut path);
        }
        if let Some(variable) = variable {
            let filled = filled.iter_mut().find(|(name, ..)| *name == variable.field).expect("one of them");
            filled.2 |= *segment == TemplateSegment::Rest;
            filled.1.extend(parts);
        }
    }
    if path.is_empty() {
        path.push('/');
    }
    if let Some(verb) = template.verb() {
        _ = write!(path, ":{verb}");
    }
    let value = |(name, parts, many): (&'t str, Vec<String>, bool)| {
        // Within a value of several segments a slash stays apart from those between them.
        let one = !many && parts.len() == 1;
        let parts = parts.into_iter().map(|part| if one { part } else { part.replace('/', "%2F") });
        (name, parts.collect::<Vec<_>>().join("/"))
    };
    (path, filled.into_iter().map(value).collect())
}

fn escape(text: &str, path: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' => path.push(char::from(byte)),
            _ => _ = write!(path, "%{byte:02X}"),
        }
    }
}

/// The JSON form of a rule. What can be read is read again from what is written.
pub(crate) fn rule(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(rule) = Rule::parse(text) else { return };
    assert!(!rule.bindings.is_empty());
    let json = rule.to_json();
    assert_eq!(Rule::parse(&json).as_ref(), Ok(&rule), "{json}");
    for binding in &rule.bindings {
        assert!(binding.wants(&binding.method) && (binding.method == "*" || !binding.wants("x")));
    }
}
