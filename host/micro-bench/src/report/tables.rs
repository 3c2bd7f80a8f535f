//! Tables, as text for a terminal and as Markdown: both from the same cells.

use super::Report;
use crate::figures::Spread;
use crate::rows::Measured;
use crate::targets::{Goal, Target};
use comfy_table::{CellAlignment, Table, presets};

/// A heading, the names of the columns, and the cells.
pub(super) struct Sheet {
    pub(super) heading: String,
    pub(super) columns: Vec<&'static str>,
    pub(super) rows: Vec<Vec<String>>,
}

/// Prints everything.
#[allow(clippy::print_stdout, reason = "the answer of a program for a terminal")]
pub(crate) fn print(report: &Report) {
    println!("micro {} at {}, {}", report.version, report.commit, report.date);
    println!("{}", report.machine);
    for sheet in sheets(report) {
        println!("\n{}\n{}", sheet.heading, text(&sheet));
    }
}

fn text(sheet: &Sheet) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(sheet.columns.clone());
    for row in &sheet.rows {
        table.add_row(row.clone());
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// All tables that have rows.
pub(super) fn sheets(report: &Report) -> Vec<Sheet> {
    let effort = report.effort;
    let mut sheets = Vec::new();
    for (connections, rows) in by_connections(&report.rpc) {
        let heading = format!(
            "RPC, {connections} connections: 64 bytes of protobuf each way; {} rounds of {} s",
            effort.rounds, effort.seconds
        );
        sheets.push(load(heading, REQUESTS, &rows, false));
    }
    for (publishers, rows) in by_connections(&report.events) {
        let heading = format!(
            "Events, {publishers} at a time: 64 bytes of protobuf to one subscriber; {} rounds of {} s",
            effort.rounds, effort.seconds
        );
        sheets.push(load(heading, EVENTS, &rows, false));
    }
    let rows: Vec<_> = report.gateway.iter().collect();
    let heading = format!(
        "Gateway, {} connections: POST /SERVICE/say/hello; {} rounds; CPU and memory of the gateway alone",
        crate::gateway::CONNECTIONS,
        effort.rounds
    );
    sheets.push(load(heading, REQUESTS, &rows, true));
    sheets.push(Sheet {
        heading: format!("One call on one thread; {} rounds", effort.rounds),
        columns: vec!["call", "parts", "ns", "spread"],
        rows: report
            .calls
            .iter()
            .map(|call| {
                vec![call.what.clone(), call.setup.to_owned(), number(call.ns.median), spread(call.ns)]
            })
            .collect(),
    });
    sheets.push(Sheet {
        heading: format!("Start-up and idle memory; {} rounds", effort.rounds),
        columns: vec!["program", "ready ms", "spread", "idle MiB", "spread"],
        rows: report
            .starts
            .iter()
            .map(|start| {
                let (ready, idle) = (start.ready_ms, start.idle_mib);
                vec![
                    start.what.clone(),
                    number(ready.median),
                    spread(ready),
                    number(idle.median),
                    spread(idle),
                ]
            })
            .collect(),
    });
    sheets.push(Sheet {
        heading: "Targets".to_owned(),
        columns: vec!["against", "figure", "goal", "seen", "verdict"],
        rows: report.targets.iter().map(target).collect(),
    });
    sheets.push(Sheet {
        heading: "Rows without figures".to_owned(),
        columns: vec!["row", "why"],
        rows: report.missing.iter().map(|row| vec![row.id.clone(), row.why.clone()]).collect(),
    });
    sheets.retain(|sheet| !sheet.rows.is_empty());
    sheets
}

/// What is counted: how often in a second, and what each costs.
type Units = [&'static str; 2];

const REQUESTS: Units = ["req/s", "CPU µs/req"];
const EVENTS: Units = ["events/s", "CPU µs/event"];

fn by_connections(measured: &[Measured]) -> Vec<(usize, Vec<&Measured>)> {
    let chunks = measured.chunk_by(|one, other| one.connections == other.connections);
    chunks.map(|rows| (rows[0].connections, rows.iter().collect())).collect()
}

fn load(heading: String, [rate, cpu]: Units, rows: &[&Measured], memory: bool) -> Sheet {
    let mut columns = vec!["stack", "row", rate, "spread", "p50 µs", "p99 µs", cpu];
    columns.extend(memory.then_some("RSS MiB"));
    let cells = |row: &&Measured| {
        let figures = &row.figures;
        let mut cells = vec![
            row.what.clone(),
            row.id.clone(),
            number(figures.rate.median),
            spread(figures.rate),
            number(figures.p50_us.median),
            number(figures.p99_us.median),
            number(figures.cpu_us.median),
        ];
        if memory {
            cells.push(figures.rss_mib.map(|rss| number(rss.median)).unwrap_or_default());
        }
        cells
    };
    Sheet { heading, columns, rows: rows.iter().map(cells).collect() }
}

fn target(target: &Target) -> Vec<String> {
    let goal = match target.goal {
        Goal::AtLeast(bound) => format!("≥ {}", number(bound)),
        Goal::AtMost(bound) => format!("≤ {}", number(bound)),
    };
    let verdict = match target.met {
        Some(true) => "met",
        Some(false) => "MISSED",
        None => "not measured",
    };
    let seen = target.seen.map(number).unwrap_or_default();
    vec![target.against.clone(), target.what.to_owned(), goal, seen, verdict.to_owned()]
}

fn spread(spread: Spread) -> String {
    format!("{}–{}", number(spread.min), number(spread.max))
}

/// About three digits; more would be noise.
fn number(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_about_three_digits() {
        assert_eq!([1234.4, 12.34, 0.125, 0.0].map(number), ["1234", "12.3", "0.12", "0.00"]);
    }
}
