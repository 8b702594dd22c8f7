//! The one table that all cases write to.

/// One measured thing.
#[derive(Debug, Default)]
pub(crate) struct Row {
    /// What was done.
    pub(crate) case: String,
    /// What came out.
    pub(crate) result: String,
    /// The floor in the same run; empty for none.
    pub(crate) floor: String,
    /// Result by floor.
    pub(crate) ratio: Option<f64>,
    /// What it should be, and whether it is.
    pub(crate) goal: Option<(String, bool)>,
    /// What helps to read it.
    pub(crate) notes: String,
}

/// All rows so far.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

impl Table {
    /// Adds a row.
    pub(crate) fn add(&mut self, row: Row) {
        eprintln!("  {}: {} {}", row.case, row.result, row.notes);
        self.rows.push(row);
    }

    /// As Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut text = "| Case | Result | Floor, same run | Ratio | Goal | Met | Notes |\n\
                        |---|---|---|---|---|---|---|\n"
            .to_owned();
        for row in &self.rows {
            let ratio = row.ratio.map(|ratio| format!("{ratio:.2} ×")).unwrap_or_default();
            let (goal, met) = match &row.goal {
                Some((goal, is_met)) => (goal.as_str(), if *is_met { "yes" } else { "**no**" }),
                None => ("", ""),
            };
            let cells = [&row.case, &row.result, &row.floor, &ratio, goal, met, &row.notes];
            text.extend(["| ", &cells.join(" | "), " |\n"]);
        }
        text
    }
}

/// Seconds as milliseconds.
pub(crate) fn millis(seconds: f64) -> String {
    format!("{:.2} ms", seconds * 1e3)
}

/// Seconds as microseconds.
pub(crate) fn micros(seconds: f64) -> String {
    format!("{:.0} µs", seconds * 1e6)
}
