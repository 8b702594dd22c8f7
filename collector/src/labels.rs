//! Label sets: the names on a series, rendered once and copied on every scrape.
//!
//! Holds what a label is and keeps an exporter's rendering beside it, without knowing any format.
//! Which labels a pod's series carry is decided in [`crate::pods::labels`].

use std::sync::{Arc, OnceLock};

/// Where a label comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    /// Podmeter's own, such as `namespace`.
    Own,
    /// A label of the pod.
    PodLabel,
    /// An annotation of the pod.
    PodAnnotation,
    /// A label of the pod's namespace.
    NamespaceLabel,
}

impl Origin {
    /// What stands before the key in a series' label name.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Own => "",
            Self::PodLabel => "label_",
            Self::PodAnnotation => "annotation_",
            Self::NamespaceLabel => "namespace_label_",
        }
    }
}

/// One label.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Label {
    /// Where it comes from.
    pub origin: Origin,
    /// The key as its owner wrote it, such as `app.kubernetes.io/name`.
    pub key: Arc<str>,
    /// The name in formats that know only `[a-zA-Z0-9_]`, such as `label_app_kubernetes_io_name`.
    pub name: Arc<str>,
    /// The value, verbatim but for the length bound.
    pub value: Arc<str>,
}

impl Label {
    /// One of Podmeter's own labels.
    #[must_use]
    pub fn own(name: &str, value: impl Into<Arc<str>>) -> Self {
        Self::own_shared(&name.into(), value.into())
    }

    /// The same with a name that many labels share.
    #[must_use]
    pub fn own_shared(name: &Arc<str>, value: Arc<str>) -> Self {
        Self { origin: Origin::Own, key: name.clone(), name: name.clone(), value }
    }
}

/// How many renderings a set keeps: one for each way an exporter writes labels.
pub const RENDERINGS: usize = 4;

/// The labels of one series or of one thing measured, in the order they are written.
#[derive(Debug, Default)]
pub struct LabelSet {
    labels: Box<[Label]>,
    renderings: [OnceLock<Box<[u8]>>; RENDERINGS],
}

impl LabelSet {
    /// Takes the labels in the order they are to be written.
    #[must_use]
    pub fn new(labels: Vec<Label>) -> Self {
        Self { labels: labels.into(), renderings: Default::default() }
    }

    /// The labels.
    #[must_use]
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// The value of the label with this name, by [`Label::name`].
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|label| &*label.name == name).map(|label| &*label.value)
    }

    /// The bytes that `render` makes of the labels, made once for each `slot`.
    ///
    /// # Panics
    /// When `slot` is not below [`RENDERINGS`]; it is a constant of the exporter.
    pub fn rendering(&self, slot: usize, render: impl FnOnce(&[Label]) -> Vec<u8>) -> &[u8] {
        self.renderings[slot].get_or_init(|| render(&self.labels).into())
    }
}

impl PartialEq for LabelSet {
    fn eq(&self, other: &Self) -> bool {
        self.labels == other.labels
    }
}

impl Eq for LabelSet {}

/// The longest beginning of `text` that has at most `max` bytes and ends at a character's end.
pub(crate) fn cut(text: &str, max: usize) -> &str {
    let mut end = max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
