//! How long series stay, and under which labels.

use super::*;

#[test]
fn gone_pods_series_stay_for_two_more_scrapes() {
    let mut bench = Bench::new(100);
    let (pod, route) = (bench.pod("cart"), bench.stats.route(&api()));
    pod.ended(0, &route, &answered(200));
    bench.scraped();
    drop(pod);
    for _ in 0..2 {
        assert_eq!(bench.counts(Series::BackendDuration).len(), 1);
        bench.scraped();
    }
    assert_eq!(bench.counts(Series::BackendDuration), []);
    assert!(bench.stats.0.registry().is_empty_but_for_routes(1));
}

#[test]
fn gone_pods_series_end_after_ten_minutes_without_a_scrape() {
    let mut bench = Bench::new(100);
    let (pod, route) = (bench.pod("cart"), bench.stats.route(&api()));
    pod.ended(0, &route, &answered(200));
    drop(pod);
    for (seconds, series) in [(0, 1), (599, 1), (600, 0)] {
        bench.now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(bench.counts(Series::BackendDuration).len(), series, "{seconds} s");
    }
}

#[test]
fn pod_that_comes_back_finds_its_counts_and_one_in_use_never_ends() {
    let mut bench = Bench::new(100);
    let (pod, route) = (bench.pod("cart"), bench.stats.route(&api()));
    pod.ended(0, &route, &answered(200));
    drop(pod);
    bench.scraped();
    let pod = bench.pod("cart");
    pod.ended(0, &route, &answered(200));
    for _ in 0..5 {
        bench.scraped();
        assert_eq!(bench.counts(Series::BackendDuration)[0].1, 2);
    }
    drop(pod);
    bench.scraped();
    assert_eq!(bench.counts(Series::BackendDuration).len(), 1, "the wait begins anew");
}

#[test]
fn changed_labels_are_put_on_the_same_counts() {
    let mut bench = Bench::new(100);
    let (pod, route) = (bench.pod("cart"), bench.stats.route(&api()));
    pod.ended(0, &route, &answered(200));
    let same = bench.stats.backend("cart", labels("cart", "green"));
    assert!(Arc::ptr_eq(&pod, &same));
    let green = "pod=cart,proxy_node=n1,label_version=green".to_owned();
    assert_eq!(bench.counts(Series::BackendFirstByte), [(green, 1)]);
}

#[test]
fn new_pod_with_the_labels_of_an_old_one_takes_its_place() {
    let mut bench = Bench::new(100);
    let route = bench.stats.route(&api());
    let old = bench.stats.backend("uid-1", labels("web-0", "blue"));
    (0..5).for_each(|_| old.ended(0, &route, &answered(200)));
    let new = bench.stats.backend("uid-2", labels("web-0", "blue"));
    new.ended(0, &route, &answered(200));
    assert_eq!(bench.counts(Series::BackendFirstByte).len(), 1);
    assert_eq!(bench.counts(Series::BackendFirstByte)[0].1, 1);
    // Being told of the old one again changes nothing, until the new one has ended.
    let again = bench.stats.backend("uid-1", labels("web-0", "blue"));
    assert_eq!(bench.counts(Series::BackendFirstByte)[0].1, 1);
    drop(new);
    (0..3).for_each(|_| bench.scraped());
    drop((again, bench.stats.backend("uid-1", labels("web-0", "blue"))));
    assert_eq!(bench.counts(Series::BackendFirstByte)[0].1, 5);
}
