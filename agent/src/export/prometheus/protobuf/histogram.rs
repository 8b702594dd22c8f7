//! `Histogram` messages: buckets with fixed bounds, and beside them a native histogram where there is one.
//!
//! Both in one message: a scraper takes the native one if it is configured to, and the others otherwise.

use collector::histogram::{Exemplar, Exponential, Histogram};
use prost::encoding::{
    WireType, double, encode_key, encode_varint, encoded_len_varint, sint32, sint64, uint32, uint64,
};

use super::super::labels::pair;
use super::{DOUBLE, Start};

/// What counts as zero. Nothing but zero itself is this small, but a scraper knows a native histogram without
/// counts by its having one; it is the one that Prometheus' own clients use.
const ZERO_THRESHOLD: f64 = f64::from_bits((1023 - 128) << 52);

/// So many empty buckets in a row are left out: fewer cost no more than another span.
const GAP: usize = 3;

/// `Histogram`: `sample_count` 1, `sample_sum` 2, bucket 3, `created_timestamp` 15, exemplars 16.
pub(super) fn encode(out: &mut Vec<u8>, value: &Histogram, start: &Start) {
    uint64::encode(1, &value.count(), out);
    double::encode(2, &value.sum(), out);
    let (shown_in, shown) = match value.exemplar() {
        Some((bucket, shown)) => (Some(bucket), exemplar(shown)),
        None => (None, Vec::new()),
    };
    for (at, (bound, count)) in value.cumulative().enumerate() {
        let shown = if shown_in == Some(at) { &shown[..] } else { &[] };
        let tail = if shown.is_empty() {
            0
        } else {
            1 + encoded_len_varint(shown.len() as u64) + shown.len()
        };
        encode_key(3, WireType::LengthDelimited, out);
        encode_varint((uint64::encoded_len(1, &count) + DOUBLE + tail) as u64, out);
        // `Bucket`: `cumulative_count` 1, `upper_bound` 2, exemplar 3.
        uint64::encode(1, &count, out);
        double::encode(2, &bound, out);
        if !shown.is_empty() {
            message(out, 3, shown);
        }
    }
    if let Some(exponential) = value.exponential() {
        native(out, exponential);
    }
    if let Some(timestamp) = start.timestamp() {
        encode_key(15, WireType::LengthDelimited, out);
        out.extend_from_slice(timestamp);
    }
    if value.exponential().is_some() && !shown.is_empty() {
        message(out, 16, &shown);
    }
}

/// `schema` 5, `zero_threshold` 6, `zero_count` 7, `positive_span` 12, `positive_delta` 13.
fn native(out: &mut Vec<u8>, part: &Exponential) {
    sint32::encode(5, &i32::from(part.scale), out);
    double::encode(6, &ZERO_THRESHOLD, out);
    uint64::encode(7, &part.zero_count, out);
    let mut deltas = Vec::with_capacity(part.counts.len());
    // A bucket's index here is that of its upper bound, one more than OpenTelemetry's.
    let (mut index, mut end, mut last) = (part.offset.saturating_add(1), 0, 0_i64);
    let mut rest = &*part.counts;
    while let Some(empty) = rest.iter().position(|count| *count > 0) {
        let (run, after) = rest[empty..].split_at(run(&rest[empty..]));
        index = index.saturating_add_unsigned(small(empty));
        // `BucketSpan`: offset 1, from the end of the span before, and length 2.
        let (offset, length) = (index.saturating_sub(end), small(run.len()));
        encode_key(12, WireType::LengthDelimited, out);
        let inside = sint32::encoded_len(1, &offset) + uint32::encoded_len(2, &length);
        encode_varint(inside as u64, out);
        sint32::encode(1, &offset, out);
        uint32::encode(2, &length, out);
        for count in run {
            let count = i64::try_from(*count).unwrap_or(i64::MAX);
            deltas.push(count - last);
            last = count;
        }
        index = index.saturating_add_unsigned(length);
        (end, rest) = (index, after);
    }
    sint64::encode_packed(13, &deltas, out);
}

/// How many buckets belong to the span that begins here.
fn run(counts: &[u64]) -> usize {
    let mut length = 0;
    for (at, count) in counts.iter().enumerate() {
        if *count > 0 {
            length = at + 1;
        } else if at + 1 - length >= GAP {
            break;
        }
    }
    length
}

/// There are some hundred buckets.
fn small(buckets: usize) -> u32 {
    u32::try_from(buckets).unwrap_or(u32::MAX)
}

/// `Exemplar`: label 1, value 2, timestamp 3.
fn exemplar(exemplar: &Exemplar) -> Vec<u8> {
    let mut out = Vec::new();
    let trace = exemplar.trace_text();
    pair(&mut out, "trace_id", std::str::from_utf8(&trace).unwrap_or_default());
    double::encode(2, &exemplar.value, &mut out);
    // Numbered as a counter's start is.
    out.extend_from_slice(Start::of(Some(exemplar.time)).counter());
    out
}

fn message(out: &mut Vec<u8>, number: u32, message: &[u8]) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(message.len() as u64, out);
    out.extend_from_slice(message);
}
