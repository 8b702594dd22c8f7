//! What cannot be used, as series.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::status::Status;
use crate::labels::{Label, LabelSet};
use crate::proxy::route::Fault;
use crate::schema::Series;
use crate::snapshot::{Contribute, Snapshot};

/// Series of faults; those beyond are counted in one.
const MAX_SERIES: usize = 100;
/// The reason of that one.
const OVERFLOW: &str = "overflow";

/// Adds `podmeter_proxy_route_faults`.
pub struct Observer {
    status: Arc<Status>,
    /// What the label sets were made of.
    faults: Arc<Vec<Fault>>,
    series: Vec<(Arc<LabelSet>, f64)>,
}

impl Observer {
    /// Observes this.
    #[must_use]
    pub fn new(status: Arc<Status>) -> Self {
        Self { status, faults: Arc::default(), series: Vec::new() }
    }
}

impl Contribute for Observer {
    fn contribute(&mut self, snapshot: &mut Snapshot, agent: u32) {
        let faults = self.status.faults();
        if !Arc::ptr_eq(&faults, &self.faults) {
            self.series = series(&faults);
            self.faults = faults;
        }
        for (labels, count) in &self.series {
            snapshot.add(Series::ProxyRouteFaults.into(), agent, Some(labels.clone()), *count);
        }
    }
}

fn series(faults: &[Fault]) -> Vec<(Arc<LabelSet>, f64)> {
    let mut counts: BTreeMap<(&str, &str, &str), u32> = BTreeMap::new();
    for fault in faults {
        let origin = &fault.origin;
        let key = (&*origin.namespace, &*origin.name, fault.reason);
        let is_known = counts.contains_key(&key);
        let key = if is_known || counts.len() < MAX_SERIES { key } else { ("", "", OVERFLOW) };
        *counts.entry(key).or_default() += 1;
    }
    let labels = |(namespace, ingress, reason): (&str, &str, &str)| {
        Arc::new(LabelSet::new(vec![
            Label::own("namespace", namespace),
            Label::own("ingress", ingress),
            Label::own("reason", reason),
        ]))
    };
    counts.into_iter().map(|(key, count)| (labels(key), f64::from(count))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::route::{Origin, Source};

    #[test]
    fn faults_are_counted_and_those_beyond_the_bound_go_into_one() {
        let fault = |number: usize| Fault {
            origin: Origin {
                source: Source::Ingress,
                namespace: "shop".into(),
                name: format!("web-{number}").into(),
            },
            reason: "bad_path",
            sentence: "odd".to_owned(),
        };
        let mut faults: Vec<_> = (0..MAX_SERIES + 7).map(fault).collect();
        faults.push(fault(0));
        let series = series(&faults);
        assert_eq!(series.len(), MAX_SERIES + 1);
        let count = |reason: &str, ingress: &str| {
            let found = series.iter().find(|(labels, _)| {
                (labels.value("reason"), labels.value("ingress")) == (Some(reason), Some(ingress))
            });
            found.map(|(_, count)| *count)
        };
        assert_eq!(count("bad_path", "web-0"), Some(2.0));
        assert_eq!(count(OVERFLOW, ""), Some(7.0));
    }
}
