//! Which route wins, which are refused, and what they do to requests.

mod model;
mod requests;

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::*;
use crate::proxy::route::{Affinity, Condition, Edits, Host, Origin, Path, Redirect, Source};
use crate::proxy::service::Port;

pub(super) fn service(name: &str) -> ServiceKey {
    ServiceKey { namespace: "".into(), name: name.into(), port: Port::Number(80) }
}

pub(super) fn host(text: &str) -> Host {
    match text {
        "" => Host::Any,
        text => text
            .strip_prefix("*.")
            .map_or_else(|| Host::Exact(text.into()), |suffix| Host::Wildcard(suffix.into())),
    }
}

/// A route called `name` to a service of that name.
pub(super) fn route(name: &str, at: &str, path: Path) -> Route {
    Route {
        origin: Origin { source: Source::File, namespace: "".into(), name: name.into() },
        host: host(at),
        path,
        conditions: Vec::new(),
        action: Action::Forward(vec![(service(name), 1)]),
        rewrite: None,
        request: Edits::default(),
        response: Edits::default(),
        affinity: None,
        https_only: false,
        bounds: crate::proxy::route::Bounds::default(),
    }
}

pub(super) fn prefix(text: &str) -> Path {
    Path::Prefix(text.into())
}

pub(super) fn exact(text: &str) -> Path {
    Path::Exact(text.into())
}

pub(super) fn regex(text: &str) -> Path {
    Path::Regex(text.into())
}

pub(super) fn header(name: &'static str, value: Option<&'static str>) -> Condition {
    Condition::Header(HeaderName::from_static(name), value.map(HeaderValue::from_static))
}

/// The name of the route that a request takes, and how much of the path it matched.
fn taken<'a>(table: &'a Table, host: &str, path: &str, headers: &HeaderMap) -> (&'a str, usize) {
    match table.find(host, path, headers) {
        Found::Route(found) => {
            assert!(std::ptr::eq(found.route, &raw const table.routes()[found.index]));
            (&found.route.origin.name, found.matched)
        }
        Found::NoPath => ("no path", 0),
        Found::NoHost => ("no host", 0),
    }
}

fn table(routes: Vec<Route>) -> Table {
    let (table, faults) = Table::build(routes);
    assert_eq!(faults, []);
    table
}

#[track_caller]
fn check(table: &Table, host: &str, path: &str, expected: &str) {
    assert_eq!(taken(table, host, path, &HeaderMap::new()).0, expected, "{host} {path}");
}

#[test]
fn the_more_particular_host_wins_and_its_other_paths_fall_through() {
    let table = table(vec![
        route("any", "", prefix("/")),
        route("wild", "*.example.com", prefix("/wild")),
        route("exact", "www.example.com", prefix("/exact")),
    ]);
    check(&table, "www.example.com", "/exact", "exact");
    check(&table, "www.example.com", "/wild", "wild");
    check(&table, "www.example.com", "/other", "any");
    check(&table, "shop.example.com", "/wild/x", "wild");
    check(&table, "a.b.example.com", "/wild", "any");
    check(&table, "example.com", "/wild", "any");
    check(&table, ".example.com", "/wild", "any");
    check(&table, "", "/", "any");
}

#[test]
fn an_unknown_host_is_told_from_an_unknown_path() {
    let table = table(vec![route("a", "a.example.com", prefix("/a"))]);
    check(&table, "a.example.com", "/b", "no path");
    check(&table, "b.example.com", "/a", "no host");
    check(&Table::default(), "a.example.com", "/a", "no host");
}

#[test]
fn exact_goes_before_the_longest_prefix_and_that_before_an_expression() {
    let table = table(vec![
        route("regex", "", regex("/shop/.*")),
        route("root", "", prefix("/shop")),
        route("below", "", prefix("/shop/cart/")),
        route("beside", "", prefix("/shop-old")),
        route("page", "", exact("/shop/cart")),
        route("other", "", regex(r"/items/\d+")),
    ]);
    check(&table, "", "/shop/cart", "page");
    check(&table, "", "/shop/cart/", "below");
    check(&table, "", "/shop/cart/1", "below");
    check(&table, "", "/shop/carton", "root");
    check(&table, "", "/shop", "root");
    check(&table, "", "/shop/", "root");
    check(&table, "", "/shop-old/x", "beside");
    check(&table, "", "/shopping", "no path");
    check(&table, "", "/items/12", "other");
    check(&table, "", "/items/12/x", "no path");
    check(&table, "", "/x/items/12", "no path");
    check(&table, "", "*", "no path");
}

#[test]
fn expressions_are_tried_in_the_order_of_writing() {
    let table = table(vec![
        route("first", "", regex("/a.*")),
        route("second", "", regex("/ab")),
        route("either", "", regex("/x|/xy")),
    ]);
    check(&table, "", "/ab", "first");
    check(&table, "", "/xy", "either");
}

#[test]
fn what_is_for_the_rest_loses_against_every_other_route() {
    let table = table(vec![
        route("rest", "", Path::Rest),
        route("regex", "", regex("/v[0-9]")),
        route("shop", "shop.test", prefix("/shop")),
    ]);
    check(&table, "", "/v1", "regex");
    check(&table, "shop.test", "/shop/cart", "shop");
    check(&table, "shop.test", "/other", "rest");
    check(&table, "", "/", "rest");
    let older = Table::build(vec![route("rest", "", Path::Rest), route("all", "", prefix("/"))]);
    assert_eq!(older.1, [], "the two are not the same");
    check(&older.0, "", "/x", "all");
}

#[test]
fn what_matched_is_the_prefix_without_its_slash_or_all() {
    let table = table(vec![
        route("p", "", prefix("/a/")),
        route("root", "", prefix("/")),
        route("e", "", exact("/b/")),
        route("r", "r", regex("/r+")),
    ]);
    let none = HeaderMap::new();
    assert_eq!(taken(&table, "", "/a/b", &none), ("p", 2));
    assert_eq!(taken(&table, "", "/a", &none), ("p", 2));
    assert_eq!(taken(&table, "", "/c", &none), ("root", 0));
    assert_eq!(taken(&table, "", "/b/", &none), ("e", 3));
    assert_eq!(taken(&table, "r", "/rrr", &none), ("r", 4));
}

#[test]
fn more_conditions_go_first_and_without_them_the_next_path_is_tried() {
    let with = |name, path, conditions| Route { conditions, ..route(name, "", path) };
    let table = table(vec![
        route("plain", "", prefix("/a")),
        with("one", prefix("/a/"), vec![header("x-canary", None)]),
        with("two", prefix("/a"), vec![header("x-canary", Some("yes")), header("x-b", None)]),
        with("deep", prefix("/a/b"), vec![Condition::Cookie("beta".into(), Some("1".into()))]),
    ]);
    let request = |pairs: &[(&'static str, &'static str)]| {
        let pairs = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        pairs.collect::<HeaderMap>()
    };
    let headers = [
        (request(&[]), "plain"),
        (request(&[("x-canary", "no")]), "one"),
        (request(&[("x-canary", "no"), ("x-b", "")]), "one"),
        (request(&[("x-canary", "yes"), ("x-b", "")]), "two"),
        (request(&[("cookie", "a=b; beta=1")]), "deep"),
        (request(&[("cookie", "beta=2")]), "plain"),
    ];
    for (headers, expected) in headers {
        assert_eq!(taken(&table, "", "/a/b", &headers).0, expected, "{headers:?}");
    }
}

#[test]
fn the_files_route_goes_before_the_same_one_of_an_ingress() {
    let ingress = |name: &str| {
        let origin =
            Origin { source: Source::Ingress, namespace: "shop".into(), name: name.into() };
        Route { origin, ..route(name, "a.example.com", prefix("/a/")) }
    };
    let mut other = ingress("other");
    other.conditions = vec![header("x-b", None)];
    let (table, faults) = Table::build(vec![
        ingress("old"),
        other,
        ingress("new"),
        route("file", "a.example.com", prefix("/a")),
    ]);
    check(&table, "a.example.com", "/a", "file");
    assert_eq!(table.routes().len(), 2, "with other conditions it is another route");
    let said: Vec<_> =
        faults.iter().map(|fault| (&*fault.origin.name, fault.reason, &*fault.sentence)).collect();
    let sentence = "route file of the configuration file has a.example.com and /a/ with the same conditions already; remove one of them";
    assert_eq!(said, [("old", "duplicate", sentence), ("new", "duplicate", sentence)]);
}

#[test]
fn services_are_those_that_routes_name_each_once() {
    let mut canary = route("b", "", prefix("/b"));
    canary.action = Action::Forward(vec![(service("a"), 9), (service("c"), 0)]);
    let mut away = route("d", "", prefix("/d"));
    away.action = Action::Redirect(redirect());
    let table = table(vec![route("a", "", prefix("/a")), canary, away]);
    assert_eq!(table.services(), BTreeSet::from([service("a"), service("c")]));
}

pub(super) fn redirect() -> Redirect {
    Redirect { status: StatusCode::FOUND, scheme: Some("https".into()), host: None, path: None }
}

/// Changes a good route and says why it is refused; the good one goes on working.
fn reason(change: impl FnOnce(&mut Route)) -> (&'static str, String) {
    let mut bad = route("bad", "", prefix("/bad"));
    change(&mut bad);
    let (table, mut faults) = Table::build(vec![bad, route("good", "", prefix("/good"))]);
    check(&table, "", "/good", "good");
    assert_eq!((table.routes().len(), faults.len()), (1, 1), "{faults:?}");
    let fault = faults.remove(0);
    assert_eq!(&*fault.origin.name, "bad");
    assert!(!fault.sentence.ends_with('.'), "{}", fault.sentence);
    (fault.reason, fault.sentence)
}

#[test]
fn hosts_that_are_no_names_are_refused() {
    for bad in ["Example.com", "a..b", "a.", "", "a b", "*.x", "a/b", "a:80", "[::1]", "é.com"] {
        assert_eq!(reason(|route| route.host = Host::Exact(bad.into())).0, "host", "{bad}");
    }
    let long = format!("{}.com", "a".repeat(64));
    assert_eq!(reason(|route| route.host = Host::Wildcard(long.into())).0, "host");
    let (_, sentence) = reason(|route| route.host = Host::Exact("Example.com.".into()));
    assert_eq!(sentence, "\"Example.com.\" is no DNS name in lower case; write \"example.com\"");
}

#[test]
fn paths_that_no_request_has_are_refused() {
    for bad in ["", "a", "/a?b", "/a#b", "/../a", "/a/.", "/a b", "/%2e%2E/", "/ü", "/a\nb"] {
        assert_eq!(reason(|route| route.path = prefix(bad)).0, "path", "{bad}");
        assert_eq!(reason(|route| route.path = exact(bad)).0, "path", "{bad}");
        assert_eq!(reason(|route| route.rewrite = Some(bad.into())).0, "rewrite", "{bad}");
    }
}

#[test]
fn expressions_that_are_none_or_too_large_are_refused_with_the_reason() {
    for bad in ["(", "a)|(b", "[z-a]", r"\p{Greek}", "a{1000}{1000}", "(?x)a # b", "*"] {
        let (reason, sentence) = reason(|route| route.path = regex(bad));
        assert_eq!(reason, "regex", "{bad}");
        assert!(sentence.len() < 200 && !sentence.contains('\n'), "{sentence}");
    }
    let (_, sentence) = reason(|route| route.path = regex("/a("));
    assert_eq!(sentence, "\"/a(\" is no regular expression of the regex crate: unclosed group");
}

#[test]
fn backends_without_weight_are_refused() {
    for bad in [vec![], vec![(service("a"), 0), (service("b"), 0)]] {
        assert_eq!(reason(|route| route.action = Action::Forward(bad)).0, "backends");
    }
}

#[test]
fn redirects_to_nowhere_are_refused() {
    let bad = [
        Redirect { status: StatusCode::OK, ..redirect() },
        Redirect { scheme: Some("javascript".into()), ..redirect() },
        Redirect { host: Some("a b".into()), ..redirect() },
        Redirect { host: Some("a@b".into()), ..redirect() },
        Redirect { path: Some("x".into()), ..redirect() },
        Redirect { scheme: None, ..redirect() },
    ];
    for bad in bad {
        assert_eq!(reason(|route| route.action = Action::Redirect(bad)).0, "redirect");
    }
}

#[test]
fn redirects_that_lead_back_to_themselves_are_refused() {
    let to = |host: &str, path: &str| Redirect {
        scheme: None,
        host: (!host.is_empty()).then(|| host.into()),
        path: (!path.is_empty()).then(|| path.into()),
        ..redirect()
    };
    let is_refused = |at: &str, path: Path, to: Redirect| {
        let redirect = Route { action: Action::Redirect(to), ..route("r", at, path) };
        !Table::build(vec![redirect]).1.is_empty()
    };
    assert!(is_refused("a.test", prefix("/"), to("A.test", "")));
    assert!(is_refused("a.test", prefix("/a"), to("a.test", "/a")));
    assert!(is_refused("", exact("/a"), to("", "/a")));
    assert!(!is_refused("a.test", prefix("/"), to("www.a.test", "")));
    assert!(!is_refused("*.test", prefix("/"), to("a.test", "")));
    assert!(!is_refused("a.test", prefix("/"), to("a.test:8443", "")));
    assert!(!is_refused("", prefix("/"), to("", "/shop")), "another route may have that");
    assert!(!is_refused(
        "a.test",
        prefix("/"),
        Redirect { host: Some("a.test".into()), ..redirect() }
    ));
}

#[test]
fn headers_that_frame_a_message_stay_as_http_writes_them() {
    for name in ["transfer-encoding", "content-length", "connection", "upgrade", "keep-alive"] {
        let set = vec![(HeaderName::from_static(name), HeaderValue::from_static("1"))];
        let edits = Edits { set, remove: Vec::new() };
        assert_eq!(reason(|route| route.request = edits.clone()).0, "headers");
        assert_eq!(reason(|route| route.response = edits).0, "headers");
    }
    let edits = Edits { set: Vec::new(), remove: vec![http::header::HOST] };
    assert_eq!(reason(|route| route.request = edits).0, "headers");
}

#[test]
fn cookies_that_would_say_more_than_their_name_are_refused() {
    let good = Affinity { cookie: "sid".into(), max_age: None, path: "/".into(), same_site: None };
    let bad = [
        Affinity { cookie: "a=b; Domain".into(), ..good.clone() },
        Affinity { cookie: "".into(), ..good.clone() },
        Affinity { path: "/; Domain=example.com".into(), ..good.clone() },
        Affinity { path: "/;x".into(), ..good.clone() },
        Affinity { same_site: Some(Arc::from("lax")), ..good },
    ];
    for bad in bad {
        assert_eq!(reason(|route| route.affinity = Some(bad)).0, "affinity");
    }
}

#[test]
fn finding_a_route_allocates_nothing() {
    let mut routes: Vec<_> =
        (0..100).map(|at| route(&at.to_string(), "", prefix(&format!("/p{at}/x")))).collect();
    routes.push(Route {
        conditions: vec![Condition::Cookie("beta".into(), Some("1".into()))],
        ..route("cookie", "*.example.com", prefix("/"))
    });
    let table = table(routes);
    let headers = HeaderMap::from_iter([(http::header::COOKIE, HeaderValue::from_static("a=1"))]);
    let allocated = allocation_counter::measure(|| {
        let Found::Route(found) = table.find("www.example.com", "/p7/x/y/z", &headers) else {
            panic!("there is one")
        };
        assert_eq!(found.matched, 5);
        assert!(matches!(table.find("www.example.com", "/q", &headers), Found::NoPath));
    });
    assert_eq!(allocated.count_total, 0);
}
