//! What a container or a pod goes through: restarts, kills, new labels, the end.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::cluster::kernel::pod_folder;
use crate::cluster::page::Page;
use crate::cluster::suite::{SOON, START, Suite};
use crate::cluster::wait;

const RESTARTING: &str = include_str!("../manifests/restarting.yaml");
const WAITING: &str = include_str!("../manifests/waiting.yaml");
const OOM: &str = include_str!("../manifests/oom.yaml");
const PLAIN: &str = include_str!("../manifests/plain.yaml");
const USAGE: &str = "container_cpu_usage_seconds_total";
const RESTARTS: &str = "kube_pod_container_status_restarts_total";
const OOM_EVENTS: &str = "container_oom_events_total";

/// A pod that does nothing, by this name, with `stage: one`.
pub(crate) fn plain(name: &str) -> String {
    PLAIN.replace("NAME", name)
}

/// At most one series of a container's usage, whatever its labels.
fn never_two(frames: &[std::sync::Arc<Page>], pod: &str) {
    for page in frames {
        let all: Vec<_> = page.all(USAGE, &[("pod", pod)]).collect();
        assert!(all.len() <= 1, "two containers at once: {all:?}");
    }
}

pub(crate) fn restarted_container_is_one_series_at_any_moment(suite: &Suite) {
    let _steady = suite.steady();
    let film = suite.recorder.film("restarting");
    suite.apply(RESTARTING);
    let of_app = [("pod", "restarting"), ("container", "app")];
    let mut ids = BTreeSet::new();
    for restarts in 0..3 {
        let container = wait::until("a new container", START, || {
            suite.container("restarting", "app").filter(|container| !ids.contains(&container.id))
        });
        ids.insert(container.id.clone());
        suite.recorder.until("the restart to be counted", SOON, |page| {
            let is_counted = page.value(RESTARTS, &of_app) == Some(f64::from(restarts));
            (is_counted && page.one(USAGE, &of_app).is_some()).then_some(())
        });
        if restarts < 2 {
            container.touch("/tmp/go");
        }
    }
    let page = suite.recorder.fresh();
    assert_eq!(
        page.value("kube_pod_container_status_last_terminated_exitcode", &of_app),
        Some(3.0)
    );
    let reason =
        page.one("kube_pod_container_status_last_terminated_reason", &of_app).expect("it ended");
    assert_eq!(reason.label("reason"), "Error");

    let frames = film.frames();
    never_two(&frames, "restarting");
    // Each life has a start of its own, and they follow one another.
    let starts: Vec<f64> = frames
        .iter()
        .filter_map(|page| page.value("container_start_time_seconds", &of_app))
        .collect();
    assert!(starts.is_sorted(), "{starts:?}");
    let lives: BTreeSet<u64> = starts.iter().map(|start| start.to_bits()).collect();
    assert_eq!(lives.len(), 3, "{starts:?}");
    // Within a life the counter only grows; the recorder holds every counter against that as well.
    for pair in frames.windows(2) {
        let [(was, then), (is, now)] = [&pair[0], &pair[1]].map(|page| {
            (page.value(USAGE, &of_app), page.value("container_start_time_seconds", &of_app))
        });
        assert!(then != now || is >= was || is.is_none(), "{was:?} to {is:?} with start {now:?}");
    }
}

pub(crate) fn container_that_cannot_start_says_why_and_has_no_usage(suite: &Suite) {
    let _steady = suite.steady();
    suite.apply(WAITING);
    let of_app = [("pod", "waiting"), ("container", "app")];
    let page = suite.recorder.until("the reason", START, |page| {
        let reason = page.one("kube_pod_container_status_waiting_reason", &of_app)?;
        (reason.label("reason") == "ErrImageNeverPull").then(|| page.clone())
    });
    assert_eq!(page.value("kube_pod_container_status_waiting", &of_app), Some(1.0));
    assert_eq!(page.value("kube_pod_container_status_running", &of_app), Some(0.0));
    assert_eq!(page.value("kube_pod_container_resource_requests", &of_app), Some(0.005));
    for name in [USAGE, "container_start_time_seconds", "container_spec_memory_limit_bytes"] {
        assert_eq!(page.all(name, &[("pod", "waiting")]).count(), 0, "{name} of no container");
    }
}

pub(crate) fn oom_kills_stay_counted_over_the_replacement(suite: &Suite) {
    let _steady = suite.steady();
    suite.apply(OOM);
    let of_app = [("pod", "hungry"), ("container", "app")];
    let first = suite.running("hungry", "app");
    suite.recorder.until("no kill yet", SOON, |page| {
        (page.value(OOM_EVENTS, &of_app) == Some(0.0)).then_some(())
    });
    let film = suite.recorder.film("hungry");

    // A child process dies; the container goes on.
    first.touch("/tmp/child");
    suite.recorder.until("the child's kill", SOON, |page| {
        (page.value(OOM_EVENTS, &of_app) == Some(1.0)).then_some(())
    });
    assert_eq!(first.stat("memory", "memory.oom_control", "oom_kill"), 1.0);
    // A kill in the last two ticks of a container would pass for the one that ended it.
    suite.recorder.fresh();
    assert_eq!(suite.recorder.latest().value(RESTARTS, &of_app), Some(0.0));

    // The container itself dies and is replaced.
    first.touch("/tmp/self");
    wait::until("the replacement", START, || {
        suite.container("hungry", "app").filter(|container| container.id != first.id)
    });
    suite.recorder.until("the replacement's series", SOON, |page| {
        let is_back =
            page.value(RESTARTS, &of_app) == Some(1.0) && page.one(USAGE, &of_app).is_some();
        is_back.then_some(())
    });
    let page = suite.recorder.fresh();
    assert_eq!(
        page.value(OOM_EVENTS, &of_app),
        Some(2.0),
        "one child and one container were killed"
    );
    let reason =
        page.one("kube_pod_container_status_last_terminated_reason", &of_app).expect("it ended");
    assert_eq!(reason.label("reason"), "OOMKilled");
    assert_eq!(
        page.value("kube_pod_container_status_last_terminated_exitcode", &of_app),
        Some(137.0)
    );
    let kills: Vec<f64> = film
        .frames()
        .iter()
        .map(|page| page.value(OOM_EVENTS, &of_app).expect("it is never absent"))
        .collect();
    assert!(kills.is_sorted(), "{kills:?}");
    never_two(&film.frames(), "hungry");
}

pub(crate) fn changed_label_ends_the_old_series_and_starts_new_ones(suite: &Suite) {
    let _steady = suite.steady();
    suite.apply(&plain("relabelled"));
    suite.running("relabelled", "app");
    let staged = |page: &Page, stage| {
        page.all(USAGE, &[("pod", "relabelled"), ("label_stage", stage)]).count()
    };
    suite.recorder.until("the first label", SOON, |page| (staged(page, "one") == 1).then_some(()));
    let film = suite.recorder.film("relabelled");

    suite.kubectl(&["label", "--overwrite", "pod", "relabelled", "stage=two"]);
    let labelled = Instant::now();
    let tick = suite.recorder.now().ticks();
    suite.recorder.until("the second label", SOON, |page| (staged(page, "two") == 1).then_some(()));
    let frames = film.frames();
    let first = frames.iter().find(|page| staged(page, "two") == 1).expect("it was just there");
    let ticks = first.ticks() - tick;
    assert!(ticks <= 2.0, "it took {ticks} ticks and {:?}", first.at - labelled);
    let mut is_over = false;
    for page in &frames {
        let labels: BTreeSet<_> = page
            .series
            .iter()
            .map(|series| series.label("label_stage"))
            .filter(|stage| !stage.is_empty())
            .collect();
        assert_eq!(labels.len(), 1, "both at once, or none: {labels:?}");
        is_over |= labels.contains("two");
        assert!(!is_over || labels.contains("two"), "the old label came back");
    }
}

pub(crate) fn deleted_pod_leaves_nothing_behind(suite: &Suite) {
    let _steady = suite.steady();
    suite.apply(&plain("deleted"));
    let container = suite.running("deleted", "app");
    suite.recorder.until("its series", SOON, |page| {
        page.one(USAGE, &[("pod", "deleted"), ("container", "app")]).map(drop)
    });

    suite.kubectl(&["delete", "pod", "deleted", "--wait=true"]);
    wait::until("its cgroups to go", START, || {
        let is_gone = ["memory", "cpu", "cpuacct", "blkio", "pids"]
            .iter()
            .all(|controller| pod_folder(controller, &container.pod).is_none());
        is_gone.then_some(())
    });
    // The first tick that began after both went.
    let page = suite.recorder.fresh();
    let is_left = |text: &str| {
        text == "deleted"
            || text == container.pod
            || (!text.is_empty() && container.id.starts_with(text) && text.len() >= 8)
    };
    let left = page.series.iter().find(|series| {
        series
            .labels
            .iter()
            .any(|(name, value)| name != "pod_ip" && is_left(value) && name != "event")
    });
    assert!(left.is_none(), "{left:?}");
}
