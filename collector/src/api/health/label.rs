//! The closed sets of label values in which a watch's health is counted.

/// What is watched. The `resource` label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Feed {
    /// This node's pods.
    #[default]
    Pods,
    /// This node.
    Node,
    /// The namespaces' labels, where they are asked for.
    Namespaces,
    /// All Ingresses, for the proxy.
    Ingresses,
    /// The IngressClasses, for the proxy.
    IngressClasses,
    /// Services that the proxy has routes to.
    Services,
    /// Their EndpointSlices.
    EndpointSlices,
    /// Their Endpoints, where the API server has no slices in v1.
    Endpoints,
    /// The pods that their selectors match, on any node.
    ServicePods,
    /// Certificates of Ingresses and authorities of clients' certificates.
    Secrets,
}

/// What came. The `event` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// An object was added or changed.
    Applied,
    /// An object was deleted.
    Deleted,
    /// A complete list replaced what was known.
    Relisted,
}

/// Why a request or a watch failed. The `kind` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No connection, no answer in time, or a connection cut.
    Unreachable,
    /// HTTP 403: a rule of the `ClusterRole` is missing.
    Forbidden,
    /// HTTP 401: the token is not accepted.
    Unauthorized,
    /// HTTP 410: the version to go on from is too old. Normal after a pause; a list follows.
    Gone,
    /// HTTP 429.
    Throttled,
    /// HTTP 5xx.
    ServerError,
    /// The server's certificate is not trusted, or ours is not accepted.
    Tls,
    /// The answer is not what the API documents.
    Decode,
    /// Anything else, such as HTTP 404.
    Other,
}

impl Feed {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Pods,
        Self::Node,
        Self::Namespaces,
        Self::Ingresses,
        Self::IngressClasses,
        Self::Services,
        Self::EndpointSlices,
        Self::Endpoints,
        Self::ServicePods,
        Self::Secrets,
    ];
    /// Those that name what is measured.
    pub const NAMES: [Self; 3] = [Self::Pods, Self::Node, Self::Namespaces];
    /// Those that the proxy follows.
    pub const PROXY: [Self; 7] = [
        Self::Ingresses,
        Self::IngressClasses,
        Self::Services,
        Self::EndpointSlices,
        Self::Endpoints,
        Self::ServicePods,
        Self::Secrets,
    ];

    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ServicePods => "service_pods",
            _ => self.resource(),
        }
    }

    /// What rules of RBAC and the API's paths call it.
    #[must_use]
    pub fn resource(self) -> &'static str {
        match self {
            Self::Pods | Self::ServicePods => "pods",
            Self::Node => "nodes",
            Self::Namespaces => "namespaces",
            Self::Ingresses => "ingresses",
            Self::IngressClasses => "ingressclasses",
            Self::Services => "services",
            Self::EndpointSlices => "endpointslices",
            Self::Endpoints => "endpoints",
            Self::Secrets => "secrets",
        }
    }

    /// The API group it is in; empty for the core's.
    #[must_use]
    pub fn group(self) -> &'static str {
        match self {
            Self::Ingresses | Self::IngressClasses => "networking.k8s.io",
            Self::EndpointSlices => "discovery.k8s.io",
            _ => "",
        }
    }
}

impl Event {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Applied, Self::Deleted, Self::Relisted];

    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Deleted => "deleted",
            Self::Relisted => "relisted",
        }
    }
}

impl Failure {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Unreachable,
        Self::Forbidden,
        Self::Unauthorized,
        Self::Gone,
        Self::Throttled,
        Self::ServerError,
        Self::Tls,
        Self::Decode,
        Self::Other,
    ];

    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Forbidden => "forbidden",
            Self::Unauthorized => "unauthorized",
            Self::Gone => "gone",
            Self::Throttled => "throttled",
            Self::ServerError => "server_error",
            Self::Tls => "tls",
            Self::Decode => "decode",
            Self::Other => "other",
        }
    }
}

/// Why an object was left out. The `reason` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skipped {
    /// `metadata.uid` is absent or no UUID, so nothing could be joined to it.
    NoUid,
    /// `metadata.name` or `metadata.namespace` is absent.
    NoName,
    /// It belongs to another node, although the selector asked for this one.
    OtherNode,
    /// More objects than are kept.
    Bounded,
    /// Deleted before: an old state that a server with a stale cache sent again.
    Stale,
}

impl Skipped {
    /// All of them, in the order of the counts.
    pub const ALL: [Self; 5] =
        [Self::NoUid, Self::NoName, Self::OtherNode, Self::Bounded, Self::Stale];

    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoUid => "no_uid",
            Self::NoName => "no_name",
            Self::OtherNode => "other_node",
            Self::Bounded => "bounded",
            Self::Stale => "stale",
        }
    }
}
