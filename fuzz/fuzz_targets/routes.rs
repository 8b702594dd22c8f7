//! Any table, host, path and cookie: nothing panics, and what is read reads the same again.
#![no_main]

use collector::proxy::route::{Action, Bounds, Edits, Host, Origin, Path, Route, Source};
use collector::proxy::service::{Port, ServiceKey};
use collector::proxy::table::{Found, Table, cookie, host, is_plain_path, rewrite};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, header};
use libfuzzer_sys::fuzz_target;

fn route(at: &str, path: &str, rewrite: Option<&str>) -> Route {
    let key = ServiceKey { namespace: "".into(), name: "s".into(), port: Port::Number(80) };
    let (kind, text) = path.split_at(path.chars().next().map_or(0, char::len_utf8));
    Route {
        origin: Origin { source: Source::File, namespace: "".into(), name: "r".into() },
        host: match at.strip_prefix("*.") {
            _ if at.is_empty() => Host::Any,
            Some(suffix) => Host::Wildcard(suffix.into()),
            None => Host::Exact(at.into()),
        },
        path: match kind {
            "=" => Path::Exact(text.into()),
            "~" => Path::Regex(text.into()),
            _ => Path::Prefix(path.into()),
        },
        conditions: Vec::new(),
        action: Action::Forward(vec![(key, 1)]),
        rewrite: rewrite.map(Into::into),
        request: Edits::default(),
        response: Edits::default(),
        affinity: None,
        https_only: false,
        bounds: Bounds::default(),
    }
}

fuzz_target!(|input: (Vec<(&str, &str, Option<&str>)>, &str, &str, &[u8])| {
    let (written, asked, target, line) = input;
    let count = written.len();
    let routes = written.into_iter().map(|(at, path, to)| route(at, path, to)).collect();
    let (table, faults) = Table::build(routes);
    assert_eq!(table.routes().len() + faults.len(), count);

    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(line) {
        headers.insert(header::COOKIE, value);
    }
    let _ = cookie(&headers, target);
    let name = match host(asked) {
        Some((name, _)) => {
            assert_eq!(host(&name), Some((name.clone(), None)));
            name
        }
        None => asked.into(),
    };
    if let Found::Route(found) = table.find(&name, target, &headers) {
        assert!(target.is_char_boundary(found.matched));
        assert_eq!(found.route, &table.routes()[found.index]);
        let Ok(target) = PathAndQuery::try_from(target) else { return };
        if let Some(outcome) = rewrite(found.route, &target, found.matched) {
            assert_eq!(outcome.query(), target.query());
            assert!(!is_plain_path(target.path()) || is_plain_path(outcome.path()));
        }
    }
});
