//! The figures as text and as JSON.

use super::super::inspect::size;
use super::super::probed::duration;
use crate::output::plain;
use comfy_table::{Table, presets};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

/// What was measured of one file.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) plugin: String,
    pub(super) version: String,
    pub(super) file: PathBuf,
    pub(super) size: usize,
    pub(super) compile: Vec<Duration>,
    pub(super) load: Vec<Duration>,
    pub(super) instantiate: Vec<Duration>,
    pub(super) configure: Vec<Duration>,
    pub(super) memory: usize,
    pub(super) cases: Vec<Measured>,
}

/// One case: nanoseconds per call, one figure for each round.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) name: String,
    pub(super) rounds: Vec<f64>,
    pub(super) batch: Option<u32>,
    /// The same done otherwise: `native`, by the part of the program that does it; `direct`, without queue and checks
    /// of the answer.
    pub(super) beside: Option<&'static str>,
    pub(super) beside_rounds: Vec<f64>,
    pub(super) beside_batch: Option<u32>,
}

impl Measured {
    pub(super) fn new(name: &str, beside: Option<&'static str>) -> Self {
        Self {
            name: name.to_owned(),
            rounds: Vec::new(),
            batch: None,
            beside,
            beside_rounds: Vec::new(),
            beside_batch: None,
        }
    }
}

/// Median, smallest, largest.
fn spread(figures: &[f64]) -> Option<[f64; 3]> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    Some([*sorted.get(sorted.len() / 2)?, *sorted.first()?, *sorted.last()?])
}

fn median_of(times: &[Duration]) -> Option<Duration> {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied()
}

fn nanos(figure: f64) -> String {
    // Half a nanosecond is below what can be told apart.
    duration(Duration::from_nanos(figure.round() as u64))
}

pub(super) fn in_words(all: &[Figures]) -> String {
    let mut text = String::new();
    for figures in all {
        let shown = |times: &[Duration]| median_of(times).map_or_else(|| "-".to_owned(), duration);
        let start = [
            ("component", size(figures.size as u64)),
            ("compile", shown(&figures.compile)),
            ("load from the cache", shown(&figures.load)),
            ("instantiate", shown(&figures.instantiate)),
            ("configure", shown(&figures.configure)),
            ("memory of an instance", size(figures.memory as u64)),
        ];
        let head = format!("{} {} ({})", figures.plugin, figures.version, figures.file.display());
        text.push_str(&format!("{}\n", plain(&head)));
        text.push_str(&start.map(|(what, value)| format!("  {what:<22} {value}\n")).concat());
        text.push('\n');
        text.push_str(&lines(&calls(figures)));
        text.push('\n');
    }
    if let [one, other] = all {
        text.push_str("second to first:\n");
        text.push_str(&lines(&ratios_in_words(one, other)));
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn calls(figures: &Figures) -> Table {
    let mut table = bare();
    table.set_header(["", "median", "from", "to", "beside it"]);
    for case in &figures.cases {
        let Some([median, from, to]) = spread(&case.rounds) else { continue };
        let beside = case.beside.zip(spread(&case.beside_rounds));
        let beside = beside.map(|(what, [beside, ..])| format!("{what} {}", nanos(beside)));
        let name = plain(&case.name).into_owned();
        table.add_row([name, nanos(median), nanos(from), nanos(to), beside.unwrap_or_default()]);
    }
    table
}

fn ratios_in_words(one: &Figures, other: &Figures) -> Table {
    let mut table = bare();
    for (name, ratio) in ratios(one, other) {
        table.add_row([plain(&name).into_owned(), format!("{ratio:.2}")]);
    }
    table
}

/// How much of the first the second takes. Below 1 is less.
fn ratios(one: &Figures, other: &Figures) -> Vec<(String, f64)> {
    let times = [
        ("compile", &one.compile, &other.compile),
        ("load from the cache", &one.load, &other.load),
        ("instantiate", &one.instantiate, &other.instantiate),
        ("configure", &one.configure, &other.configure),
    ];
    let sizes = [("component", one.size, other.size), ("memory of an instance", one.memory, other.memory)];
    let sizes = sizes.map(|(name, one, other)| (name.to_owned(), one as f64, other as f64));
    let times = times.into_iter().filter_map(|(name, one, other)| {
        let seconds = |times: &[Duration]| median_of(times).map(|it| it.as_secs_f64());
        Some((name.to_owned(), seconds(one)?, seconds(other)?))
    });
    let cases = one.cases.iter().filter_map(|case| {
        let twin = other.cases.iter().find(|it| it.name == case.name)?;
        Some((case.name.clone(), spread(&case.rounds)?[0], spread(&twin.rounds)?[0]))
    });
    let all = sizes.into_iter().chain(times).chain(cases);
    all.filter(|(_, one, _)| *one > 0.0).map(|(name, one, other)| (name, other / one)).collect()
}

fn bare() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table
}

fn lines(table: &Table) -> String {
    // The table pads its first column.
    table.lines().map(|line| format!(" {}\n", line.trim_end())).collect()
}

pub(super) fn as_json(all: &[Figures]) -> Value {
    let files: Vec<Value> = all.iter().map(file).collect();
    let ratios = match all {
        [one, other] => ratios(one, other).into_iter().map(|(name, ratio)| (name, json!(ratio))).collect(),
        _ => serde_json::Map::new(),
    };
    json!({ "files": files, "ratios": ratios })
}

fn file(figures: &Figures) -> Value {
    let time =
        |times: &[Duration]| median_of(times).map(|it| u64::try_from(it.as_nanos()).unwrap_or(u64::MAX));
    let cases = figures.cases.iter().map(|case| {
        let [median, from, to] = spread(&case.rounds).map_or([None; 3], |it| it.map(Some));
        let mut members = json!({
            "name": case.name, "median_ns": median, "from_ns": from, "to_ns": to,
            "rounds": case.rounds.len(), "calls_per_round": case.batch,
        });
        if let (Some(what), Some([beside, ..]), Some(members)) =
            (case.beside, spread(&case.beside_rounds), members.as_object_mut())
        {
            members.insert(format!("{what}_ns"), json!(beside));
        }
        members
    });
    json!({
        "plugin": figures.plugin, "version": figures.version, "file": figures.file, "size_bytes": figures.size,
        "compile_ns": time(&figures.compile), "load_ns": time(&figures.load),
        "instantiate_ns": time(&figures.instantiate), "configure_ns": time(&figures.configure),
        "memory_bytes": figures.memory, "cases": cases.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(rounds: &[f64]) -> Figures {
        let mut case = Measured::new("pick, 3 nodes", Some("native"));
        case.rounds = rounds.to_vec();
        case.beside_rounds = vec![40.0];
        let ms = |ms| vec![Duration::from_millis(ms)];
        Figures {
            plugin: "x-selector".to_owned(),
            size: 1 << 20,
            compile: ms(100),
            cases: vec![case],
            ..Figures::default()
        }
    }

    #[test]
    fn medians_and_ratios_are_shown() {
        let all = [figures(&[200.0, 100.0, 300.0]), figures(&[100.0])];
        let text = in_words(&all);
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert!(
            rows.contains(&vec![
                "pick,", "3", "nodes", "200", "ns", "100", "ns", "300", "ns", "native", "40", "ns"
            ]),
            "{text}"
        );
        assert!(rows.contains(&vec!["pick,", "3", "nodes", "0.50"]), "{text}");
        let json = as_json(&all);
        assert_eq!(json["files"][0]["cases"][0]["median_ns"], 200.0);
        assert_eq!(json["files"][0]["cases"][0]["native_ns"], 40.0);
        assert_eq!(json["ratios"]["compile"], 1.0);
        assert!(json["ratios"].get("memory of an instance").is_none(), "there is none to compare with");
        assert!(as_json(&all[..1])["ratios"].as_object().is_some_and(serde_json::Map::is_empty));
    }
}
