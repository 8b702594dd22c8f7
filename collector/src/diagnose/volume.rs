//! Who holds a pod's volumes: claims and attachments, read and compared.

use std::sync::Arc;

use serde::Deserialize;

use super::reason::{Diagnosis, MAX_DETAIL, Reason};
use crate::api::lax::{Flag, Lax, List, Text, Texts};
use crate::api::object::Metadata;
use crate::pods::model::Claim;

/// A `PersistentVolumeClaim`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ClaimObject {
    spec: Lax<ClaimSpec>,
    status: Lax<ClaimStatus>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ClaimSpec {
    volume_name: Text,
    access_modes: Texts,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ClaimStatus {
    phase: Text,
}

/// A list of `VolumeAttachments`, one page.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Attachments {
    pub(super) metadata: Lax<Page>,
    pub(super) items: List<AttachmentObject>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Page {
    /// Where the next page begins.
    #[serde(rename = "continue")]
    pub(super) next: Text<4096>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AttachmentObject {
    metadata: Lax<Metadata>,
    spec: Lax<AttachmentSpec>,
    status: Lax<AttachmentStatus>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AttachmentSpec {
    node_name: Text,
    source: Lax<Source>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Source {
    persistent_volume_name: Text,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct AttachmentStatus {
    attached: Flag,
}

/// What is kept of a `VolumeAttachment`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attachment {
    pub(super) volume: Arc<str>,
    pub(super) node: Arc<str>,
    /// It is there; else it is wanted only.
    pub(super) is_done: bool,
    /// It is to go: the other node is asked to let the volume loose.
    pub(super) is_leaving: bool,
}

impl AttachmentObject {
    pub(super) fn kept(self) -> Option<Attachment> {
        let spec = self.spec.into_inner();
        Some(Attachment {
            volume: spec.source.into_inner().persistent_volume_name.0?,
            node: spec.node_name.0?,
            is_done: self.status.into_inner().attached.0,
            is_leaving: self.metadata.into_inner().deletion_timestamp.0.is_some(),
        })
    }
}

impl ClaimObject {
    /// The persistent volume that it is bound to.
    pub(super) fn volume(&self) -> Option<Arc<str>> {
        self.spec.0.as_ref()?.volume_name.0.clone()
    }

    /// Whether several nodes may have its volume at once: then it is in nobody's way.
    pub(super) fn is_shared(&self) -> bool {
        let modes = self.spec.0.as_ref().map(|spec| &spec.access_modes.0);
        modes.is_some_and(|modes| {
            modes.iter().any(|mode| matches!(&**mode, "ReadWriteMany" | "ReadOnlyMany"))
        })
    }

    /// What is wrong with the claim itself.
    pub(super) fn trouble(&self, claim: &Claim, namespace: &str) -> Option<Diagnosis> {
        let phase = self.status.0.as_ref()?.phase.as_str();
        let what = match phase {
            "Lost" => "has lost its volume",
            "Pending" => "is not bound to a volume yet",
            _ => return None,
        };
        let detail = format!("volume {}: claim {namespace}/{} {what}", claim.volume, claim.name);
        Some(Diagnosis::new(Reason::Mount, &detail))
    }
}

/// The claim that a pod names and that is not there.
pub(super) fn absent(claim: &Claim, namespace: &str) -> Diagnosis {
    let detail =
        format!("volume {}: claim {namespace}/{} does not exist", claim.volume, claim.name);
    Diagnosis::new(Reason::Mount, &detail)
}

/// Another node that has the volume, so that this one cannot.
pub(super) fn elsewhere<'a>(
    volume: &str,
    node: &str,
    attachments: &'a [Attachment],
) -> Option<&'a Attachment> {
    let mut of_it = attachments.iter().filter(|one| &*one.volume == volume);
    if of_it.clone().any(|one| &*one.node == node && one.is_done) {
        return None;
    }
    of_it.find(|one| &*one.node != node && (one.is_done || one.is_leaving))
}

/// The line that says so. Names can be long; the node is what must not be cut off.
pub(super) fn held(
    claim: &Claim,
    namespace: &str,
    volume: &str,
    attachment: &Attachment,
) -> Diagnosis {
    let end = if attachment.is_leaving { ", which lets it go" } else { "" };
    let node = &attachment.node;
    let line = |of: String| format!("volume {}{of} is attached to node {node}{end}", claim.volume);
    let lines = [
        line(format!(" (claim {namespace}/{}, {volume})", claim.name)),
        line(format!(" (claim {namespace}/{})", claim.name)),
        line(String::new()),
    ];
    let fits = lines.iter().find(|line| line.len() <= MAX_DETAIL).unwrap_or(&lines[2]);
    Diagnosis::new(Reason::AttachedElsewhere, fits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn claim() -> Claim {
        Claim { volume: "data".into(), name: "data-web-0".into() }
    }

    fn attachment(volume: &str, node: &str, is_done: bool) -> Attachment {
        Attachment { volume: volume.into(), node: node.into(), is_done, is_leaving: false }
    }

    #[test]
    fn volume_of_another_node_is_found_and_said_in_one_line() {
        let all = [
            attachment("pvc-1", "n1", false),
            attachment("pvc-1", "n2", true),
            attachment("pvc-2", "n3", true),
        ];
        let found = elsewhere("pvc-1", "n1", &all).unwrap();
        assert_eq!(
            &*held(&claim(), "shop", "pvc-1", found).detail,
            "volume data (claim shop/data-web-0, pvc-1) is attached to node n2"
        );
        let leaving = Attachment { is_leaving: true, ..found.clone() };
        assert!(
            held(&claim(), "shop", "pvc-1", &leaving).detail.ends_with("node n2, which lets it go")
        );
    }

    #[test]
    fn volume_that_is_here_or_nowhere_is_not_elsewhere() {
        let here = [attachment("pvc-1", "n1", true), attachment("pvc-1", "n2", true)];
        assert_eq!(elsewhere("pvc-1", "n1", &here), None);
        assert_eq!(elsewhere("pvc-1", "n1", &[attachment("pvc-1", "n2", false)]), None);
        assert_eq!(elsewhere("pvc-9", "n1", &here), None);
    }

    #[test]
    fn objects_are_read() {
        let object: AttachmentObject = serde_json::from_value(json!({
            "metadata": {"name": "csi-1", "deletionTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"attacher": "x", "nodeName": "n2", "source": {"persistentVolumeName": "pvc-1"}},
            "status": {"attached": true},
        }))
        .unwrap();
        let expected = Attachment { is_leaving: true, ..attachment("pvc-1", "n2", true) };
        assert_eq!(object.kept(), Some(expected));
        let bound: ClaimObject = serde_json::from_value(json!({
            "spec": {"volumeName": "pvc-1", "accessModes": ["ReadWriteMany"]}, "status": {"phase": "Bound"},
        }))
        .unwrap();
        assert_eq!((bound.volume().as_deref(), bound.is_shared()), (Some("pvc-1"), true));
        assert_eq!(bound.trouble(&claim(), "shop"), None);
        let lost: ClaimObject =
            serde_json::from_value(json!({"status": {"phase": "Lost"}})).unwrap();
        assert_eq!(
            &*lost.trouble(&claim(), "shop").unwrap().detail,
            "volume data: claim shop/data-web-0 has lost its volume"
        );
    }

    proptest! {
        #[test]
        fn node_is_always_in_the_line(name in "[a-z]{1,250}", volume in "[a-z]{1,63}", node in "[a-z]{1,63}") {
            let claim = Claim { volume: volume.as_str().into(), name: name.as_str().into() };
            let found = attachment("pvc-0123", &node, true);
            let detail = held(&claim, "shop", "pvc-0123", &found).detail;
            let end = format!("node {node}");
            prop_assert!(detail.ends_with(&end));
        }
    }
}
