//! The snapshot's value by itself.

use super::*;

#[test]
fn value_on_a_bound_counts_below_it_and_the_last_bucket_holds_all() {
    let mut histogram = Histogram::new(&[1.0, 2.0]);
    for value in [0.5, 1.0, 1.5, 9.0] {
        histogram.observe(value);
    }
    assert_eq!(
        histogram.cumulative().collect::<Vec<_>>(),
        [(1.0, 2), (2.0, 3), (f64::INFINITY, 4)]
    );
    assert_eq!((histogram.count(), histogram.sum()), (4, 12.0));
}

#[test]
fn exemplar_belongs_to_the_bucket_of_its_value() {
    let bucket = |value| {
        let exemplar = Exemplar { trace: [7; 16], value, time: SystemTime::UNIX_EPOCH };
        Histogram::new(&[1.0, 2.0]).with_exemplar(Some(exemplar)).exemplar().unwrap().0
    };
    assert_eq!([0.0, 1.0, 1.1, 2.0, 2.1].map(bucket), [0, 0, 1, 1, 2]);
}

#[test]
fn counts_from_elsewhere_always_have_one_bucket_more_than_bounds() {
    let short = Histogram::counted(&[1.0, 2.0], vec![3], 1.5);
    assert_eq!(short.cumulative().map(|(_, count)| count).collect::<Vec<_>>(), [3, 3, 3]);
}
