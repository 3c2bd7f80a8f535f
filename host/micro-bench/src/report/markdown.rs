//! The tables in a Markdown file, in place of those of an earlier run.

use super::Report;
use super::tables::{Sheet, sheets};
use crate::Failed;
use std::fmt::Write;
use std::path::Path;

/// What stands between these lines of the file is replaced.
const BEGIN: &str = "<!-- figures: cargo xtask bench --markdown replaces what stands between these lines -->";
const END: &str = "<!-- end of figures -->";

/// Writes the tables between the marks of `file`; a file without marks, or none, becomes the tables alone.
pub(crate) fn write(report: &Report, file: &Path) -> Result<(), Failed> {
    // No file yet is an empty one; any other trouble shows when it is written.
    let old = std::fs::read_to_string(file).unwrap_or_default();
    let new = replaced(&old, &markdown(report))?;
    std::fs::write(file, new).map_err(|error| format!("cannot write {}: {error}", file.display()).into())
}

fn replaced(old: &str, figures: &str) -> Result<String, Failed> {
    let figures = format!("{BEGIN}\n\n{figures}\n{END}");
    if old.is_empty() {
        return Ok(figures + "\n");
    }
    let parts = old.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) =
        parts.ok_or_else(|| format!("the file has text but not the lines {BEGIN:?} and {END:?}"))?;
    Ok(format!("{before}{figures}{after}"))
}

fn markdown(report: &Report) -> String {
    let mut text = format!(
        "micro {} at commit `{}`, {}. Machine: {}.\n",
        report.version, report.commit, report.date, report.machine
    );
    for sheet in sheets(report) {
        // Writing to a String cannot fail.
        _ = write!(text, "\n### {}\n\n{}", sheet.heading, table(&sheet));
    }
    text
}

fn table(sheet: &Sheet) -> String {
    let line = |cells: &[String]| {
        let cells: Vec<String> =
            cells.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " ")).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let names: Vec<String> = sheet.columns.iter().map(|name| (*name).to_owned()).collect();
    let rule = format!("|---|{}\n", "---:|".repeat(names.len().saturating_sub(1)));
    let rows: String = sheet.rows.iter().map(|row| line(row)).collect();
    line(&names) + &rule + &rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_marks_is_replaced() {
        let first = replaced("", "one").expect("an empty file");
        let file = format!("# Title\n\n{first}\nAfter.\n");
        let second = replaced(&file, "two").expect("has marks");
        assert_eq!(second, file.replace("one", "two"));
        let error = replaced("# My notes", "two").expect_err("not ours to overwrite").to_string();
        assert!(error.contains("end of figures"), "{error}");
    }

    #[test]
    fn cells_cannot_break_a_table() {
        let cells = vec!["a|b".to_owned(), "c\nd".to_owned()];
        let sheet = Sheet { heading: String::new(), columns: vec!["x", "y"], rows: vec![cells] };
        assert_eq!(table(&sheet), "| x | y |\n|---|---:|\n| a\\|b | c d |\n");
    }
}
