//! Other targets: the one that a pod is asked for, and the one that a client is sent to.

use http::HeaderValue;
use http::uri::PathAndQuery;

use super::host;
use crate::proxy::route::{Redirect, Route};

/// The target that the pod is asked for: the request's, with `rewrite` in place of the `matched` bytes of its path;
/// the query stays. The request's own where the route rewrites nothing; `None` when the outcome is too long.
#[must_use]
pub fn rewrite(
    route: &Route,
    path_and_query: &PathAndQuery,
    matched: usize,
) -> Option<PathAndQuery> {
    let Some(replacement) = &route.rewrite else { return Some(path_and_query.clone()) };
    let mut target = replaced(replacement, path_and_query.path(), matched);
    if let Some(query) = path_and_query.query() {
        target.push('?');
        target.push_str(query);
    }
    PathAndQuery::try_from(target).ok()
}

/// Where a redirect sends the client that asked `scheme://host` for this target; `host` may have a port, which goes
/// when the scheme changes. Always absolute, so that a path of `//example.com` is no host, and whatever may
/// not stand in a URL is percent-encoded.
///
/// # Panics
/// Never: what is written is visible ASCII.
#[must_use]
pub fn location(
    redirect: &Redirect,
    scheme: &str,
    host: &str,
    path_and_query: &PathAndQuery,
    matched: usize,
) -> HeaderValue {
    let to = redirect.scheme.as_deref().unwrap_or(scheme);
    let host = match &redirect.host {
        Some(host) => host,
        None if to != scheme => without_port(host),
        None => host,
    };
    let path = match &redirect.path {
        Some(replacement) => replaced(replacement, path_and_query.path(), matched),
        None => path_and_query.path().to_owned(),
    };
    let mut url = String::with_capacity(host.len() + path_and_query.as_str().len() + 16);
    url.push_str(if to == "https" { "https://" } else { "http://" });
    encode(&mut url, host, |byte| matches!(byte, b'-' | b'.' | b'_' | b'~' | b':' | b'[' | b']'));
    if !path.starts_with('/') {
        url.push('/');
    }
    encode(&mut url, &path, is_url_byte);
    if let Some(query) = path_and_query.query() {
        url.push('?');
        encode(&mut url, query, is_url_byte);
    }
    HeaderValue::try_from(url).expect("only visible ASCII is written")
}

/// Whether a redirect sends the client to the very URL that it asked for, round in circles.
#[must_use]
pub fn leads_back(
    redirect: &Redirect,
    scheme: &str,
    host: &str,
    path: &str,
    matched: usize,
) -> bool {
    if redirect.scheme.as_deref().is_some_and(|to| to != scheme) {
        return false;
    }
    // The port that a scheme has by itself counts as none.
    let usual = if scheme == "https" { 443 } else { 80 };
    let plain = |text| host::host(text).map(|(name, port)| (name, port.unwrap_or(usual)));
    redirect.host.as_deref().is_none_or(|to| plain(to) == plain(host))
        && redirect.path.as_deref().is_none_or(|to| replaced(to, path, matched) == path)
}

/// A path with something else in place of its first bytes, with one slash between the two.
fn replaced(replacement: &str, path: &str, matched: usize) -> String {
    let rest = path.get(matched..).unwrap_or_default();
    let replacement = match replacement.strip_suffix('/') {
        Some(shorter) if rest.starts_with('/') => shorter,
        _ => replacement,
    };
    [replacement, rest].concat()
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => name,
        _ => host,
    }
}

/// What may stand in a path or query beside letters and digits (RFC 3986), `%` included: what is encoded stays so.
fn is_url_byte(byte: u8) -> bool {
    b"-._~:/?@!$&'()*+,;=%[]".contains(&byte)
}

fn encode(url: &mut String, text: &str, is_plain: impl Fn(u8) -> bool) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || is_plain(byte) {
            url.push(byte as char);
        } else {
            url.push('%');
            url.push(DIGITS[usize::from(byte >> 4)] as char);
            url.push(DIGITS[usize::from(byte & 15)] as char);
        }
    }
}
