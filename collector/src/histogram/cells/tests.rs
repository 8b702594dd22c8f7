//! Cells against a model that looks each value up in the bounds as Prometheus defines them.

use std::sync::Arc;

use proptest::prelude::*;

use super::super::{Histogram, REQUEST_SECONDS};
use super::*;

/// OpenTelemetry's index of the exponential bucket, clamped: the first whose end is not below the value.
///
/// No bound but the whole ones is within 2 ps of a whole nanosecond, so a tolerance of 1 ps takes floating
/// point's error away and nothing else.
fn model(nanos: u64) -> i32 {
    let end = |index: i32| (f64::from(index + 1) / 8.0).exp2() * 1e9 + 1e-3;
    (-160..79).find(|index| nanos as f64 <= end(*index)).unwrap_or(79)
}

/// What the cells say of one value: the exponential bucket's index and the conventions' bucket.
fn counted(nanos: u64) -> (i32, usize) {
    let cells = Cells::default();
    cells.observe(Duration::from_nanos(nanos));
    let value = Merged::default().update([&cells].into_iter(), || None);
    let exponential = value.exponential().unwrap();
    assert_eq!(*exponential.counts, [1], "{nanos} ns");
    let at = value.cumulative().position(|(_, count)| count == 1).unwrap();
    (exponential.offset, at)
}

#[test]
fn power_of_two_is_the_end_of_its_bucket_and_a_nanosecond_more_is_in_the_next() {
    // From 2^-9 s on, whole numbers of nanoseconds.
    for exponent in -9..=10 {
        let nanos =
            if exponent < 0 { 1_000_000_000 >> -exponent } else { 1_000_000_000 << exponent };
        assert_eq!(counted(nanos).0, exponent * 8 - 1, "2^{exponent} s");
        assert_eq!(counted(nanos + 1).0, (exponent * 8).min(79), "2^{exponent} s and 1 ns");
        assert_eq!(counted(nanos - 1).0, exponent * 8 - 1, "2^{exponent} s less 1 ns");
    }
    // Below, the bound lies between two.
    for exponent in -19..-9 {
        let below = 1_000_000_000_u64 >> -exponent;
        assert_eq!(counted(below).0, exponent * 8 - 1);
        assert_eq!(counted(below + 1).0, exponent * 8);
    }
}

#[test]
fn bound_of_the_conventions_counts_below_it() {
    for (at, bound) in REQUEST_SECONDS.iter().enumerate() {
        let nanos = u64::try_from(Duration::from_secs_f64(*bound).as_nanos()).unwrap();
        assert_eq!(counted(nanos).1, at);
        assert_eq!(counted(nanos + 1).1, at + 1);
    }
}

#[test]
fn what_is_out_of_range_is_in_the_end_buckets_and_zero_in_its_own() {
    assert_eq!(counted(1), (-160, 0));
    assert_eq!(counted(954), (-160, 0));
    assert_eq!(counted(u64::MAX), (79, 14));
    let cells = Cells::default();
    cells.observe(Duration::ZERO);
    cells.observe(Duration::MAX);
    let value = Merged::default().update([&cells].into_iter(), || None);
    let exponential = value.exponential().unwrap();
    assert_eq!(
        (exponential.zero_count, exponential.offset, &*exponential.counts),
        (1, 79, &[1][..])
    );
    assert_eq!(value.count(), 2);
}

#[test]
fn every_cell_lies_in_the_bucket_of_either_kind_that_its_end_lies_in() {
    for cell in 1..CELLS - 1 {
        let end = bounds::TABLE.most[cell];
        assert_eq!(bounds::cell(end), cell);
        assert_eq!(bounds::cell(end + 1), cell + 1);
        let seconds = end as f64 / 1e9;
        let classic = REQUEST_SECONDS.partition_point(|bound| *bound < seconds);
        assert_eq!(usize::from(bounds::TABLE.classic[cell]), classic, "{end} ns");
        assert_eq!(i32::from(bounds::TABLE.exponential[cell]) - 160, model(end), "{end} ns");
    }
}

fn merged(shards: &Shards<Cells>) -> Arc<Histogram> {
    Merged::default().update(shards.iter(), || None)
}

/// Durations of all magnitudes, bounds and their neighbours among them.
fn durations() -> impl Strategy<Value = u64> {
    let near = (0..CELLS - 1, 0..3_u64)
        .prop_map(|(cell, off)| (bounds::TABLE.most[cell] + off).saturating_sub(1));
    prop_oneof![any::<u64>(), (0..64_u32).prop_map(|bits| 1 << bits), 0..20_000_000_000_u64, near]
}

proptest! {
    #[test]
    fn counts_of_either_kind_are_those_of_the_model(values in prop::collection::vec((0..12_usize, durations()), 0..200)) {
        let shards = Shards::<Cells>::new(5);
        let mut classic = Histogram::new(REQUEST_SECONDS);
        let (mut exponential, mut zeros, mut sum) = ([0_u64; 240], 0, 0_u64);
        for (thread, nanos) in &values {
            shards.of(*thread).observe(Duration::from_nanos(*nanos));
            classic.observe(*nanos as f64 / 1e9);
            sum = sum.wrapping_add(micros(*nanos));
            if *nanos == 0 { zeros += 1 } else { exponential[usize::try_from(model(*nanos) + 160).unwrap()] += 1 }
        }
        let value = merged(&shards);
        prop_assert!(value.cumulative().eq(classic.cumulative()));
        prop_assert!((value.sum() - sum as f64 / 1e6).abs() < f64::EPSILON);
        let part = value.exponential().unwrap();
        prop_assert_eq!(part.zero_count, zeros);
        prop_assert_eq!(value.count(), zeros + part.counts.iter().sum::<u64>());
        prop_assert!(part.counts.first() != Some(&0) && part.counts.last() != Some(&0));
        let start = if part.counts.is_empty() { 0 } else { usize::try_from(part.offset + 160).unwrap() };
        let mut dense = [0; 240];
        dense[start..start + part.counts.len()].copy_from_slice(&part.counts);
        prop_assert_eq!(dense, exponential);
    }

    #[test]
    fn shards_together_count_what_one_would(values in prop::collection::vec((0..100_usize, durations()), 0..200)) {
        let (many, one) = (Shards::<Cells>::new(64), Shards::<Cells>::new(1));
        for (thread, nanos) in values {
            many.of(thread).observe(Duration::from_nanos(nanos));
            one.of(thread).observe(Duration::from_nanos(nanos));
        }
        prop_assert_eq!(merged(&many), merged(&one));
    }
}

#[test]
fn nothing_new_gives_the_same_histogram_again_without_allocating() {
    let shards = Shards::<Cells>::new(4);
    let mut merged = Merged::default();
    shards.of(0).observe(Duration::from_millis(3));
    shards.of(1).observe(Duration::ZERO);
    let before = merged.update(shards.iter(), || None);
    let measured = allocation_counter::measure(|| {
        assert!(Arc::ptr_eq(&before, &merged.update(shards.iter(), || None)));
    });
    assert_eq!(measured.count_total, 0);
    for nanos in [0, 1] {
        shards.of(3).observe(Duration::from_nanos(nanos));
        let after = merged.update(shards.iter(), || None);
        assert_eq!(after.count(), before.count() + 1 + nanos, "{nanos} ns more");
    }
}

#[test]
fn thread_that_counted_before_allocates_nothing() {
    let shards = Shards::<Cells>::new(2);
    (0..40).for_each(|bits| shards.of(1).observe(Duration::from_nanos(1 << bits)));
    let measured = allocation_counter::measure(|| {
        (0..40).for_each(|bits| shards.of(1).observe(Duration::from_nanos(1 << bits)));
    });
    assert_eq!(measured.count_total, 0);
    assert_eq!(merged(&shards).count(), 80);
}

#[test]
fn threads_at_once_lose_nothing() {
    let shards = Shards::<Cells>::new(2);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let shards = &shards;
            scope.spawn(move || {
                (0..5_000).for_each(|nanos| {
                    shards.of(thread).observe(Duration::from_nanos(nanos * 1_000));
                });
            });
        }
    });
    assert_eq!(merged(&shards).count(), 20_000);
}
