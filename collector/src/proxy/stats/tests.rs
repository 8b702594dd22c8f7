//! What a snapshot shows of what was counted.

mod lifetimes;

use std::collections::BTreeMap;

use super::*;
use crate::histogram::Histogram;
use crate::labels::{Label, Origin as From};
use crate::proxy::route::{Action, Bounds, Edits, Host, Origin, Path, Source};
use crate::schema::{Id, Scope, Series};
use crate::snapshot::{Contribute, Snapshot};

/// Counts, and the snapshots taken of them.
struct Bench {
    stats: Stats,
    scrapes: Arc<AtomicU64>,
    now: SystemTime,
    snapshot: Snapshot,
}

impl Bench {
    fn new(series: usize) -> Self {
        let scrapes = Arc::<AtomicU64>::default();
        let stats = Stats::new(&"n1".into(), 2, series, scrapes.clone());
        Self { stats, scrapes, now: SystemTime::UNIX_EPOCH, snapshot: Snapshot::default() }
    }

    fn pod(&self, name: &str) -> Arc<BackendStats> {
        self.stats.backend(name, labels(name, "blue"))
    }

    fn take(&mut self) -> &Snapshot {
        self.snapshot.reset(self.now);
        self.stats.contribute(&mut self.snapshot, u32::MAX);
        &self.snapshot
    }

    fn scraped(&mut self) {
        self.take();
        self.scrapes.fetch_add(1, Ordering::Relaxed);
    }

    /// The series of a family by their labels, as `name=value` joined by commas.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts")]
    fn values(&mut self, series: Series) -> BTreeMap<String, u64> {
        let snapshot = self.take();
        let mut values = BTreeMap::new();
        for point in snapshot.points(series.into()) {
            let name = name(snapshot, point.entity, point.extra.as_deref());
            assert!(values.insert(name, point.value as u64).is_none());
        }
        values
    }

    fn histograms(&mut self, series: Series) -> BTreeMap<String, Arc<Histogram>> {
        let snapshot = self.take();
        let mut values = BTreeMap::new();
        for point in snapshot.histograms(series.into()) {
            let name = name(snapshot, point.entity, point.extra.as_deref());
            assert!(values.insert(name, point.value.clone()).is_none());
        }
        values
    }

    fn counts(&mut self, series: Series) -> Vec<(String, u64)> {
        let histograms = self.histograms(series);
        histograms.into_iter().map(|(name, value)| (name, value.count())).collect()
    }
}

fn name(snapshot: &Snapshot, entity: u32, extra: Option<&LabelSet>) -> String {
    let entity = snapshot.entities().get(entity as usize).map(|entity| &*entity.labels);
    let sets = entity.into_iter().chain(extra);
    let labels = sets.flat_map(LabelSet::labels);
    labels.map(|label| format!("{}={}", label.name, label.value)).collect::<Vec<_>>().join(",")
}

fn labels(pod: &str, version: &str) -> Arc<LabelSet> {
    let version = Label {
        origin: From::PodLabel,
        key: "version".into(),
        name: "label_version".into(),
        value: version.into(),
    };
    Arc::new(LabelSet::new(vec![Label::own("pod", pod), version]))
}

fn route(name: &str, host: Host, path: Path) -> Route {
    Route {
        origin: Origin { source: Source::Ingress, namespace: "shop".into(), name: name.into() },
        host,
        path,
        conditions: Vec::new(),
        action: Action::Forward(Vec::new()),
        rewrite: None,
        request: Edits::default(),
        response: Edits::default(),
        affinity: None,
        https_only: false,
        bounds: Bounds::default(),
    }
}

fn api() -> Route {
    route("web", Host::Wildcard("example.com".into()), Path::Prefix("/api".into()))
}

const MS: Duration = Duration::from_millis(1);

fn attempt(outcome: Outcome) -> Attempt<'static> {
    Attempt {
        method: &Method::GET,
        outcome,
        first_byte: Some(3 * MS),
        total: 4 * MS,
        request_bytes: 10,
        response_bytes: 200,
        trace: None,
    }
}

fn answered(status: u16) -> Attempt<'static> {
    attempt(Outcome::Answered(StatusCode::from_u16(status).unwrap()))
}

fn request(status: StatusCode, error: Option<&'static str>) -> Request<'static> {
    Request {
        method: &Method::POST,
        status,
        error,
        total: 6 * MS,
        added: MS,
        request_bytes: 10,
        response_bytes: 200,
        trace: None,
    }
}

const BEYOND: &str = "otel_metric_overflow=true";
const CART: &str = "pod=cart,proxy_node=n1,label_version=blue";

#[test]
fn pod_has_its_labels_and_combinations_have_what_was_asked_and_answered() {
    let mut bench = Bench::new(100);
    let (pod, route) = (bench.pod("cart"), bench.stats.route(&api()));
    pod.connected(0, MS, Ok(()));
    pod.connected(1, MS, Err(Failure::ConnectRefused));
    for _ in 0..4 {
        pod.began(0);
    }
    pod.ended(0, &route, &answered(200));
    pod.ended(1, &route, &answered(503));
    pod.ended(1, &route, &attempt(Outcome::Failed(Failure::Reset, None)));
    let cut = Outcome::Failed(Failure::BodyIncomplete, Some(StatusCode::OK));
    let odd = Method::from_bytes(b"BREW").unwrap();
    pod.ended(0, &route, &Attempt { method: &odd, first_byte: None, ..attempt(cut) });

    let get = format!("{CART},http_request_method=GET");
    assert_eq!(
        bench.counts(Series::BackendDuration),
        [
            (format!("{get},error_type=reset,http_route=/api"), 1),
            (format!("{get},http_response_status_code=200,http_route=/api"), 1),
            (format!("{get},http_response_status_code=503,error_type=503,http_route=/api"), 1),
            (
                format!(
                    "{CART},http_request_method=_OTHER,http_response_status_code=200,error_type=body_incomplete,http_route=/api"
                ),
                1
            ),
        ]
    );
    assert_eq!(bench.counts(Series::BackendFirstByte), [(CART.to_owned(), 3)]);
    assert_eq!(bench.counts(Series::BackendConnect), [(CART.to_owned(), 1)]);
    for (series, name, value) in [
        (Series::BackendConnectErrors, format!("{CART},error_type=connect_refused"), 1),
        (Series::BackendRequestBytes, CART.to_owned(), 40),
        (Series::BackendResponseBytes, CART.to_owned(), 800),
        (Series::BackendActive, CART.to_owned(), 0),
    ] {
        assert_eq!(bench.values(series), BTreeMap::from([(name, value)]));
    }
    assert_eq!(
        bench.values(Series::BackendErrors).into_keys().collect::<Vec<_>>(),
        [format!("{CART},error_type=body_incomplete"), format!("{CART},error_type=reset")]
    );
    let entity = &bench.take().entities()[0];
    assert_eq!(entity.scope, Scope::Backend);
    assert!(entity.start.is_some());
}

#[test]
fn route_is_told_by_origin_host_and_path() {
    let mut bench = Bench::new(100);
    let route = bench.stats.route(&api());
    route.began(0);
    route.began(1);
    route.retried(0);
    route.ended(1, &request(StatusCode::OK, None));
    route.ended(1, &request(StatusCode::NOT_FOUND, Some(Refusal::NoRoute.as_str())));
    route.ended(1, &request(StatusCode::BAD_GATEWAY, None));

    let own = "node=n1,namespace=shop,route=web,server_address=*.example.com,http_route=/api";
    let post = format!("{own},http_request_method=POST");
    assert_eq!(
        bench.counts(Series::RouteDuration),
        [
            (format!("{post},http_response_status_code=200"), 1),
            (format!("{post},http_response_status_code=404,error_type=no_route"), 1),
            (format!("{post},http_response_status_code=502,error_type=502"), 1),
        ]
    );
    assert_eq!(bench.counts(Series::RouteAdded), [(own.to_owned(), 3)]);
    for (series, value) in [
        (Series::RouteActive, 0),
        (Series::RouteRequestBytes, 30),
        (Series::RouteResponseBytes, 600),
        (Series::RouteRetries, 1),
    ] {
        assert_eq!(bench.values(series), BTreeMap::from([(own.to_owned(), value)]));
    }
}

#[test]
fn requests_under_way_are_those_begun_and_not_ended_whichever_worker_ended_them() {
    let mut bench = Bench::new(100);
    let (pod, route) = (bench.pod("cart"), bench.stats.route(&api()));
    (0..3).for_each(|_| pod.began(0));
    pod.ended(1, &route, &answered(200));
    assert_eq!(bench.values(Series::BackendActive)[CART], 2);
}

#[test]
fn same_path_of_another_host_is_one_series_of_a_pod_and_two_of_the_routes() {
    let mut bench = Bench::new(100);
    let pod = bench.pod("cart");
    for host in [Host::Any, Host::Exact("a.example".into())] {
        for path in [Path::Exact("/x".into()), Path::Prefix("/x".into())] {
            let route = bench.stats.route(&route("web", host.clone(), path));
            pod.ended(0, &route, &answered(200));
            route.ended(0, &request(StatusCode::OK, None));
        }
    }
    let counts =
        |counts: Vec<(String, u64)>| counts.into_iter().map(|(_, count)| count).collect::<Vec<_>>();
    assert_eq!(counts(bench.counts(Series::BackendDuration)), [4]);
    assert_eq!(counts(bench.counts(Series::RouteDuration)), [2, 2]);
}

#[test]
fn pod_that_was_never_asked_has_no_series_and_every_reason_of_a_refusal_has_one() {
    let mut bench = Bench::new(100);
    let (_pod, _route) = (bench.pod("cart"), bench.stats.route(&api()));
    bench.stats.refused(1, Refusal::NoRoute);
    assert!(bench.take().entities().is_empty());
    let refused = bench.values(Series::ProxyRefused);
    assert_eq!(refused.len(), Refusal::ALL.len());
    assert_eq!(refused["reason=no_route"], 1);
    assert_eq!(refused["reason=not_ready"], 0);
    assert_eq!(bench.values(Series::ProxySeriesOverflow)[""], 0);
}

#[test]
fn beyond_the_budget_everything_is_counted_in_one_series_of_each_family() {
    // The pod, the route, and one combination of either.
    let mut bench = Bench::new(4);
    let (pod, route) = (bench.pod("cart"), bench.stats.route(&api()));
    pod.ended(0, &route, &answered(200));
    route.ended(0, &request(StatusCode::OK, None));
    // Full: a new combination of a known pod, and a new pod.
    pod.ended(0, &route, &answered(201));
    let other = bench.pod("other");
    other.began(0);
    other.connected(0, MS, Err(Failure::Tls));
    other.ended(1, &route, &answered(200));
    other.ended(1, &route, &answered(201));
    // What has its place goes on.
    pod.ended(1, &route, &answered(200));
    pod.ended(1, &route, &answered(202));
    route.ended(1, &request(StatusCode::CREATED, None));
    let known =
        format!("{CART},http_request_method=GET,http_response_status_code=200,http_route=/api");
    assert_eq!(bench.counts(Series::BackendDuration), [(BEYOND.to_owned(), 4), (known, 2)]);
    assert_eq!(bench.counts(Series::RouteDuration)[1], (BEYOND.to_owned(), 1));
    assert_eq!(bench.values(Series::ProxySeriesOverflow)[""], 5);
    assert_eq!(bench.values(Series::BackendConnectErrors)[BEYOND], 1);
    assert_eq!(bench.values(Series::BackendRequestBytes)[BEYOND], 20);
    assert_eq!(bench.stats.0.base.budget.taken(), 4);

    // A gone pod's places are free again.
    drop((pod, other));
    (0..3).for_each(|_| bench.scraped());
    assert_eq!(bench.stats.0.base.budget.taken(), 2);
    bench.pod("third").ended(0, &route, &answered(200));
    assert_eq!(bench.stats.0.base.budget.taken(), 4);
}

#[test]
fn latest_traced_request_is_the_exemplar() {
    let mut bench = Bench::new(100);
    let (pod, route) = (bench.pod("cart"), bench.stats.route(&api()));
    pod.ended(0, &route, &Attempt { trace: Some([7; 16]), ..answered(200) });
    route.ended(0, &request(StatusCode::OK, None));
    let value = bench.histograms(Series::BackendDuration).into_values().next().unwrap();
    let (bucket, exemplar) = value.exemplar().unwrap();
    assert_eq!((bucket, exemplar.trace), (0, [7; 16]));
    assert!((exemplar.value - 0.004).abs() < f64::EPSILON);
    assert!(
        bench
            .histograms(Series::RouteDuration)
            .into_values()
            .all(|value| value.exemplar().is_none())
    );
}

#[test]
fn known_combination_is_counted_without_allocating() {
    let bench = Bench::new(100);
    let (pod, route) = (bench.pod("cart"), bench.stats.route(&api()));
    let full = Bench::new(2);
    let (alien, known) = (full.pod("alien"), full.stats.route(&api()));
    let count = || {
        for (pod, route) in [(&pod, &route), (&alien, &known)] {
            for worker in 0..2 {
                route.began(worker);
                pod.connected(worker, MS, Ok(()));
                pod.connected(worker, MS, Err(Failure::Tls));
                pod.began(worker);
                pod.ended(worker, route, &Attempt { trace: Some([1; 16]), ..answered(200) });
                pod.ended(worker, route, &attempt(Outcome::Failed(Failure::Reset, None)));
                route.retried(worker);
                route.ended(worker, &request(StatusCode::OK, None));
                route.ended(worker, &request(StatusCode::BAD_GATEWAY, Some("reset")));
            }
        }
        bench.stats.refused(0, Refusal::NoRoute);
    };
    count();
    assert_eq!(allocation_counter::measure(count).count_total, 0);
}

#[test]
fn snapshot_of_idle_pods_allocates_nothing() {
    let mut bench = Bench::new(10_000);
    let route = bench.stats.route(&api());
    let pods: Vec<_> = (0..50).map(|number| bench.pod(&number.to_string())).collect();
    for pod in &pods {
        pod.ended(0, &route, &answered(200));
    }
    bench.take();
    let measured = allocation_counter::measure(|| {
        bench.take();
    });
    assert_eq!(measured.count_total, 0);
    let before = bench.histograms(Series::BackendDuration);
    pods[3].ended(1, &route, &answered(200));
    let after = bench.histograms(Series::BackendDuration);
    let changed = before.iter().filter(|(name, value)| !Arc::ptr_eq(value, &after[*name])).count();
    assert_eq!(changed, 1, "only what was counted is added up anew");
}

#[test]
fn workers_at_once_lose_nothing_while_snapshots_are_taken() {
    let mut bench = Bench::new(100);
    let (pod, route) = (bench.pod("cart"), bench.stats.route(&api()));
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let (pod, route) = (&pod, &route);
            scope.spawn(move || {
                for number in 0..2_000_u16 {
                    pod.began(worker);
                    pod.ended(worker, route, &answered(200 + number % 20));
                }
            });
        }
        let mut last = 0;
        for _ in 0..50 {
            let total: u64 =
                bench.counts(Series::BackendDuration).iter().map(|(_, count)| count).sum();
            assert!(total >= last, "a count went back");
            last = total;
        }
    });
    let counts = bench.counts(Series::BackendDuration);
    assert_eq!(counts.len(), 20);
    assert!(counts.iter().all(|(_, count)| *count == 400));
}

#[test]
fn every_family_of_the_proxy_has_a_series_somewhere_here() {
    let mut bench = Bench::new(4);
    let (pod, route) = (bench.pod("cart"), bench.stats.route(&api()));
    pod.connected(0, MS, Err(Failure::Tls));
    pod.ended(0, &route, &attempt(Outcome::Failed(Failure::Reset, None)));
    route.ended(0, &request(StatusCode::OK, None));
    let snapshot = bench.take();
    for id in Id::all() {
        let metric = id.metric();
        if matches!(metric.scope, Scope::Backend | Scope::Route) {
            let series = snapshot.points(id).len() + snapshot.histograms(id).len();
            assert!(series > 0, "{} has none", metric.name);
        }
    }
}
