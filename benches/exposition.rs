//! One scrape of 10,000 series, rendered, against copying the same bytes and formatting the same numbers.
//!
//! Cases: text, OpenMetrics, protobuf, text compressed. Budget: 5 ms, and 3 times the floor.

use std::hint::black_box;
use std::io::Write as _;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use agent::export::prometheus::{Flushing, Format, render};
use anyhow::Context;
use collector::snapshot::Snapshot;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::clock::{self, subject};
use super::joined::{self, Join};
use super::table::{Row, Table, millis};

/// What a scrape is measured with.
const SERIES: usize = 10_000;
/// Seconds of one scrape.
const GOAL: f64 = 0.005;
/// Of a scrape to its floor.
const GOAL_RATIO: f64 = 3.0;

const BUDGET: Duration = Duration::from_secs(2);

/// All formats.
pub(crate) fn run(table: &mut Table) -> anyhow::Result<()> {
    let snapshot = snapshot()?;
    let formats = [
        ("text", "text/plain;version=0.0.4"),
        ("OpenMetrics", "application/openmetrics-text;version=1.0.0"),
        (
            "protobuf",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
        ),
    ];
    for (name, accept) in formats {
        eprintln!("export: {name}");
        plain(table, &snapshot, name, Format::negotiate(accept))?;
    }
    eprintln!("export: text, gzip");
    compressed(table, &snapshot)
}

/// A node with about [`SERIES`] series, after a few ticks.
fn snapshot() -> anyhow::Result<Arc<Snapshot>> {
    let each = of(10)?.series().abs_diff(of(20)?.series()) / 10;
    of((SERIES / each.max(1)).max(1) + 1)
}

fn of(pods: usize) -> anyhow::Result<Arc<Snapshot>> {
    let (rows, index) = joined::rows(pods)?;
    let mut join = Join::new(rows, index);
    (0..5).map(|_| join.join()).last().context("no snapshot")
}

fn plain(table: &mut Table, snapshot: &Snapshot, name: &str, format: Format) -> anyhow::Result<()> {
    let mut answer = Vec::new();
    render(snapshot, format, &mut answer)?;
    let mut floor = Floor::of(&answer, snapshot, name == "protobuf");
    let mut out = Vec::with_capacity(answer.len() * 2);
    let mut result = Ok(());
    let [base, time] = clock::interleave(
        BUDGET,
        [
            subject(|| floor.write()),
            subject(|| {
                out.clear();
                if let Err(error) = render(snapshot, format, &mut out) {
                    result = Err(error);
                }
                black_box(&out);
            }),
        ],
    );
    result?;
    table.add(row(snapshot, name, &answer, [&base, &time]));
    Ok(())
}

fn compressed(table: &mut Table, snapshot: &Snapshot) -> anyhow::Result<()> {
    let mut answer = Vec::new();
    render(snapshot, Format::TEXT, &mut answer)?;
    let mut out = Vec::with_capacity(answer.len());
    let mut rendered = Vec::with_capacity(answer.len());
    let mut result = Ok(());
    let mut scrape = || -> std::io::Result<()> {
        rendered.clear();
        let mut sink = Flushing::new(GzEncoder::new(&mut rendered, Compression::fast()));
        render(snapshot, Format::TEXT, &mut sink)?;
        sink.finish()?.finish()?;
        Ok(())
    };
    let [base, time] = clock::interleave(
        BUDGET,
        [
            subject(|| {
                out.clear();
                let mut encoder = GzEncoder::new(&mut out, Compression::fast());
                let _ = encoder.write_all(&answer).and_then(|()| encoder.finish().map(drop));
            }),
            subject(|| result = scrape()),
        ],
    );
    result?;
    let row = row(snapshot, "text, gzip level 1", &answer, [&base, &time]);
    table.add(Row {
        notes: format!(
            "{}; compressed {} KiB; floor: compressing the finished answer",
            row.notes,
            rendered.len() / 1024
        ),
        ..row
    });
    Ok(())
}

fn row(snapshot: &Snapshot, name: &str, answer: &[u8], [base, time]: [&clock::Times; 2]) -> Row {
    let ratio = time.median() / base.median();
    Row {
        case: format!("scrape of {} series, {name}", snapshot.series()),
        result: format!("{} (p90 {})", millis(time.median()), millis(time.p90())),
        floor: millis(base.median()),
        ratio: Some(ratio),
        goal: Some((
            format!("< {} ms and ≤ {GOAL_RATIO} ×", GOAL * 1e3),
            time.median() < GOAL && ratio <= GOAL_RATIO,
        )),
        notes: format!("{} KiB", answer.len() / 1024),
    }
}

/// The least that an answer costs: its bytes copied piece by piece, its numbers formatted.
struct Floor<'a> {
    answer: &'a [u8],
    /// Bytes to copy, and the number that follows them.
    pieces: Vec<(Range<usize>, Option<f64>)>,
    is_binary: bool,
    out: Vec<u8>,
}

impl<'a> Floor<'a> {
    fn of(answer: &'a [u8], snapshot: &Snapshot, is_binary: bool) -> Self {
        let pieces = if is_binary { binary(answer, snapshot) } else { lines(answer) };
        Self { answer, pieces, is_binary, out: Vec::with_capacity(answer.len() * 2) }
    }

    fn write(&mut self) {
        self.out.clear();
        for (bytes, number) in &self.pieces {
            self.out.extend_from_slice(&self.answer[bytes.clone()]);
            let Some(number) = number else { continue };
            if self.is_binary {
                self.out.extend_from_slice(&number.to_le_bytes());
            } else {
                format(&mut self.out, *number);
                self.out.push(b'\n');
            }
        }
        black_box(&self.out);
    }
}

fn format(out: &mut Vec<u8>, number: f64) {
    #[expect(clippy::cast_possible_truncation, reason = "integral and small")]
    if number.fract() == 0.0 && number.abs() < 9e15 {
        out.extend_from_slice(itoa::Buffer::new().format(number as i64).as_bytes());
    } else {
        out.extend_from_slice(zmij::Buffer::new().format(number).as_bytes());
    }
}

/// Lines of text: what stands before the value, and the value. Comments are copied whole.
fn lines(answer: &[u8]) -> Vec<(Range<usize>, Option<f64>)> {
    let mut at = 0;
    let mut pieces = Vec::new();
    for line in answer.split_inclusive(|&byte| byte == b'\n') {
        let value = line.iter().rposition(|&byte| byte == b' ').filter(|_| line[0] != b'#');
        let number = value.and_then(|from| {
            let text = std::str::from_utf8(&line[from + 1..]).ok()?.trim_end();
            Some((from + 1, text.parse().ok()?))
        });
        pieces.push(match number {
            Some((length, number)) => (at..at + length, Some(number)),
            None => (at..at + line.len(), None),
        });
        at += line.len();
    }
    pieces
}

/// Pieces of a binary answer: as many as there are series, each with eight bytes of a number.
fn binary(answer: &[u8], snapshot: &Snapshot) -> Vec<(Range<usize>, Option<f64>)> {
    let count = snapshot.series().max(1);
    let length = answer.len() / count;
    (0..count)
        .map(|at| (at * length..((at + 1) * length).saturating_sub(8), Some(at as f64)))
        .collect()
}
