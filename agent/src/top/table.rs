//! The table: which columns there are, how numbers are written, how it fits.

use clap::builder::styling::{AnsiColor, Style};

use super::ask::Container;

/// Heading and whether it is text, which goes to the left.
const COLUMNS: [(&str, bool); 12] = [
    ("NAMESPACE", true),
    ("POD", true),
    ("CONTAINER", true),
    ("CPU", false),
    ("CPU/REQ", false),
    ("CPU/LIM", false),
    ("MEM", false),
    ("MEM/REQ", false),
    ("MEM/LIM", false),
    ("THROTTLED", false),
    ("RESTARTS", false),
    ("OOM", false),
];
/// The one that is shortened when the terminal is too narrow, and how far.
const POD: usize = 1;
const NARROWEST: usize = 12;
/// From here on a limit is near, and from there on it is very near.
const NEAR: f64 = 0.75;
const VERY_NEAR: f64 = 0.9;

struct Cell {
    text: String,
    style: Style,
}

/// The rows, ready to be written.
pub(super) struct Table {
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(super) fn new(containers: &[Container]) -> Self {
        Self { rows: containers.iter().map(row).collect() }
    }

    /// The text, no line wider than `width` as far as the pods' names can be shortened for it.
    pub(super) fn render(&self, width: Option<usize>, colours: bool) -> String {
        if self.rows.is_empty() {
            return "The agent sees no containers on its node.\n".to_owned();
        }
        let mut widths = COLUMNS.map(|(heading, _)| heading.len());
        for row in &self.rows {
            widths
                .iter_mut()
                .zip(row)
                .for_each(|(width, cell)| *width = (*width).max(cell.text.chars().count()));
        }
        let all: usize = widths.iter().sum::<usize>() + 2 * (widths.len() - 1);
        let over = width.map_or(0, |width| all.saturating_sub(width));
        widths[POD] = widths[POD].saturating_sub(over).max(NARROWEST.min(widths[POD]));
        let bold = if colours { Style::new().bold() } else { Style::new() };
        let mut text = line(COLUMNS.map(|(heading, _)| (heading, bold)).into_iter(), widths);
        for row in &self.rows {
            text += &line(
                row.iter().map(|cell| {
                    (cell.text.as_str(), if colours { cell.style } else { Style::new() })
                }),
                widths,
            );
        }
        text
    }
}

fn line<'a>(
    cells: impl Iterator<Item = (&'a str, Style)>,
    widths: [usize; COLUMNS.len()],
) -> String {
    let cells = cells.zip(widths).zip(COLUMNS).map(|(((text, style), width), (_, left))| {
        let text = shortened(text, width);
        // Padding outside of the colour, so that it can be trimmed.
        let pad = " ".repeat(width.saturating_sub(text.chars().count()));
        if left {
            format!("{style}{text}{style:#}{pad}")
        } else {
            format!("{pad}{style}{text}{style:#}")
        }
    });
    format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
}

/// At most `width` characters: the middle goes, since a pod's name tells by both ends.
fn shortened(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    let tail = width.saturating_sub(1) / 2;
    let head = width.saturating_sub(1) - tail;
    text.chars().take(head).chain(['…']).chain(text.chars().skip(length - tail)).collect()
}

fn row(container: &Container) -> Vec<Cell> {
    let plain = |text: String| Cell { text, style: Style::new() };
    let count = |series| {
        plain(container.value(series).map_or_else(|| "-".to_owned(), |count| format!("{count:.0}")))
    };
    let mut cells: Vec<Cell> = container.name().map(|name| plain(name.to_owned())).into();
    cells.extend([
        plain(container.cpu_cores.map_or_else(|| "-".to_owned(), cpu)),
        plain(percent(container.value("podmeter_cpu_request_ratio"))),
        near(container.cpu_of_limit()),
        plain(container.memory().map_or_else(|| "-".to_owned(), memory)),
        plain(percent(container.value("podmeter_memory_request_ratio{basis=\"working_set\"}"))),
        near(container.memory_of_limit()),
        near(container.throttled()),
        count("kube_pod_container_status_restarts_total"),
        count("container_oom_events_total"),
    ]);
    cells
}

fn near(ratio: Option<f64>) -> Cell {
    let style = match ratio {
        Some(ratio) if ratio >= VERY_NEAR => AnsiColor::Red.on_default().bold(),
        Some(ratio) if ratio >= NEAR => AnsiColor::Yellow.on_default(),
        _ => Style::new(),
    };
    Cell { text: percent(ratio), style }
}

fn percent(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{:.0}%", ratio * 100.0))
}

/// Millicores, rounded up as kubectl does, so that what is used is never 0m.
pub(super) fn cpu(cores: f64) -> String {
    format!("{:.0}m", (cores * 1000.0).ceil())
}

/// Mebibytes.
pub(super) fn memory(bytes: f64) -> String {
    format!("{:.0}Mi", (bytes / f64::from(1 << 20)).floor())
}
