//! What makes a route unusable.

use http::HeaderName;
use http::header;

use super::host::{self, is_name};
use super::target::is_plain_path;
use crate::proxy::route::{Action, Affinity, Edits, Host, Origin, Path, Redirect, Route, Source};

/// Longest path that a route may have.
const MAX_PATH: usize = 4096;

/// Why a route could not be used: the `reason` of its fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The host is no DNS name in lower case.
    Host,
    /// No request can have this path.
    Path,
    /// The regular expression is none, or too large.
    Regex,
    /// No backend gets anything.
    Backends,
    /// The redirect leads nowhere.
    Redirect,
    /// No request may have the path that would come out.
    Rewrite,
    /// A header that frames the message may not be changed.
    Headers,
    /// The cookie cannot be set.
    Affinity,
    /// An earlier route has the same host, path and conditions.
    Duplicate,
    /// There are too many.
    Bounded,
}

impl Reason {
    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Path => "path",
            Self::Regex => "regex",
            Self::Backends => "backends",
            Self::Redirect => "redirect",
            Self::Rewrite => "rewrite",
            Self::Headers => "headers",
            Self::Affinity => "affinity",
            Self::Duplicate => "duplicate",
            Self::Bounded => "bounded",
        }
    }
}

/// What is wrong with a route, with the fix.
#[derive(Debug)]
pub(super) struct Flaw {
    pub(super) reason: Reason,
    pub(super) sentence: String,
}

fn flaw<T>(reason: Reason, sentence: String) -> Result<T, Flaw> {
    Err(Flaw { reason, sentence })
}

/// Headers that say where a message ends or belong to one connection: HTTP itself writes them.
const FRAMING: [HeaderName; 8] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Finds the first flaw of a route, save those of its regular expression.
pub(super) fn check(route: &Route) -> Result<(), Flaw> {
    check_host(&route.host)?;
    check_path(&route.path)?;
    match &route.action {
        Action::Forward(backends) if backends.iter().all(|(_, weight)| *weight == 0) => {
            let sentence = "no backend has a weight above 0; name one that gets the requests";
            return flaw(Reason::Backends, sentence.to_owned());
        }
        Action::Forward(_) | Action::Refuse => {}
        Action::Redirect(redirect) => {
            check_redirect(redirect)?;
            check_way(route, redirect)?;
        }
    }
    if let Some(path) = &route.rewrite
        && !is_path(path)
    {
        let sentence = format!("{path:?} cannot be rewritten to; {PATH}");
        return flaw(Reason::Rewrite, sentence);
    }
    check_edits(&route.request)?;
    check_edits(&route.response)?;
    route.affinity.as_ref().map_or(Ok(()), check_affinity)
}

/// Why a route that an earlier one shadows is left out.
pub(super) fn duplicate(route: &Route, earlier: &Origin) -> Flaw {
    let host = match &route.host {
        Host::Exact(name) => name.to_string(),
        Host::Wildcard(suffix) => format!("*.{suffix}"),
        Host::Any => "any host".to_owned(),
    };
    let by = match earlier.source {
        Source::File => format!("route {} of the configuration file", earlier.name),
        Source::Ingress => format!("Ingress {}/{}", earlier.namespace, earlier.name),
    };
    let path = route.path.template();
    let sentence =
        format!("{by} has {host} and {path} with the same conditions already; remove one of them");
    Flaw { reason: Reason::Duplicate, sentence }
}

fn check_host(host: &Host) -> Result<(), Flaw> {
    let (Host::Exact(name) | Host::Wildcard(name)) = host else { return Ok(()) };
    if is_name(name) && !name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Ok(());
    }
    let hint = match host::host(name) {
        Some((meant, _)) if is_name(&meant) => format!("write {meant:?}"),
        _ => "write one such as \"www.example.com\" or \"*.example.com\"".to_owned(),
    };
    flaw(Reason::Host, format!("{name:?} is no DNS name in lower case; {hint}"))
}

const PATH: &str = "write a path such as \"/shop\", with a slash in front and without query, \
                    white space and segments of dots only";

fn check_path(path: &Path) -> Result<(), Flaw> {
    match path {
        Path::Exact(path) | Path::Prefix(path) if !is_path(path) => {
            flaw(Reason::Path, format!("no request has the path {path:?}; {PATH}"))
        }
        Path::Regex(text) if text.len() > MAX_PATH => {
            flaw(Reason::Regex, format!("it has more than {MAX_PATH} bytes; write a shorter one"))
        }
        _ => Ok(()),
    }
}

/// Whether a request can have this path.
pub(crate) fn is_path(path: &str) -> bool {
    path.len() <= MAX_PATH && path.is_ascii() && is_plain_path(path)
}

/// Whether HTTP itself writes this header.
pub(crate) fn is_framing(name: &HeaderName) -> bool {
    FRAMING.contains(name)
}

/// Whether a cookie may have this name: it is a token, and so is a header's.
pub(crate) fn is_cookie_name(name: &str) -> bool {
    name.len() <= 64 && HeaderName::from_bytes(name.as_bytes()).is_ok()
}

/// Whether a cookie may be for this path.
pub(crate) fn is_cookie_path(path: &str) -> bool {
    is_path(path) && !path.contains([';', ','])
}

fn check_redirect(redirect: &Redirect) -> Result<(), Flaw> {
    let wrong = |sentence| flaw(Reason::Redirect, sentence);
    let status = redirect.status.as_u16();
    if !matches!(status, 301 | 302 | 303 | 307 | 308) {
        return wrong(format!("{status} is no redirect; write 301, 302, 303, 307 or 308"));
    }
    if let Some(scheme) = redirect.scheme.as_deref().filter(|s| !matches!(*s, "http" | "https")) {
        return wrong(format!("{scheme:?} is no scheme to redirect to; write http or https"));
    }
    if let Some(text) = redirect.host.as_deref().filter(|text| host::host(text).is_none()) {
        return wrong(format!("{text:?} is no host; write one such as \"www.example.com\""));
    }
    if let Some(path) = redirect.path.as_deref().filter(|path| !is_path(path)) {
        return wrong(format!("{path:?} cannot be redirected to; {PATH}"));
    }
    if redirect.scheme.is_none() && redirect.host.is_none() && redirect.path.is_none() {
        return wrong("it leads back to itself; write another scheme, host or path".to_owned());
    }
    Ok(())
}

/// Refuses a redirect of which every Location is the URL that was asked for. Whether another route catches what a
/// longer path leads to, and how the client came, requests tell.
fn check_way(route: &Route, redirect: &Redirect) -> Result<(), Flaw> {
    let to = redirect.host.as_deref().and_then(host::host);
    let same_host = match (&route.host, to) {
        (Host::Exact(own), Some((name, None))) => **own == *name,
        (_, None) => true,
        (_, Some(_)) => false,
    };
    let same_path = match (&route.path, &redirect.path) {
        (_, None) => true,
        (Path::Exact(own) | Path::Prefix(own), Some(to)) => own == to,
        (Path::Regex(_) | Path::Rest, Some(_)) => false,
    };
    // Conditions may not hold any more when the client comes back.
    if same_host && same_path && redirect.scheme.is_none() && route.conditions.is_empty() {
        let sentence = "it leads back to itself; write another scheme, host or path";
        return flaw(Reason::Redirect, sentence.to_owned());
    }
    Ok(())
}

fn check_edits(edits: &Edits) -> Result<(), Flaw> {
    let mut names = edits.set.iter().map(|(name, _)| name).chain(&edits.remove);
    if let Some(name) = names.find(|name| is_framing(name)) {
        let sentence = format!("HTTP itself writes the header {name}; leave it out");
        return flaw(Reason::Headers, sentence);
    }
    if edits.remove.contains(&header::HOST) {
        let sentence = "no request goes without a host; set it instead of removing it";
        return flaw(Reason::Headers, sentence.to_owned());
    }
    Ok(())
}

fn check_affinity(affinity: &Affinity) -> Result<(), Flaw> {
    let wrong = |sentence| flaw(Reason::Affinity, sentence);
    let Affinity { cookie, path, same_site, .. } = affinity;
    if !is_cookie_name(cookie) {
        return wrong(format!("{cookie:?} is no cookie's name; write letters, digits, - and _"));
    }
    if !is_cookie_path(path) {
        return wrong(format!("{path:?} is no cookie's path; write one such as \"/\""));
    }
    if let Some(word) = same_site.as_deref().filter(|s| !matches!(*s, "Strict" | "Lax" | "None")) {
        return wrong(format!("{word:?} is no SameSite; write Strict, Lax or None"));
    }
    Ok(())
}
