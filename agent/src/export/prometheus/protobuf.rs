//! The protobuf format: `io.prometheus.client.MetricFamily` messages, each behind its length.
//!
//! Written by hand on prost's primitives, since building the messages first would allocate several
//! times for each sample. Field numbers stand beside the fields they number.

mod histogram;

use std::io;
use std::time::SystemTime;

use collector::schema::{Id, Kernel, Kind, Metric, Series};
use collector::snapshot::Snapshot;
use prost::encoding::{WireType, double, encode_key, encode_varint, encoded_len_varint, uint64};

use super::labels::{Style, string};
use super::{Sink, declared_unit};

/// What all samples of an entity share.
struct Shared<'a> {
    labels: &'a [u8],
    start: Start,
}

pub(super) fn render(snapshot: &Snapshot, style: Style, sink: &mut impl Sink) -> io::Result<()> {
    let entities: Vec<Shared<'_>> = snapshot
        .entities()
        .iter()
        .map(|entity| Shared {
            labels: style.bytes(&entity.labels),
            start: Start::of(entity.start),
        })
        .collect();
    // A family is gathered here first, because its length stands before it.
    let mut family = Vec::new();
    for id in Id::all() {
        let metric = id.metric();
        family.clear();
        header(&mut family, metric);
        let bare = family.len();
        match metric.kind {
            Kind::Counter | Kind::Gauge => numbers(&mut family, snapshot, id, &entities, style),
            Kind::Histogram => histograms(&mut family, snapshot, id, &entities, style),
        }
        if family.len() > bare {
            encode_varint(family.len() as u64, sink.buffer());
            sink.buffer().extend_from_slice(&family);
            sink.family_done()?;
        }
    }
    Ok(())
}

/// `MetricFamily`: name 1, help 2, type 3, metric 4, unit 5.
fn header(out: &mut Vec<u8>, metric: &Metric) {
    string(out, 1, metric.name);
    string(out, 2, metric.help);
    encode_key(3, WireType::Varint, out);
    // `MetricType`.
    encode_varint(
        match metric.kind {
            Kind::Counter => 0,
            Kind::Gauge => 1,
            Kind::Histogram => 4,
        },
        out,
    );
    if let Some(unit) = declared_unit(metric) {
        string(out, 5, unit);
    }
}

/// A double field with its key.
const DOUBLE: usize = 9;

fn numbers(out: &mut Vec<u8>, snapshot: &Snapshot, id: Id, entities: &[Shared<'_>], style: Style) {
    // `Metric`: gauge 2, counter 3.
    let number = if id.metric().kind == Kind::Counter { 3 } else { 2 };
    let started = number == 3 && starts_with_its_entity(id);
    for point in snapshot.points(id) {
        let Some(entity) = entities.get(point.entity as usize) else { continue };
        let extra = point.extra.as_ref().map_or(&[][..], |extra| style.bytes(extra));
        let start = if started { entity.start.counter() } else { &[] };
        // The value's message is at most 28 bytes, so its length is one byte.
        let value = DOUBLE + start.len();
        metric(out, entity.labels, extra, 2 + value);
        encode_key(number, WireType::LengthDelimited, out);
        encode_varint(value as u64, out);
        // `Gauge` and `Counter`: value 1.
        double::encode(1, &point.value, out);
        out.extend_from_slice(start);
    }
}

/// `MetricFamily.metric`, number 4, up to the field that holds its value.
#[inline]
fn metric(out: &mut Vec<u8>, labels: &[u8], extra: &[u8], value: usize) {
    let length = labels.len() + extra.len() + value;
    out.reserve(length + 1 + 10);
    encode_key(4, WireType::LengthDelimited, out);
    encode_varint(length as u64, out);
    out.extend_from_slice(labels);
    out.extend_from_slice(extra);
}

fn histograms(
    out: &mut Vec<u8>,
    snapshot: &Snapshot,
    id: Id,
    entities: &[Shared<'_>],
    style: Style,
) {
    let mut value = Vec::new();
    for point in snapshot.histograms(id) {
        let Some(entity) = entities.get(point.entity as usize) else { continue };
        let extra = point.extra.as_ref().map_or(&[][..], |extra| style.bytes(extra));
        value.clear();
        histogram::encode(&mut value, &point.value, &entity.start);
        metric(out, entity.labels, extra, 1 + encoded_len_varint(value.len() as u64) + value.len());
        // `Metric`: histogram 7.
        encode_key(7, WireType::LengthDelimited, out);
        encode_varint(value.len() as u64, out);
        out.extend_from_slice(&value);
    }
}

/// Whether a counter began at 0 when its entity did.
///
/// Two of a container's counters outlive it: its restarts, and its OOM kills, which are kept across
/// them. With the new container's start time a scraper would take the whole count for growth.
fn starts_with_its_entity(id: Id) -> bool {
    let kept = [
        Id::container(Kernel::OomEvents),
        Series::ContainerRestarts.into(),
        Series::InitRestarts.into(),
    ];
    !kept.contains(&id)
}

/// `Counter.created_timestamp`, number 3: the key, the length and a `google.protobuf.Timestamp`.
struct Start {
    bytes: [u8; Self::LONGEST],
    length: usize,
}

impl Start {
    /// Key, length, a key and 10 bytes of seconds, a key and 5 bytes of nanoseconds.
    const LONGEST: usize = 19;

    /// Nothing when the start is not known, or before 1970.
    fn of(start: Option<SystemTime>) -> Self {
        let mut bytes = [0; Self::LONGEST];
        let Some(since) = start.and_then(|start| start.duration_since(SystemTime::UNIX_EPOCH).ok())
        else {
            return Self { bytes, length: 0 };
        };
        let nanos = u64::from(since.subsec_nanos());
        let inside = uint64::encoded_len(1, &since.as_secs()) + uint64::encoded_len(2, &nanos);
        let mut rest = &mut bytes[..];
        encode_key(3, WireType::LengthDelimited, &mut rest);
        encode_varint(inside as u64, &mut rest);
        // The fields are int64 and int32; as neither is negative, their varints are those of a u64.
        uint64::encode(1, &since.as_secs(), &mut rest);
        uint64::encode(2, &nanos, &mut rest);
        let length = Self::LONGEST - rest.len();
        Self { bytes, length }
    }

    #[inline]
    fn counter(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Without the key, for messages that number the field otherwise.
    fn timestamp(&self) -> Option<&[u8]> {
        self.counter().get(1..).filter(|rest| !rest.is_empty())
    }
}
