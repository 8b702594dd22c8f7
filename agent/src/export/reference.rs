//! The page about every series, generated from the one table that defines them.

use std::fmt::Write as _;

use collector::schema::{Id, Kind, Metric, Scope};

use super::golden;

/// A scope's heading and what its series carry beside their own labels.
fn heading(scope: Scope) -> (&'static str, &'static str) {
    match scope {
        Scope::Container => (
            "Containers",
            "Labels: `namespace`, `pod`, `container`, `node`, `workload`, `workload_kind`, then `label_<key>` for the pod's labels and `annotation_<key>` for its annotations.",
        ),
        Scope::Pod => ("Pods", "Labels: those of a container without `container`."),
        Scope::Node => ("Node", "Label: `node`."),
        Scope::Agent => ("Podmeter itself", "Label: `node`."),
        Scope::Backend => (
            "Pods behind the proxy",
            "Labels: those of a pod, then `proxy_node`, the node of the proxy that measured it. The pod may be on any node. What is beyond the configured number of series is one series of each family with `otel_metric_overflow=\"true\"` and the label `node` only.",
        ),
        Scope::Route => (
            "Routes of the proxy",
            "Labels: `node`, `namespace`, `route` (the Ingress, or the route's name in the file), `server_address` (the host as the route has it) and `http_route` (the path as the route has it); those that are empty are left out.",
        ),
    }
}

fn row(metric: &Metric) -> String {
    let kind = match metric.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    let cell = |text: &str| text.replace('|', "\\|").replace('<', "&lt;");
    let code = |text: &str| {
        if text.is_empty() { String::new() } else { format!("`{}`", text.replace('|', "\\|")) }
    };
    let labels: Vec<String> = metric.labels.iter().map(|label| code(label)).collect();
    let columns = [
        code(metric.name),
        kind.to_owned(),
        metric.unit.as_str().to_owned(),
        labels.join(", "),
        cell(metric.help),
        code(metric.v1),
        code(metric.v2),
    ];
    format!("| {} |\n", columns.join(" | "))
}

fn page() -> String {
    let mut page = String::from(
        "# Series\n\n\
         Generated from the table in `collector::schema`; `UPDATE_GOLDEN=1 cargo test -p agent reference` rewrites it.\n\n\
         The names are those of the pull endpoint and of remote write. The columns v1 and v2 say where the number comes from: the kernel's\n\
         file and key in a cgroup of version 1 or 2, a file of `/proc`, or a field of the Kubernetes API.\n\n\
         Samples have no timestamps, so that a gone pod's series end with the scrape that no longer has them. OpenMetrics answers have no\n\
         `_created` lines, which would add one for every counter; the protobuf format carries the same start times inside each sample.\n\
         Counters whose name has no `_total` are typed `unknown` there. Label keys that need it are written with underscores, or as they are\n\
         (`\"label_app.kubernetes.io/name\"`) for a scraper that asks with `escaping=allow-utf-8`.\n\n\
         The proxy's histograms are there twice: with the buckets of the OpenTelemetry conventions in every format, and as native histograms\n\
         (schema 3) beside them in the protobuf format. Both count every request exactly. Exemplars, a trace id each, are in OpenMetrics and\n\
         protobuf.\n",
    );
    for scope in
        [Scope::Container, Scope::Pod, Scope::Node, Scope::Backend, Scope::Route, Scope::Agent]
    {
        let (title, labels) = heading(scope);
        write!(page, "\n## {title}\n\n{labels}\n\n| Name | Kind | Unit | Further labels | Meaning | Source, v1 | Source, v2 |\n|---|---|---|---|---|---|---|\n").unwrap();
        page.extend(Id::all().map(Id::metric).filter(|metric| metric.scope == scope).map(row));
    }
    page
}

#[test]
fn page_lists_the_table() {
    golden::check("../docs/metrics.md", &page());
}
