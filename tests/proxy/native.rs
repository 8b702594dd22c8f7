//! Native histograms, as a scraper reads them from the protobuf format.

use prost::Message;

/// Asks for that format.
pub(crate) const ACCEPT: &str = "Accept: application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited\r\n";

/// A histogram.
#[derive(Debug)]
pub(crate) struct Native {
    pub(crate) count: u64,
    /// What its buckets count together.
    pub(crate) in_buckets: i64,
}

/// The parts of `io.prometheus.client` that are looked at here, by the numbers of their specification.
#[derive(Clone, PartialEq, Message)]
struct Family {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(message, repeated, tag = "4")]
    metric: Vec<Metric>,
}

#[derive(Clone, PartialEq, Message)]
struct Metric {
    #[prost(message, optional, tag = "7")]
    histogram: Option<Histogram>,
}

#[derive(Clone, PartialEq, Message)]
struct Histogram {
    #[prost(uint64, optional, tag = "1")]
    sample_count: Option<u64>,
    #[prost(sint32, optional, tag = "5")]
    schema: Option<i32>,
    #[prost(message, repeated, tag = "12")]
    positive_span: Vec<Span>,
    #[prost(sint64, repeated, tag = "13")]
    positive_delta: Vec<i64>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Span {
    #[prost(sint32, optional, tag = "1")]
    offset: Option<i32>,
    #[prost(uint32, optional, tag = "2")]
    length: Option<u32>,
}

/// The first one of a family on the page.
pub(crate) fn histogram(mut page: &[u8], name: &str) -> Native {
    loop {
        assert!(!page.is_empty(), "{name} is not there");
        let family = Family::decode_length_delimited(&mut page).unwrap();
        if family.name() != name {
            continue;
        }
        let histogram = family.metric[0].histogram.clone().unwrap();
        assert!(histogram.schema.is_some(), "{name} has no native buckets");
        let lengths: u32 = histogram.positive_span.iter().map(Span::length).sum();
        assert_eq!(lengths as usize, histogram.positive_delta.len());
        // Each is told as the difference from the one before it.
        let mut in_bucket = 0;
        let counts = histogram.positive_delta.iter().map(|delta| {
            in_bucket += delta;
            in_bucket
        });
        return Native { count: histogram.sample_count(), in_buckets: counts.sum() };
    }
}
