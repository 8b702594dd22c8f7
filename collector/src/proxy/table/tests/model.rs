//! The table against a naive one that looks at every route.

use std::cmp::Reverse;

use proptest::prelude::*;
use proptest::sample::select;

use super::*;

const HOSTS: [&str; 6] = ["", "a.x", "b.x", "*.x", "x", "*.b.x"];
const ASKED: [&str; 7] = ["", "a.x", "b.x", "c.x", "x", "c.b.x", "y"];
const PATTERNS: [&str; 5] = ["/a.*", "/[ab]+", "/(a|ab)/b", ".*b", "/a/.{0,2}"];

fn segments() -> impl Strategy<Value = String> {
    let segment = select(vec!["a", "b", "ab", "a-b", ""]);
    proptest::collection::vec(segment, 0..4).prop_map(|parts| format!("/{}", parts.join("/")))
}

fn condition() -> impl Strategy<Value = Condition> {
    let value = proptest::option::of(select(vec!["1", "2"]));
    (select(vec!["x-a", "x-b"]), value, any::<bool>()).prop_map(|(name, value, is_cookie)| {
        if is_cookie {
            Condition::Cookie(name.into(), value.map(Arc::from))
        } else {
            header(name, value)
        }
    })
}

fn routes() -> impl Strategy<Value = Vec<Route>> {
    let path = prop_oneof![
        segments().prop_map(|text| prefix(&text)),
        segments().prop_map(|text| exact(&text)),
        select(PATTERNS.to_vec()).prop_map(regex),
        Just(Path::Rest),
    ];
    let conditions = proptest::collection::vec(condition(), 0..3);
    let source = prop_oneof![Just(Source::File), Just(Source::Ingress)];
    let one = (select(HOSTS.to_vec()), path, conditions, source).prop_map(
        |(at, path, conditions, source)| {
            let mut route = Route { conditions, ..route("r", at, path) };
            route.origin.source = source;
            route
        },
    );
    proptest::collection::vec(one, 0..24).prop_map(|mut routes| {
        for (at, route) in routes.iter_mut().enumerate() {
            route.origin.name = at.to_string().into();
        }
        routes
    })
}

fn headers() -> impl Strategy<Value = HeaderMap> {
    let pair = (select(vec!["x-a", "x-b"]), select(vec!["1", "2", ""]), any::<bool>());
    proptest::collection::vec(pair, 0..4).prop_map(|pairs| {
        let mut headers = HeaderMap::new();
        for (name, value, is_cookie) in pairs {
            if is_cookie {
                let pair = HeaderValue::from_str(&format!("{name}={value}")).unwrap();
                headers.append(http::header::COOKIE, pair);
            } else {
                headers.append(name, HeaderValue::from_static(value));
            }
        }
        headers
    })
}

/// How particular a host's claim on a request is; `None` when it has none. Less goes first.
fn host_rank(host: &Host, asked: &str) -> Option<u8> {
    match host {
        Host::Exact(name) => (**name == *asked).then_some(0),
        Host::Wildcard(suffix) => {
            let label = asked.strip_suffix(&**suffix)?.strip_suffix('.')?;
            (!label.is_empty() && !label.contains('.')).then_some(1)
        }
        Host::Any => Some(2),
    }
}

/// The same of a path: the kind, then the segments of a prefix.
fn path_rank(path: &Path, asked: &str) -> Option<(u8, Reverse<usize>)> {
    match path {
        Path::Exact(text) => (**text == *asked).then_some((0, Reverse(0))),
        Path::Prefix(text) => {
            let text = text.strip_suffix('/').unwrap_or(text);
            let wanted: Vec<_> = text.split('/').collect();
            let has: Vec<_> = asked.split('/').collect();
            has.starts_with(&wanted).then_some((1, Reverse(wanted.len())))
        }
        Path::Regex(text) => {
            let whole = ::regex::bytes::Regex::new(&format!("^(?-u:{text})$")).unwrap();
            whole.is_match(asked.as_bytes()).then_some((2, Reverse(0)))
        }
        Path::Rest => Some((3, Reverse(0))),
    }
}

fn naive<'a>(routes: &'a [Route], host: &str, path: &str, headers: &HeaderMap) -> &'a str {
    let first_of_pattern = |route: &Route| match &route.path {
        Path::Regex(_) => routes.iter().position(|r| r.host == route.host && r.path == route.path),
        _ => None,
    };
    let ranked = routes.iter().enumerate().filter_map(|(at, route)| {
        let fits = headers::hold(route, headers);
        let rank = (host_rank(&route.host, host)?, path_rank(&route.path, path)?);
        let conditions = Reverse(route.conditions.len());
        fits.then_some(((rank, first_of_pattern(route), conditions, at), route))
    });
    let best = ranked.min_by_key(|(rank, _)| *rank).map(|(_, route)| &*route.origin.name);
    let knows = routes.iter().any(|route| host_rank(&route.host, host).is_some());
    best.unwrap_or(if knows { "no path" } else { "no host" })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_table_decides_as_the_naive_one(
        routes in routes(), host in select(ASKED.to_vec()), path in segments(), headers in headers(),
    ) {
        let count = routes.len();
        let (table, faults) = Table::build(routes);
        prop_assert_eq!(table.routes().len() + faults.len(), count);
        prop_assert!(faults.iter().all(|fault| fault.reason == "duplicate"), "{:?}", faults);
        let (taken, matched) = taken(&table, host, &path, &headers);
        prop_assert_eq!(taken, naive(table.routes(), host, &path, &headers));
        prop_assert!(path.is_char_boundary(matched));
    }

    #[test]
    fn no_request_makes_it_panic(routes in routes(), host in "\\PC*", path in "\\PC*|[/ab.-]*") {
        let (table, _) = Table::build(routes);
        let _ = taken(&table, &host, &path, &HeaderMap::new());
    }

    #[test]
    fn no_route_makes_it_panic(host in "\\PC{0,12}|[a-z.*]{0,8}", path in "\\PC{0,12}|[/a-z(|)*+?\\[]{0,12}", kind in 0..3) {
        let path = match kind {
            0 => exact(&path),
            1 => prefix(&path),
            _ => regex(&path),
        };
        let mut bad = route("r", "", path);
        bad.host = Host::Exact(host.into());
        let (table, faults) = Table::build(vec![bad]);
        prop_assert_eq!(table.routes().len() + faults.len(), 1);
    }
}
