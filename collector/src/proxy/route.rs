//! Routes, as the sources write them: plain data, the same whether from the file or from an Ingress.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode};

use super::service::ServiceKey;
use super::table;

/// Who said it. What one source says never touches what another said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// The configuration file.
    File,
    /// Ingress objects.
    Ingress,
}

impl Source {
    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Ingress => "ingress",
        }
    }
}

/// Where a route is written, for messages, series and Events.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// Who said it.
    pub source: Source,
    /// The Ingress' namespace; empty for the file.
    pub namespace: Arc<str>,
    /// The Ingress' name, or the route's name in the file.
    pub name: Arc<str>,
}

/// Which hosts. Lower case, no port, no trailing dot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// This one.
    Exact(Arc<str>),
    /// One label in front of this suffix: `*.example.com` is `example.com` here, as Ingress v1 defines it.
    Wildcard(Arc<str>),
    /// Any host, also none that is configured.
    #[default]
    Any,
}

/// Which paths, compared as they came, without the query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Path {
    /// This one.
    Exact(Arc<str>),
    /// This one and what lies below: by whole segments, a trailing slash does not matter (Ingress v1 `Prefix`).
    Prefix(Arc<str>),
    /// A regular expression that the whole path matches.
    Regex(Arc<str>),
    /// All that nothing else is for, whoever wrote it and when (Ingress' `defaultBackend`).
    Rest,
}

/// What a path without a text of its own is shown as.
static ROOT: LazyLock<Arc<str>> = LazyLock::new(|| "/".into());

impl Path {
    /// The path of a cookie that only requests for this are to send: the prefix, so that cookies for two prefixes of
    /// one host are two; `/` where there is none.
    #[must_use]
    pub fn cookie(&self) -> Arc<str> {
        let Self::Prefix(prefix) = self else { return ROOT.clone() };
        match prefix.strip_suffix('/') {
            _ if !table::is_cookie_path(prefix) => ROOT.clone(),
            Some("") | None => prefix.clone(),
            Some(shorter) => shorter.into(),
        }
    }

    /// The template, for the `http_route` label.
    #[must_use]
    pub fn template(&self) -> &Arc<str> {
        match self {
            Self::Exact(path) | Self::Prefix(path) | Self::Regex(path) => path,
            Self::Rest => &ROOT,
        }
    }
}

/// A header or cookie that a request must have. A value of `None` asks for any value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// A header.
    Header(HeaderName, Option<HeaderValue>),
    /// A cookie.
    Cookie(Arc<str>, Option<Arc<str>>),
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// To a pod of one of these Services, chosen by weight; a weight of 0 gets nothing.
    Forward(Vec<(ServiceKey, u32)>),
    /// Back to the client with a `Location`.
    Redirect(Redirect),
    /// Nowhere: what it asks for to be kept safe cannot be done here, and without that nobody gets through.
    Refuse,
}

/// A redirect; what is `None` stays as the request has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// 301, 302, 303, 307 or 308.
    pub status: StatusCode,
    /// `http` or `https`.
    pub scheme: Option<Arc<str>>,
    /// Host, with a port if one is wanted.
    pub host: Option<Arc<str>>,
    /// Put in place of what the route's path matched: the prefix of a prefix route, else the whole path.
    pub path: Option<Arc<str>>,
}

/// Headers set and removed on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// Set, replacing what is there.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// Removed, before anything is set.
    pub remove: Vec<HeaderName>,
}

/// Sessions that stay with a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Affinity {
    /// The cookie's name.
    pub cookie: Arc<str>,
    /// `Max-Age`; without one the cookie lives as long as the browser's session.
    pub max_age: Option<Duration>,
    /// `Path`; where none is wanted, [`Path::cookie`].
    pub path: Arc<str>,
    /// `SameSite`: `Strict`, `Lax` or `None`; the attribute is left out when absent.
    pub same_site: Option<Arc<str>>,
}

/// Bounds of one route that differ from the proxy's. `None` takes the proxy's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Longest wait for a connection.
    pub connect: Option<Duration>,
    /// Longest wait for the head of an answer.
    pub first_byte: Option<Duration>,
    /// Longest time without a byte of a body, either way.
    pub idle: Option<Duration>,
    /// Longest time for all of it; `Duration::ZERO` for no bound.
    pub request: Option<Duration>,
    /// Most bytes of a request's body; 0 for no bound.
    pub body: Option<u64>,
}

/// One route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where it is written.
    pub origin: Origin,
    /// Which hosts.
    pub host: Host,
    /// Which paths.
    pub path: Path,
    /// All must hold. More conditions go before fewer on the same host and path.
    pub conditions: Vec<Condition>,
    /// Where to.
    pub action: Action,
    /// Put in place of what the path matched: the prefix of a prefix route, else the whole path.
    pub rewrite: Option<Arc<str>>,
    /// On the way to the pod.
    pub request: Edits,
    /// On the way back.
    pub response: Edits,
    /// Sessions that stay with a pod, if wanted.
    pub affinity: Option<Affinity>,
    /// Whether plain HTTP is redirected to HTTPS.
    pub https_only: bool,
    /// Bounds of its own.
    pub bounds: Bounds,
}

/// Why a route, a certificate or an object could not be used. The others go on working, and where there was a
/// good one before, it stays in force.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fault {
    /// Where it is written.
    pub origin: Origin,
    /// The `reason` label: a word of a closed set.
    pub reason: &'static str,
    /// What is wrong and how to mend it, in one sentence; holds nothing secret.
    pub sentence: String,
}
