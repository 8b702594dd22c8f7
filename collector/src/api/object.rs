//! What every object of the API server has, and what a list or a watch can carry.
//!
//! Every field is lenient (see [`super::lax`]), so servers from Kubernetes 1.20 on are all read by the same types.

use serde::Deserialize;

use super::lax::{Flag, Lax, List, Map, Text};

/// `metadata`. What is longer than a label needs another type of map for its annotations.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(
    rename_all = "camelCase",
    default,
    bound(deserialize = "Annotations: Deserialize<'de> + Default")
)]
pub(crate) struct Metadata<Annotations = Map> {
    pub(crate) name: Text,
    pub(crate) namespace: Text,
    pub(crate) uid: Text,
    pub(crate) resource_version: Text,
    pub(crate) creation_timestamp: Text,
    pub(crate) deletion_timestamp: Text,
    pub(crate) labels: Map,
    pub(crate) annotations: Annotations,
    pub(crate) owner_references: List<OwnerReference>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct OwnerReference {
    pub(crate) kind: Text,
    pub(crate) name: Text,
    pub(crate) controller: Flag,
}

/// Any object of which the metadata is enough, such as a Namespace or a bookmark.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct MetadataObject {
    pub(crate) metadata: Lax<Metadata>,
}

/// Objects that a list or a watch can carry.
pub(crate) trait Object: for<'de> Deserialize<'de> + Default + Send + 'static {
    /// `metadata.resourceVersion`.
    fn version(&self) -> Option<&str>;
}

/// Makes types with a field `metadata: Lax<Metadata>` into `Object`s.
macro_rules! objects {
    ($($kind:ty)+) => { $(impl $crate::api::object::Object for $kind {
        fn version(&self) -> Option<&str> {
            self.metadata.0.as_ref()?.resource_version.0.as_deref()
        }
    })+ };
}
pub(crate) use objects;

objects!(MetadataObject);
