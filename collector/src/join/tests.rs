//! The join on hand-made rows and pods: whose numbers go where, and which rules keep them honest.
#![expect(clippy::float_cmp, reason = "values are handed on, not computed, or exact in binary")]

mod states;
mod values;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use globset::{Glob, GlobSetBuilder};

use super::*;
use crate::cgroup::{ContainerId, Counters, CpuQuota, Limit, Scope};
use crate::labels::Origin;
use crate::pods::model::{
    Amounts, Container, Cut, Phase, Pod, Resources, Role, State, Status, Termination, Workload,
};
use crate::pods::startup::Startup;
use crate::schema::{Id, Kernel, Series};

const INTERVAL: Duration = Duration::from_secs(10);
const MIB: u64 = 1 << 20;

fn uid(n: u128) -> PodUid {
    PodUid::Uid(n)
}

fn pod(n: u128, name: &str, containers: Vec<Container>) -> Pod {
    let label = |key: &str, value: &str| Label {
        origin: Origin::PodLabel,
        key: key.into(),
        name: format!("label_{key}").into(),
        value: value.into(),
    };
    Pod {
        uid: uid(n),
        config_hash: None,
        namespace: "shop".into(),
        name: name.into(),
        workload: Workload { kind: "Deployment".into(), name: "cart".into() },
        owner: None,
        labels: vec![label("role", "api"), label("version", "canary")],
        cut: Cut::default(),
        host_network: false,
        ip: None,
        host_ip: None,
        priority_class: None,
        phase: Phase::default(),
        reason: None,
        qos: None,
        ready: None,
        ready_since: None,
        scheduled: None,
        created: None,
        started: None,
        deleted: None,
        containers,
        resources: None,
        overhead: Amounts::default(),
        startup: Startup::default(),
        revision: None,
        claims: Vec::new(),
    }
}

fn container(name: &str, role: Role, id: Option<&str>) -> Container {
    let status = id.map(|id| Status {
        id: Some(ContainerId::new(id)),
        state: State::Running(None),
        ..Status::default()
    });
    let limits = Amounts { cpu: Some(0.2), memory: Some(200.0 * MIB as f64), ..Amounts::default() };
    let requests =
        Amounts { cpu: Some(0.1), memory: Some(100.0 * MIB as f64), ..Amounts::default() };
    Container { name: name.into(), role, resources: Resources { requests, limits }, status }
}

/// A machine of cgroups and pods that changes from tick to tick.
struct World {
    joiner: Joiner,
    start: Instant,
    ticks: u32,
    rows: Vec<Cgroup>,
    index: Arc<Index>,
    synced: bool,
    host: host::Counters,
    known: Known,
}

impl World {
    fn new(pods: Vec<Pod>) -> Self {
        Self::with(pods, GlobSetBuilder::new().build().unwrap())
    }

    fn with(pods: Vec<Pod>, exclude: GlobSet) -> Self {
        let config = Config { node: "n1".into(), exclude, foreign: false, interval: INTERVAL };
        let mut world = Self {
            joiner: Joiner::new(config, Vec::new()),
            start: Instant::now(),
            ticks: 0,
            rows: Vec::new(),
            index: Arc::default(),
            synced: true,
            host: host::Counters::default(),
            known: Known::new(),
        };
        world.pods(pods);
        world
    }

    fn pods(&mut self, pods: Vec<Pod>) {
        let mut index = Index::default();
        for pod in pods {
            index.insert(Arc::new(pod));
        }
        self.index = Arc::new(index);
    }

    /// Adds a container's cgroup; keys and inodes grow as the kernel's do.
    fn cgroup(&mut self, pod: u128, id: &str) -> &mut Counters {
        let key = self.rows.iter().map(|row| row.key.0 + 1).max().unwrap_or(1);
        let scope = Scope::Container { pod: Some(uid(pod)), id: ContainerId::new(id) };
        let path = format!("/kubepods/pod{pod}/{id}").into();
        self.rows.push(Cgroup {
            key: CgroupKey(key),
            scope,
            path,
            inode: key,
            created: SystemTime::UNIX_EPOCH,
            seen_from_start: true,
            counters: Counters::default(),
        });
        &mut self.rows.last_mut().unwrap().counters
    }

    fn counters(&mut self, id: &str) -> &mut Counters {
        let row = self.rows.iter_mut().find(
            |row| matches!(&row.scope, Scope::Container { id: own, .. } if own.as_str() == id),
        );
        &mut row.unwrap().counters
    }

    fn remove(&mut self, gone: &str) {
        self.rows.retain(
            |row| !matches!(&row.scope, Scope::Container { id, .. } if id.as_str() == gone),
        );
    }

    fn tick(&mut self) -> Arc<Snapshot> {
        self.ticks += 1;
        self.joiner.join(&Input {
            now: self.start + INTERVAL * self.ticks,
            at: SystemTime::UNIX_EPOCH + INTERVAL * self.ticks,
            cgroups: &self.rows,
            index: &self.index,
            synced: self.synced,
            host: &self.host,
            interfaces: &|_| &[],
            devices: &HashMap::new(),
            known: &self.known,
            observed: &Observed::default(),
        })
    }
}

/// The values of a family by the given label of their entity.
fn values(snapshot: &Snapshot, id: impl Into<Id>, label: &str) -> Vec<(String, f64)> {
    let entity =
        |at: u32| snapshot.entities()[at as usize].labels.value(label).unwrap_or("").to_owned();
    snapshot.points(id.into()).iter().map(|point| (entity(point.entity), point.value)).collect()
}

fn usage(snapshot: &Snapshot) -> Vec<(String, f64)> {
    values(snapshot, Id::container(Kernel::MemoryUsage), "container")
}

fn agent_value(snapshot: &Snapshot, series: Series, extra: Option<(&str, &str)>) -> f64 {
    let matches = |point: &&crate::snapshot::Point| match (extra, &point.extra) {
        (None, _) => true,
        (Some((name, value)), Some(set)) => set.value(name) == Some(value),
        (Some(_), None) => false,
    };
    snapshot.points(series.into()).iter().find(matches).unwrap().value
}

#[test]
fn container_carries_its_pods_labels_in_the_documented_order() {
    let mut world =
        World::new(vec![pod(1, "cart-1", vec![container("app", Role::Regular, Some("a"))])]);
    world.cgroup(1, "sandbox");
    world.cgroup(1, "a").memory.usage = Some(7);
    let snapshot = world.tick();
    let point = &snapshot.points(Id::container(Kernel::MemoryUsage))[0];
    let names: Vec<_> = snapshot.entities()[point.entity as usize]
        .labels
        .labels()
        .iter()
        .map(|label| format!("{}={}", label.name, label.value))
        .collect();
    let expected = [
        "namespace=shop",
        "pod=cart-1",
        "container=app",
        "node=n1",
        "workload=cart",
        "workload_kind=Deployment",
        "label_role=api",
        "label_version=canary",
    ];
    assert_eq!(names, expected);
    assert_eq!(
        snapshot.points(Id::container(Kernel::MemoryUsage)).len(),
        1,
        "the sandbox has no series"
    );
    assert_eq!(agent_value(&snapshot, Series::Cgroups, Some(("state", "sandbox"))), 1.0);
}

#[test]
fn new_container_waits_two_ticks_then_goes_out_under_its_uid_and_is_relabelled() {
    let mut world = World::new(Vec::new());
    world.tick();
    world.cgroup(0xab, "aaaabbbbccccdddd").memory.usage = Some(7);
    assert!(usage(&world.tick()).is_empty());
    assert!(usage(&world.tick()).is_empty());
    let snapshot = world.tick();
    assert_eq!(
        values(&snapshot, Id::container(Kernel::MemoryUsage), "uid"),
        [("00000000-0000-0000-0000-0000000000ab".to_owned(), 7.0)]
    );
    assert_eq!(
        values(&snapshot, Id::container(Kernel::MemoryUsage), "container_id"),
        [("aaaabbbbcccc".to_owned(), 7.0)]
    );
    assert_eq!(agent_value(&snapshot, Series::HeldSamples, None), 2.0);
    assert_eq!(agent_value(&snapshot, Series::UnlabelledSamples, None), 1.0);

    world.pods(vec![pod(
        0xab,
        "late",
        vec![container("app", Role::Regular, Some("aaaabbbbccccdddd"))],
    )]);
    assert_eq!(
        usage(&world.tick()),
        [("app".to_owned(), 7.0)],
        "the old series ended in the same tick"
    );
}

#[test]
fn nothing_waits_before_a_first_list_was_had() {
    let mut world = World::new(Vec::new());
    world.synced = false;
    world.cgroup(1, "a").memory.usage = Some(7);
    assert_eq!(usage(&world.tick()).len(), 1);
}

#[test]
fn gone_pods_series_end_in_the_same_tick() {
    let mut world =
        World::new(vec![pod(1, "cart-1", vec![container("app", Role::Regular, Some("a"))])]);
    world.cgroup(1, "s");
    world.cgroup(1, "a").memory.usage = Some(7);
    assert_eq!(usage(&world.tick()).len(), 1);
    world.rows.clear();
    assert!(usage(&world.tick()).is_empty());
    world.pods(Vec::new());
    assert!(world.tick().points(Series::PodInfo.into()).is_empty());
}

#[test]
fn replaced_container_is_one_series_and_its_old_cgroup_none() {
    let replaced = |last: Option<&str>, id: &str| {
        let mut app = container("app", Role::Regular, Some(id));
        if let Some(status) = &mut app.status {
            status.last = last
                .map(|id| Termination { id: Some(ContainerId::new(id)), ..Termination::default() });
        }
        vec![pod(1, "cart-1", vec![app])]
    };
    let mut world = World::new(replaced(None, "a"));
    world.cgroup(1, "s");
    world.cgroup(1, "a").memory.usage = Some(7);
    world.tick();
    world.cgroup(1, "b").memory.usage = Some(3);
    world.pods(replaced(Some("a"), "b"));
    let snapshot = world.tick();
    assert_eq!(usage(&snapshot), [("app".to_owned(), 3.0)]);
    assert_eq!(agent_value(&snapshot, Series::Cgroups, Some(("state", "superseded"))), 1.0);
}

#[test]
fn container_without_a_status_is_named_by_elimination() {
    let mut world = World::new(vec![pod(
        1,
        "cart-1",
        vec![container("setup", Role::Init, None), container("app", Role::Regular, None)],
    )]);
    world.cgroup(1, "s");
    world.cgroup(1, "x").memory.usage = Some(7);
    assert_eq!(usage(&world.tick()), [("setup".to_owned(), 7.0)], "init containers come first");
}

#[test]
fn two_unnamed_containers_wait_and_then_carry_their_ids_and_the_pods_labels() {
    let mut world = World::new(vec![pod(
        1,
        "cart-1",
        vec![container("app", Role::Regular, None), container("log", Role::Regular, None)],
    )]);
    for id in ["s", "x", "y"] {
        world.cgroup(1, id).memory.usage = Some(7);
    }
    assert!(usage(&world.tick()).is_empty());
    world.tick();
    let snapshot = world.tick();
    assert_eq!(
        values(&snapshot, Id::container(Kernel::MemoryUsage), "container_id"),
        [("x".to_owned(), 7.0), ("y".to_owned(), 7.0)]
    );
    assert_eq!(values(&snapshot, Id::container(Kernel::MemoryUsage), "label_role")[0].0, "api");
}

#[test]
fn changed_label_ends_the_old_series_and_never_yields_both() {
    let mut world =
        World::new(vec![pod(1, "cart-1", vec![container("app", Role::Regular, Some("a"))])]);
    world.cgroup(1, "s");
    world.cgroup(1, "a").memory.usage = Some(7);
    world.tick();
    let mut changed = pod(1, "cart-1", vec![container("app", Role::Regular, Some("a"))]);
    changed.labels[1].value = "stable".into();
    world.pods(vec![changed]);
    assert_eq!(
        values(&world.tick(), Id::container(Kernel::MemoryUsage), "label_version"),
        [("stable".to_owned(), 7.0)]
    );
}

#[test]
fn unchanged_names_keep_their_rendered_labels_when_the_status_changes() {
    let mut world =
        World::new(vec![pod(1, "cart-1", vec![container("app", Role::Regular, Some("a"))])]);
    let labels = |snapshot: &Snapshot| {
        snapshot
            .entities()
            .iter()
            .find(|entity| entity.labels.value("container").is_some())
            .unwrap()
            .labels
            .clone()
    };
    let before = labels(&world.tick());
    let mut restarted = container("app", Role::Regular, Some("a"));
    restarted.status.as_mut().unwrap().restarts = 1;
    world.pods(vec![pod(1, "cart-1", vec![restarted])]);
    assert!(Arc::ptr_eq(&before, &labels(&world.tick())));
}

#[test]
fn static_pod_is_found_by_its_config_hash() {
    let mut mirror = pod(1, "etcd-n1", vec![container("etcd", Role::Regular, Some("a"))]);
    mirror.config_hash = Some(PodUid::ConfigHash(0xfe));
    let mut world = World::new(vec![mirror]);
    world.cgroup(1, "a").memory.usage = Some(7);
    world.rows[0].scope =
        Scope::Container { pod: Some(PodUid::ConfigHash(0xfe)), id: ContainerId::new("other") };
    world.cgroup(1, "b").memory.usage = Some(9);
    world.rows[1].scope = Scope::Pod(PodUid::ConfigHash(0xfe));
    let snapshot = world.tick();
    assert_eq!(
        values(&snapshot, Id::pod(Kernel::MemoryUsage), "pod"),
        [("etcd-n1".to_owned(), 9.0)]
    );
}

#[test]
fn pod_that_took_an_old_pods_name_has_the_name_alone() {
    let mut old = pod(1, "db-0", vec![container("db", Role::Regular, Some("a"))]);
    old.created = Some(SystemTime::UNIX_EPOCH);
    let mut new = pod(2, "db-0", vec![container("db", Role::Regular, Some("b"))]);
    new.created = Some(SystemTime::UNIX_EPOCH + INTERVAL);
    let mut world = World::new(vec![old, new]);
    world.cgroup(1, "a").memory.usage = Some(7);
    world.cgroup(2, "b").memory.usage = Some(3);
    assert_eq!(usage(&world.tick()), [("db".to_owned(), 3.0)]);
}

#[test]
fn no_two_series_of_a_snapshot_are_the_same() {
    let mut pods: Vec<_> = (1..20)
        .map(|n| {
            pod(
                n,
                &format!("cart-{n}"),
                vec![container("app", Role::Regular, Some(&format!("a{n}")))],
            )
        })
        .collect();
    pods[3].containers.push(container("log", Role::Sidecar, Some("z")));
    let mut world = World::new(pods);
    for n in 1..25 {
        world.cgroup(n, &format!("s{n}"));
        world.cgroup(n, &format!("a{n}")).memory.usage = Some(7);
    }
    let snapshot = (0..4).map(|_| world.tick()).last().unwrap();
    let mut seen = std::collections::HashSet::new();
    for id in Id::all() {
        for point in snapshot.points(id) {
            let labels = &snapshot.entities()[point.entity as usize].labels;
            let own = |set: &LabelSet| {
                set.labels()
                    .iter()
                    .map(|label| (label.name.clone(), label.value.clone()))
                    .collect::<Vec<_>>()
            };
            assert!(
                seen.insert((id, own(labels), point.extra.as_deref().map(own))),
                "{} {labels:?}",
                id.metric().name
            );
        }
    }
    assert!(seen.len() > 400);
}

#[test]
fn namespaces_label_that_was_taken_off_ends_with_its_series() {
    let mut world =
        World::new(vec![pod(1, "cart-1", vec![container("app", Role::Regular, Some("a"))])]);
    world.cgroup(1, "s");
    world.cgroup(1, "a").memory.usage = Some(7);
    let label = |key: &str| Label {
        origin: Origin::NamespaceLabel,
        key: key.into(),
        name: format!("namespace_label_{key}").into(),
        value: "x".into(),
    };
    let of = |world: &mut World, labels: &[Label]| {
        let mut index = (*world.index).clone();
        index.set_namespace("shop".into(), (!labels.is_empty()).then(|| labels.into()));
        world.index = Arc::new(index);
        let snapshot = world.tick();
        let entity = |series: Id| {
            snapshot.entities()[snapshot.points(series)[0].entity as usize].labels.clone()
        };
        let names = |set: Arc<LabelSet>| {
            let ours = set.labels().iter().filter(|label| label.origin == Origin::NamespaceLabel);
            ours.map(|label| label.key.to_string()).collect::<Vec<_>>()
        };
        let found = names(entity(Id::container(Kernel::MemoryUsage)));
        assert_eq!(found, names(entity(Series::PodInfo.into())));
        found
    };
    assert_eq!(of(&mut world, &[label("team"), label("zone")]), ["team", "zone"]);
    assert_eq!(of(&mut world, &[label("zone")]), ["zone"]);
    assert!(of(&mut world, &[]).is_empty());
}

#[test]
fn of_two_pods_of_one_name_and_no_age_the_one_that_runs_has_it() {
    for (old, new) in (1..9).flat_map(|n| [(n, n + 1), (n + 1, n)]) {
        let mut world = World::new(vec![
            pod(old, "db-0", vec![container("db", Role::Regular, None)]),
            pod(new, "db-0", vec![container("db", Role::Regular, Some("b"))]),
        ]);
        world.cgroup(new, "b").memory.usage = Some(3);
        assert_eq!(usage(&world.tick()), [("db".to_owned(), 3.0)], "{old} {new}");
    }
}
