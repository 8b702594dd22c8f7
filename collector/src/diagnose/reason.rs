//! The closed set of reasons why a pod is stuck, and a diagnosis: one of them with one line of detail.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::cgroup::PodUid;
use crate::labels::cut;

/// Bytes of a detail. It is a label's value.
pub const MAX_DETAIL: usize = 160;

macro_rules! reasons {
    ($($variant:ident $label:literal $help:literal;)*) => {
        /// Why a pod does not get its containers. The `reason` label.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason { $(#[doc = $help] $variant),* }

        impl Reason {
            /// All of them.
            pub const ALL: [Self; [$(Self::$variant),*].len()] = [$(Self::$variant),*];

            /// The label value.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $label),* }
            }
        }
    };
}

reasons! {
    AttachedElsewhere "volume_attached_elsewhere" "A volume is attached to another node.";
    Attach "volume_attach" "A volume cannot be attached to this node.";
    Mount "volume_mount" "A volume cannot be mounted, or its claim is of no use.";
    ConfigMapMissing "config_map_missing" "A `ConfigMap`, or a key of one, is not there.";
    SecretMissing "secret_missing" "A Secret, or a key of one, is not there.";
    ImagePull "image_pull" "An image cannot be pulled.";
    ImagePulling "image_pulling" "An image is being pulled and that takes long.";
    ImageName "image_name" "An image's name is none.";
    Network "network" "The pod's network cannot be set up (CNI).";
    Sandbox "sandbox" "The pod's sandbox cannot be made.";
    ContainerCreate "container_create" "The runtime cannot make or start a container.";
    InitFailing "init_failing" "An init container ends with an error again and again.";
    Unknown "unknown" "Nothing says why.";
}

/// Why a pod is stuck.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// Which of the closed set.
    pub reason: Reason,
    /// What it is about, in one line of at most [`MAX_DETAIL`] bytes.
    pub detail: Arc<str>,
}

impl Diagnosis {
    /// `detail` is made to be one line and short enough.
    #[must_use]
    pub fn new(reason: Reason, detail: &str) -> Self {
        let line: String = detail.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        Self { reason, detail: cut(line.trim(), MAX_DETAIL).trim_end().into() }
    }
}

/// What asking the API server has told of pods, by their uids.
pub type Known = HashMap<PodUid, Diagnosis>;

/// Where it stands, for the join: written by the one task that asks.
#[derive(Debug, Default)]
pub struct Findings(ArcSwap<Known>);

impl Findings {
    /// What is known now.
    #[must_use]
    pub fn known(&self) -> Arc<Known> {
        self.0.load_full()
    }

    pub(super) fn publish(&self, known: Known) {
        self.0.store(Arc::new(known));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn detail_is_one_short_line_whatever_it_is_made_of(text in any::<String>()) {
            let detail = Diagnosis::new(Reason::Unknown, &text).detail;
            prop_assert!(detail.len() <= MAX_DETAIL);
            prop_assert!(!detail.chars().any(char::is_control));
        }
    }
}
