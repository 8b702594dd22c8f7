//! The text formats: Prometheus' own, and OpenMetrics, which differs in the names and types of counters.

use std::io;
use std::time::SystemTime;

use collector::histogram::{Exemplar, Histogram};
use collector::schema::{Id, Kind, Metric};
use collector::snapshot::{Point, Snapshot};

use super::labels::{Style, escape};
use super::{Sink, base_name, declared_unit, number};

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Versions 0.0.4 and 1.0.0.
    Prometheus,
    /// Versions 0.0.1 and 1.0.0.
    OpenMetrics,
}

pub(super) fn render(
    snapshot: &Snapshot,
    style: Style,
    dialect: Dialect,
    sink: &mut impl Sink,
) -> io::Result<()> {
    let entities: Vec<&[u8]> =
        snapshot.entities().iter().map(|entity| style.bytes(&entity.labels)).collect();
    for id in Id::all() {
        let metric = id.metric();
        let points = snapshot.points(id);
        if points.is_empty() && snapshot.histograms(id).is_empty() {
            continue;
        }
        let out = sink.buffer();
        header(out, metric, dialect);
        family(out, metric.name, points, &entities, style);
        if metric.kind == Kind::Histogram {
            histograms(out, snapshot, id, &Look { entities: &entities, style, dialect });
        }
        sink.family_done()?;
    }
    if dialect == Dialect::OpenMetrics {
        sink.buffer().extend_from_slice(b"# EOF\n");
    }
    Ok(())
}

fn header(out: &mut Vec<u8>, metric: &Metric, dialect: Dialect) {
    let name = match dialect {
        Dialect::Prometheus => metric.name,
        Dialect::OpenMetrics => base_name(metric),
    };
    line(out, "# HELP ", name);
    escape(out, metric.help, dialect == Dialect::OpenMetrics);
    out.push(b'\n');
    line(out, "# TYPE ", name);
    out.extend_from_slice(kind(metric, dialect).as_bytes());
    out.push(b'\n');
    if let (Dialect::OpenMetrics, Some(unit)) = (dialect, declared_unit(metric)) {
        line(out, "# UNIT ", name);
        out.extend_from_slice(unit.as_bytes());
        out.push(b'\n');
    }
}

fn line(out: &mut Vec<u8>, what: &str, name: &str) {
    out.extend_from_slice(what.as_bytes());
    out.extend_from_slice(name.as_bytes());
    out.push(b' ');
}

fn kind(metric: &Metric, dialect: Dialect) -> &'static str {
    match metric.kind {
        // OpenMetrics has no counter whose samples do not end in `_total`, and cAdvisor's
        // container_memory_failcnt is one that must keep its name.
        Kind::Counter if dialect == Dialect::OpenMetrics && !metric.name.ends_with("_total") => {
            "unknown"
        }
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    }
}

/// The hot loop: each point is the family's name, bytes rendered before, and one number.
fn family(out: &mut Vec<u8>, name: &str, points: &[Point], entities: &[&[u8]], style: Style) {
    for point in points {
        let Some(labels) = entities.get(point.entity as usize) else { continue };
        let extra = point.extra.as_ref().map_or(&[][..], |extra| style.bytes(extra));
        series(out, name.as_bytes(), labels, extra);
        number::write(out, point.value);
        out.push(b'\n');
    }
}

/// Everything before the value, with room reserved for the value too.
#[inline]
fn series(out: &mut Vec<u8>, name: &[u8], labels: &[u8], extra: &[u8]) {
    out.reserve(name.len() + labels.len() + extra.len() + number::LONGEST + 5);
    out.extend_from_slice(name);
    if !(labels.is_empty() && extra.is_empty()) {
        out.push(b'{');
        out.extend_from_slice(labels);
        if !(labels.is_empty() || extra.is_empty()) {
            out.push(b',');
        }
        out.extend_from_slice(extra);
        out.push(b'}');
    }
    out.push(b' ');
}

/// How the histograms of a family are written.
struct Look<'a> {
    entities: &'a [&'a [u8]],
    style: Style,
    dialect: Dialect,
}

/// The names of a histogram's samples, put together once for a family.
struct Names([String; 3]);

/// Only the buckets with fixed bounds: these formats have no way to write an exponential part.
fn histograms(out: &mut Vec<u8>, snapshot: &Snapshot, id: Id, look: &Look<'_>) {
    let mut extra = Vec::new();
    let names =
        Names(["_bucket", "_sum", "_count"].map(|suffix| [id.metric().name, suffix].concat()));
    for point in snapshot.histograms(id) {
        let Some(labels) = look.entities.get(point.entity as usize) else { continue };
        extra.clear();
        let own = point.extra.as_ref().map_or(&[][..], |extra| look.style.bytes(extra));
        extra.extend_from_slice(own);
        // Only OpenMetrics has exemplars.
        let exemplar = match look.dialect {
            Dialect::OpenMetrics => point.value.exemplar(),
            Dialect::Prometheus => None,
        };
        histogram(out, &names, labels, &mut extra, (&point.value, exemplar));
    }
}

fn histogram(
    out: &mut Vec<u8>,
    Names([bucket, sum, count]): &Names,
    labels: &[u8],
    extra: &mut Vec<u8>,
    (value, shown): (&Histogram, Option<(usize, &Exemplar)>),
) {
    let own = extra.len();
    for (at, (bound, count)) in value.cumulative().enumerate() {
        extra.truncate(own);
        extra.extend_from_slice(if own == 0 { b"le=\"" } else { b",le=\"" });
        number::write_float(extra, bound);
        extra.push(b'"');
        series(out, bucket.as_bytes(), labels, extra);
        number::write(out, count as f64);
        if let Some((_, shown)) = shown.filter(|(bucket, _)| *bucket == at) {
            exemplar(out, shown);
        }
        out.push(b'\n');
    }
    for (name, value) in [(sum, value.sum()), (count, value.count() as f64)] {
        series(out, name.as_bytes(), labels, &extra[..own]);
        number::write(out, value);
        out.push(b'\n');
    }
}

/// ` # {trace_id="…"} value timestamp`, the time in seconds with milliseconds.
fn exemplar(out: &mut Vec<u8>, exemplar: &Exemplar) {
    out.extend_from_slice(b" # {trace_id=\"");
    out.extend_from_slice(&exemplar.trace_text());
    out.extend_from_slice(b"\"} ");
    number::write(out, exemplar.value);
    if let Ok(since) = exemplar.time.duration_since(SystemTime::UNIX_EPOCH) {
        out.push(b' ');
        number::write(out, since.as_millis() as f64 / 1e3);
    }
}
