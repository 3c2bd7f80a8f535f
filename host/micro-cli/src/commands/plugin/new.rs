//! `micro plugin new`: a folder with a plugin that works.

use super::language;
use crate::args::{Format, NewArgs};
use crate::output;
use micro_scaffold::{Made, Scaffold};
use serde_json::json;
use std::fmt::Write;

pub(in crate::commands) async fn new(format: Format, arguments: &NewArgs) -> anyhow::Result<()> {
    let NewArgs { name, kind, lang, dir } = arguments;
    let (name, kind, language, dir) = (name.clone(), *kind, *lang, dir.clone());
    let made = language::waiting(move || {
        let scaffold = Scaffold::new(&name, kind, language)?;
        let folder = dir.unwrap_or_else(|| scaffold.name().into());
        scaffold.write(&folder)
    });
    let made = made.await?;
    let json = json!({ "name": made.name, "folder": made.folder, "files": made.files, "next": made.next });
    output::answer(format, || in_words(&made), &json)
}

fn in_words(made: &Made) -> String {
    let own = made.files.iter().filter(|file| !file.starts_with("vendor/") && !file.starts_with("wit/"));
    let mut text = format!("{} is in {}:\n", made.name, made.folder.display());
    for file in own {
        // Writing to a String cannot fail.
        _ = writeln!(text, "  {file}");
    }
    text.push_str("  wit, vendor: contracts and sdk\n\nNext:\n");
    for line in &made.next {
        _ = writeln!(text, "  {line}");
    }
    text
}
