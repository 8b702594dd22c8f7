//! Reads a request's head: whom it is for, and what it may ask.

use http::header::{
    CONTENT_LENGTH, CONTENT_TYPE, COOKIE, EXPECT, HOST, HeaderName, TRANSFER_ENCODING,
};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version};
use hyper::body::Incoming;

use super::upgrade;
use crate::proxy::guard::stream::TARGET_BYTES;
use crate::proxy::refusal::Refusal;
use crate::proxy::route::Route;
use crate::proxy::settings::{Limits, Settings};
use crate::proxy::table;

/// Whom a request is for.
#[derive(Debug)]
pub(crate) struct Sorted {
    /// Lower case, without the port.
    pub(crate) host: String,
    /// As the client wrote it, with the port.
    pub(crate) authority: HeaderValue,
}

impl Sorted {
    /// Refuses what is not for a reverse proxy, and what could be understood in two ways.
    pub(crate) fn read<B>(request: &Request<B>) -> Result<Self, Refusal> {
        match *request.method() {
            Method::CONNECT => return Err(Refusal::Connect),
            Method::TRACE => return Err(Refusal::Trace),
            _ => {}
        }
        let uri = request.uri();
        if uri.scheme_str().is_some_and(|scheme| scheme != "http" && scheme != "https") {
            return Err(Refusal::Target);
        }
        // `*` is for OPTIONS of the server itself (RFC 9110, 9.3.7); no route has it.
        if !uri.path().starts_with('/') || !table::is_plain_path(uri.path()) {
            return Err(Refusal::Target);
        }
        let authority = authority(uri, request.headers())?;
        let text = authority.to_str().map_err(|_| Refusal::HostInvalid)?;
        let (host, _) = table::host(text).ok_or(Refusal::HostInvalid)?;
        Ok(Self { host: host.into(), authority })
    }
}

/// Target and `Host` must name the same, where both do.
fn authority(uri: &Uri, headers: &HeaderMap) -> Result<HeaderValue, Refusal> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Refusal::HostTwice);
    }
    match (uri.authority(), host) {
        (None, None) => Err(Refusal::HostMissing),
        (None, Some(host)) => Ok(host.clone()),
        (Some(target), host) => {
            let is_same = |host: &HeaderValue| {
                host.as_bytes().eq_ignore_ascii_case(target.as_str().as_bytes())
            };
            if !host.is_none_or(is_same) {
                return Err(Refusal::HostMismatch);
            }
            HeaderValue::from_str(target.as_str()).map_err(|_| Refusal::HostInvalid)
        }
    }
}

/// Refuses what HTTP/2 leaves open and what a pod that speaks HTTP/1 could understand in two ways; the guard does it
/// for HTTP/1, where it reads heads.
pub(crate) fn fits<B>(request: &Request<B>, limits: &Limits) -> Result<(), Refusal> {
    if request.version() < Version::HTTP_2 {
        return Ok(());
    }
    let target = request.uri().path_and_query().map_or("", |target| target.as_str());
    if target.len() > TARGET_BYTES.min(limits.head_bytes) {
        return Err(Refusal::TargetTooLong);
    }
    if !target.is_ascii() {
        return Err(Refusal::Target);
    }
    let headers = request.headers();
    if headers.len() > limits.headers {
        return Err(Refusal::Headers);
    }
    // Gateways such as WSGI's cannot tell `content_length` from the real one.
    if headers.keys().any(|name| is_spelled_alike(name, &CONTENT_LENGTH)) {
        return Err(Refusal::ContentLength);
    }
    if headers.keys().any(|name| is_spelled_alike(name, &TRANSFER_ENCODING)) {
        return Err(Refusal::TransferEncoding);
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let is_plain = |length: &HeaderValue| matches!(length.as_bytes(), [b'0'] | [b'1'..=b'9', ..]);
    match (lengths.next(), lengths.next()) {
        (Some(length), None) if !is_plain(length) => Err(Refusal::ContentLength),
        (_, Some(_)) => Err(Refusal::ContentLength),
        _ => Ok(()),
    }
}

/// Whether a name differs from the other in its underscores only.
fn is_spelled_alike(name: &HeaderName, other: &HeaderName) -> bool {
    name != other && table::is_same_spelling(name, other)
}

/// The protocol that the connection may turn into, if the request asks for one that is allowed. Others are not passed
/// on, as RFC 9110 lets a server ignore them.
pub(crate) fn upgrade(
    request: &Request<Incoming>,
    settings: &Settings,
) -> Result<Option<HeaderValue>, Refusal> {
    let headers = request.headers();
    let Some(protocol) = upgrade::asked(headers) else {
        return Ok(None);
    };
    let name = protocol.to_str().unwrap_or_default();
    let is_allowed = |known: &str| name.eq_ignore_ascii_case(known);
    if !is_allowed("websocket") && !settings.upgrades.iter().any(|known| is_allowed(known)) {
        return Ok(None);
    }
    // Where such a body ends and the new protocol begins is understood differently by different servers.
    let has_body = headers.contains_key(TRANSFER_ENCODING)
        || headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0");
    if has_body { Err(Refusal::Upgrade) } else { Ok(Some(protocol)) }
}

/// Whether what a client expects can be done (RFC 9110, 10.1.1). HTTP/1.0 knows no expectations.
pub(crate) fn is_expectable(version: Version, headers: &HeaderMap) -> bool {
    let is_known = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    version == Version::HTTP_10 || headers.get_all(EXPECT).iter().all(is_known)
}

/// Whether the request is gRPC, which needs HTTP/2. `application/grpc-web` is another protocol, of HTTP/1.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(|kind| kind.as_bytes().to_ascii_lowercase());
    let rest = kind.as_ref().and_then(|kind| kind.strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b';' | b'+' | b' ')))
}

/// Path and query.
pub(crate) fn target(uri: &Uri) -> PathAndQuery {
    uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"))
}

/// The target as it is written to the pod.
pub(crate) fn rewritten(route: &Route, uri: &Uri, matched: usize) -> Uri {
    let target = target(uri);
    table::rewrite(route, &target, matched).unwrap_or(target).into()
}

/// HTTP/2 may split cookies over several headers; HTTP/1 wants one (RFC 9113, 8.2.3).
pub(crate) fn join_cookies(headers: &mut HeaderMap) {
    let mut cookies = headers.get_all(COOKIE).iter();
    let (Some(first), Some(second)) = (cookies.next(), cookies.next()) else { return };
    let mut joined = first.as_bytes().to_vec();
    for cookie in std::iter::once(second).chain(cookies) {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(cookie.as_bytes());
    }
    if let Ok(joined) = HeaderValue::from_bytes(&joined) {
        headers.insert(COOKIE, joined);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits_with(version: Version, target: usize, headers: usize) -> Result<(), Refusal> {
        let mut request = Request::new(());
        *request.version_mut() = version;
        *request.uri_mut() = format!("/{}", "x".repeat(target - 1)).parse().unwrap();
        for _ in 0..headers {
            request.headers_mut().append(COOKIE, HeaderValue::from_static("a=b"));
        }
        fits(&request, &Limits::default())
    }

    #[test]
    fn heads_of_http2_have_the_bounds_of_http1() {
        assert_eq!(fits_with(Version::HTTP_2, TARGET_BYTES, 100), Ok(()));
        assert_eq!(fits_with(Version::HTTP_2, TARGET_BYTES + 1, 0), Err(Refusal::TargetTooLong));
        assert_eq!(fits_with(Version::HTTP_2, 1, 101), Err(Refusal::Headers));
        // The guard has seen to it.
        assert_eq!(fits_with(Version::HTTP_11, 1, 101), Ok(()));
    }

    #[test]
    fn http2_says_nothing_that_http1_would_be_refused_for() {
        let with = |lines: &[(&'static str, &'static str)], target: &str| {
            let mut request = Request::new(());
            *request.version_mut() = Version::HTTP_2;
            *request.uri_mut() = target.parse().unwrap();
            for (name, value) in lines {
                request.headers_mut().append(*name, HeaderValue::from_static(value));
            }
            fits(&request, &Limits::default())
        };
        assert_eq!(with(&[("content-length", "10")], "/"), Ok(()));
        assert_eq!(with(&[("content-length", "0")], "/"), Ok(()));
        for lines in [
            &[("content_length", "0")][..],
            &[("content-length", "5"), ("content-length", "5")],
            &[("content-length", "010")],
            &[("content-length", "")],
        ] {
            assert_eq!(with(lines, "/"), Err(Refusal::ContentLength), "{lines:?}");
        }
        let lines = [("transfer_encoding", "chunked")];
        assert_eq!(with(&lines, "/"), Err(Refusal::TransferEncoding));
        let mut request = Request::new(());
        *request.version_mut() = Version::HTTP_2;
        if let Ok(uri) = Uri::try_from("/\u{e4}".as_bytes()) {
            *request.uri_mut() = uri;
            assert_eq!(fits(&request, &Limits::default()), Err(Refusal::Target));
        }
    }

    #[test]
    fn only_grpc_itself_is_taken_for_grpc() {
        let is = |kind: &'static str| {
            let kind = HeaderValue::from_static(kind);
            is_grpc(&HeaderMap::from_iter([(CONTENT_TYPE, kind)]))
        };
        for kind in ["application/grpc", "application/grpc+proto", "Application/GRPC; a=b"] {
            assert!(is(kind), "{kind}");
        }
        for kind in ["application/grpc-web", "application/grpc-web+proto", "application/json"] {
            assert!(!is(kind), "{kind}");
        }
    }
}
