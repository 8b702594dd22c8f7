//! A snapshot in the formats that Prometheus scrapes: text, OpenMetrics and protobuf.
//!
//! Owns the bytes of an answer; who asks for it and over which connection is [`crate::server`]'s
//! business. Families go out in the order of [`schema`](collector::schema), one without samples is
//! left out whole, and no sample has a timestamp: a timestamp would switch off Prometheus' staleness
//! handling, by which a gone pod's series end.
//!
//! `_created` lines are left out of OpenMetrics on purpose: they are samples of their own and would
//! add a line for every counter. The protobuf format carries the same start times inside a sample.
//!
//! Sources: the exposition formats page of the Prometheus documentation, the OpenMetrics 1.0
//! specification, and `io/prometheus/client/metrics.proto`.

mod format;
mod labels;
mod number;
mod protobuf;
pub(crate) mod quality;
mod sink;
mod text;

#[cfg(test)]
mod tests;

use std::io;

use collector::schema::{Kind, Metric, Unit};
use collector::snapshot::Snapshot;

pub use format::{Escaping, Format, Syntax};
pub use sink::{Flushing, Sink};

pub(crate) use labels::series_name;

use labels::Style;

/// Writes a snapshot, and tells the sink after each family that what it holds may go.
///
/// # Errors
/// When the sink cannot pass the bytes on; one that only gathers them never fails.
pub fn render(snapshot: &Snapshot, format: Format, sink: &mut impl Sink) -> io::Result<()> {
    let utf8 = format.escaping() == Escaping::AllowUtf8;
    let text = if utf8 { Style::Utf8Text } else { Style::ClassicText };
    match format.syntax() {
        Syntax::Text004 | Syntax::Text100 => {
            text::render(snapshot, text, text::Dialect::Prometheus, sink)
        }
        Syntax::OpenMetrics001 | Syntax::OpenMetrics100 => {
            text::render(snapshot, text, text::Dialect::OpenMetrics, sink)
        }
        Syntax::Protobuf => protobuf::render(
            snapshot,
            if utf8 { Style::Utf8Protobuf } else { Style::ClassicProtobuf },
            sink,
        ),
    }
}

/// The unit to declare, which the name of a family must end with.
///
/// Some of the field's names, such as `container_memory_rss`, do not name their unit, and a parser
/// refuses the whole scrape for a unit that the name does not end with.
fn declared_unit(metric: &Metric) -> Option<&'static str> {
    let unit = metric.unit.as_str();
    let named = base_name(metric).strip_suffix(unit)?.ends_with('_');
    (metric.unit != Unit::None && named).then_some(unit)
}

/// A counter's name without `_total`, which OpenMetrics calls the family's name.
fn base_name(metric: &Metric) -> &'static str {
    match metric.kind {
        Kind::Counter => metric.name.strip_suffix("_total").unwrap_or(metric.name),
        Kind::Gauge | Kind::Histogram => metric.name,
    }
}
