//! Containers that come, go and take each other's place while someone looks.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use collector::api::health::Health;
use collector::cgroup::{self, CgroupKey, Scope};
use collector::faults::{Kind, ReadErrors};
use collector::pods::index::Index;
use collector::sampler::{self, Metadata, Sampler};
use collector::{join, schema};

use crate::cgroups::{Container, Tree};
use crate::podmeter::until;
use crate::truth::{CPU, agree};
use crate::worker::Worker;
use crate::{Case, Shown, once, run};

pub(crate) const CASES: &[Case] = &[
    ("discovery::containers_come_with_the_next_tick_and_go_with_the_same", ticks),
    ("discovery::running_agent_shows_new_containers_and_drops_gone_ones", scrapes),
    ("discovery::container_made_again_at_its_path_starts_anew", again),
    ("discovery::rates_are_never_negative_when_a_container_is_made_again", rates),
    ("discovery::churn_never_costs_the_nodes_series_nor_leaks_files", churn),
    ("discovery::systemd_style_names_are_understood", systemd),
];

const USAGE: &str = "container_cpu_usage_seconds_total";

fn reading(tree: &Tree) -> cgroup::Config {
    cgroup::Config {
        root: "/sys/fs/cgroup".into(),
        mountinfo: "/proc/self/mountinfo".into(),
        subtree: tree.subtree(),
    }
}

fn key(reader: &cgroup::Reader, container: &Container) -> Option<CgroupKey> {
    let is_it = |row: &&cgroup::Cgroup| matches!(&row.scope, Scope::Container { id, .. } if id.as_str() == container.id);
    let rows: Vec<_> = reader.cgroups().iter().filter(is_it).collect();
    assert!(rows.len() <= 1, "{rows:?}");
    rows.first().map(|row| row.key)
}

/// With the reader itself, whose ticks are the test's own.
fn ticks() -> Shown {
    let tree = Tree::make();
    let mut reader = cgroup::Reader::open(reading(&tree)).map_err(|error| error.to_string())?;
    let mut errors = ReadErrors::default();
    let (first, second) = (tree.container(), tree.container());
    reader.tick(&mut errors);
    assert!(key(&reader, &first).is_some() && key(&reader, &second).is_some());

    // A sibling in a known pod, and a pod that is new.
    let (sibling, third) = (tree.container_of(&first.uid), tree.container());
    reader.tick(&mut errors);
    assert!(key(&reader, &sibling).is_some() && key(&reader, &third).is_some());
    let kept = key(&reader, &first).unwrap();

    sibling.group.remove();
    reader.tick(&mut errors);
    assert_eq!(key(&reader, &sibling), None);
    assert_eq!(key(&reader, &first), Some(kept));

    // The same path between two ticks: the count of directories is as before, the container is another.
    first.group.remove();
    first.group.make();
    reader.tick(&mut errors);
    assert!(key(&reader, &first).is_some_and(|key| key != kept));

    // One gone and another new in the same pod between two ticks.
    first.group.remove();
    let other = tree.container_of(&first.uid);
    reader.tick(&mut errors);
    assert!(key(&reader, &first).is_none() && key(&reader, &other).is_some());
    only_vanished(&errors);
    Ok(())
}

fn only_vanished(errors: &ReadErrors) {
    let others: Vec<_> =
        errors.counts().filter(|(_, kind, count)| *kind != Kind::Vanished && *count > 0).collect();
    assert!(others.is_empty(), "{others:?}");
}

fn scrapes() -> Shown {
    let tree = Tree::make();
    let agent = run(&tree);
    let container = tree.container();
    let has = |page: &crate::Page| page.all(&container.labels()).next().is_some();
    assert!(has(&agent.fresh()));
    container.group.remove();
    assert!(!has(&agent.fresh()));
    Ok(())
}

fn again() -> Shown {
    let tree = Tree::make();
    let container = tree.container();
    let agent = run(&tree);
    let mut worker = Worker::start(&container.group);
    until("CPU time", || {
        worker.order("burn");
        (CPU[0].1(&container.group)? >= 0.2).then_some(())
    });
    let labels = container.labels();
    let start = |page: &crate::Page| page.value("container_start_time_seconds", &labels).unwrap();
    let page = agent.fresh();
    let before = (page.value(USAGE, &labels).unwrap(), start(&page));
    assert!(before.0 >= 0.2);

    drop(worker);
    container.group.remove();
    container.group.make();
    let page = agree(&container, CPU, || agent.fresh());
    assert_eq!(page.value(USAGE, &labels), Some(0.0));
    assert!(start(&page) > before.1, "{} after {}", start(&page), before.1);
    Ok(())
}

fn rates() -> Shown {
    let tree = Tree::make();
    let container = tree.container();
    let config = sampler::Config {
        cgroup: reading(&tree),
        proc: "/proc".into(),
        join: join::Config {
            node: "kernel".into(),
            exclude: globset::GlobSet::empty(),
            foreign: false,
            interval: Duration::from_secs(1),
        },
    };
    // A list that never came, so that nothing waits for names.
    let (_, index) = tokio::sync::watch::channel(Arc::new(Index::default()));
    let metadata = Metadata::Watch(index, Arc::new(Health::default()));
    let mut sampler =
        Sampler::open(config, metadata, Vec::new()).map_err(|error| error.to_string())?;
    let mut rates = Vec::new();
    // Far enough from each other for a rate, without waiting.
    let mut now = Instant::now();
    for round in 0..3 {
        let mut worker = Worker::start(&container.group);
        // Less each time, so that the counter would fall if it were taken for the old one.
        until("CPU time", || {
            worker.order("burn");
            (CPU[0].1(&container.group)? >= 0.3 / f64::from(1 + round)).then_some(())
        });
        for _ in 0..3 {
            worker.order("burn");
            now += Duration::from_secs(10);
            let snapshot = sampler.tick(now, SystemTime::now());
            let rows = snapshot
                .entities()
                .iter()
                .filter(|entity| entity.scope == schema::Scope::Container);
            rates.extend(rows.filter_map(|entity| entity.cpu_cores));
        }
        drop(worker);
        container.group.remove();
        container.group.make();
    }
    assert!(rates.iter().all(|rate| *rate >= 0.0), "{rates:?}");
    assert!(!rates.is_empty());
    Ok(())
}

fn churn() -> Shown {
    const ROUNDS: usize = 200;
    let tree = Tree::make();
    let agent = run(&tree);
    let stays = tree.container();
    let files = |page: &crate::Page| page.value("process_open_fds", &[]).unwrap();
    let before = files(&agent.fresh());
    let mut pages = 0;
    for round in 0..ROUNDS {
        // In the pod that stays, and in pods that come and go.
        let is_own = round % 2 == 1;
        let container = if is_own { tree.container() } else { tree.container_of(&stays.uid) };
        if round % 10 == 0 {
            let page = agent.scrape();
            assert!(node(&page), "round {round}");
            assert!(page.value(USAGE, &stays.labels()).is_some(), "round {round}");
            pages += 1;
        }
        if is_own { container.pod.remove() } else { container.group.remove() }
    }
    assert_eq!(pages, ROUNDS / 10);
    let page = agent.fresh();
    assert!(node(&page));
    let containers = page.samples(USAGE, &[]).count();
    assert_eq!(containers, 1, "only the one that stays");
    // Sockets of scrapes may be open for a moment; one kept container has some 17 files.
    assert!(files(&page) < before + 10.0, "{} files, {before} before", files(&page));
    for sample in page.samples("podmeter_read_errors_total", &[("source", "cgroup")]) {
        assert!(sample.labels["kind"] == "vanished" || sample.value == 0.0, "{sample:?}");
    }
    Ok(())
}

fn node(page: &crate::Page) -> bool {
    ["node_cpu_usage_seconds_total", "node_memory_working_set_bytes"]
        .iter()
        .all(|name| page.value(name, &[]).is_some())
}

fn systemd() -> Shown {
    let tree = Tree::make();
    let (uid, id) = (crate::cgroups::uuid(), crate::cgroups::container_id());
    let slice = uid.replace('-', "_");
    let path = format!(
        "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{slice}.slice/cri-containerd-{id}.scope"
    );
    let group = tree.group(&path);
    let container = Container { pod: group.parent(), group, uid, id };
    let mut worker = Worker::start(&container.group);
    worker.order("burn");
    let page = agree(&container, CPU, || once(&tree));
    assert!(page.value("pod_cpu_usage_seconds_total", &[("uid", &container.uid)]) > Some(0.0));
    Ok(())
}
