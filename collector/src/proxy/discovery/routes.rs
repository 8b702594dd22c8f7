//! Which Ingresses are ours, and what of them is in force.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::fault::{Reason, fault};
use super::ingress::{self, Ingress, Tls};
use super::name::Name;
use super::object::{ClassObject, IngressObject};
use crate::api::feed::Change;
use crate::proxy::route::{Fault, Origin, Route, Source};

/// What an IngressClass of ours must name.
pub(super) const CONTROLLER: &str = "podmeter.io/proxy";
/// The annotation that makes a class the one of Ingresses that name none.
const DEFAULT_CLASS: &str = "ingressclass.kubernetes.io/is-default-class";
/// Ingresses that are kept.
const MAX_INGRESSES: usize = 8_192;

/// The class and the Ingresses that could be ours.
#[derive(Debug)]
pub(super) struct Routes {
    /// The class's name.
    class: Arc<str>,
    /// Its object: what of it matters, if it is there.
    object: Option<Class>,
    ingresses: BTreeMap<Name, Ingress>,
    /// How many were beyond the bound since last asked.
    pub(super) left_out: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Class {
    controller: Arc<str>,
    is_default: bool,
}

impl Routes {
    pub(super) fn new(class: Arc<str>) -> Self {
        Self { class, object: None, ingresses: BTreeMap::new(), left_out: 0 }
    }

    pub(super) fn classes(&mut self, changes: Vec<Change<ClassObject>>) {
        let class = self.class.clone();
        let is_ours = |object: &ClassObject| {
            object.metadata.0.as_ref().is_some_and(|metadata| metadata.name.is(&class))
        };
        for change in changes {
            match change {
                Change::All(objects) => self.object = objects.into_iter().find(is_ours).map(kept),
                Change::Applied(object) if is_ours(&object) => self.object = Some(kept(object)),
                Change::Deleted(object) if is_ours(&object) => self.object = None,
                Change::Applied(_) | Change::Deleted(_) => {}
            }
        }
    }

    pub(super) fn ingresses(&mut self, changes: Vec<Change<IngressObject>>) {
        for change in changes {
            match change {
                Change::All(objects) => {
                    let mut before = std::mem::take(&mut self.ingresses);
                    for object in objects {
                        self.apply(object, &mut before);
                    }
                }
                Change::Applied(object) => {
                    let mut before = BTreeMap::new();
                    if let Some(name) = name(&object)
                        && let Some(old) = self.ingresses.remove(&name)
                    {
                        before.insert(name, old);
                    }
                    self.apply(object, &mut before);
                }
                Change::Deleted(object) => {
                    if let Some(name) = name(&object) {
                        self.ingresses.remove(&name);
                    }
                }
            }
        }
    }

    fn apply(&mut self, object: IngressObject, before: &mut BTreeMap<Name, Ingress>) {
        let Some((name, mut ingress)) = name(&object).zip(ingress::read(object)) else { return };
        // One that names another class is nobody's business here, and clusters may have thousands.
        let names_another = !ingress.classes.is_empty() && !ingress.classes.contains(&self.class);
        if names_another {
            return;
        }
        if self.ingresses.len() >= MAX_INGRESSES {
            self.left_out += 1;
            return;
        }
        if ingress.is_unusable()
            && let Some(old) = before.remove(&name)
            && old.uid == ingress.uid
        {
            ingress.routes = old.routes;
            if ingress.tls.is_empty() {
                ingress.tls = old.tls;
            }
        }
        self.ingresses.insert(name, ingress);
    }

    /// Ours, the oldest first: where two say something of the same path, the older one is right.
    pub(super) fn ours(&self) -> Vec<&Ingress> {
        let mut ours: Vec<_> =
            self.ingresses.values().filter(|ingress| self.is_ours(ingress)).collect();
        // The map is in the order of names, and this sort keeps it among those of one age.
        ours.sort_by_key(|ingress| ingress.created);
        ours
    }

    fn is_ours(&self, ingress: &Ingress) -> bool {
        match (&self.object, ingress.classes.as_slice()) {
            (Some(class), _) if &*class.controller != CONTROLLER => false,
            (Some(class), []) => class.is_default,
            (None, []) => false,
            (_, classes) => classes.contains(&self.class),
        }
    }

    pub(super) fn routes(&self) -> Vec<Route> {
        self.ours().into_iter().flat_map(|ingress| ingress.routes.iter().cloned()).collect()
    }

    /// Hosts and their Secrets, in the same order.
    pub(super) fn tls(&self) -> Vec<Tls> {
        let mut all: Vec<Tls> = Vec::new();
        for tls in self.ours().into_iter().flat_map(|ingress| &ingress.tls) {
            if !all.contains(tls) {
                all.push(tls.clone());
            }
        }
        all
    }

    pub(super) fn faults(&self) -> Vec<Fault> {
        let mut faults: Vec<_> =
            self.ours().into_iter().flat_map(|ingress| ingress.faults.iter().cloned()).collect();
        if let Some(class) = self.object.as_ref().filter(|class| &*class.controller != CONTROLLER) {
            let origin = Origin {
                source: Source::Ingress,
                namespace: Arc::default(),
                name: self.class.clone(),
            };
            faults.push(fault(
                &origin,
                Reason::ForeignClass,
                format!(
                    "the IngressClass {} has the controller {:?}, so none of its Ingresses is served; make it {CONTROLLER}, or choose another class",
                    self.class, class.controller
                ),
            ));
        }
        faults
    }

    /// One, if it is ours.
    pub(super) fn find(&self, name: &Name) -> Option<&Ingress> {
        self.ingresses.get(name).filter(|ingress| self.is_ours(ingress))
    }
}

fn kept(object: ClassObject) -> Class {
    let annotations = object.metadata.into_inner().annotations;
    Class {
        controller: object.spec.into_inner().controller.0.unwrap_or_default(),
        is_default: annotations.value(DEFAULT_CLASS).is_some_and(|value| &**value == "true"),
    }
}

fn name(object: &IngressObject) -> Option<Name> {
    let metadata = object.metadata.0.as_ref()?;
    Name::new(&metadata.namespace, &metadata.name)
}
