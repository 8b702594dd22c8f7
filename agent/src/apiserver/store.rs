//! The objects and their history.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::{Value, json};

use super::route::Route;

/// Changes that are remembered; older versions are gone, as after the real server's compaction.
const MAX_HISTORY: usize = 10_000;
/// Objects that are kept; further ones are ignored.
const MAX_OBJECTS: usize = 20_000;

/// Collection, namespace, name.
type Key = (String, String, String);

#[derive(Debug, Default)]
pub(super) struct Store {
    objects: BTreeMap<Key, Arc<Value>>,
    history: VecDeque<Change>,
    version: u64,
    /// Versions below are gone.
    compacted: u64,
    pub(super) gone_by_status: bool,
    pub(super) lie: Option<String>,
}

#[derive(Clone, Debug)]
struct Change {
    version: u64,
    collection: String,
    before: Option<Arc<Value>>,
    after: Option<Arc<Value>>,
}

/// The history that was asked for is gone.
#[derive(Debug)]
pub(super) struct Gone;

impl Store {
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// The version as clients are told it.
    pub(super) fn told_version(&self) -> String {
        self.lie.clone().unwrap_or_else(|| self.version.to_string())
    }

    pub(super) fn apply(&mut self, mut object: Value) {
        let Some(key) = key(&object) else { return };
        if !self.objects.contains_key(&key) && self.objects.len() >= MAX_OBJECTS {
            return;
        }
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.told_version().into();
        let after = Arc::new(object);
        let before = self.objects.insert(key.clone(), after.clone());
        self.remember(key.0, before, Some(after));
    }

    /// Adds an object of this collection that is not there yet; whether it was not.
    pub(super) fn create(&mut self, collection: &str, object: Value) -> bool {
        let is_new =
            key(&object).is_some_and(|key| key.0 == collection && !self.objects.contains_key(&key));
        if is_new {
            self.apply(object);
        }
        is_new
    }

    pub(super) fn delete(&mut self, kind: &str, namespace: &str, name: &str) {
        let suffix = format!("/{}", plural(kind));
        let found = self.objects.keys().find(|(collection, ns, object)| {
            collection.ends_with(&suffix) && ns == namespace && object == name
        });
        let Some(key) = found.cloned() else { return };
        let before = self.objects.remove(&key);
        self.version += 1;
        self.remember(key.0, before, None);
    }

    pub(super) fn forget(&mut self) {
        self.objects.clear();
        self.compact();
    }

    pub(super) fn compact(&mut self) {
        self.history.clear();
        self.version += 1;
        self.compacted = self.version;
    }

    fn remember(
        &mut self,
        collection: String,
        before: Option<Arc<Value>>,
        after: Option<Arc<Value>>,
    ) {
        self.history.push_back(Change { version: self.version, collection, before, after });
        if self.history.len() > MAX_HISTORY
            && let Some(oldest) = self.history.pop_front()
        {
            self.compacted = oldest.version;
        }
    }

    /// All objects of a collection.
    pub(super) fn all(&self, collection: &str) -> Vec<Value> {
        let mine = self.objects.iter().filter(|((of, ..), _)| of == collection);
        mine.map(|(_, object)| (**object).clone()).collect()
    }

    /// What the route asks for, in the order of namespace and name.
    pub(super) fn list(&self, route: &Route) -> Vec<Arc<Value>> {
        let mine =
            self.objects.iter().filter(|((collection, ..), _)| *collection == route.collection);
        mine.map(|(_, object)| object).filter(|object| route.wants(object)).cloned().collect()
    }

    /// The events after `version`, each ready for the wire.
    ///
    /// An object that stops matching the selector is told as deleted, as the real server does it.
    pub(super) fn since(&self, version: u64, route: &Route) -> Result<Vec<String>, Gone> {
        if version < self.compacted {
            return Err(Gone);
        }
        let mine = self
            .history
            .iter()
            .filter(|change| change.version > version && change.collection == route.collection);
        let events = mine.filter_map(|change| {
            let wanted =
                |object: &Option<Arc<Value>>| object.clone().filter(|object| route.wants(object));
            match (wanted(&change.before), wanted(&change.after)) {
                (None, Some(object)) => Some(event("ADDED", &route.shape(&object))),
                (Some(_), Some(object)) => Some(event("MODIFIED", &route.shape(&object))),
                (Some(object), None) => {
                    let mut last = route.shape(&object);
                    last["metadata"]["resourceVersion"] =
                        self.lie.clone().unwrap_or_else(|| change.version.to_string()).into();
                    Some(event("DELETED", &last))
                }
                (None, None) => None,
            }
        });
        Ok(events.collect())
    }

    /// A bookmark at the present version.
    pub(super) fn bookmark(&self) -> String {
        event("BOOKMARK", &json!({"metadata": {"resourceVersion": self.told_version()}}))
    }
}

/// One line of a watch. The type comes first, as the real server writes it.
pub(super) fn event(kind: &str, object: &Value) -> String {
    format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n")
}

fn key(object: &Value) -> Option<Key> {
    let version = object["apiVersion"].as_str()?;
    let base = if version.contains('/') { "/apis" } else { "/api" };
    let collection = format!("{base}/{version}/{}", plural(object["kind"].as_str()?));
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
    Some((collection, namespace.to_owned(), object["metadata"]["name"].as_str()?.to_owned()))
}

/// `Pod` → `pods`, `Ingress` → `ingresses`, `NetworkPolicy` → `networkpolicies`, `Endpoints` stays.
fn plural(kind: &str) -> String {
    let kind = kind.to_ascii_lowercase();
    match kind.strip_suffix('y') {
        _ if kind == "endpoints" => kind,
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{stem}ies"),
        _ if kind.ends_with('s') => format!("{kind}es"),
        _ => format!("{kind}s"),
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn pod(name: &str, node: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "shop"}, "spec": {"nodeName": node}})
    }

    fn route(uri: &str) -> Route {
        Route::of(&Request::get(uri).body(()).unwrap()).unwrap()
    }

    #[test]
    fn object_that_stops_matching_is_told_as_deleted() {
        let mut store = Store::default();
        store.apply(pod("web", "n1"));
        store.apply(pod("web", "n2"));
        let events =
            store.since(0, &route("/api/v1/pods?fieldSelector=spec.nodeName%3Dn1")).unwrap();
        let kinds: Vec<_> = events.iter().map(|event| &event[9..14]).collect();
        assert_eq!(kinds, ["ADDED", "DELET"]);
    }

    #[test]
    fn compacted_history_is_gone_and_the_present_is_not() {
        let mut store = Store::default();
        store.apply(pod("web", "n1"));
        store.compact();
        let pods = route("/api/v1/pods");
        assert!(store.since(1, &pods).is_err());
        assert!(store.since(store.version(), &pods).unwrap().is_empty());
        assert_eq!(store.list(&pods).len(), 1);
    }

    #[test]
    fn kinds_have_their_plurals() {
        for (kind, expected) in [
            ("Pod", "pods"),
            ("Ingress", "ingresses"),
            ("EndpointSlice", "endpointslices"),
            ("Endpoints", "endpoints"),
            ("NetworkPolicy", "networkpolicies"),
            ("Gateway", "gateways"),
        ] {
            assert_eq!(plural(kind), expected);
        }
    }
}
