//! Which labels and annotations of a pod go on its series, and under which names.
//!
//! Labels go by default, less the hashes that controllers write; annotations only when their key has no
//! domain prefix (Kubernetes keeps those keys for people) and the value is short. Names are made as
//! kube-state-metrics makes them, so that dashboards written for it keep working.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use globset::{Glob, GlobMatcher};

use super::index::Index;
use super::model::{Cut, Workload};
use crate::api::lax::{self, Map};
use crate::labels::{Label, LabelSet, Origin};

/// Labels that controllers write and that change with every roll-out or pod.
const HASHES: [&str; 6] = [
    "pod-template-hash",
    "controller-revision-hash",
    "controller-uid",
    "pod-template-generation",
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
];
/// The Job controller's labels: its uid, the job's name, the completion index.
const JOB_PREFIX: &str = "batch.kubernetes.io/";
/// Bytes of an annotation's value up to which it goes by default: what a label's may have.
const MAX_DEFAULT_ANNOTATION: usize = 63;
/// Keys whose name and verdict are remembered; further ones are worked out each time.
const MAX_REMEMBERED: usize = 4_096;

/// Which keys go on series, as written in the settings. Globs: `*` matches any text, `/` included.
///
/// Where an include and an exclude both match, the one with more literal characters wins, and the exclude
/// at a tie; so `exclude: ["*"], include: ["app"]` is an allow-list, and
/// `include: ["example.com/*"], exclude: ["example.com/secret"]` leaves one out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Keys that go, also those that the defaults leave out.
    pub include: Vec<String>,
    /// Keys that do not go.
    pub exclude: Vec<String>,
}

/// What the rules are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// For pod labels. Default: all but the hashes.
    pub labels: Filter,
    /// For pod annotations. Default: short ones without a domain prefix.
    pub annotations: Filter,
    /// For the labels of a pod's namespace. Default: none.
    pub namespace_labels: Filter,
    /// Most keys on a pod, labels and annotations together. Default 24.
    pub max_keys: usize,
    /// Most bytes of a value, at most 256. Default 128.
    pub max_value: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            labels: Filter::default(),
            annotations: Filter::default(),
            namespace_labels: Filter::default(),
            max_keys: 24,
            max_value: 128,
        }
    }
}

/// What every series of a pod or container is named by, before the pod's own labels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names<'a> {
    pub(crate) namespace: &'a Arc<str>,
    pub(crate) pod: &'a Arc<str>,
    /// The label's name and value, for a container.
    pub(crate) container: Option<(&'a str, &'a str)>,
    pub(crate) node: &'a Arc<str>,
    pub(crate) workload: &'a Workload,
}

impl Names<'_> {
    /// The labels of the series, in the order they are written.
    pub(crate) fn with<'a>(self, own: impl Iterator<Item = &'a Label>) -> Arc<LabelSet> {
        let mut labels = Vec::with_capacity(6 + own.size_hint().0);
        labels.push(Label::own("namespace", self.namespace.clone()));
        labels.push(Label::own("pod", self.pod.clone()));
        labels.extend(self.container.map(|(name, value)| Label::own(name, value)));
        labels.push(Label::own("node", self.node.clone()));
        labels.push(Label::own("workload", self.workload.name.clone()));
        labels.push(Label::own("workload_kind", self.workload.kind.clone()));
        labels.extend(own.cloned());
        Arc::new(LabelSet::new(labels))
    }
}

/// A glob of the settings that is none.
#[derive(Debug, thiserror::Error)]
#[error("{list}: {pattern:?} is not a glob")]
pub struct BadPattern {
    /// Which list it stands in, such as `labels.include`.
    pub list: &'static str,
    /// As written.
    pub pattern: String,
    /// What is wrong with it.
    pub source: globset::Error,
}

/// An include pattern that no pod has matched so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeverMatched {
    /// Which list it stands in, such as `labels.include`.
    pub list: &'static str,
    /// As written.
    pub pattern: String,
}

/// The rules, ready to use. Cheap to clone; clones share what they have worked out.
#[derive(Clone)]
pub struct Rules {
    inner: Arc<Inner>,
}

struct Inner {
    labels: Globs,
    annotations: Globs,
    namespace_labels: Globs,
    max_keys: usize,
    max_value: usize,
    known: Mutex<HashMap<(Origin, Arc<str>), Known>>,
}

#[derive(Default)]
struct Globs {
    include: Vec<GlobMatcher>,
    exclude: Vec<GlobMatcher>,
}

/// What the rules say of one key, before they see a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Included,
    Default,
    Excluded,
}

/// The worked out part of a key: one copy of its text and name for all pods.
#[derive(Clone)]
struct Known {
    origin: Origin,
    verdict: Verdict,
    key: Arc<str>,
    name: Arc<str>,
}

impl Rules {
    /// Compiles the patterns.
    ///
    /// # Errors
    /// Every pattern that is not a glob, so that one start shows all mistakes.
    pub fn new(settings: &Settings) -> Result<Self, Vec<BadPattern>> {
        let mut faults = Vec::new();
        let mut compile = |list, patterns: &[String]| -> Vec<GlobMatcher> {
            let compiled = patterns.iter().filter_map(|pattern| match Glob::new(pattern.trim()) {
                Ok(glob) => Some(glob.compile_matcher()),
                Err(source) => {
                    faults.push(BadPattern { list, pattern: pattern.clone(), source });
                    None
                }
            });
            compiled.collect()
        };
        let inner = Inner {
            labels: Globs {
                include: compile("labels.include", &settings.labels.include),
                exclude: compile("labels.exclude", &settings.labels.exclude),
            },
            annotations: Globs {
                include: compile("annotations.include", &settings.annotations.include),
                exclude: compile("annotations.exclude", &settings.annotations.exclude),
            },
            namespace_labels: Globs {
                include: compile("labels.namespace", &settings.namespace_labels.include),
                exclude: compile("labels.namespace", &settings.namespace_labels.exclude),
            },
            max_keys: settings.max_keys,
            max_value: settings.max_value,
            known: Mutex::default(),
        };
        if faults.is_empty() { Ok(Self { inner: Arc::new(inner) }) } else { Err(faults) }
    }

    /// Whether any label of a namespace can go on series, so that namespaces need to be watched.
    #[must_use]
    pub fn wants_namespaces(&self) -> bool {
        !self.inner.namespace_labels.include.is_empty()
    }

    /// Include patterns for pods that match no key on any pod of `index`: most often a misspelt key.
    #[must_use]
    pub fn never_matched(&self, index: &Index) -> Vec<NeverMatched> {
        let lists = [
            ("labels.include", Origin::PodLabel, &self.inner.labels),
            ("annotations.include", Origin::PodAnnotation, &self.inner.annotations),
        ];
        let mut missing = Vec::new();
        for (list, origin, globs) in lists {
            let keys: HashSet<&str> = index
                .pods()
                .flat_map(|pod| &pod.labels)
                .filter(|label| label.origin == origin)
                .map(|label| &*label.key)
                .collect();
            let unmatched =
                globs.include.iter().filter(|glob| !keys.iter().any(|key| glob.is_match(key)));
            missing.extend(
                unmatched.map(|glob| NeverMatched { list, pattern: glob.glob().to_string() }),
            );
        }
        missing
    }

    /// The labels of a pod's series, sorted by name, and what the bounds cut.
    pub(crate) fn pod(&self, labels: &Map, annotations: &Map) -> (Vec<Label>, Cut) {
        let mut chosen = self.chosen(Origin::PodLabel, labels);
        chosen.extend(self.chosen(Origin::PodAnnotation, annotations));
        let mut cut = Cut { count: labels.more, length: 0 };
        let labels = self.bounded(chosen, &mut cut);
        (labels, cut)
    }

    /// The labels that a namespace gives to its pods' series, sorted by name.
    pub(super) fn namespace(&self, labels: &Map) -> Vec<Label> {
        self.bounded(self.chosen(Origin::NamespaceLabel, labels), &mut Cut::default())
    }

    fn chosen<'a>(&self, origin: Origin, map: &'a Map) -> Vec<(Known, &'a Arc<str>)> {
        let entries = map.entries.iter().map(|(key, value)| (self.known(origin, key), value));
        let chosen = entries.filter(|(known, value)| match known.verdict {
            Verdict::Included => true,
            Verdict::Default => {
                origin != Origin::PodAnnotation || value.len() <= MAX_DEFAULT_ANNOTATION
            }
            Verdict::Excluded => false,
        });
        chosen.collect()
    }

    /// Applies the bounds. What was asked for by name goes before what goes by default, labels before
    /// annotations, and then the keys in their order, so that the choice is the same at every event.
    fn bounded(&self, mut chosen: Vec<(Known, &Arc<str>)>, cut: &mut Cut) -> Vec<Label> {
        chosen.sort_by(|(a, _), (b, _)| {
            let default = |known: &Known| known.verdict != Verdict::Included;
            (default(a), a.origin, &a.key).cmp(&(default(b), b.origin, &b.key))
        });
        cut.count +=
            u32::try_from(chosen.len().saturating_sub(self.inner.max_keys)).unwrap_or(u32::MAX);
        chosen.truncate(self.inner.max_keys);
        let mut labels: Vec<Label> = chosen
            .into_iter()
            .map(|(known, value)| Label {
                origin: known.origin,
                value: self.shortened(value, cut),
                key: known.key,
                name: known.name,
            })
            .collect();
        settle_conflicts(&mut labels);
        labels
    }

    fn shortened(&self, value: &Arc<str>, cut: &mut Cut) -> Arc<str> {
        let kept = lax::cut(value, self.inner.max_value);
        if kept.len() == value.len() {
            return value.clone();
        }
        cut.length += 1;
        kept.into()
    }

    fn known(&self, origin: Origin, key: &Arc<str>) -> Known {
        let mut remembered = self.inner.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = remembered.get(&(origin, key.clone())) {
            return known.clone();
        }
        let known = Known {
            origin,
            verdict: self.inner.verdict(origin, key),
            key: key.clone(),
            name: format!("{}{}", origin.prefix(), sanitised(key)).into(),
        };
        if remembered.len() < MAX_REMEMBERED {
            remembered.insert((origin, key.clone()), known.clone());
        }
        known
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules").field("max_keys", &self.inner.max_keys).finish_non_exhaustive()
    }
}

impl Inner {
    fn verdict(&self, origin: Origin, key: &str) -> Verdict {
        let globs = match origin {
            Origin::PodAnnotation => &self.annotations,
            Origin::NamespaceLabel => &self.namespace_labels,
            Origin::PodLabel | Origin::Own => &self.labels,
        };
        let include = strongest(&globs.include, key);
        let exclude = strongest(&globs.exclude, key);
        match (include, exclude) {
            (Some(include), exclude) if exclude.is_none_or(|exclude| include > exclude) => {
                Verdict::Included
            }
            (_, Some(_)) => Verdict::Excluded,
            _ if goes_by_default(origin, key) => Verdict::Default,
            _ => Verdict::Excluded,
        }
    }
}

fn goes_by_default(origin: Origin, key: &str) -> bool {
    match origin {
        Origin::PodLabel => !HASHES.contains(&key) && !key.starts_with(JOB_PREFIX),
        Origin::PodAnnotation => !key.contains('/'),
        Origin::NamespaceLabel | Origin::Own => false,
    }
}

/// The most literal characters among the patterns that match.
fn strongest(globs: &[GlobMatcher], key: &str) -> Option<usize> {
    let literal = |glob: &GlobMatcher| {
        glob.glob().glob().chars().filter(|c| !"*?[]{}!\\".contains(*c)).count()
    };
    globs.iter().filter(|glob| glob.is_match(key)).map(literal).max()
}

/// The labels of something whose labels stand in the settings, named and sorted as a pod's are. All of them go.
pub fn written<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<Label> {
    let origin = Origin::PodLabel;
    let mut labels: Vec<Label> = pairs
        .into_iter()
        .map(|(key, value)| Label {
            origin,
            key: key.into(),
            name: format!("{}{}", origin.prefix(), sanitised(key)).into(),
            value: value.into(),
        })
        .collect();
    settle_conflicts(&mut labels);
    labels
}

/// As kube-state-metrics does: what formats do not allow becomes `_`, then `camelCase` becomes `snake_case`.
fn sanitised(key: &str) -> String {
    let mut name = String::with_capacity(key.len() + 4);
    let mut before = '_';
    for character in key.chars() {
        let allowed = if character.is_ascii_alphanumeric() { character } else { '_' };
        if allowed.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit())
        {
            name.push('_');
        }
        name.push(allowed.to_ascii_lowercase());
        before = allowed;
    }
    name
}

/// Sorts by name and gives each of several equal names a number, in the order of their keys.
///
/// A number that would make a name which another key already has is passed over, so that names are unique.
fn settle_conflicts(labels: &mut [Label]) {
    labels.sort_by(|a, b| (&a.name, &a.key).cmp(&(&b.name, &b.key)));
    let mut taken: HashSet<Arc<str>> = labels.iter().map(|label| label.name.clone()).collect();
    if taken.len() == labels.len() {
        return;
    }
    for group in labels.chunk_by_mut(|a, b| a.name == b.name).filter(|group| group.len() > 1) {
        let base = group[0].name.clone();
        let mut number = 0_u32;
        for label in group {
            loop {
                number += 1;
                label.name = format!("{base}_conflict{number}").into();
                if taken.insert(label.name.clone()) {
                    break;
                }
            }
        }
    }
    labels.sort_by(|a, b| a.name.cmp(&b.name));
}

#[cfg(test)]
mod tests;
