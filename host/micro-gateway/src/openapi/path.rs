//! Templates as paths of a document.

use micro_rest::{Template, TemplateSegment, TemplateVariable};
use std::collections::HashMap;

/// Paths by the shape of their template: those that match the same requests are the same path.
#[derive(Debug, Default)]
pub(super) struct Paths(HashMap<String, Vec<String>>);

/// A parameter in a path.
#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) name: String,
    /// The field, if the parameter is all of it.
    pub(super) whole: Option<String>,
    pub(super) description: Option<String>,
}

impl Paths {
    /// The path of a template, and its parameters.
    pub(super) fn of(&mut self, template: &Template) -> (String, Vec<Parameter>) {
        let mut own = parameters(template);
        let names = self
            .0
            .entry(template.shape())
            .or_insert_with(|| own.iter().map(|parameter| parameter.name.clone()).collect());
        for (parameter, name) in own.iter_mut().zip(names.iter()) {
            parameter.name.clone_from(name);
        }
        let mut names = names.iter();
        let mut path = String::new();
        for (segment, _) in template.segments() {
            path.push('/');
            match segment {
                TemplateSegment::One | TemplateSegment::Rest => {
                    path.push('{');
                    path.push_str(names.next().map_or("", String::as_str));
                    path.push('}');
                }
                literal @ TemplateSegment::Literal(_) => path.push_str(&literal.to_string()),
            }
        }
        if let Some(verb) = template.verb() {
            path.push(':');
            path.push_str(verb);
        }
        (path, own)
    }
}

/// A parameter for each open segment.
fn parameters(template: &Template) -> Vec<Parameter> {
    let mut parameters = Vec::new();
    let mut unnamed = 0;
    let segments: Vec<_> = template.segments().collect();
    for (at, (segment, variable)) in segments.iter().enumerate() {
        if !segment.is_open() {
            continue;
        }
        let Some(variable) = variable else {
            unnamed += 1;
            parameters.push(Parameter { name: format!("segment.{unnamed}"), whole: None, description: None });
            continue;
        };
        let of_variable =
            |place: &(usize, &(&TemplateSegment, Option<&TemplateVariable>))| place.1.1 == Some(*variable);
        let all: Vec<_> = segments.iter().enumerate().filter(of_variable).collect();
        let open: Vec<usize> =
            all.iter().filter(|(_, (segment, _))| segment.is_open()).map(|(at, _)| *at).collect();
        let number = open.iter().position(|place| *place == at).map_or(1, |place| place + 1);
        let name =
            if open.len() == 1 { variable.field.clone() } else { format!("{}.{number}", variable.field) };
        let whole = (all.len() == 1).then(|| variable.field.clone());
        let pattern = all.iter().map(|(_, (segment, _))| segment.to_string()).collect::<Vec<_>>().join("/");
        let description = match (&whole, segment) {
            (Some(_), TemplateSegment::One) => None,
            (Some(_), _) => Some("One or more segments".to_owned()),
            (None, _) => Some(format!("Part {number} of the field {}, which is {pattern}", variable.field)),
        };
        parameters.push(Parameter { name, whole, description });
    }
    parameters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_open_segment_is_a_parameter() {
        let mut paths = Paths::default();
        let mut path = |text: &str| {
            let (path, parameters) = paths.of(&Template::parse(text).expect(text));
            let names: Vec<_> = parameters.into_iter().map(|parameter| parameter.name).collect();
            (path, names.join(" "))
        };
        for (template, expected, names) in [
            ("/v1/books", "/v1/books", ""),
            ("/v1/{id}", "/v1/{id}", "id"),
            // The same path under another name.
            ("/v1/{book.id}", "/v1/{id}", "id"),
            ("/v1/{name=shelves/*}:x", "/v1/shelves/{name}:x", "name"),
            ("/v1/{name=shelves/*/books/*}", "/v1/shelves/{name.1}/books/{name.2}", "name.1 name.2"),
            ("/files/{path=**}", "/files/{path}", "path"),
            ("/a%20b/%2A/%7Bc%7D:d", "/a%20b/%2A/%7Bc%7D:d", ""),
            ("/a/*/b/*", "/a/{segment.1}/b/{segment.2}", "segment.1 segment.2"),
        ] {
            assert_eq!(path(template), (expected.to_owned(), names.to_owned()), "{template}");
        }
    }
}
