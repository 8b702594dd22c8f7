//! Labels beside an entity's own, made once and shared by all series that have them.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use crate::labels::{Label, LabelSet};
use crate::pods::model::{Phase, Qos};

/// Beyond this many the cache is emptied: names of devices and interfaces change over months.
const CACHED: usize = 4096;

/// Label sets by their content. A look-up of a known set allocates nothing, and the set's renderings
/// are kept with it.
#[derive(Debug, Default)]
pub(super) struct Extras {
    hasher: RandomState,
    sets: HashMap<u64, Vec<Arc<LabelSet>>>,
    /// The sets of resources by the names that the API has for them.
    /// By the word for bytes, then by the resource's name.
    resources: HashMap<&'static str, HashMap<Box<str>, Arc<LabelSet>>>,
}

impl Extras {
    /// The set with one label.
    pub(super) fn one(&mut self, name: &'static str, value: &str) -> Arc<LabelSet> {
        self.of(&[(name, value)])
    }

    /// The set with these labels.
    pub(super) fn of(&mut self, pairs: &[(&'static str, &str)]) -> Arc<LabelSet> {
        let hash = self.hasher.hash_one(pairs);
        if self.sets.len() >= CACHED && !self.sets.contains_key(&hash) {
            self.sets.clear();
        }
        let same = self.sets.entry(hash).or_default();
        if let Some(set) = same.iter().find(|set| is(set, pairs)) {
            return set.clone();
        }
        let set = set(pairs);
        same.push(set.clone());
        set
    }

    /// `resource` and `unit` of a resource that is neither CPU nor memory, named as kube-state-metrics does.
    pub(super) fn resource(&mut self, name: &str, bytes: &'static str) -> Arc<LabelSet> {
        if let Some(set) = self.resources.get(bytes).and_then(|known| known.get(name)) {
            return set.clone();
        }
        let plain: String = plain(name).collect();
        let unit = if plain.starts_with("hugepages") { bytes } else { "integer" };
        let set = self.of(&[("resource", &plain), ("unit", unit)]);
        let known = self.resources.entry(bytes).or_default();
        if known.len() >= CACHED {
            known.clear();
        }
        known.insert(name.into(), set.clone());
        set
    }
}

/// A resource's name as kube-state-metrics writes it.
fn plain(name: &str) -> impl Iterator<Item = char> + '_ {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
}

/// Whether both resources have the same name in a label.
pub(super) fn is_same_resource(a: &str, b: &str) -> bool {
    plain(a).eq(plain(b))
}

fn is(set: &LabelSet, pairs: &[(&str, &str)]) -> bool {
    set.labels().len() == pairs.len()
        && set
            .labels()
            .iter()
            .zip(pairs)
            .all(|(label, (name, value))| &*label.name == *name && &*label.value == *value)
}

/// A set of Podmeter's own labels.
pub(super) fn set(pairs: &[(&str, &str)]) -> Arc<LabelSet> {
    Arc::new(LabelSet::new(pairs.iter().map(|(name, value)| Label::own(name, *value)).collect()))
}

/// Sets that every pod or container has: no look-up at all.
#[derive(Debug)]
pub(super) struct Fixed {
    pub(super) working_set: Arc<LabelSet>,
    pub(super) unreclaimable: Arc<LabelSet>,
    pub(super) pgfault: Arc<LabelSet>,
    pub(super) pgmajfault: Arc<LabelSet>,
    pub(super) state_metrics: Units,
    pub(super) scheduler: Units,
    pub(super) pods: Arc<LabelSet>,
    pub(super) phases: [(Phase, Arc<LabelSet>); 5],
    pub(super) classes: [(Qos, Arc<LabelSet>); 3],
    pub(super) ready: [(Option<bool>, Arc<LabelSet>); 3],
}

/// `resource` and `unit` of what every pod may ask for, in the words of one convention.
#[derive(Debug)]
pub(super) struct Units {
    pub(super) cpu: Arc<LabelSet>,
    pub(super) memory: Arc<LabelSet>,
    pub(super) storage: Arc<LabelSet>,
    pub(super) bytes: &'static str,
}

impl Units {
    fn new(cores: &str, bytes: &'static str) -> Self {
        Self {
            cpu: set(&[("resource", "cpu"), ("unit", cores)]),
            memory: set(&[("resource", "memory"), ("unit", bytes)]),
            storage: set(&[("resource", "ephemeral_storage"), ("unit", bytes)]),
            bytes,
        }
    }
}

impl Default for Fixed {
    fn default() -> Self {
        let ready = |state, word| (state, set(&[("condition", word)]));
        Self {
            working_set: set(&[("basis", "working_set")]),
            unreclaimable: set(&[("basis", "unreclaimable")]),
            pgfault: set(&[("failure_type", "pgfault"), ("scope", "hierarchy")]),
            pgmajfault: set(&[("failure_type", "pgmajfault"), ("scope", "hierarchy")]),
            state_metrics: Units::new("core", "byte"),
            scheduler: Units::new("cores", "bytes"),
            pods: set(&[("resource", "pods"), ("unit", "integer")]),
            phases: Phase::ALL.map(|phase| (phase, set(&[("phase", phase.as_str())]))),
            classes: Qos::ALL.map(|qos| (qos, set(&[("qos_class", qos.as_str())]))),
            ready: [ready(Some(true), "true"), ready(Some(false), "false"), ready(None, "unknown")],
        }
    }
}
