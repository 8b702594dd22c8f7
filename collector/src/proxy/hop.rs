//! Headers that mean one connection only (RFC 9110, section 7.6.1) and therefore end here.
//!
//! What an upgrade needs of them is put back by who makes the upgrade.

use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, COOKIE, FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION, ORIGIN,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SET_COOKIE, STRICT_TRANSPORT_SECURITY, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE, WWW_AUTHENTICATE,
};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");

/// Always removed. `Trailer` is not among them: gRPC's clients look at it, and trailers are passed on.
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    KEEP_ALIVE,
    PROXY_CONNECTION,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    HTTP2_SETTINGS,
];

/// Kept although `Connection` names them. Whoever could have them dropped would change whom the pod believes to
/// speak with, where an answer ends, or what a cache may keep ("hop-by-hop header abuse").
const KEPT: [HeaderName; 16] = [
    HOST,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    CONTENT_ENCODING,
    CONTENT_RANGE,
    TRAILER,
    AUTHORIZATION,
    WWW_AUTHENTICATE,
    COOKIE,
    SET_COOKIE,
    CACHE_CONTROL,
    FORWARDED,
    LOCATION,
    ORIGIN,
    STRICT_TRANSPORT_SECURITY,
    HeaderName::from_static("traceparent"),
];

/// Removes what means this connection only: the known names and those that `Connection` lists. A request keeps
/// `TE: trailers`, without which gRPC's servers refuse it.
///
/// Most messages of HTTP/2 and many of HTTP/1.1 have none of these; one look over the names finds that out.
pub fn strip_hop_by_hop(headers: &mut HeaderMap, is_request: bool) {
    if !headers.keys().any(is_hop_by_hop) {
        return;
    }
    for name in listed(headers) {
        headers.remove(name);
    }
    let trailers = is_request && takes_trailers(headers);
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    if trailers {
        headers.insert(TE, TRAILERS);
    }
}

fn is_hop_by_hop(name: &HeaderName) -> bool {
    let text = name.as_str();
    // The first letter rules out most names before any comparison.
    matches!(text.as_bytes()[0], b'c' | b'k' | b'p' | b't' | b'u' | b'h')
        && matches!(
            text,
            "connection"
                | "keep-alive"
                | "proxy-connection"
                | "proxy-authenticate"
                | "proxy-authorization"
                | "te"
                | "transfer-encoding"
                | "upgrade"
                | "http2-settings"
        )
}

/// What `Connection` names beside the usual options. The usual ones are no headers, or are removed anyway.
fn listed(headers: &HeaderMap) -> Vec<HeaderName> {
    let mut names = Vec::new();
    for value in headers.get_all(CONNECTION) {
        for option in value.as_bytes().split(|&byte| byte == b',') {
            let option = option.trim_ascii();
            let is_usual = [&b"keep-alive"[..], b"close", b"upgrade", b"te", b""]
                .iter()
                .any(|usual| option.eq_ignore_ascii_case(usual));
            if is_usual {
                continue;
            }
            if let Ok(name) = HeaderName::from_bytes(option)
                && !is_kept(&name)
                && headers.contains_key(&name)
            {
                names.push(name);
            }
        }
    }
    names
}

fn is_kept(name: &HeaderName) -> bool {
    KEPT.contains(name)
        || name.as_str().starts_with("x-forwarded-")
        || name.as_str().starts_with("sec-websocket-")
        || name.as_str() == "x-real-ip"
}

fn takes_trailers(headers: &HeaderMap) -> bool {
    headers
        .get_all(TE)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        headers
    }

    fn check(before: &[(&str, &str)], is_request: bool, after: &[(&str, &str)]) {
        let mut stripped = headers(before);
        strip_hop_by_hop(&mut stripped, is_request);
        assert_eq!(stripped, headers(after), "{before:?}");
    }

    #[test]
    fn known_names_end_here_and_the_rest_goes_on() {
        check(
            &[
                ("host", "a"),
                ("connection", "keep-alive"),
                ("keep-alive", "timeout=5"),
                ("proxy-connection", "keep-alive"),
                ("proxy-authorization", "Basic eA=="),
                ("proxy-authenticate", "Basic"),
                ("transfer-encoding", "chunked"),
                ("upgrade", "h2c"),
                ("http2-settings", "AAMAAABkAARAAAAAAAIAAAAA"),
                ("trailer", "grpc-status"),
                ("accept", "*/*"),
            ],
            true,
            &[("host", "a"), ("trailer", "grpc-status"), ("accept", "*/*")],
        );
    }

    #[test]
    fn names_that_connection_lists_go_with_it() {
        check(
            &[
                ("connection", "close, X-Private ,"),
                ("connection", "x-other"),
                ("x-private", "1"),
                ("x-private", "2"),
                ("x-other", "3"),
                ("x-kept", "4"),
            ],
            true,
            &[("x-kept", "4")],
        );
    }

    #[test]
    fn connection_cannot_drop_what_the_pod_relies_on() {
        let kept = [
            ("host", "a"),
            ("content-length", "3"),
            ("authorization", "Bearer x"),
            ("cookie", "a=b"),
            ("x-forwarded-for", "192.0.2.1"),
            ("x-real-ip", "192.0.2.1"),
            ("forwarded", "for=192.0.2.1"),
            ("cache-control", "no-store"),
        ];
        let names: Vec<_> = kept.iter().map(|(name, _)| *name).collect();
        let connection = names.join(", ");
        let before: Vec<_> = kept.into_iter().chain([("connection", &*connection)]).collect();
        check(&before, true, &kept);
    }

    #[test]
    fn te_keeps_trailers_in_requests_only() {
        check(&[("te", "gzip, Trailers")], true, &[("te", "trailers")]);
        check(&[("te", "trailers"), ("connection", "te")], true, &[("te", "trailers")]);
        check(&[("te", "gzip;q=0.5")], true, &[]);
        check(&[("te", "trailers")], false, &[]);
    }

    #[test]
    fn fast_look_and_list_name_the_same_headers() {
        assert!(HOP_BY_HOP.iter().all(is_hop_by_hop));
        assert!(!KEPT.iter().any(is_hop_by_hop));
    }

    proptest! {
        #[test]
        fn any_connection_header_leaves_no_hop_by_hop_header(value in "[ -~]{0,60}", is_request: bool) {
            let mut stripped = headers(&[("connection", &value), ("upgrade", "x"), ("host", "a")]);
            strip_hop_by_hop(&mut stripped, is_request);
            prop_assert!(!stripped.keys().any(is_hop_by_hop));
            prop_assert!(stripped.contains_key("host"));
        }
    }
}
