//! What cannot be used, and the set of all that cannot be used at present.

use std::collections::{BTreeMap, HashMap, btree_map::Entry};

use tracing::{info, warn};

use crate::proxy::route::{Fault, Origin};

/// Faults of one object that are kept: who wrote more mistakes has enough to do.
const MAX_OF_ONE: usize = 32;
/// Faults that are kept in all.
const MAX_FAULTS: usize = 1_000;

macro_rules! reasons {
    ($($variant:ident $label:literal $help:literal;)*) => {
        /// Why something cannot be used. A closed set: the `reason` label, beside those of the route table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Reason { $(#[doc = $help] $variant),* }

        impl Reason {
            /// The label value.
            pub(super) fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $label),* }
            }
        }
    };
}

reasons! {
    ForeignClass "foreign_class" "The IngressClass of our name names another controller.";
    NoBackend "no_backend" "A rule or path names no Service.";
    ResourceBackend "resource_backend" "A backend is an object that is no Service.";
    BadService "bad_service" "A Service's name or port is none.";
    BadHost "bad_host" "A host is none.";
    BadPath "bad_path" "A path or its type is none.";
    BadAnnotation "bad_annotation" "An annotation's value is not understood.";
    UnknownAnnotation "unknown_annotation" "An annotation in our domain is not known.";
    Unsupported "unsupported_annotation" "An annotation for nginx changes routing and is not supported.";
    Guarded "guard_not_supported" "An annotation for nginx restricts access and is not supported: requests are refused.";
    TooMany "too_many" "More rules, Secrets or Services than are kept.";
    CertificateMissing "certificate_missing" "The Secret is not there.";
    CertificateMalformed "certificate_malformed" "The Secret holds no certificate and key.";
    AuthoritiesMissing "authorities_missing" "The Secret of the authorities is not there.";
    AuthoritiesMalformed "authorities_malformed" "The Secret of the authorities holds none.";
    ServiceMissing "service_missing" "The Service is not there.";
    PortMissing "port_missing" "The Service has no such port.";
    ExternalName "external_name" "The Service is a name in DNS, which has no pods.";
}

/// Collects the faults of one object.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) origin: Origin,
    pub(super) faults: Vec<Fault>,
}

impl Report {
    pub(super) fn new(origin: Origin) -> Self {
        Self { origin, faults: Vec::new() }
    }

    /// Adds what someone else found.
    pub(super) fn extend(&mut self, faults: Vec<Fault>) {
        let left = MAX_OF_ONE.saturating_sub(self.faults.len());
        self.faults.extend(faults.into_iter().take(left));
    }

    pub(super) fn add(&mut self, reason: Reason, sentence: impl Into<String>) {
        if self.faults.len() < MAX_OF_ONE {
            self.faults.push(fault(&self.origin, reason, sentence));
        }
    }
}

pub(super) fn fault(origin: &Origin, reason: Reason, sentence: impl Into<String>) -> Fault {
    Fault { origin: origin.clone(), reason: reason.as_str(), sentence: sentence.into() }
}

/// What a fault is about, which is the reason on its Event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum About {
    Route,
    Certificate,
    Service,
}

impl About {
    /// The Event's reason.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Route => "RouteRefused",
            Self::Certificate => "CertificateRefused",
            Self::Service => "ServiceRefused",
        }
    }
}

/// All faults there are at present.
#[derive(Debug, Default)]
pub(super) struct Faults {
    present: BTreeMap<(Origin, &'static str, String), About>,
}

impl Faults {
    /// Takes the faults there are now: logs those that are new and those that are mended, and gives the new ones.
    pub(super) fn replace(&mut self, faults: Vec<(About, Fault)>) -> Vec<(About, Fault)> {
        let mut before = std::mem::take(&mut self.present);
        let mut new = Vec::new();
        // Nobody's mistakes may hide those of others.
        let mut counts: HashMap<Origin, usize> = HashMap::new();
        let faults = faults.into_iter().filter(|(_, fault)| {
            let count = counts.entry(fault.origin.clone()).or_default();
            *count += 1;
            *count <= MAX_OF_ONE
        });
        for (about, fault) in faults.take(MAX_FAULTS) {
            let key = (fault.origin.clone(), fault.reason, fault.sentence.clone());
            let is_known = before.remove(&key).is_some();
            if let Entry::Vacant(place) = self.present.entry(key) {
                place.insert(about);
                if !is_known {
                    let Origin { namespace, name, .. } = &fault.origin;
                    warn!(%namespace, %name, reason = fault.reason, "{}", fault.sentence);
                    new.push((about, fault));
                }
            }
        }
        for (Origin { namespace, name, .. }, reason, sentence) in before.into_keys() {
            info!(%namespace, %name, reason, "mended: {sentence}");
        }
        new
    }

    pub(super) fn has(&self, fault: &Fault) -> bool {
        let Fault { origin, reason, sentence } = fault.clone();
        self.present.contains_key(&(origin, reason, sentence))
    }

    pub(super) fn all(&self) -> Vec<Fault> {
        let fault = |(origin, reason, sentence): &(Origin, &'static str, String)| Fault {
            origin: origin.clone(),
            reason,
            sentence: sentence.clone(),
        };
        self.present.keys().map(fault).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::route::Source;

    fn about(name: &str) -> (About, Fault) {
        let origin =
            Origin { source: Source::Ingress, namespace: "shop".into(), name: name.into() };
        (About::Route, fault(&origin, Reason::BadPath, "it is odd"))
    }

    #[test]
    fn faults_of_one_object_do_not_hide_those_of_another() {
        let mut faults = Faults::default();
        let mut all: Vec<_> = (0..2 * MAX_FAULTS)
            .map(|at| {
                let (about, fault) = about("loud");
                (about, Fault { sentence: at.to_string(), ..fault })
            })
            .collect();
        all.push(about("quiet"));
        let told = faults.replace(all);
        assert_eq!(told.len(), MAX_OF_ONE + 1);
        assert!(told.contains(&about("quiet")));
    }

    #[test]
    fn only_a_fault_that_was_not_there_is_new() {
        let mut faults = Faults::default();
        assert_eq!(faults.replace(vec![about("a"), about("a")]).len(), 1, "the same is one");
        assert_eq!(faults.replace(vec![about("a"), about("b")]), [about("b")]);
        assert_eq!(faults.replace(vec![about("b")]), []);
        assert_eq!(faults.replace(vec![about("a")]), [about("a")], "it came back");
        assert_eq!(faults.all(), [about("a").1]);
    }
}
