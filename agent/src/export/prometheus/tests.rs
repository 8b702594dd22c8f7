//! One small snapshot in every format, and labels of any content.

mod model;
mod native;
mod parse;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use collector::histogram::{self, Exemplar, Exponential, Histogram};
use collector::labels::{Label, LabelSet, Origin};
use collector::schema::{Id, Kernel, Kind, Scope, Series};
use collector::snapshot::{Entity, Snapshot};
use proptest::prelude::*;

use super::*;
use crate::export::golden;
use parse::{Family, Labels, Sample};

const OPEN: &str = "application/openmetrics-text;version=1.0.0";
const OPEN_UTF8: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8";
const TEXT_UTF8: &str = "text/plain;version=1.0.0;escaping=allow-utf-8";
const PROTOBUF: &str =
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
const PROTOBUF_UTF8: &str = "application/vnd.google.protobuf;escaping=allow-utf-8";

fn rendered(snapshot: &Snapshot, accept: &str) -> Vec<u8> {
    let mut out = Vec::new();
    render(snapshot, Format::negotiate(accept), &mut out).unwrap();
    out
}

fn foreign(origin: Origin, key: &str, value: &str) -> Label {
    let name = key.replace(['.', '/', '-'], "_");
    Label {
        origin,
        key: key.into(),
        name: format!("{}{name}", origin.prefix()).into(),
        value: value.into(),
    }
}

fn entity(scope: Scope, labels: Vec<Label>, start: Option<Duration>) -> Entity {
    Entity {
        scope,
        labels: Arc::new(LabelSet::new(labels)),
        start: start.map(|start| SystemTime::UNIX_EPOCH + start),
        cpu_cores: None,
    }
}

fn small() -> Snapshot {
    let own = |container: &str| {
        vec![
            Label::own("namespace", "shop"),
            Label::own("pod", "cart-1"),
            Label::own("container", container),
            Label::own("node", "n1"),
        ]
    };
    let extra = |name, value: &str| Some(Arc::new(LabelSet::new(vec![Label::own(name, value)])));
    let mut labels = own("app");
    labels.push(foreign(Origin::PodLabel, "app.kubernetes.io/name", "cart"));
    labels.push(foreign(Origin::PodLabel, "team", ""));
    labels.push(foreign(Origin::PodAnnotation, "note", "a \"quoted\" \\ word\nand a line"));

    let mut snapshot = Snapshot::default();
    let app = snapshot.add_entity(entity(
        Scope::Container,
        labels,
        Some(Duration::from_millis(1_700_000_000_500)),
    ));
    let proxy = snapshot.add_entity(entity(Scope::Container, own("proxy"), None));
    let node = snapshot.add_entity(entity(
        Scope::Node,
        vec![Label::own("node", "n1")],
        Some(Duration::from_secs(1_600_000_000)),
    ));
    let agent =
        snapshot.add_entity(entity(Scope::Agent, vec![], Some(Duration::from_secs(1_700_000_100))));
    snapshot.add(Id::container(Kernel::CpuUsage), app, None, 12.034_567);
    snapshot.add(Id::container(Kernel::CpuUsage), proxy, None, 3.0);
    snapshot.add(Id::container(Kernel::MemoryRss), app, None, 1_500_000_000.0);
    snapshot.add(Id::container(Kernel::MemoryFailcnt), app, None, 0.0);
    snapshot.add(Id::container(Kernel::OomEvents), app, None, 2.0);
    snapshot.add(Id::container(Kernel::FsReads), app, extra("device", "sda"), 7.0);
    snapshot.add(Series::MemoryLimitRatio.into(), app, extra("basis", "working_set"), 0.625);
    snapshot.add(Series::NodeOomKills.into(), node, None, 4.0);
    snapshot.add(Series::BuildInfo.into(), agent, extra("version", "0.1.0"), 1.0);
    let mut durations = Histogram::new(histogram::SECONDS);
    for value in [0.0002, 0.004, 0.004, 9.0] {
        durations.observe(value);
    }
    snapshot.add_histogram(Series::TickDuration.into(), agent, None, Arc::new(durations));
    let backend = snapshot.add_entity(entity(
        Scope::Backend,
        vec![Label::own("pod", "cart-1"), Label::own("proxy_node", "n1")],
        Some(Duration::from_secs(1_700_000_200)),
    ));
    let answers = Arc::new(LabelSet::new(vec![
        Label::own("http_request_method", "GET"),
        Label::own("http_response_status_code", "200"),
        Label::own("http_route", "/api"),
    ]));
    let durations = Arc::new(requests());
    snapshot.add_histogram(Series::BackendDuration.into(), backend, Some(answers), durations);
    snapshot
}

/// What a pod answered: 0, twice 3 ms, 3.3 ms, 2 s and 5 s, the last of them traced.
fn requests() -> Histogram {
    let mut counts = vec![0; histogram::REQUEST_SECONDS.len() + 1];
    for (bucket, count) in [(0, 4), (10, 1), (11, 1)] {
        counts[bucket] = count;
    }
    let mut exponential = vec![0; 87];
    for (bucket, count) in [(0, 2), (2, 1), (75, 1), (86, 1)] {
        exponential[bucket] = count;
    }
    Histogram::counted(histogram::REQUEST_SECONDS, counts, 7.0093)
        .with_exponential(Exponential {
            scale: 3,
            zero_count: 1,
            offset: -68,
            counts: exponential.into(),
        })
        .with_exemplar(Some(Exemplar {
            trace: [
                0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e,
                0x47, 0x36,
            ],
            value: 5.0,
            time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_300_250),
        }))
}

#[test]
fn small_snapshot_in_every_format() {
    let snapshot = small();
    for (name, accept) in
        [("text.txt", ""), ("text-utf8.txt", TEXT_UTF8), ("openmetrics.txt", OPEN)]
    {
        let text = String::from_utf8(rendered(&snapshot, accept)).unwrap();
        golden::check(&format!("src/export/prometheus/tests/golden/{name}"), &text);
    }
    let families = model::families(&rendered(&snapshot, PROTOBUF));
    golden::check("src/export/prometheus/tests/golden/protobuf.txt", &format!("{families:#?}\n"));
}

/// Samples as the text has them, from protobuf.
fn samples(family: &model::MetricFamily) -> Vec<Sample> {
    let name = family.name.clone().unwrap();
    let mut samples = Vec::new();
    for metric in &family.metric {
        assert_eq!(metric.timestamp_ms, None);
        let labels: Labels = metric
            .label
            .iter()
            .map(|pair| (pair.name.clone().unwrap(), pair.value.clone().unwrap()))
            .collect();
        assert_eq!(labels.len(), metric.label.len(), "a label stands twice");
        let mut sample = |suffix: &str, labels: &Labels, value: f64| {
            samples.push(Sample { name: format!("{name}{suffix}"), labels: labels.clone(), value });
        };
        if let Some(histogram) = &metric.histogram {
            for bucket in &histogram.bucket {
                let bound = bucket.upper_bound.unwrap();
                let mut labels = labels.clone();
                labels.insert(
                    "le".to_owned(),
                    if bound.is_infinite() { "+Inf".to_owned() } else { format!("{bound:?}") },
                );
                sample("_bucket", &labels, bucket.cumulative_count.unwrap() as f64);
            }
            sample("_sum", &labels, histogram.sample_sum.unwrap());
            sample("_count", &labels, histogram.sample_count.unwrap() as f64);
        } else {
            let value =
                metric.counter.map_or_else(|| metric.gauge.unwrap().value, |counter| counter.value);
            sample("", &labels, value.unwrap());
        }
    }
    samples
}

fn all(families: &[Family]) -> Vec<&Sample> {
    families.iter().flat_map(|family| &family.samples).collect()
}

#[test]
fn every_format_says_the_same() {
    for (accept, protobuf) in [("", PROTOBUF), (TEXT_UTF8, PROTOBUF_UTF8)] {
        let text = parse::families(&rendered(&small(), accept), false);
        let open = parse::families(
            &rendered(&small(), if accept.is_empty() { OPEN } else { OPEN_UTF8 }),
            true,
        );
        assert_eq!(all(&text), all(&open));
        let decoded = model::families(&rendered(&small(), protobuf));
        let from_protobuf: Vec<Sample> = decoded.iter().flat_map(samples).collect();
        assert_eq!(all(&text), from_protobuf.iter().collect::<Vec<_>>());
        for (text, decoded) in text.iter().zip(&decoded) {
            assert_eq!(Some(&text.help), decoded.help.as_ref());
            assert_eq!(text.kind, format!("{:?}", decoded.r#type()).to_lowercase());
        }
        for (open, decoded) in open.iter().zip(&decoded) {
            assert_eq!(open.unit, decoded.unit.clone().unwrap_or_default(), "{}", open.name);
        }
    }
}

#[test]
fn counters_carry_their_start_except_those_that_outlive_a_container() {
    let families = model::families(&rendered(&small(), PROTOBUF));
    let starts: BTreeMap<&str, Vec<Option<model::Timestamp>>> = families
        .iter()
        .map(|family| {
            (
                family.name.as_deref().unwrap(),
                family
                    .metric
                    .iter()
                    .filter_map(|metric| Some(metric.counter?.created_timestamp))
                    .collect(),
            )
        })
        .collect();
    let start = model::Timestamp { seconds: 1_700_000_000, nanos: 500_000_000 };
    assert_eq!(starts["container_cpu_usage_seconds_total"], [Some(start), None]);
    assert_eq!(starts["container_oom_events_total"], [None]);
    assert_eq!(
        starts["node_vmstat_oom_kill"],
        [Some(model::Timestamp { seconds: 1_600_000_000, nanos: 0 })]
    );
    let ticks = families
        .iter()
        .find(|family| family.name.as_deref() == Some("podmeter_tick_duration_seconds"));
    let histogram = ticks.unwrap().metric[0].histogram.as_ref().unwrap();
    assert_eq!(
        histogram.created_timestamp,
        Some(model::Timestamp { seconds: 1_700_000_100, nanos: 0 })
    );
}

#[test]
fn open_metrics_has_no_counter_without_total() {
    let families = parse::families(&rendered(&small(), OPEN), true);
    let kind = |name: &str| {
        families
            .iter()
            .find(|family| family.name == name)
            .map(|family| (&*family.kind, &*family.unit))
    };
    assert_eq!(kind("container_cpu_usage_seconds"), Some(("counter", "seconds")));
    assert_eq!(kind("container_memory_failcnt"), Some(("unknown", "")));
    assert_eq!(kind("node_vmstat_oom_kill"), Some(("unknown", "")));
    assert_eq!(
        kind("container_memory_rss"),
        Some(("gauge", "")),
        "the name does not end with the unit"
    );
}

/// Every row of the table with a point, and twice where it has labels of its own.
fn full() -> Snapshot {
    let mut snapshot = Snapshot::default();
    let entities = [
        snapshot.add_entity(entity(
            Scope::Container,
            vec![Label::own("node", "n1"), Label::own("container", "app")],
            None,
        )),
        snapshot.add_entity(entity(
            Scope::Pod,
            vec![Label::own("node", "n1"), Label::own("pod", "p")],
            None,
        )),
        snapshot.add_entity(entity(Scope::Node, vec![Label::own("node", "n1")], None)),
        snapshot.add_entity(entity(Scope::Agent, vec![Label::own("node", "n1")], None)),
        snapshot.add_entity(entity(Scope::Backend, vec![Label::own("proxy_node", "n1")], None)),
        snapshot.add_entity(entity(Scope::Route, vec![Label::own("route", "r")], None)),
    ];
    for id in Id::all() {
        let metric = id.metric();
        let entity = entities[metric.scope as usize];
        let extra = |value: &str| {
            (!metric.labels.is_empty()).then(|| {
                Arc::new(LabelSet::new(
                    metric.labels.iter().map(|name| Label::own(name, value)).collect(),
                ))
            })
        };
        if metric.kind == Kind::Histogram {
            let durations = Arc::new(Histogram::new(histogram::SECONDS));
            snapshot.add_histogram(id, entity, extra("one"), durations.clone());
            if !metric.labels.is_empty() {
                snapshot.add_histogram(id, entity, extra("two"), durations);
            }
            continue;
        }
        snapshot.add(id, entity, extra("one"), 1.0);
        if !metric.labels.is_empty() {
            snapshot.add(id, entity, extra("two"), 2.0);
        }
    }
    snapshot
}

#[test]
fn every_family_of_the_table_is_legal_and_no_series_stands_twice() {
    let snapshot = full();
    for (accept, open) in [("", false), (TEXT_UTF8, false), (OPEN, true), (OPEN_UTF8, true)] {
        let families = parse::families(&rendered(&snapshot, accept), open);
        assert_eq!(families.len(), Id::all().count());
        let mut seen = BTreeSet::new();
        for sample in all(&families) {
            assert!(seen.insert((&sample.name, &sample.labels)), "{sample:?} stands twice");
        }
        // A family's name and the names of another's samples must not meet either.
        let names: BTreeSet<_> = families.iter().map(|family| &family.name).collect();
        for family in &families {
            assert!(
                family
                    .samples
                    .iter()
                    .all(|sample| sample.name == family.name || !names.contains(&sample.name)),
                "{}",
                family.name
            );
        }
    }
    assert_eq!(model::families(&rendered(&snapshot, PROTOBUF)).len(), Id::all().count());
}

#[test]
fn family_without_samples_is_left_out_whole() {
    let empty = Snapshot::default();
    assert_eq!(rendered(&empty, ""), b"");
    assert_eq!(rendered(&empty, OPEN), b"# EOF\n");
    assert_eq!(rendered(&empty, PROTOBUF), b"");
}

#[test]
fn point_of_no_entity_is_skipped() {
    let mut snapshot = Snapshot::default();
    snapshot.add(Series::NodeLoad1.into(), 7, None, 1.0);
    assert!(parse::families(&rendered(&snapshot, ""), false)[0].samples.is_empty());
    assert_eq!(rendered(&snapshot, PROTOBUF), b"");
}

#[test]
fn flushing_sink_gives_the_same_bytes() {
    let mut sink = Flushing::new(Vec::new());
    let mut snapshot = full();
    (0..2_000).for_each(|_| snapshot.add(Series::NodeLoad1.into(), 0, None, 0.1));
    render(&snapshot, Format::TEXT, &mut sink).unwrap();
    assert!(sink.finish().unwrap() == rendered(&snapshot, ""));
}

fn labels_of(bytes: &[u8], accept: &str) -> Labels {
    if accept.starts_with("application/vnd") {
        return samples(&model::families(bytes)[0]).remove(0).labels;
    }
    parse::families(bytes, accept.starts_with("application/open"))
        .remove(0)
        .samples
        .remove(0)
        .labels
}

proptest! {
    #[test]
    fn labels_of_any_content_read_back_from_every_format(pairs in prop::collection::btree_map(any::<String>(), any::<String>(), 0..6)) {
        let labels: Vec<Label> = pairs
            .iter()
            .enumerate()
            .map(|(at, (key, value))| Label { origin: Origin::PodLabel, key: (&**key).into(), name: format!("label_{at}").into(), value: (&**value).into() })
            .collect();
        let expected = |name: &dyn Fn(&Label) -> String| -> Labels {
            labels.iter().filter(|label| !label.value.is_empty()).map(|label| (name(label), label.value.to_string())).collect()
        };
        let classic = expected(&|label| label.name.to_string());
        let raw = expected(&|label| format!("label_{}", label.key));
        let mut snapshot = Snapshot::default();
        let it = snapshot.add_entity(entity(Scope::Node, labels.clone(), None));
        snapshot.add(Series::NodeLoad1.into(), it, None, 0.5);
        for accept in ["", OPEN, PROTOBUF] {
            prop_assert_eq!(&labels_of(&rendered(&snapshot, accept), accept), &classic);
        }
        for accept in [TEXT_UTF8, OPEN_UTF8, PROTOBUF_UTF8] {
            prop_assert_eq!(&labels_of(&rendered(&snapshot, accept), accept), &raw);
        }
    }

    #[test]
    fn illegal_classic_name_is_mended(name in any::<String>()) {
        prop_assume!(!name.is_empty());
        let mut snapshot = Snapshot::default();
        let it = snapshot.add_entity(entity(Scope::Node, vec![Label::own(&name, "x")], None));
        snapshot.add(Series::NodeLoad1.into(), it, None, 0.5);
        prop_assert_eq!(labels_of(&rendered(&snapshot, ""), "").len(), 1);
    }
}
