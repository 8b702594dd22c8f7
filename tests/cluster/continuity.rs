//! What must hold from one page to a later one: no counter falls unless what it counts was made anew.

use std::collections::HashMap;

use crate::cluster::page::{Labels, Page, Series};

/// The first of the wanted counters that fell although what it counts was not made anew.
pub(crate) fn went_back(
    before: &Page,
    after: &Page,
    wanted: impl Fn(&Series) -> bool,
) -> Option<String> {
    let old: HashMap<(&str, &Labels), f64> = before
        .series
        .iter()
        .map(|series| ((&*series.name, &series.labels), series.value))
        .collect();
    let mut counters =
        after.series.iter().filter(|series| wanted(series) && is_counter(after, series));
    counters.find_map(|series| {
        let was = *old.get(&(&*series.name, &series.labels))?;
        (series.value < was && incarnation(before, series) == incarnation(after, series)).then(
            || format!("{}{:?} fell from {was} to {}", series.name, series.labels, series.value),
        )
    })
}

fn is_counter(page: &Page, series: &Series) -> bool {
    let kind = |name: &str| page.kinds.get(name).map(String::as_str);
    let base = ["_bucket", "_count", "_sum"].iter().find_map(|end| series.name.strip_suffix(end));
    kind(&series.name) == Some("counter") || base.and_then(kind) == Some("histogram")
}

/// What tells a thing from the one that had its name before: the container's start, or the pod's uid.
fn incarnation(page: &Page, series: &Series) -> Option<String> {
    let [namespace, pod, container] =
        ["namespace", "pod", "container"].map(|name| series.label(name));
    if pod.is_empty() {
        return None;
    }
    // These two count over the pod's whole life.
    let of_pod = ["container_oom_events_total", "kube_pod_container_status_restarts_total"];
    let same_pod = [("namespace", namespace), ("pod", pod)];
    if container.is_empty() || of_pod.contains(&&*series.name) {
        return page.one("kube_pod_info", &same_pod).map(|info| info.label("uid").to_owned());
    }
    let same = [("namespace", namespace), ("pod", pod), ("container", container)];
    page.value("container_start_time_seconds", &same).map(|start| start.to_string())
}
