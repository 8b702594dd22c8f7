//! Native histograms and exemplars.

use super::*;

fn requests_in_protobuf() -> model::Histogram {
    let families = model::families(&rendered(&small(), PROTOBUF));
    let name = Series::BackendDuration.into();
    let name = Id::metric(name).name;
    let family = families.into_iter().find(|family| family.name.as_deref() == Some(name)).unwrap();
    family.metric.into_iter().next().unwrap().histogram.unwrap()
}

#[test]
fn native_histogram_stands_beside_the_buckets_and_counts_the_same() {
    let histogram = requests_in_protobuf();
    assert_eq!((histogram.schema, histogram.zero_count), (Some(3), Some(1)));
    assert_eq!(histogram.zero_threshold.map(f64::log2), Some(-128.0));
    // Prometheus' bucket i ends at 2^(i/8): 3 ms, 3.3 ms, 2 s and 5 s.
    let buckets = histogram.native();
    assert_eq!(buckets, [(-67, 2), (-65, 1), (8, 1), (19, 1)]);
    for ((index, _), seconds) in buckets.iter().zip([0.003_f64, 0.0033, 2.0, 5.0]) {
        assert!((seconds.log2() * 8.0).ceil() <= f64::from(*index));
        assert!((seconds.log2() * 8.0).ceil() > f64::from(index - 1));
    }
    let spans: Vec<_> =
        histogram.positive_span.iter().map(|span| (span.offset(), span.length())).collect();
    assert_eq!(spans, [(-67, 3), (72, 1), (10, 1)], "one empty bucket is no gap");
    let all =
        histogram.zero_count() + buckets.iter().map(|(_, count)| count.unsigned_abs()).sum::<u64>();
    assert_eq!(histogram.sample_count(), all);
    assert_eq!(histogram.bucket.last().unwrap().cumulative_count(), all);
}

#[test]
fn native_histogram_without_counts_is_known_as_one() {
    let mut snapshot = Snapshot::default();
    let it = snapshot.add_entity(entity(Scope::Backend, vec![], None));
    let empty = Histogram::new(histogram::REQUEST_SECONDS);
    let empty = empty.with_exponential(Exponential { scale: 3, ..Exponential::default() });
    snapshot.add_histogram(Series::BackendFirstByte.into(), it, None, Arc::new(empty));
    let families = model::families(&rendered(&snapshot, PROTOBUF));
    let histogram = families[0].metric[0].histogram.as_ref().unwrap();
    assert!(histogram.zero_threshold() > 0.0);
    assert_eq!((histogram.sample_count(), histogram.native()), (0, vec![]));
}

#[test]
fn exemplar_stands_at_its_bucket_and_only_where_a_scraper_reads_it() {
    let trace = ("trace_id".to_owned(), "4bf92f3577b34da6a3ce929d0e0e4736".to_owned());
    let families = parse::families(&rendered(&small(), OPEN), true);
    let found: Vec<_> = families
        .iter()
        .flat_map(|family| {
            family.exemplars.iter().map(|(at, exemplar)| (&family.samples[*at], exemplar))
        })
        .collect();
    let [(sample, exemplar)] = &found[..] else { panic!("{found:?}") };
    assert_eq!(sample.labels["le"], "5.0");
    assert_eq!(exemplar.labels, Labels::from([trace.clone()]));
    assert_eq!((exemplar.value, exemplar.timestamp), (5.0, 1_700_000_300.25));
    assert!(!String::from_utf8(rendered(&small(), "")).unwrap().contains(" # "));

    let histogram = requests_in_protobuf();
    let in_buckets: Vec<_> =
        histogram.bucket.iter().filter(|bucket| bucket.exemplar.is_some()).collect();
    assert_eq!(in_buckets.iter().map(|bucket| bucket.upper_bound()).collect::<Vec<_>>(), [5.0]);
    assert_eq!(in_buckets[0].exemplar.as_ref(), histogram.exemplars.first());
    let [exemplar] = &histogram.exemplars[..] else { panic!("one exemplar") };
    let pair = &exemplar.label[0];
    assert_eq!((pair.name().to_owned(), pair.value().to_owned()), trace);
    let time = model::Timestamp { seconds: 1_700_000_300, nanos: 250_000_000 };
    assert_eq!((exemplar.value(), exemplar.timestamp), (5.0, Some(time)));
}

proptest! {
    #[test]
    fn native_buckets_of_any_counts_read_back(offset in -400..400_i32, counts in prop::collection::vec(prop_oneof![Just(0_u64), 0..5_u64, any::<u32>().prop_map(u64::from)], 0..60)) {
        let mut snapshot = Snapshot::default();
        let it = snapshot.add_entity(entity(Scope::Backend, vec![], None));
        let part = Exponential { scale: 3, zero_count: 0, offset, counts: counts.clone().into() };
        let value = Histogram::new(histogram::REQUEST_SECONDS).with_exponential(part);
        snapshot.add_histogram(Series::BackendFirstByte.into(), it, None, Arc::new(value));
        let families = model::families(&rendered(&snapshot, PROTOBUF));
        let expected: Vec<(i32, i64)> = (offset + 1..).zip(counts).filter(|(_, count)| *count > 0).map(|(index, count)| (index, i64::try_from(count).unwrap())).collect();
        prop_assert_eq!(families[0].metric[0].histogram.as_ref().unwrap().native(), expected);
    }
}
