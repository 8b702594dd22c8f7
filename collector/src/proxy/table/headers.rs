//! What routes ask of a request's headers and do to them.

use http::HeaderMap;
use http::header::{COOKIE, HeaderName};

use crate::proxy::route::{Condition, Edits, Route};

/// Whether all conditions of a route hold. Of a header that stands several times one value is enough.
pub(super) fn hold(route: &Route, headers: &HeaderMap) -> bool {
    route.conditions.iter().all(|condition| match condition {
        Condition::Header(name, None) => headers.contains_key(name),
        Condition::Header(name, Some(value)) => {
            headers.get_all(name).iter().any(|found| found == value)
        }
        Condition::Cookie(name, None) => cookie(headers, name).is_some(),
        Condition::Cookie(name, Some(value)) => cookie(headers, name) == Some(value),
    })
}

/// The value of a cookie; of several with this name the first, which is the most particular one (RFC 6265,
/// section 5.4). A value that is not UTF-8 counts as absent.
#[must_use]
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    std::str::from_utf8(cookies(headers, name).next()?).ok()
}

/// The values of all cookies with this name, the most particular one first.
pub fn cookies<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a [u8]> {
    let pairs =
        headers.get_all(COOKIE).iter().flat_map(|line| line.as_bytes().split(|b| *b == b';'));
    pairs.map(<[u8]>::trim_ascii).filter_map(move |pair| {
        let value = pair.strip_prefix(name.as_bytes())?.trim_ascii_start().strip_prefix(b"=")?;
        Some(value.trim_ascii_start())
    })
}

/// Removes from a request what pods could take for a header that the route sets or removes: gateways such as CGI's and
/// WSGI's do not tell `X_Tenant` from `X-Tenant`.
pub fn remove_lookalikes(headers: &mut HeaderMap, edits: &Edits) {
    let edited = || edits.remove.iter().chain(edits.set.iter().map(|(name, _)| name));
    if edited().next().is_none() || !headers.keys().any(|name| name.as_str().contains('_')) {
        return;
    }
    let alike = |name: &&HeaderName| {
        name.as_str().contains('_') && edited().any(|edited| is_same_spelling(name, edited))
    };
    let alike: Vec<HeaderName> = headers.keys().filter(alike).cloned().collect();
    for name in alike {
        headers.remove(name);
    }
}

/// Whether two names are the same where an underscore is a hyphen.
#[must_use]
pub fn is_same_spelling(one: &HeaderName, other: &HeaderName) -> bool {
    let plain = |byte: u8| if byte == b'_' { b'-' } else { byte };
    let (one, other) = (one.as_str().as_bytes(), other.as_str().as_bytes());
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| plain(*a) == plain(*b))
}

/// Changes headers as a route says: removes first, then sets.
pub fn edit(headers: &mut HeaderMap, edits: &Edits) {
    for name in &edits.remove {
        headers.remove(name);
    }
    for (name, value) in &edits.set {
        headers.insert(name, value.clone());
    }
}
