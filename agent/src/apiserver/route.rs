//! What a request asks for: verb, collection, selectors.

use http::Request;
use serde_json::Value;

/// What is done with a resource, in RBAC's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// One object by name.
    Get,
    /// All objects that the selectors match.
    List,
    /// Changes from a version on.
    Watch,
    /// A new object: an Event is kept, a review is answered.
    Create,
}

/// A request, understood.
#[derive(Clone, Debug)]
pub(super) struct Route {
    pub(super) verb: Verb,
    /// Such as `/api/v1/pods`, whatever the namespace.
    pub(super) collection: String,
    /// Such as `pods`.
    pub(super) resource: String,
    pub(super) namespace: Option<String>,
    pub(super) name: Option<String>,
    pub(super) selector: Selector,
    /// `PartialObjectMetadata` is wanted.
    pub(super) metadata_only: bool,
    pub(super) query: Vec<(String, String)>,
}

/// Equalities that an object must meet.
#[derive(Clone, Debug, Default)]
pub(super) struct Selector {
    fields: Vec<(String, String, bool)>,
    labels: Vec<(String, String, bool)>,
}

impl Route {
    /// `None` for a path that no resource has.
    pub(super) fn of<B>(request: &Request<B>) -> Option<Self> {
        let query: Vec<_> =
            form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes())
                .into_owned()
                .collect();
        let segments: Vec<&str> =
            request.uri().path().split('/').filter(|segment| !segment.is_empty()).collect();
        let (base, rest) = match segments.as_slice() {
            ["api", version, rest @ ..] => (format!("/api/{version}"), rest),
            ["apis", group, version, rest @ ..] => (format!("/apis/{group}/{version}"), rest),
            _ => return None,
        };
        let (namespace, resource, name) = match rest {
            ["namespaces", namespace, resource] => (Some(*namespace), *resource, None),
            ["namespaces", namespace, resource, name] => (Some(*namespace), *resource, Some(*name)),
            [resource] => (None, *resource, None),
            [resource, name] => (None, *resource, Some(*name)),
            _ => return None,
        };
        let find =
            |key: &str| query.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
        let verb = match name {
            _ if request.method() == http::Method::POST => Verb::Create,
            Some(_) => Verb::Get,
            None if matches!(find("watch"), Some("1" | "true")) => Verb::Watch,
            None => Verb::List,
        };
        let accept =
            request.headers().get(http::header::ACCEPT).and_then(|value| value.to_str().ok());
        let selector = Selector {
            fields: equalities(find("fieldSelector").unwrap_or_default()),
            labels: equalities(find("labelSelector").unwrap_or_default()),
        };
        Some(Self {
            verb,
            collection: format!("{base}/{resource}"),
            resource: resource.to_owned(),
            namespace: namespace.map(str::to_owned),
            name: name.map(str::to_owned),
            selector,
            metadata_only: accept.is_some_and(|accept| accept.contains("as=PartialObjectMetadata")),
            query,
        })
    }

    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether an object of this route's collection is asked for.
    pub(super) fn wants(&self, object: &Value) -> bool {
        let metadata = |key: &str| object["metadata"][key].as_str().unwrap_or_default();
        self.namespace.as_ref().is_none_or(|namespace| metadata("namespace") == namespace)
            && self.name.as_ref().is_none_or(|name| metadata("name") == name)
            && self.selector.matches(object)
    }

    /// The object as this request wants it.
    pub(super) fn shape(&self, object: &Value) -> Value {
        if self.metadata_only {
            serde_json::json!({
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": object["metadata"],
            })
        } else {
            object.clone()
        }
    }
}

impl Selector {
    fn matches(&self, object: &Value) -> bool {
        let field = |path: &str| {
            path.split('.')
                .fold(object, |value, key| &value[key])
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let label =
            |key: &str| object["metadata"]["labels"][key].as_str().unwrap_or_default().to_owned();
        self.fields.iter().all(|(path, value, equal)| (field(path) == *value) == *equal)
            && self.labels.iter().all(|(key, value, equal)| (label(key) == *value) == *equal)
    }
}

/// `a=b,c==d,e!=f`; anything else matches nothing special and is left out.
fn equalities(text: &str) -> Vec<(String, String, bool)> {
    let terms = text.split(',').filter_map(|term| {
        let (key, value) = term.split_once('=')?;
        let (key, equal) = key.strip_suffix('!').map_or((key, true), |key| (key, false));
        Some((key.trim().to_owned(), value.trim_start_matches('=').trim().to_owned(), equal))
    });
    terms.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn route(uri: &str) -> Option<Route> {
        Route::of(&Request::get(uri).body(()).unwrap())
    }

    #[test]
    fn paths_name_collection_namespace_and_object() {
        let pods = route("/api/v1/namespaces/shop/pods/web").unwrap();
        assert_eq!((pods.verb, pods.collection.as_str()), (Verb::Get, "/api/v1/pods"));
        assert_eq!((pods.namespace.as_deref(), pods.name.as_deref()), (Some("shop"), Some("web")));

        let ingresses = route("/apis/networking.k8s.io/v1/ingresses?watch=true").unwrap();
        assert_eq!((ingresses.verb, ingresses.resource.as_str()), (Verb::Watch, "ingresses"));
        assert_eq!(route("/api/v1/namespaces/shop").unwrap().collection, "/api/v1/namespaces");
        assert!(route("/healthz").is_none());
    }

    #[test]
    fn selectors_are_decoded_and_matched() {
        let pod = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"nodeName": "n1"}});
        let matches = |query: &str| route(&format!("/api/v1/pods?{query}")).unwrap().wants(&pod);
        assert!(matches("fieldSelector=spec.nodeName%3Dn1"));
        assert!(!matches("fieldSelector=spec.nodeName%3Dn2"));
        assert!(matches("fieldSelector=spec.nodeName!=n2&labelSelector=app%3D%3Dweb"));
        assert!(!matches("labelSelector=app%3Dweb%2Ctier%3Dx"));
    }

    proptest! {
        #[test]
        fn no_selector_makes_it_panic(text in ".{0,60}") {
            let _ = equalities(&text);
        }
    }
}
