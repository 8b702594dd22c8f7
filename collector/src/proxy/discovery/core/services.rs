//! The Services that routes name: which are followed, and what was told of each.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::proxy::control::Told;
use crate::proxy::discovery::backends::{Known, Trouble, same};
use crate::proxy::discovery::fault::Reason;
use crate::proxy::discovery::name::Name;
use crate::proxy::service::{Port, Service, ServiceKey};

/// Services that are followed, each with watches of its own.
const MAX_SERVICES: usize = 256;

/// Services by name.
#[derive(Default)]
pub(super) struct Services {
    entries: BTreeMap<Name, Entry>,
    /// Services beyond the bound.
    excess: BTreeSet<Name>,
}

/// A Service and its ports that are wanted.
struct Entry {
    known: Known,
    ports: BTreeMap<Port, Last>,
}

/// What was told last.
#[derive(Default)]
struct Last {
    is_told: bool,
    service: Option<Service>,
    trouble: Option<Trouble>,
}

impl Services {
    /// Follows these and nothing else: those of the file before those of Ingresses, which are in this order. So each
    /// node follows the same ones, and a new Ingress takes nothing from an older one.
    pub(super) fn want(&mut self, keys: &BTreeSet<ServiceKey>, order: &[Name], told: &dyn Told) {
        let mut wanted: BTreeMap<Name, BTreeSet<&Port>> = BTreeMap::new();
        for key in keys {
            // A name that is none could not be asked for; where it is written, it was said to be none.
            if let Some(name) = Name::of(key) {
                wanted.entry(name).or_default().insert(&key.port);
            }
        }
        self.excess = excess(&wanted, order);
        self.entries.retain(|name, entry| {
            // It is wanted still, so nobody else lets go of its pods.
            if self.excess.contains(name) {
                entry.ports.keys().for_each(|port| told.service(&name.with(port.clone()), None));
            }
            wanted.contains_key(name) && !self.excess.contains(name)
        });
        for (name, ports) in wanted {
            if self.excess.contains(&name) {
                continue;
            }
            let entry = self.entries.entry(name.clone()).or_insert_with(|| Entry {
                known: Known::new(name.clone()),
                ports: BTreeMap::new(),
            });
            entry.ports.retain(|port, _| ports.contains(port));
            for port in ports {
                entry.ports.entry(port.clone()).or_default();
            }
            entry.tell(&name, told);
        }
    }

    /// Tells what was told already.
    pub(super) fn tell_again(&self, told: &dyn Told) {
        for (name, entry) in &self.entries {
            for (port, last) in entry.ports.iter().filter(|(_, last)| last.is_told) {
                told.service(&name.with(port.clone()), last.service.clone());
            }
        }
    }

    /// Changes what is known of a Service and tells what that makes new; whether its troubles are others now.
    pub(super) fn change(
        &mut self,
        name: &Name,
        told: &dyn Told,
        change: impl FnOnce(&mut Known),
    ) -> bool {
        let Some(entry) = self.entries.get_mut(name) else { return false };
        change(&mut entry.known);
        entry.tell(name, told)
    }

    pub(super) fn known(&self) -> impl Iterator<Item = (&Name, &Known)> {
        self.entries.iter().map(|(name, entry)| (name, &entry.known))
    }

    /// Whether each was told of.
    pub(super) fn is_complete(&self) -> bool {
        self.entries.values().flat_map(|entry| entry.ports.values()).all(|last| last.is_told)
    }

    /// Services that cannot be used, and why.
    pub(super) fn troubles(&self) -> Vec<(&Name, Trouble)> {
        let own = self.entries.iter().flat_map(|(name, entry)| {
            let troubles = entry.ports.values().filter_map(|last| last.trouble.clone());
            troubles.map(move |trouble| (name, trouble))
        });
        let excess = self.excess.iter().map(|name| {
            let sentence = format!(
                "Service {} is left out: only {MAX_SERVICES} can be followed; use fewer",
                name.name
            );
            (name, (Reason::TooMany, sentence))
        });
        own.chain(excess).collect()
    }
}

/// Those for which there is no place.
fn excess(wanted: &BTreeMap<Name, BTreeSet<&Port>>, order: &[Name]) -> BTreeSet<Name> {
    if wanted.len() <= MAX_SERVICES {
        return BTreeSet::new();
    }
    let mut ranks: HashMap<&Name, usize> = HashMap::new();
    for (at, name) in order.iter().enumerate() {
        ranks.entry(name).or_insert(at);
    }
    let mut names: Vec<&Name> = wanted.keys().collect();
    // The file's have no rank, and none goes before the first.
    names.sort_by_key(|name| ranks.get(name));
    names.into_iter().skip(MAX_SERVICES).cloned().collect()
}

impl Entry {
    fn tell(&mut self, name: &Name, told: &dyn Told) -> bool {
        let mut has_other_troubles = false;
        for (port, last) in &mut self.ports {
            let Some(now) = self.known.service(port, last.service.as_ref()) else { continue };
            let (service, trouble) = match now {
                Ok(service) => (Some(service), None),
                Err(trouble) => (None, Some(trouble)),
            };
            has_other_troubles |= trouble != last.trouble;
            let is_same = last.is_told
                && match (&service, &last.service) {
                    (Some(now), Some(before)) => same(now, before),
                    (None, None) => true,
                    _ => false,
                };
            if !is_same {
                told.service(&name.with(port.clone()), service.clone());
                last.service = service;
            }
            last.trouble = trouble;
            last.is_told = true;
        }
        has_other_troubles
    }
}
