//! The table: a row for each figure, a column for each contender, and the ratios to nginx.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::errors::Errors;
use super::setup::{DIRECT, HAPROXY, NGINX, PODMETER};

/// By contender, a value for each round in which it had a turn.
pub(crate) type Rounds = BTreeMap<&'static str, Vec<f64>>;

/// What Podmeter should be, compared with nginx.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    /// As much, or more.
    AtLeast,
    /// As little, or less.
    AtMost,
}

/// One figure of a case.
pub(crate) struct Row {
    /// What was done.
    pub(crate) case: String,
    /// What came out.
    pub(crate) rounds: Rounds,
    /// How a value is written.
    pub(crate) show: fn(f64) -> String,
    /// For Podmeter.
    pub(crate) goal: Option<Goal>,
    /// What the contenders failed at; `None` where another row of the case tells.
    pub(crate) errors: Option<BTreeMap<&'static str, Errors>>,
}

/// All rows so far.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<[String; 9]>,
    /// Sentences that go below.
    pub(crate) notes: Vec<String>,
}

impl Table {
    /// Adds a row.
    pub(crate) fn add(&mut self, row: &Row) {
        let cell = |name| row.rounds.get(name).map(|values| spread(values, row.show));
        let ratios = |name| ratios(&row.rounds, name).unwrap_or_default();
        let (ours, theirs) = (ratios(PODMETER), ratios(HAPROXY));
        let goal = match (row.goal, median(&ours)) {
            (None, _) => String::new(),
            (Some(goal), None) => goal.text().to_owned(),
            (Some(goal), Some(by)) => {
                format!("{}: {}", goal.text(), if goal.is_met(by) { "yes" } else { "**no**" })
            }
        };
        let by = |ratios: &[f64]| spread(ratios, |ratio| format!("{ratio:.2} ×"));
        let cells = [
            row.case.clone(),
            cell(PODMETER).unwrap_or_else(|| "–".to_owned()),
            cell(NGINX).unwrap_or_default(),
            cell(HAPROXY).unwrap_or_default(),
            cell(DIRECT).unwrap_or_default(),
            by(&ours),
            by(&theirs),
            goal,
            row.errors.as_ref().map(failures).unwrap_or_default(),
        ];
        eprintln!("  {}", cells.join(" | "));
        self.rows.push(cells);
    }

    /// As Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!(
            "| Case | {PODMETER} | {NGINX} | {HAPROXY} | {DIRECT} | {PODMETER} by {NGINX} | {HAPROXY} by {NGINX} | Goal | Errors |\n\
             |---|---|---|---|---|---|---|---|---|\n"
        );
        for row in &self.rows {
            let _ = writeln!(text, "| {} |", row.join(" | "));
        }
        text.push('\n');
        for note in &self.notes {
            let _ = writeln!(text, "- {note}");
        }
        text
    }
}

impl Goal {
    fn text(self) -> &'static str {
        match self {
            Self::AtLeast => "≥ 1",
            Self::AtMost => "≤ 1",
        }
    }

    fn is_met(self, ratio: f64) -> bool {
        match self {
            Self::AtLeast => ratio >= 1.0,
            Self::AtMost => ratio <= 1.0,
        }
    }
}

/// The median and, of several rounds, how far they lie apart.
fn spread(values: &[f64], show: impl Fn(f64) -> String) -> String {
    let Some(middle) = median(values) else { return String::new() };
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if values.len() == 1 {
        return show(middle);
    }
    format!("{} ({}…{})", show(middle), show(least), show(most))
}

/// To nginx, within each round, since a busy moment slows a whole round.
fn ratios(rounds: &Rounds, name: &str) -> Option<Vec<f64>> {
    let pairs = rounds.get(name)?.iter().zip(rounds.get(NGINX)?);
    let ratios = pairs.map(|(value, nginx)| value / nginx);
    Some(ratios.filter(|ratio| ratio.is_finite()).collect())
}

/// Of an even number the mean of the two in the middle.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    let upper = *sorted.get(half)?;
    Some(if sorted.len() % 2 == 1 { upper } else { f64::midpoint(sorted[half - 1], upper) })
}

fn failures(errors: &BTreeMap<&'static str, Errors>) -> String {
    let told: Vec<String> = errors
        .iter()
        .filter(|(_, errors)| !errors.is_empty())
        .map(|(name, errors)| format!("{name}: {errors}"))
        .collect();
    if told.is_empty() { "0".to_owned() } else { told.join("; ") }
}

/// A number of things, with its thousands apart.
pub(crate) fn count(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Seconds as milliseconds.
pub(crate) fn millis(value: f64) -> String {
    format!("{:.2} ms", value * 1e3)
}

/// CPU seconds.
pub(crate) fn seconds(value: f64) -> String {
    format!("{value:.2} s")
}

/// Memory.
pub(crate) fn mib(value: f64) -> String {
    format!("{value:.1} MiB")
}
