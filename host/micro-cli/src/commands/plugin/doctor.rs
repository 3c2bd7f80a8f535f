//! `micro plugin doctor`: which languages plugins can be built in here.

use super::language;
use crate::args::{DoctorArgs, Format};
use crate::failure::failure;
use crate::output::{self, plain};
use micro_scaffold::{Diagnosis, Language};
use std::fmt::Write;

pub(in crate::commands) async fn doctor(format: Format, arguments: DoctorArgs) -> anyhow::Result<()> {
    let DoctorArgs { lang, install, folder } = arguments;
    if install && lang.is_none() {
        return Err(failure(
            "--install needs to know the language",
            "add --lang, for instance --lang python",
        ));
    }
    let asked: Vec<Language> = lang.map_or_else(|| Language::ALL.to_vec(), |language| vec![language]);
    let diagnoses = language::waiting(move || {
        if install {
            for &language in &asked {
                if !micro_scaffold::diagnose(language, &folder).ready {
                    micro_scaffold::install(language, &folder)?;
                }
            }
        }
        Ok(asked.iter().map(|&language| micro_scaffold::diagnose(language, &folder)).collect::<Vec<_>>())
    });
    let diagnoses = diagnoses.await?;
    output::answer(format, || in_words(&diagnoses), &diagnoses)?;
    match diagnoses.as_slice() {
        [one] if lang.is_some() && !one.ready => {
            let missing = one.tools.iter().find(|tool| !tool.ok);
            let next = missing.map_or("use another language", |tool| tool.install.as_str());
            Err(failure(format!("plugins in {} cannot be built here", one.language), next))
        }
        _ => Ok(()),
    }
}

fn in_words(diagnoses: &[Diagnosis]) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    for Diagnosis { language, ready, tools, note } in diagnoses {
        _ = writeln!(text, "{language:<8}{}", if *ready { "ready" } else { "not ready" });
        for tool in tools {
            let found = if tool.version.is_empty() { "missing" } else { tool.version.as_str() };
            _ = write!(text, "  {} {found} (wanted: {})", tool.tool, tool.wanted);
            if let Some(path) = &tool.path {
                _ = write!(text, " {}", path.display());
            }
            if !tool.install.is_empty() {
                _ = write!(text, "\n    -> {}", tool.install);
            }
            text.push('\n');
        }
        if !note.is_empty() {
            _ = writeln!(text, "  {}", plain(note));
        }
    }
    text
}
