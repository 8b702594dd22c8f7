//! What routes do to requests: targets, headers, hosts, weights.

use http::uri::PathAndQuery;
use proptest::prelude::*;

use super::super::{cookie, edit, host, is_plain_path, location, rewrite, weighted};
use super::*;

fn target(text: &str) -> PathAndQuery {
    PathAndQuery::try_from(text).unwrap()
}

fn rewritten(asked: &str, matched: usize, to: &str) -> String {
    let route = Route { rewrite: Some(to.into()), ..route("r", "", prefix("/")) };
    rewrite(&route, &target(asked), matched).unwrap().to_string()
}

#[test]
fn a_rewrite_takes_the_prefix_place_with_one_slash_between() {
    let cases = [
        ("/foo/bar", 4, "/xyz", "/xyz/bar"),
        ("/foo/bar", 4, "/xyz/", "/xyz/bar"),
        ("/foo", 4, "/xyz", "/xyz"),
        ("/foo", 4, "/xyz/", "/xyz/"),
        ("/foo/", 4, "/xyz", "/xyz/"),
        ("/foo/bar", 4, "/", "/bar"),
        ("/foo", 4, "/", "/"),
        ("/bar", 0, "/xyz", "/xyz/bar"),
        ("/foo/bar?a=/b?c", 4, "/", "/bar?a=/b?c"),
        ("/foo?", 4, "/x", "/x?"),
    ];
    for (asked, matched, to, expected) in cases {
        assert_eq!(rewritten(asked, matched, to), expected, "{asked} to {to}");
    }
}

#[test]
fn a_route_that_rewrites_nothing_keeps_the_target() {
    let asked = target("/a?b");
    assert_eq!(rewrite(&route("r", "", prefix("/")), &asked, 0), Some(asked));
}

#[test]
fn a_rewrite_that_makes_the_target_too_long_is_none() {
    let route = Route { rewrite: Some("/longer".into()), ..route("r", "", prefix("/a")) };
    let asked = target(&format!("/a/{}", "x".repeat(65_530)));
    assert_eq!(rewrite(&route, &asked, 2), None);
}

fn sent_to(redirect: &Redirect, host: &str, asked: &str, matched: usize) -> String {
    let location = location(redirect, "http", host, &target(asked), matched);
    location.to_str().unwrap().to_owned()
}

#[test]
fn a_redirect_keeps_what_it_does_not_name() {
    let to_https = redirect();
    assert_eq!(sent_to(&to_https, "a.example.com:8080", "/x?y", 0), "https://a.example.com/x?y");
    assert_eq!(sent_to(&to_https, "[::1]:8080", "/", 0), "https://[::1]/");
    assert_eq!(sent_to(&to_https, "[::1]", "/", 0), "https://[::1]/");
    let moved = Redirect { scheme: None, path: Some("/new".into()), ..redirect() };
    assert_eq!(sent_to(&moved, "a:8080", "/old/x?y", 4), "http://a:8080/new/x?y");
    let away = Redirect { host: Some("b:81".into()), ..redirect() };
    assert_eq!(sent_to(&away, "a:8080", "/x", 0), "https://b:81/x");
}

#[test]
fn a_redirect_leads_to_no_host_that_the_path_or_the_client_slipped_in() {
    let to_https = redirect();
    assert_eq!(sent_to(&to_https, "a", "//evil.com/x", 0), "https://a//evil.com/x");
    assert_eq!(sent_to(&to_https, "a@evil.com", "/", 0), "https://a%40evil.com/");
    // What follows the colon would be the port.
    assert_eq!(sent_to(&to_https, "a/\r\nx: y", "/", 0), "https://a%2F%0D%0Ax/");
    assert_eq!(sent_to(&to_https, "a", "*", 0), "https://a/*");
    let odd = sent_to(&to_https, "a", "/{}\"|ü%20?{", 0);
    assert_eq!(odd, "https://a/%7B%7D%22%7C%C3%BC%20?%7B");
}

#[test]
fn headers_are_removed_before_others_are_set() {
    let name = HeaderName::from_static;
    let mut headers = HeaderMap::new();
    for (key, value) in [("x-a", "1"), ("x-a", "2"), ("x-b", "1"), ("x-c", "1")] {
        headers.append(name(key), HeaderValue::from_static(value));
    }
    let edits = Edits {
        set: vec![
            (name("x-a"), HeaderValue::from_static("3")),
            (name("x-b"), HeaderValue::from_static("4")),
        ],
        remove: vec![name("x-b"), name("x-c"), name("x-none")],
    };
    edit(&mut headers, &edits);
    let left: Vec<_> = headers.iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap())).collect();
    assert_eq!(left, [("x-a", "3"), ("x-b", "4")]);
}

#[test]
fn a_cookie_is_found_by_its_whole_name_in_any_line() {
    let mut headers = HeaderMap::new();
    for line in ["xsid=0;sid2=9", " ; b=\"q\" ;sid = 1=2 ; sid=3", "c"] {
        headers.append(http::header::COOKIE, HeaderValue::from_static(line));
    }
    headers.append(http::header::COOKIE, HeaderValue::from_bytes(b"raw=\xff; after=1").unwrap());
    let cases = [
        ("sid", Some("1=2")),
        ("sid2", Some("9")),
        ("xsid", Some("0")),
        ("b", Some("\"q\"")),
        ("SID", None),
        ("c", None),
        ("raw", None),
        ("after", Some("1")),
    ];
    for (name, expected) in cases {
        assert_eq!(cookie(&headers, name), expected, "{name}");
    }
}

#[test]
fn hosts_are_read_one_way_or_not_at_all() {
    let cases = [
        ("a.example.com", Some(("a.example.com", None))),
        ("A.Example.COM:80", Some(("a.example.com", Some(80)))),
        ("a.example.com.", Some(("a.example.com", None))),
        ("a.example.com.:8080", Some(("a.example.com", Some(8080)))),
        ("10.0.0.1:65535", Some(("10.0.0.1", Some(65535)))),
        ("[::1]", Some(("[::1]", None))),
        ("[2001:DB8::1]:443", Some(("[2001:db8::1]", Some(443)))),
        ("a_b-c", Some(("a_b-c", None))),
        ("a:080", Some(("a", Some(80)))),
    ];
    for (text, expected) in cases {
        let found = host(text);
        assert_eq!(found.as_ref().map(|(name, port)| (&**name, *port)), expected, "{text}");
    }
    let refused = [
        "",
        ".",
        "..",
        "a..",
        "a..b",
        ".a",
        ":80",
        "a:",
        "a:0",
        "a:65536",
        "a:+80",
        "a:-1",
        "a:8 0",
        "a:80:80",
        "a b",
        "a\t",
        "a/b",
        "a@b",
        "a%2e",
        "a,b",
        "a?",
        "a#",
        "é",
        "a\0",
        "::1",
        "[::1",
        "[::1]x",
        "[::1]:",
        "[::1]:0",
        "[]",
        "[1.2.3.4]",
        "[fe80::1%eth0]",
        "[::1]]",
        "000080:a",
    ];
    for text in refused {
        assert_eq!(host(text), None, "{text:?}");
    }
    assert_eq!(host(&format!("{}a", "a.".repeat(127))), None);
    assert!(host(&format!("{}a", "a.".repeat(126))).is_some());
}

#[test]
fn paths_that_backends_resolve_differently_are_not_plain() {
    for plain in [
        "/",
        "/a",
        "/a/",
        "//",
        "/a//b",
        "/...",
        "/a.b",
        "/.well-known/x",
        "/..a",
        "/a..",
        "/%20",
        "/%2f",
        "/a%2Fb",
        "/%",
        "/%2",
        "/%zz",
        "/a;b",
        "/a;b=..",
        "/.%2ea",
        "/ü",
        "/%252e%252e/",
    ] {
        assert!(is_plain_path(plain), "{plain}");
    }
    for bent in [
        "",
        "a",
        "*",
        "/.",
        "/..",
        "/./a",
        "/a/../b",
        "/a/..",
        "/a/.",
        "/%2e",
        "/%2E%2e/",
        "/.%2e/a",
        "/%2e./a",
        "/a%2f..%2fb",
        "/a/..%2fb",
        "/..%5cb",
        "/a%5c..",
        "/..;/a",
        "/..;x=1/a",
        "/.;",
        "/..%3b/a",
        "/%00",
        "/a%00b",
        "/a\\b",
        "/a#b",
        "/a?b",
        "/a b",
        "/a\tb",
        "/a\0",
        "/\u{7f}",
        "http://a/b",
    ] {
        assert!(!is_plain_path(bent), "{bent:?}");
    }
}

#[test]
fn weights_share_all_random_numbers_in_proportion() {
    let backends = [(service("a"), 0), (service("b"), 3), (service("c"), 0), (service("d"), 1)];
    let chosen = |random| weighted(&backends, random);
    assert_eq!(chosen(0), Some(1));
    assert_eq!(chosen(u32::MAX / 4 * 3), Some(1));
    assert_eq!(chosen(u32::MAX / 4 * 3 + 4), Some(3));
    assert_eq!(chosen(u32::MAX), Some(3));
    assert_eq!(weighted(&backends[..1], 7), None);
    assert_eq!(weighted(&[], 7), None);
    let most = [(service("a"), u32::MAX), (service("b"), u32::MAX)];
    assert_eq!(weighted(&most, u32::MAX), Some(1));
}

proptest! {
    #[test]
    fn a_rewrite_keeps_the_query_and_gives_a_plain_path(
        rest in "(/[a-z%;]{0,3}){0,3}", query in proptest::option::of("[a-z=&/?]{0,8}"), to in "(/[a-z]{0,3}){1,3}",
    ) {
        let path = format!("/foo{rest}");
        let asked = query.as_ref().map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
        let outcome = target(&rewritten(&asked, 4, &to));
        let asked = target(&asked);
        prop_assert_eq!(outcome.query(), asked.query());
        prop_assert!(!is_plain_path(&path) || is_plain_path(outcome.path()), "{}", outcome);
        prop_assert!(outcome.path().ends_with(&rest));
    }

    #[test]
    fn a_location_is_one_url_whatever_is_asked(host in "\\PC{0,12}", asked in "/[!-~]{0,12}", matched in 0_usize..16) {
        let Ok(asked) = PathAndQuery::try_from(asked) else { return Ok(()) };
        for redirect in [redirect(), Redirect { path: Some("/x".into()), ..redirect() }] {
            let text = location(&redirect, "http", &host, &asked, matched);
            let text = text.to_str().unwrap();
            let rest = text.strip_prefix("https://").unwrap();
            let authority = rest.split('/').next().unwrap();
            prop_assert!(!authority.contains(['@', '?', '#', '\\']), "{}", text);
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{}", text);
        }
    }

    #[test]
    fn a_host_that_is_read_reads_the_same_again(text in "\\PC{0,16}|\\[?[0-9a-fA-F:.]{1,16}\\]?(:[0-9]{0,6})?") {
        if let Some((name, _)) = host(&text) {
            prop_assert!(name.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()));
            prop_assert_eq!(host(&name), Some((name.clone(), None)));
        }
    }

    #[test]
    fn a_plain_path_has_no_relative_segment(path in "/([.a/;]|%2[eEfF]|%5c|%00){0,8}") {
        if is_plain_path(&path) {
            let decoded = path.to_ascii_lowercase().replace("%2e", ".").replace("%2f", "/").replace("%5c", "/");
            let relative = |segment: &str| matches!(segment.split(';').next(), Some("." | ".."));
            prop_assert!(!decoded.split('/').any(relative), "{}", path);
            prop_assert!(!path.contains("%00"));
        }
    }

    #[test]
    fn no_cookie_makes_it_panic(line: Vec<u8>, name in "\\PC{0,4}") {
        if let Ok(value) = HeaderValue::from_bytes(&line) {
            let headers = HeaderMap::from_iter([(http::header::COOKIE, value)]);
            let _ = cookie(&headers, &name);
        }
    }
}
