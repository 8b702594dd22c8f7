//! What a new text of the file means. Pure: no file, no clock.

use collector::proxy::route::Route;
use collector::proxy::service::{Service, ServiceKey};

use super::Known;
use crate::config::{Faults, Settings, file};

/// What follows from a new text.
#[derive(Debug)]
pub enum Outcome {
    /// It can be put in force.
    Good {
        /// What the proxy is told.
        change: Change,
        /// Keys whose new values only a restart puts in force.
        restart: Vec<&'static str>,
    },
    /// It is wrong, and what was known stays in force.
    Bad(Faults),
}

/// What the proxy is told.
#[derive(Debug, Default, PartialEq)]
pub struct Change {
    /// Services that are new or differ.
    pub services: Vec<(ServiceKey, Service)>,
    /// All routes, if any differs.
    pub routes: Option<Vec<Route>>,
    /// Services that are there no more.
    pub gone: Vec<ServiceKey>,
    /// What is known then.
    pub known: Known,
}

impl Change {
    /// What leads from one to the other.
    #[must_use]
    pub fn between(old: &Known, new: Known) -> Self {
        let differs =
            |(key, service): &(&ServiceKey, &Service)| old.services.get(key) != Some(service);
        let services = new.services.iter().filter(differs);
        Self {
            services: services.map(|(key, service)| (key.clone(), service.clone())).collect(),
            routes: (old.routes != new.routes).then(|| new.routes.clone()),
            gone: old
                .services
                .keys()
                .filter(|key| !new.services.contains_key(key))
                .cloned()
                .collect(),
            known: new,
        }
    }
}

/// What follows when the file, which held `start` when the agent did, holds `text` and that is `understood` so.
///
/// A proxy that would not listen any more keeps its routes: it goes on listening until the restart.
#[must_use]
pub fn reloaded(
    old: &Known,
    start: &str,
    text: &str,
    understood: Result<Settings, Faults>,
) -> Outcome {
    match understood {
        Ok(settings) => {
            let new = settings.proxy.as_ref().map_or_else(|| old.clone(), Known::from);
            Outcome::Good { change: Change::between(old, new), restart: file::changed(start, text) }
        }
        Err(faults) => Outcome::Bad(faults),
    }
}
