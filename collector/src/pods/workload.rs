//! Which workload a pod belongs to, from the pod alone.
//!
//! No ReplicaSet and no Job is ever asked for: at cluster size that is what makes agents heavy. The price is
//! stated here. A Deployment's name is its ReplicaSet's less `-<pod-template-hash>`, with the hash taken
//! from the pod's own label, so it is exact; where a very long name was truncated by the controller the
//! hash no longer stands at the end, and the ReplicaSet is named instead. A Job is taken for a
//! CronJob's when its name ends as the CronJob controller ends it: `-` and the scheduled minute.

use std::sync::Arc;

use super::model::Workload;
use crate::api::lax::{List, Map};
use crate::api::object::OwnerReference;

/// The label in which the Deployment controller writes the hash that ends its ReplicaSets' names.
const TEMPLATE_HASH: &str = "pod-template-hash";
/// The same, of Argo Rollouts.
const ROLLOUT_HASH: &str = "rollouts-pod-template-hash";
/// Digits of a Unix time in minutes; 11 is what a CronJob's name leaves room for.
const MINUTE_DIGITS: std::ops::RangeInclusive<usize> = 8..=11;

/// The reference that says who manages the pod. There is at most one.
pub(crate) fn controller(owners: &List<OwnerReference>) -> Option<Workload> {
    let owner = owners.0.iter().find(|owner| owner.controller.0)?;
    Some(Workload { kind: owner.kind.0.clone()?, name: owner.name.0.clone()? })
}

/// The workload that people know the pod by.
///
/// `pod` is its name and `node` the node's, which ends the name of a static pod's mirror.
pub(crate) fn of(owner: Option<&Workload>, labels: &Map, pod: &Arc<str>, node: &str) -> Workload {
    let Some(owner) = owner else {
        return Workload { kind: "Pod".into(), name: pod.clone() };
    };
    let named = |kind: &str, name: &str| Workload { kind: kind.into(), name: name.into() };
    match &*owner.kind {
        "ReplicaSet" => {
            let before = |label: &str| before_suffix(&owner.name, labels.value(label)?);
            if let Some(name) = before(ROLLOUT_HASH) {
                named("Rollout", name)
            } else if let Some(name) = before(TEMPLATE_HASH) {
                named("Deployment", name)
            } else {
                owner.clone()
            }
        }
        "Job" => {
            before_minute(&owner.name).map_or_else(|| owner.clone(), |name| named("CronJob", name))
        }
        "Node" => named("StaticPod", before_suffix(pod, node).unwrap_or(pod)),
        _ => owner.clone(),
    }
}

/// `name` less `-<suffix>`; `None` when it does not end so, or nothing would be left.
fn before_suffix<'a>(name: &'a str, suffix: &str) -> Option<&'a str> {
    if suffix.is_empty() {
        return None;
    }
    name.strip_suffix(suffix)?.strip_suffix('-').filter(|rest| !rest.is_empty())
}

fn before_minute(name: &str) -> Option<&str> {
    let (rest, minute) = name.rsplit_once('-')?;
    let is_minute =
        MINUTE_DIGITS.contains(&minute.len()) && minute.bytes().all(|byte| byte.is_ascii_digit());
    (is_minute && !rest.is_empty()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(owner: Option<(&str, &str)>, labels: &[(&str, &str)], expected: (&str, &str)) {
        let owner = owner.map(|(kind, name)| Workload { kind: kind.into(), name: name.into() });
        let entries = labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        let found = of(owner.as_ref(), &Map { entries, more: 0 }, &"web-x-node1".into(), "node1");
        assert_eq!((&*found.kind, &*found.name), expected);
    }

    #[test]
    fn deployment_is_the_replica_set_less_the_pods_own_hash() {
        let hash = [("pod-template-hash", "7d4b9c")];
        check(Some(("ReplicaSet", "web-7d4b9c")), &hash, ("Deployment", "web"));
        check(Some(("ReplicaSet", "web-7d4b9c-7d4b9c")), &hash, ("Deployment", "web-7d4b9c"));
    }

    #[test]
    fn replica_set_without_the_hash_stays_one() {
        check(Some(("ReplicaSet", "web-7d4b9c")), &[], ("ReplicaSet", "web-7d4b9c"));
        check(
            Some(("ReplicaSet", "web")),
            &[("pod-template-hash", "7d4b9c")],
            ("ReplicaSet", "web"),
        );
        check(
            Some(("ReplicaSet", "-7d4b9c")),
            &[("pod-template-hash", "7d4b9c")],
            ("ReplicaSet", "-7d4b9c"),
        );
        check(Some(("ReplicaSet", "web-")), &[("pod-template-hash", "")], ("ReplicaSet", "web-"));
    }

    #[test]
    fn rollout_is_told_by_its_own_label() {
        check(
            Some(("ReplicaSet", "web-5f")),
            &[("rollouts-pod-template-hash", "5f")],
            ("Rollout", "web"),
        );
    }

    #[test]
    fn job_of_a_cron_job_ends_in_the_minute() {
        check(Some(("Job", "backup-28392045")), &[], ("CronJob", "backup"));
        check(Some(("Job", "backup-2839204")), &[], ("Job", "backup-2839204"));
        check(Some(("Job", "backup-283920451234")), &[], ("Job", "backup-283920451234"));
        check(Some(("Job", "backup-2839204x")), &[], ("Job", "backup-2839204x"));
        check(Some(("Job", "migrate")), &[], ("Job", "migrate"));
    }

    #[test]
    fn other_controllers_keep_their_names() {
        for kind in ["StatefulSet", "DaemonSet", "ReplicationController", "Workflow"] {
            check(
                Some((kind, "x-28392045")),
                &[("pod-template-hash", "28392045")],
                (kind, "x-28392045"),
            );
        }
    }

    #[test]
    fn mirror_of_a_static_pod_loses_the_nodes_name() {
        check(Some(("Node", "node1")), &[], ("StaticPod", "web-x"));
    }

    #[test]
    fn bare_pod_is_its_own_workload() {
        check(None, &[], ("Pod", "web-x-node1"));
    }
}
