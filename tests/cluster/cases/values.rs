//! Numbers against two witnesses: the kernel's files, and the kubelet's own `/metrics/cadvisor`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use crate::cluster::cases::identity::api;
use crate::cluster::kernel::Container;
use crate::cluster::page::Page;
use crate::cluster::suite::{SOON, START, Suite};
use crate::cluster::wait;

const VALUES: &str = include_str!("../manifests/values.yaml");
const KUBELET: &str = "/api/v1/nodes/node1/proxy/metrics/cadvisor";
/// Counters that both have by one name and meaning.
const COUNTERS: [&str; 8] = [
    "container_cpu_usage_seconds_total",
    "container_cpu_user_seconds_total",
    "container_cpu_system_seconds_total",
    "container_cpu_cfs_periods_total",
    "container_cpu_cfs_throttled_periods_total",
    "container_cpu_cfs_throttled_seconds_total",
    "container_memory_failcnt",
    "container_memory_failures_total",
];
/// What stays as it is while a container runs.
const CONSTANTS: [&str; 4] = [
    "container_spec_cpu_quota",
    "container_spec_cpu_period",
    "container_spec_cpu_shares",
    "container_spec_memory_limit_bytes",
];
/// The kernel charges memory in batches for each CPU: two readings may differ by so much with nothing done.
const BATCHES: f64 = 512.0 * 1024.0;
/// The kubelet's samples are up to 15 s old, and it takes as long to find a new container.
const KUBELET_PATIENCE: Duration = Duration::from_secs(60);

/// The pods with known numbers, ready.
fn prepare(suite: &Suite) -> Container {
    suite.apply(VALUES);
    let holder = suite.running("holder", "app");
    // A limit far above what the disk can do: without any, this kernel does not count at all.
    let limit = format!("{} {}", disk(&suite.tool().dir), 1_u64 << 40);
    let file = holder.folder("blkio").join("blkio.throttle.write_bps_device");
    fs::write(&file, limit).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    holder.touch("/tmp/go");
    wait::until("the holder holds", START, || holder.has("/tmp/ready").then_some(()));
    holder
}

/// The number of the disk that a folder is on, such as `254:0`.
fn disk(folder: &Path) -> String {
    let device = fs::metadata(folder).expect("the folder is there").dev();
    let number = format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
    let partition = Path::new("/sys/dev/block").join(&number);
    if !partition.join("partition").exists() {
        return number;
    }
    let whole = fs::canonicalize(partition).expect("it is there").join("../dev");
    fs::read_to_string(whole).expect("a disk has partitions").trim().to_owned()
}

/// The kubelet's series of these containers, once all are newer than `since`.
///
/// It does not name them on this cluster, whose runtime has its socket elsewhere than the kubelet's own
/// cAdvisor looks for it; the cgroup's path tells them.
fn kubelet(suite: &Suite, containers: &[&Container], since: f64) -> Vec<Page> {
    wait::until("newer samples of the kubelet", KUBELET_PATIENCE, || {
        let page = suite.tool().kubectl(&["get", "--raw", KUBELET]);
        let page = Page::read(&page).expect("a page");
        let of = |container: &&Container| {
            let end = format!("/pod{}/{}", container.pod, container.id);
            let page = page.only(|series| series.label("id").ends_with(&end));
            let is_new =
                page.series.iter().all(|series| series.time.is_none_or(|time| time > since));
            let is_there = page.one("container_memory_usage_bytes", &[]).is_some();
            (is_new && is_there).then_some(page)
        };
        containers.iter().map(of).collect()
    })
}

pub(crate) fn counters_lie_between_two_samples_of_the_kubelets(suite: &Suite) {
    let _steady = suite.steady();
    let holder = prepare(suite);
    let busy = api(suite);
    let containers = [(&*busy, suite.running(&busy, "app")), ("holder", holder)];

    let before = suite.recorder.fresh();
    let witness = kubelet(suite, &[&containers[0].1, &containers[1].1], before.unix);
    let after = suite.recorder.fresh();
    let mut seen: BTreeMap<&str, f64> = BTreeMap::new();
    for ((pod, _), theirs) in containers.iter().zip(&witness) {
        for series in COUNTERS.iter().flat_map(|name| theirs.all(name, &[])) {
            if series.label("scope") == "container" {
                continue; // Without the cgroups below; we count those in.
            }
            let failure = series.label("failure_type");
            let labels = [("pod", *pod), ("container", "app"), ("failure_type", failure)];
            let [low, high] = [&before, &after].map(|page| {
                let ours = page.value(&series.name, &labels);
                ours.unwrap_or_else(|| panic!("{}{labels:?} is the kubelet's only", series.name))
            });
            let (name, value) = (&series.name, series.value);
            assert!(low <= value && value <= high, "{name}{labels:?}: {low} .. {value} .. {high}");
            let name = COUNTERS.iter().find(|own| *own == name).expect("it is one of them");
            let most = seen.entry(name).or_default();
            *most = most.max(value);
        }
        for name in CONSTANTS {
            let [ours, theirs] =
                [after.value(name, &[("pod", pod), ("container", "app")]), theirs.value(name, &[])];
            assert_eq!(ours, theirs, "{name} of {pod}");
        }
    }
    for name in COUNTERS {
        let most = seen.get(name).copied();
        assert!(most > Some(0.0) || name.ends_with("failcnt"), "{name} was compared at {most:?}");
    }
    for name in ["machine_cpu_cores", "machine_memory_bytes"] {
        let page = Page::read(&suite.tool().kubectl(&["get", "--raw", KUBELET])).expect("a page");
        assert_eq!(after.value(name, &[]), page.value(name, &[]), "{name}");
    }
}

pub(crate) fn block_io_is_what_the_kernel_counted(suite: &Suite) {
    let _steady = suite.steady();
    let holder = prepare(suite);
    let disk = disk(&suite.tool().dir);
    let kernel = || {
        ["io_service_bytes", "io_serviced"].map(|file| {
            let text = holder.text("blkio", &format!("blkio.throttle.{file}_recursive"));
            let line = text.lines().find_map(|line| line.strip_prefix(&format!("{disk} Write ")));
            line.expect("the disk was written to").parse::<f64>().expect("a number")
        })
    };
    let before = kernel();
    let page = suite.recorder.fresh();
    assert_eq!(before, kernel(), "it does nothing any more");
    let of_app = [("pod", "holder"), ("container", "app")];
    let ours = ["container_fs_writes_bytes_total", "container_fs_writes_total"]
        .map(|name| page.one(name, &of_app).unwrap_or_else(|| panic!("no {name}")));
    assert_eq!(ours.map(|series| series.value), before);
    assert!(before[0] >= 8.0 * 1024.0 * 1024.0, "{before:?}");
    let name = fs::canonicalize(Path::new("/sys/dev/block").join(&disk)).expect("it is there");
    let name = name.file_name().and_then(|name| name.to_str()).expect("a name");
    assert!(ours[0].label("device").ends_with(name), "{:?} is not {name}", ours[0]);
}

pub(crate) fn memory_is_what_the_kernel_and_the_kubelet_say(suite: &Suite) {
    let _steady = suite.steady();
    let holder = prepare(suite);
    let kernel = || {
        let stat = |key| holder.stat("memory", "memory.stat", key);
        let usage = holder.number("memory", "memory.usage_in_bytes");
        [
            ("container_memory_usage_bytes", usage),
            ("container_memory_working_set_bytes", (usage - stat("total_inactive_file")).max(0.0)),
            ("container_memory_rss", stat("total_rss")),
            ("container_memory_cache", stat("total_cache")),
            ("container_memory_mapped_file", stat("total_mapped_file")),
            ("container_memory_swap", stat("total_swap")),
            (
                "container_memory_max_usage_bytes",
                holder.number("memory", "memory.max_usage_in_bytes"),
            ),
        ]
    };
    let before = kernel();
    let page = suite.recorder.fresh();
    let after = kernel();
    let of_holder = [("pod", "holder"), ("container", "app")];
    for ((name, low), (_, high)) in before.iter().zip(after) {
        let ours = page.value(name, &of_holder).unwrap_or_else(|| panic!("no {name}"));
        let (low, high) = (low.min(high), low.max(high));
        assert!(low <= ours && ours <= high, "{name}: the kernel says {low} to {high}, we {ours}");
    }
    let ours = |name| page.value(name, &of_holder).expect("it is there");
    assert!(ours("container_memory_cache") >= 20.0 * 1024.0 * 1024.0, "tmpfs and page cache");
    assert!(ours("container_memory_rss") >= 6_000_000.0, "the shell's variable");
    let inactive =
        ours("container_memory_usage_bytes") - ours("container_memory_working_set_bytes");
    assert!(
        inactive >= 4.0 * 1024.0 * 1024.0,
        "what was written to disk can be given back: {inactive}"
    );
    let limit = 64.0 * 1024.0 * 1024.0;
    let ratio = page.value(
        "podmeter_memory_limit_ratio",
        &[("pod", "holder"), ("container", "app"), ("basis", "working_set")],
    );
    assert_eq!(ratio, Some(ours("container_memory_working_set_bytes") / limit));

    let names = after.map(|(name, _)| name);
    between_two_pages_of_ours(suite, &holder, &of_holder, &names);
}

/// The kubelet's sample comes some seconds after a page of ours, and the kernel may take page cache back at any
/// time: what it says lies between that page and a later one.
fn between_two_pages_of_ours(
    suite: &Suite,
    container: &Container,
    labels: &[(&str, &str)],
    names: &[&str],
) {
    let before = suite.recorder.fresh();
    let witness = kubelet(suite, &[container], before.unix).remove(0);
    let after = suite.recorder.fresh();
    for name in names {
        let of =
            |page: &Page, labels| page.value(name, labels).unwrap_or_else(|| panic!("no {name}"));
        let (before, theirs, after) = (of(&before, labels), of(&witness, &[]), of(&after, labels));
        let (low, high) = (before.min(after) - BATCHES, before.max(after) + BATCHES);
        assert!(
            low <= theirs && theirs <= high,
            "{name}: the kubelet says {theirs}, we {before} and then {after}"
        );
    }
    let started = "container_start_time_seconds";
    let [ours, theirs] =
        [before.value(started, labels), witness.value(started, &[])].map(|at| at.expect("it runs"));
    assert!((ours - theirs).abs() <= 5.0, "{started}: the kubelet says {theirs}, we {ours}");
}

pub(crate) fn container_over_its_cpu_limit_shows_the_kernels_throttling(suite: &Suite) {
    let _steady = suite.steady();
    let pod = api(suite);
    let container = suite.running(&pod, "app");
    wait::until("it is throttled", SOON, || {
        (container.stat("cpu", "cpu.stat", "nr_throttled") >= 20.0).then_some(())
    });
    let kernel = || {
        let stat = |key| container.stat("cpu", "cpu.stat", key);
        [
            (
                "container_cpu_usage_seconds_total",
                container.number("cpuacct", "cpuacct.usage") / 1e9,
            ),
            ("container_cpu_cfs_periods_total", stat("nr_periods")),
            ("container_cpu_cfs_throttled_periods_total", stat("nr_throttled")),
            ("container_cpu_cfs_throttled_seconds_total", stat("throttled_time") / 1e9),
        ]
    };
    let of_app = [("pod", &*pod), ("container", "app")];
    let before = kernel();
    let page = suite.recorder.fresh();
    let after = kernel();
    for ((name, low), (_, high)) in before.iter().zip(after) {
        let ours = page.value(name, &of_app).unwrap_or_else(|| panic!("no {name}"));
        assert!(*low <= ours && ours <= high, "{name}: the kernel says {low} to {high}, we {ours}");
    }
    // A loop without a pause takes all it may have.
    suite.recorder.until("CPU at its limit", SOON, |page| {
        let ratio = page.value("podmeter_cpu_limit_ratio", &of_app)?;
        (0.8..1.2).contains(&ratio).then_some(())
    });
}
