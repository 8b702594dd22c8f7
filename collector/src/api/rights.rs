//! Every right that Podmeter may ask the API server to have, with the role that grants it and what is lost without
//! it. The manifests are held against this table, and so is every request, in debug builds as it is sent.

use http::{Method, Uri};

use super::health::Feed;
use super::review::Review;
use crate::diagnose::access::Resource;

/// A `ClusterRole`: each part of Podmeter has one of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// What names are put on series by. Always there.
    Names,
    /// Who may read Podmeter's own endpoints.
    Access,
    /// Why pods are stuck.
    Diagnose,
    /// Events on pods.
    Events,
    /// The proxy's routes, pods and certificates.
    Proxy,
    /// Events on Ingresses.
    ProxyEvents,
    /// Where the proxy is reached, in the status of Ingresses.
    ProxyStatus,
}

/// What Podmeter needs a right for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// To follow a kind of objects.
    Feed(Feed),
    /// To ask what somebody else may.
    Review(Review),
    /// To find out why a pod is stuck.
    Stuck(Resource),
    /// To write Events on pods.
    PodEvents,
    /// To write Events on Ingresses.
    RouteEvents,
    /// To write the status of Ingresses.
    RouteStatus,
}

/// What grants a need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The role it stands in.
    pub role: Role,
    /// The API group; empty for the core's.
    pub group: &'static str,
    /// In the plural, with the subresource if it is one.
    pub resource: &'static str,
    /// As RBAC calls them.
    pub verbs: &'static [&'static str],
    /// What is lost without it, in the words of `deploy/README.md`.
    pub lost: &'static str,
}

const FOLLOW: &[&str] = &["list", "watch"];
const CREATE: &[&str] = &["create"];
const EVENTS: &str = "events.k8s.io";

impl Role {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Names,
        Self::Access,
        Self::Diagnose,
        Self::Events,
        Self::Proxy,
        Self::ProxyEvents,
        Self::ProxyStatus,
    ];

    /// What follows the installation's name in the role's name.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Names => "",
            Self::Access => "-access",
            Self::Diagnose => "-diagnose",
            Self::Events => "-events",
            Self::Proxy => "-proxy",
            Self::ProxyEvents => "-proxy-events",
            Self::ProxyStatus => "-proxy-status",
        }
    }
}

impl Need {
    /// All that there can be.
    pub fn all() -> impl Iterator<Item = Self> {
        let feeds = Feed::ALL.into_iter().map(Self::Feed);
        let reviews = Review::ALL.into_iter().map(Self::Review);
        let stuck = Resource::ALL.into_iter().map(Self::Stuck);
        let written = [Self::PodEvents, Self::RouteEvents, Self::RouteStatus];
        feeds.chain(reviews).chain(stuck).chain(written)
    }

    /// What grants it.
    #[must_use]
    pub fn rule(self) -> Rule {
        use Role::{Diagnose, Events, ProxyEvents, ProxyStatus};
        let (role, group, resource, verbs): (_, _, _, &[&str]) = match self {
            Self::Feed(feed) => {
                let role = match feed {
                    Feed::Pods | Feed::Node | Feed::Namespaces | Feed::ServicePods => Role::Names,
                    _ => Role::Proxy,
                };
                (role, feed.group(), feed.resource(), FOLLOW)
            }
            Self::Review(review) => (Role::Access, review.group(), review.resource(), CREATE),
            Self::Stuck(what) => (Diagnose, what.group(), what.as_str(), what.verbs()),
            Self::PodEvents => (Events, EVENTS, "events", CREATE),
            Self::RouteEvents => (ProxyEvents, EVENTS, "events", CREATE),
            Self::RouteStatus => (ProxyStatus, "networking.k8s.io", "ingresses/status", &["patch"]),
        };
        Rule { role, group, resource, verbs, lost: self.lost() }
    }

    fn lost(self) -> &'static str {
        match self {
            Self::Feed(feed) => of_feed(feed),
            Self::Review(Review::Token) => {
                "every reader with a token: nobody can be told who they are"
            }
            Self::Review(Review::SubjectAccess) => {
                "every reader with a token: nobody can be told what they may do"
            }
            Self::Stuck(Resource::Events) => {
                "why a pod is stuck where its status does not say it: volumes, network, sandbox; the reason stays unknown"
            }
            Self::Stuck(Resource::Claims) => {
                "which volume a stuck pod's claim stands for, and so which node has it"
            }
            Self::Stuck(Resource::Attachments) => {
                "which other node has the volume that a stuck pod waits for"
            }
            Self::PodEvents => {
                "the Events that kubernetes.events asks for; log and series say it all the same"
            }
            Self::RouteEvents => {
                "Events on an Ingress that say what of it cannot be used; the log and `podmeter_proxy_route_faults` say it all the same"
            }
            Self::RouteStatus => {
                "the address in `kubectl get ingress`; only asked for when `proxy.publish_address` is set"
            }
        }
    }
}

fn of_feed(feed: Feed) -> &'static str {
    match feed {
        Feed::Pods => {
            "everything that has a pod's name or labels: series go out under uids, `/readyz` says so"
        }
        Feed::Node => "capacity, allocatable, conditions and the allocation ratios of the node",
        Feed::Namespaces => {
            "only granted with `config.labels.namespace`: the namespaces' labels on series"
        }
        Feed::Ingresses => "every route of an Ingress",
        Feed::IngressClasses => {
            "Ingresses that name no class, and the word of a class that is another controller's"
        }
        Feed::Services => "every route to a Service: its ports are not known",
        Feed::EndpointSlices => "every route to a Service: its pods are not known",
        Feed::Endpoints => {
            "the same where the API server has no EndpointSlices in v1 (before Kubernetes 1.21)"
        }
        Feed::ServicePods => {
            "on all nodes (`podmeter` grants it): the pods' own labels on the series of requests, and sessions of pods about to end"
        }
        Feed::Secrets => "certificates of Ingresses and authorities of clients' certificates",
    }
}

/// Whether some rule grants this request. What every account may ask, such as which versions a group has, needs none.
pub(crate) fn covers(method: &Method, uri: &Uri) -> bool {
    let parts: Vec<&str> = uri.path().split('/').skip(1).collect();
    let (group, rest) = match *parts {
        ["api", _, ref rest @ ..] => ("", rest),
        ["apis", group, _, ref rest @ ..] => (group, rest),
        _ => return false,
    };
    let rest = match *rest {
        [] => return *method == Method::GET,
        ["namespaces", _, ref rest @ ..] if !rest.is_empty() => rest,
        ref rest => rest,
    };
    let resource = match *rest {
        [resource, _, sub] => format!("{resource}/{sub}"),
        [resource] | [resource, _] => resource.to_owned(),
        _ => return false,
    };
    let is_watch = uri.query().is_some_and(|query| query.split('&').any(|it| it == "watch=true"));
    let verb = match (method.as_str(), rest.len()) {
        ("GET", 1) if is_watch => "watch",
        ("GET", 1) => "list",
        ("GET", _) => "get",
        ("POST", 1) => "create",
        ("PATCH", 2..) => "patch",
        _ => return false,
    };
    Need::all()
        .map(Need::rule)
        .any(|rule| rule.group == group && rule.resource == resource && rule.verbs.contains(&verb))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_covered_by_the_rule_of_their_verb_alone() {
        for (method, uri, expected) in [
            (Method::GET, "/api/v1/pods?fieldSelector=spec.nodeName%3Dn", true),
            (Method::GET, "/api/v1/pods?&watch=true&resourceVersion=1", true),
            (Method::GET, "/api/v1/namespaces", true),
            (Method::GET, "/api/v1/namespaces/shop/secrets?watch=true", true),
            (Method::GET, "/api/v1/namespaces/shop/persistentvolumeclaims/data", true),
            (Method::GET, "/apis/discovery.k8s.io/v1", true),
            (Method::POST, "/apis/authentication.k8s.io/v1/tokenreviews", true),
            (Method::POST, "/apis/events.k8s.io/v1/namespaces/shop/events?dryRun=All", true),
            (
                Method::PATCH,
                "/apis/networking.k8s.io/v1/namespaces/shop/ingresses/web/status",
                true,
            ),
            (Method::GET, "/api/v1/nodes/n1", false),
            (Method::GET, "/api/v1/namespaces/shop/pods/web", false),
            (Method::GET, "/api/v1/namespaces/shop/pods/web/log", false),
            (Method::GET, "/api/v1/namespaces/shop", false),
            (Method::POST, "/api/v1/namespaces/shop/pods", false),
            (Method::POST, "/api/v1", false),
            (Method::DELETE, "/api/v1/namespaces/shop/pods/web", false),
            (Method::PATCH, "/apis/networking.k8s.io/v1/namespaces/shop/ingresses/web", false),
            (Method::GET, "/apis/apps/v1/deployments", false),
            (Method::GET, "/metrics", false),
        ] {
            assert_eq!(covers(&method, &uri.parse().unwrap()), expected, "{method} {uri}");
        }
    }
}
