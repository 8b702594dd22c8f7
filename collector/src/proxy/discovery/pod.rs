//! A Service's pod, on whatever node: what its endpoint needs to know.

use std::sync::Arc;

use super::object::PodObject;
use crate::api::health::Skipped;
use crate::labels::LabelSet;
use crate::pods::labels::{Names, Rules};
use crate::pods::workload;

/// What is kept of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pod {
    pub(super) uid: Arc<str>,
    pub(super) name: Arc<str>,
    pub(super) node: Option<Arc<str>>,
    /// It has a deletionTimestamp.
    pub(super) is_ending: bool,
    /// Condition `Ready` is true.
    pub(super) is_ready: bool,
    /// Of its series, with the node it runs on.
    pub(super) labels: Arc<LabelSet>,
}

pub(super) fn read(object: PodObject, rules: &Rules) -> Result<Pod, Skipped> {
    let metadata = object.metadata.into_inner();
    let uid = metadata.uid.0.ok_or(Skipped::NoUid)?;
    let (Some(name), Some(namespace)) = (metadata.name.0, metadata.namespace.0) else {
        return Err(Skipped::NoName);
    };
    let node = object.spec.into_inner().node_name.0;
    let on = node.clone().unwrap_or_default();
    let owner = workload::controller(&metadata.owner_references);
    let workload = workload::of(owner.as_ref(), &metadata.labels, &name, &on);
    let (own, _) = rules.pod(&metadata.labels, &metadata.annotations);
    let names = Names {
        namespace: &namespace,
        pod: &name,
        container: None,
        node: &on,
        workload: &workload,
    };
    let conditions = object.status.into_inner().conditions;
    Ok(Pod {
        labels: names.with(own.iter()),
        is_ending: metadata.deletion_timestamp.0.is_some(),
        is_ready: conditions
            .0
            .iter()
            .any(|condition| condition.kind.is("Ready") && condition.status.is("True")),
        uid,
        name,
        node,
    })
}
