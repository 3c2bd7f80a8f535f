//! A report in the form that test servers read: a suite for each of ours, a test case for each rule.

use super::plain;
use crate::conformance::report::{CaseResult, Outcome, Report};
use crate::conformance::rule::Suite;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};
use std::io;

/// The report as JUnit XML.
///
/// # Errors
/// It is written to memory, which does not fail; the type is that of the writer.
pub fn junit(report: &Report) -> io::Result<Vec<u8>> {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let name = report.name.clone().unwrap_or_else(|| report.file.clone());
    let all: Vec<&CaseResult> = report.cases.iter().collect();
    let root = writer.create_element("testsuites").with_attribute(("name", &*plain(&name)));
    root.with_attributes(counts(&all).iter().map(|(key, value)| (*key, value.as_str())))
        .write_inner_content(|writer| {
            for suite in Suite::ALL {
                let cases: Vec<&CaseResult> =
                    report.cases.iter().filter(|case| case.suite == suite).collect();
                if cases.is_empty() {
                    continue;
                }
                let element = writer.create_element("testsuite").with_attribute(("name", suite.as_str()));
                element
                    .with_attributes(counts(&cases).iter().map(|(key, value)| (*key, value.as_str())))
                    .write_inner_content(|writer| {
                        cases.iter().try_for_each(|case| write(writer, &name, case))
                    })?;
            }
            Ok(())
        })?;
    Ok(writer.into_inner())
}

fn counts(cases: &[&CaseResult]) -> [(&'static str, String); 4] {
    let count =
        |good: fn(&Outcome) -> bool| cases.iter().filter(|case| good(&case.outcome)).count().to_string();
    let took: f64 = cases.iter().map(|case| case.took.as_secs_f64()).sum();
    [
        ("tests", cases.len().to_string()),
        ("failures", count(|it| matches!(it, Outcome::Failed(_)))),
        ("skipped", count(|it| matches!(it, Outcome::NotRun(_)))),
        ("time", format!("{took:.3}")),
    ]
}

fn write(writer: &mut Writer<Vec<u8>>, name: &str, case: &CaseResult) -> io::Result<()> {
    let time = format!("{:.3}", case.took.as_secs_f64());
    let class = format!("{}.{}", plain(name), case.suite);
    let attributes = [("name", case.rule), ("classname", &class), ("time", &time)];
    let element = writer.create_element("testcase").with_attributes(attributes);
    match &case.outcome {
        Outcome::Passed => element.write_empty().map(drop),
        Outcome::Noted(note) => inner(element, "system-out", None, note),
        Outcome::Warned(seen) => inner(element, "system-out", None, &format!("warning: {seen}")),
        Outcome::NotRun(why) => inner(element, "skipped", Some(why), ""),
        Outcome::Failed(seen) => {
            inner(element, "failure", Some(case.expected), &format!("seen: {seen}\nalone: {}", case.alone))
        }
    }
}

fn inner(
    element: quick_xml::writer::ElementWriter<'_, Vec<u8>>,
    name: &str,
    message: Option<&str>,
    text: &str,
) -> io::Result<()> {
    let inside = |writer: &mut Writer<Vec<u8>>| {
        let message = message.map(plain);
        let attributes = message.iter().map(|it| ("message", it.as_str()));
        let element = writer.create_element(name).with_attributes(attributes);
        match text {
            "" => element.write_empty().map(drop),
            text => element.write_text_content(BytesText::new(&plain(text))).map(drop),
        }
    };
    element.write_inner_content(inside).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn whatever_was_seen_is_sound_xml() {
        let case = |outcome| CaseResult {
            rule: "codec.open.noise",
            suite: Suite::Property,
            expected: "noise < 1 % & \"refused\"",
            outcome,
            took: Duration::from_millis(1500),
            alone: "micro plugin test x.wasm".to_owned(),
        };
        let mut report = crate::conformance::report::Report::of(vec![
            case(Outcome::Failed("]]> <b> \u{0}\u{1b} & \u{fffe}".to_owned())),
            case(Outcome::NotRun("give --address".to_owned())),
            case(Outcome::Passed),
            case(Outcome::Warned("large".to_owned())),
        ]);
        report.name = Some("x\"<>".to_owned());
        let xml = String::from_utf8(junit(&report).expect("written")).expect("UTF-8");
        let mut reader = quick_xml::Reader::from_str(&xml);
        loop {
            match reader.read_event().expect("sound") {
                Event::Eof => break,
                Event::Start(tag) | Event::Empty(tag) => {
                    tag.attributes().for_each(|attribute| drop(attribute.expect("sound")));
                }
                _ => {}
            }
        }
        assert!(!xml.contains(['\u{0}', '\u{1b}', '\u{fffe}']), "{xml}");
        let counts = "tests=\"4\" failures=\"1\" skipped=\"1\" time=\"6.000\"";
        assert!(xml.contains(counts) && xml.contains("<skipped message=\"give --address\"/>"), "{xml}");
    }
}
