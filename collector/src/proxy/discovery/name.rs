//! Names of objects that can safely stand in a path or a selector, and what is asked for under them.

use std::sync::Arc;

use crate::api::feed::{Target, is_name};
use crate::api::health::Feed;
use crate::api::lax::Text;
use crate::proxy::service::{Port, ServiceKey};

/// Namespace and name of an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Name {
    pub(super) namespace: Arc<str>,
    pub(super) name: Arc<str>,
}

impl Name {
    pub(super) fn new(namespace: &Text, name: &Text) -> Option<Self> {
        Self::parse(namespace.0.as_ref()?, name.as_str())
    }

    pub(super) fn parse(namespace: &Arc<str>, name: &str) -> Option<Self> {
        (is_name(namespace) && is_name(name))
            .then(|| Self { namespace: namespace.clone(), name: name.into() })
    }

    /// The Service that a key names.
    pub(super) fn of(key: &ServiceKey) -> Option<Self> {
        Self::parse(&key.namespace, &key.name)
    }

    /// The Service's port under this name.
    pub(super) fn with(&self, port: Port) -> ServiceKey {
        ServiceKey { namespace: self.namespace.clone(), name: self.name.clone(), port }
    }
}

/// Something that is followed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    Classes,
    Ingresses,
    /// The authorities of clients' certificates.
    Authorities(Name),
    /// The certificate of an Ingress' hosts.
    Secret(Name),
    Service(Name),
    Slices(Name),
    Endpoints(Name),
    /// The pods that a Service's selector matches, which is the second.
    Pods(Name, Arc<str>),
}

impl Subject {
    /// What to ask the API server for.
    pub(super) fn target(&self) -> Target {
        let named = |feed, name: &Name| Target {
            feed,
            namespace: Some(name.namespace.clone()),
            fields: Some(format!("metadata.name={}", name.name)),
            ..Target::default()
        };
        let labelled = |feed, name: &Name, labels: String| Target {
            feed,
            namespace: Some(name.namespace.clone()),
            labels: Some(labels),
            ..Target::default()
        };
        match self {
            Self::Classes => Target { feed: Feed::IngressClasses, ..Target::default() },
            Self::Ingresses => Target { feed: Feed::Ingresses, ..Target::default() },
            Self::Authorities(name) | Self::Secret(name) => named(Feed::Secrets, name),
            Self::Service(name) => named(Feed::Services, name),
            Self::Endpoints(name) => named(Feed::Endpoints, name),
            Self::Slices(name) => labelled(
                Feed::EndpointSlices,
                name,
                format!("kubernetes.io/service-name={}", name.name),
            ),
            Self::Pods(name, selector) => {
                labelled(Feed::ServicePods, name, selector.as_ref().to_owned())
            }
        }
    }
}
