//! Rows, and measuring them in turns.

use crate::Failed;
use crate::figures::{Figures, Sample};
use crate::stacks::{Load, Stack};
use serde::Serialize;
use std::fmt;
use std::time::Duration;

/// A row that can be measured.
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) what: String,
    pub(crate) stack: Box<dyn Stack>,
}

/// A row that was.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) id: String,
    pub(crate) what: String,
    pub(crate) connections: usize,
    pub(crate) figures: Figures,
}

/// A row without figures, and why.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Missing {
    pub(crate) id: String,
    pub(crate) why: String,
}

impl Missing {
    /// Says so at once: a run takes minutes.
    pub(crate) fn new(id: impl Into<String>, why: &dyn fmt::Display) -> Self {
        let missing = Self { id: id.into(), why: why.to_string() };
        eprintln!("{}: {}", missing.id, missing.why);
        missing
    }
}

/// How much of everything.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Effort {
    /// Each runs every row once.
    pub(crate) rounds: usize,
    /// Seconds that count, per row and round.
    pub(crate) seconds: f64,
    /// Seconds before them.
    pub(crate) warm_up: f64,
}

/// The rows that somebody wants.
#[derive(Clone, Debug)]
pub(crate) struct Wanted(Vec<String>);

impl Wanted {
    /// `names` are ids, groups (`rpc`) or beginnings of ids (`go`); none means everything. An unknown one is an error.
    pub(crate) fn new(names: Vec<String>, known: &[(&str, Vec<String>)]) -> Result<Self, Failed> {
        let mut ids = Vec::new();
        for (group, members) in known {
            let wanted = |id: &&String| {
                names.is_empty() || names.iter().any(|name| name == group || name == *id || begins(id, name))
            };
            ids.extend(members.iter().filter(wanted).cloned());
        }
        let is_known = |name: &&String| {
            known.iter().any(|(group, members)| {
                *name == group || members.iter().any(|id| id == *name || begins(id, name))
            })
        };
        if let Some(unknown) = names.iter().find(|name| !is_known(name)) {
            let each = |(group, members): &(&str, Vec<String>)| format!("{group} ({})", members.join(", "));
            let all: Vec<String> = known.iter().map(each).collect();
            return Err(format!("no row {unknown:?}; there are {}", all.join("; ")).into());
        }
        Ok(Self(ids))
    }

    pub(crate) fn has(&self, id: &str) -> bool {
        self.0.iter().any(|wanted| wanted == id)
    }
}

/// `go` is the beginning of `go-v4-mucp`, and not of `gopher`.
fn begins(id: &str, name: &str) -> bool {
    id.strip_prefix(name).is_some_and(|rest| rest.starts_with('-'))
}

/// Runs all rounds. A row that fails has no figures; the others go on.
pub(crate) async fn measure(
    mut rows: Vec<Row>,
    connections: &[usize],
    effort: Effort,
    missing: &mut Vec<Missing>,
) -> Vec<Measured> {
    if rows.is_empty() {
        return Vec::new();
    }
    let time = Duration::from_secs_f64(effort.seconds);
    let warm_up = Duration::from_secs_f64(effort.warm_up);
    let mut samples: Vec<Vec<Vec<Sample>>> = vec![vec![Vec::new(); rows.len()]; connections.len()];
    let mut failed = vec![false; rows.len()];
    for round in 0..effort.rounds {
        for (of_rows, &connections) in samples.iter_mut().zip(connections) {
            eprintln!("round {} of {}, {connections} connections", round + 1, effort.rounds);
            // Each round starts with another row, so that none always follows the same neighbour.
            for turn in 0..rows.len() {
                let at = (turn + round) % rows.len();
                if failed[at] {
                    continue;
                }
                match rows[at].stack.measure(Load { connections, time, warm_up }).await {
                    Ok(sample) => of_rows[at].push(sample),
                    Err(error) => {
                        missing.push(Missing::new(&rows[at].id, &error));
                        failed[at] = true;
                    }
                }
            }
        }
    }
    let mut measured = Vec::new();
    for (of_rows, &connections) in samples.iter().zip(connections) {
        for ((row, samples), failed) in rows.iter_mut().zip(of_rows).zip(&failed) {
            if let (Some(figures), false) = (Figures::of(samples), failed) {
                let (id, what) = (row.id.clone(), row.what.clone());
                measured.push(Measured { id, what, connections, figures });
            }
        }
    }
    measured
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;

    fn known() -> Vec<(&'static str, Vec<String>)> {
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        vec![
            ("rpc", ids(&["micro-native", "hyper", "go-v4-mucp"])),
            ("gateway", ids(&["api-native", "api-go"])),
        ]
    }

    #[test]
    fn rows_are_wanted_by_id_group_and_beginning() {
        let wanted = |names: &[&str]| {
            Wanted::new(names.iter().map(|it| (*it).to_owned()).collect(), &known()).map(|wanted| wanted.0)
        };
        assert_eq!(wanted(&["hyper", "go"]).expect("known"), ["hyper", "go-v4-mucp"]);
        assert_eq!(wanted(&["gateway"]).expect("known"), ["api-native", "api-go"]);
        assert_eq!(wanted(&[]).expect("all").len(), 5);
        let error = wanted(&["hyp"]).expect_err("no such row").to_string();
        assert!(
            error.contains("\"hyp\"") && error.contains("rpc (micro-native, hyper, go-v4-mucp)"),
            "{error}"
        );
    }

    struct Fixed(Option<f64>);

    #[async_trait]
    impl Stack for Fixed {
        async fn measure(&self, load: Load) -> Result<Sample, Failed> {
            let rate = self.0.ok_or("broken")? * load.connections as f64;
            Ok(Sample { rate, cpu_us: 1.0, p50_us: 1.0, p99_us: 1.0, rss_mib: None })
        }
    }

    #[tokio::test]
    async fn a_row_that_fails_is_missing_and_the_others_are_measured() {
        let row =
            |id: &str, rate| Row { id: id.to_owned(), what: String::new(), stack: Box::new(Fixed(rate)) };
        let rows = vec![row("good", Some(10.0)), row("bad", None)];
        let mut missing = Vec::new();
        let effort = Effort { rounds: 3, seconds: 1.0, warm_up: 0.0 };
        let measured = measure(rows, &[1, 4], effort, &mut missing).await;
        let seen: Vec<_> =
            measured.iter().map(|row| (&*row.id, row.connections, row.figures.rate.median)).collect();
        assert_eq!(seen, [("good", 1, 10.0), ("good", 4, 40.0)]);
        assert_eq!(missing.iter().map(|it| (&*it.id, &*it.why)).collect::<Vec<_>>(), [("bad", "broken")]);
    }
}
