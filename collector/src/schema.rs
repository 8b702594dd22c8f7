//! The one table of every series: name, kind, unit, help, extra labels and where the number comes from.
//!
//! Names are the field's: cAdvisor's `container_*`, the kubelet's `pod_*` and `node_*` of
//! `/metrics/resource`, kube-state-metrics' `kube_*`, `node_exporter`'s `node_*`; `podmeter_*` only where
//! no convention exists. A pod's own cgroup has names of its own instead of `container_*` with an empty
//! `container` label, so that a `sum` over `container_*` counts everything once.
//! `docs/metrics.md` is generated from this table.

mod kernel;
mod table;

pub use kernel::Kernel;
pub use table::Series;

/// How a series' value behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Only grows, until its thing is made anew.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by bucket.
    Histogram,
}

/// What a value is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the units' own names")]
pub enum Unit {
    Seconds,
    Microseconds,
    Bytes,
    Cores,
    Ratio,
    /// A count, a state or a mix of units told by a label.
    None,
}

impl Unit {
    /// The word for people and for metadata.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Microseconds => "microseconds",
            Self::Bytes => "bytes",
            Self::Cores => "cores",
            Self::Ratio => "ratio",
            Self::None => "",
        }
    }
}

/// What a series is about, which decides its labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// A container: `namespace pod container node workload workload_kind`, then the pod's labels and annotations.
    Container,
    /// A pod: the same without `container`.
    Pod,
    /// The node: `node`.
    Node,
    /// Podmeter itself: `node`.
    Agent,
    /// A pod behind the proxy, on whichever node: a pod's labels, and `proxy_node` for the node of the proxy.
    Backend,
    /// A route of the proxy: `node namespace route server_address http_route`.
    Route,
}

/// One series family.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Name on the pull endpoint and in remote write.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// Unit of the value.
    pub unit: Unit,
    /// What it is about.
    pub scope: Scope,
    /// Labels beside those of its scope.
    pub labels: &'static [&'static str],
    /// What it means, in a sentence.
    pub help: &'static str,
    /// The kernel's file and key on cgroup v1, or the API's field, or the /proc file.
    pub v1: &'static str,
    /// The same on cgroup v2.
    pub v2: &'static str,
}

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(u16);

impl Id {
    /// A container's kernel counter.
    #[must_use]
    pub const fn container(kernel: Kernel) -> Self {
        Self(kernel as u16)
    }

    /// A pod's kernel counter.
    #[must_use]
    pub const fn pod(kernel: Kernel) -> Self {
        Self(kernel as u16 + kernel::COUNT)
    }

    /// The row's place in the table, from 0.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// What the row says.
    #[must_use]
    pub fn metric(self) -> &'static Metric {
        let at = self.index();
        let kernel = usize::from(kernel::COUNT);
        if at < kernel {
            &kernel::CONTAINER[at]
        } else if at < 2 * kernel {
            &kernel::POD[at - kernel]
        } else {
            &table::TABLE[at - 2 * kernel]
        }
    }

    /// Every row, in the order of the table.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..COUNT).map(|at| Self(u16::try_from(at).unwrap_or(u16::MAX)))
    }
}

impl From<Series> for Id {
    fn from(series: Series) -> Self {
        Self(series as u16 + 2 * kernel::COUNT)
    }
}

/// How many rows the table has.
pub const COUNT: usize = 2 * kernel::COUNT as usize + table::TABLE.len();

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_legal_everywhere() {
        let mut seen = HashSet::new();
        for id in Id::all() {
            let metric = id.metric();
            assert!(seen.insert(metric.name), "{} stands twice", metric.name);
            assert!(
                metric.name.bytes().all(|b| b.is_ascii_lowercase()
                    || b.is_ascii_digit()
                    || b == b'_'
                    || metric.name.starts_with("node_memory_")),
                "{}",
                metric.name
            );
            assert!(!metric.help.is_empty() && metric.help.ends_with('.'), "{}: help", metric.name);
        }
    }

    #[test]
    fn totals_are_counters() {
        for metric in Id::all().map(Id::metric) {
            if metric.name.ends_with("_total") {
                assert_eq!(metric.kind, Kind::Counter, "{}", metric.name);
            }
        }
    }

    #[test]
    fn own_names_have_the_prefix_of_their_unit() {
        for metric in
            Id::all().map(Id::metric).filter(|metric| metric.name.starts_with("podmeter_"))
        {
            if matches!(metric.unit, Unit::Seconds | Unit::Bytes | Unit::Ratio) {
                let base = metric.name.trim_end_matches("_total");
                assert!(
                    base.contains(metric.unit.as_str()),
                    "{} does not name its unit",
                    metric.name
                );
            }
        }
    }
}
