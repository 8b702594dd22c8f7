//! Ingresses as people write them, the odd ones, and anything at all.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::path::MAX_PATH;
use super::*;
use crate::proxy::discovery::object::SecretObject;
use crate::proxy::discovery::{place, pod};
use crate::proxy::service::Port;

fn read_json(object: &Value) -> Ingress {
    read(serde_json::from_value(object.clone()).unwrap()).unwrap()
}

fn ingress(annotations: &Value, spec: &Value) -> Ingress {
    read_json(&json!({
        "metadata": {
            "name": "web", "namespace": "shop", "uid": "u1", "creationTimestamp": "1970-01-01T00:00:10Z",
            "annotations": annotations,
        },
        "spec": spec,
    }))
}

/// A rule for one host and path.
fn rule(host: &str, path: &str, kind: &str) -> Value {
    json!({"host": host, "http": {"paths": [
        {"path": path, "pathType": kind, "backend": {"service": {"name": "web", "port": {"number": 80}}}},
    ]}})
}

fn one(annotations: &Value) -> Ingress {
    ingress(annotations, &json!({"rules": [rule("a.example", "/", "Prefix")]}))
}

/// Host, path, Service and port of each route, in one line.
fn lines(ingress: &Ingress) -> Vec<String> {
    let line = |route: &Route| {
        let host = match &route.host {
            Host::Exact(name) => name.to_string(),
            Host::Wildcard(name) => format!("*.{name}"),
            Host::Any => "*".to_owned(),
        };
        let path = match &route.path {
            Path::Exact(path) => format!("= {path}"),
            Path::Prefix(path) => path.to_string(),
            Path::Regex(path) => format!("~ {path}"),
            Path::Rest => "rest".to_owned(),
        };
        let Action::Forward(services) = &route.action else {
            return format!("{host} {path} -> {:?}", route.action);
        };
        let services: Vec<_> = services
            .iter()
            .map(|(key, weight)| match &key.port {
                Port::Number(port) => format!("{}/{}:{port}*{weight}", key.namespace, key.name),
                Port::Name(port) => format!("{}/{}:{port}*{weight}", key.namespace, key.name),
            })
            .collect();
        format!("{host} {path} -> {}", services.join(" "))
    };
    ingress.routes.iter().map(line).collect()
}

fn reasons(ingress: &Ingress) -> Vec<&'static str> {
    ingress.faults.iter().map(|fault| fault.reason).collect()
}

#[test]
fn every_rule_and_path_is_a_route() {
    let found = ingress(
        &json!({}),
        &json!({
            "ingressClassName": "podmeter",
            "defaultBackend": {"service": {"name": "rest", "port": {"name": "http"}}},
            "rules": [
                {"host": "Shop.Example", "http": {"paths": [
                    {"path": "/cart", "pathType": "Exact", "backend": {"service": {"name": "cart", "port": {"number": 80}}}},
                    {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "web", "port": {"name": "http"}}}},
                    {"pathType": "ImplementationSpecific", "backend": {"service": {"name": "web", "port": {"number": 1}}}},
                ]}},
                {"host": "*.example"},
                {"http": {"paths": [{"path": "/x", "pathType": "Prefix", "backend": {"service": {"name": "x", "port": {"number": 9}}}}]}},
            ],
            "tls": [{"hosts": ["shop.example", "*.example"], "secretName": "cert"}, {"hosts": ["no.secret"]}],
        }),
    );
    assert_eq!(
        lines(&found),
        [
            "* rest -> shop/rest:http*1",
            "shop.example = /cart -> shop/cart:80*1",
            "shop.example / -> shop/web:http*1",
            "*.example / -> shop/rest:http*1",
            "* /x -> shop/x:9*1",
        ]
    );
    assert_eq!(reasons(&found), ["duplicate"], "the same path twice");
    assert_eq!(found.classes, ["podmeter".into()]);
    let secret = Name { namespace: "shop".into(), name: "cert".into() };
    assert_eq!(found.tls, [Tls { secret, hosts: vec!["shop.example".into(), "*.example".into()] }]);
}

#[test]
fn a_bad_rule_is_a_fault_and_the_others_go_on() {
    for (bad, reason) in [
        (rule("a:80", "/", "Prefix"), "bad_host"),
        (rule("a", "x", "Prefix"), "bad_path"),
        (rule("a", "/a b", "Prefix"), "bad_path"),
        (rule("a", "/a?b", "Exact"), "bad_path"),
        (rule("a", "", "Prefix"), "bad_path"),
        (rule("a", "/", "Regex"), "bad_path"),
        (rule("a", &format!("/{}", "x".repeat(MAX_PATH)), "Prefix"), "bad_path"),
        (json!({"host": "a"}), "no_backend"),
        (
            json!({"host": "a", "http": {"paths": [{"path": "/", "pathType": "Prefix"}]}}),
            "no_backend",
        ),
        (
            json!({"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": {"resource": {"kind": "Bucket", "name": "b"}}}]}}),
            "resource_backend",
        ),
        (
            json!({"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "a,b", "port": {"number": 80}}}}]}}),
            "bad_service",
        ),
        (
            json!({"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "a", "port": {"number": 0}}}}]}}),
            "bad_service",
        ),
    ] {
        let found = ingress(&json!({}), &json!({"rules": [bad, rule("b", "/", "Prefix")]}));
        assert_eq!((reasons(&found), lines(&found).len()), (vec![reason], 1), "{bad}");
        assert!(!found.is_unusable());
    }
    let empty = ingress(&json!({}), &Value::Null);
    assert_eq!(reasons(&empty), ["no_backend"]);
    assert!(empty.is_unusable());
}

#[test]
fn our_annotations_say_how_a_route_is_served() {
    let found = one(&json!({
        "podmeter.io/rewrite-target": "/v2",
        "podmeter.io/ssl-redirect": "true",
        "podmeter.io/affinity": "cookie",
        "podmeter.io/session-cookie-name": "sid",
        "podmeter.io/session-cookie-max-age": "3600",
        "podmeter.io/session-cookie-samesite": "lax",
        "podmeter.io/proxy-connect-timeout": "500ms",
        "podmeter.io/proxy-read-timeout": "30",
        "podmeter.io/proxy-body-size": "8m",
        "podmeter.io/canary-service": "next:80",
        "podmeter.io/canary-weight": "10",
        "podmeter.io/request-headers-set": "X-Team: shop\nX-From: proxy",
        "podmeter.io/response-headers-remove": "Server, X-Powered-By",
    }));
    assert_eq!(found.faults, []);
    assert_eq!(lines(&found), ["a.example / -> shop/web:80*90 shop/next:80*10"]);
    let route = &found.routes[0];
    assert!(route.https_only);
    assert_eq!(route.rewrite.as_deref(), Some("/v2"));
    assert_eq!(
        route.affinity,
        Some(crate::proxy::route::Affinity {
            cookie: "sid".into(),
            max_age: Some(Duration::from_secs(3_600)),
            path: "/".into(),
            same_site: Some("Lax".into()),
        })
    );
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(route.bounds.connect, Some(Duration::from_millis(500)));
    assert_eq!((route.bounds.first_byte, route.bounds.idle), (seconds(30), seconds(30)));
    assert_eq!(route.bounds.body, Some(8 << 20));
    assert_eq!((route.request.set.len(), route.response.remove.len()), (2, 2));
}

#[test]
fn session_cookie_is_for_what_its_path_is_for() {
    let annotations = json!({"podmeter.io/affinity": "cookie"});
    for (path, kind, expected) in [
        ("/shop", "Prefix", "/shop"),
        ("/shop/", "Prefix", "/shop"),
        ("/", "Prefix", "/"),
        ("/a,b", "Prefix", "/"),
        ("/shop", "Exact", "/"),
    ] {
        let found = ingress(&annotations, &json!({"rules": [rule("a", path, kind)]}));
        let affinity = found.routes[0].affinity.as_ref().unwrap();
        assert_eq!(&*affinity.path, expected, "{path}");
    }
}

#[test]
fn regular_expressions_are_asked_for_and_only_for_paths_that_leave_it_open() {
    let rules = json!({"rules": [
        rule("a", "/v[0-9]+/.*", "ImplementationSpecific"), rule("a", "/v1", "Prefix"),
    ]});
    let with = ingress(&json!({"podmeter.io/use-regex": "true"}), &rules);
    assert_eq!(lines(&with), ["a ~ /v[0-9]+/.* -> shop/web:80*1", "a /v1 -> shop/web:80*1"]);
    let without = ingress(&json!({}), &rules);
    assert_eq!(lines(&without)[0], "a /v[0-9]+/.* -> shop/web:80*1");
}

#[test]
fn what_only_a_table_refuses_is_a_fault_of_the_ingress_too() {
    for path in ["/api(", "/(a{1000}){1000}"] {
        let rules = json!({"rules": [rule("a", path, "ImplementationSpecific")]});
        let found = ingress(&json!({"podmeter.io/use-regex": "true"}), &rules);
        assert_eq!((reasons(&found), lines(&found).len()), (vec!["regex"], 0), "{path}");
        assert!(found.is_unusable(), "so that the last good one stays");
    }
    let rules = json!({"rules": [rule("a", "/a/../b", "Prefix"), rule("a", "/", "Prefix")]});
    let found = ingress(&json!({}), &rules);
    assert_eq!((reasons(&found), lines(&found).len()), (vec!["path"], 1));
}

#[test]
fn nginx_annotations_with_the_same_meaning_are_kept_and_ours_go_first() {
    let found = one(&json!({
        "nginx.ingress.kubernetes.io/affinity": "cookie",
        "nginx.ingress.kubernetes.io/session-cookie-path": "/a",
        "nginx.ingress.kubernetes.io/proxy-body-size": "1g",
        "nginx.ingress.kubernetes.io/proxy-read-timeout": "120",
        "nginx.ingress.kubernetes.io/force-ssl-redirect": "true",
        "nginx.ingress.kubernetes.io/proxy-buffering": "off",
        "podmeter.io/proxy-read-timeout": "5s",
    }));
    assert_eq!(found.faults, []);
    let route = &found.routes[0];
    let affinity = route.affinity.as_ref().unwrap();
    assert_eq!((&*affinity.cookie, &*affinity.path), ("INGRESSCOOKIE", "/a"));
    assert_eq!(route.bounds.body, Some(1 << 30));
    assert_eq!(route.bounds.first_byte, Some(Duration::from_secs(5)));
    assert!(route.https_only);
}

#[test]
fn nginx_redirects_only_hosts_that_have_a_certificate() {
    let found = ingress(
        &json!({"nginx.ingress.kubernetes.io/ssl-redirect": "true"}),
        &json!({
            "rules": [
                rule("a.example", "/", "Prefix"), rule("b.test", "/", "Prefix"),
                rule("*.example", "/", "Prefix"), rule("x.y.example", "/", "Prefix"),
            ],
            "tls": [{"hosts": ["*.example"], "secretName": "cert"}],
        }),
    );
    let redirected: Vec<_> = found.routes.iter().map(|route| route.https_only).collect();
    assert_eq!(redirected, [true, false, true, false]);
}

#[test]
fn annotations_that_are_wrong_or_not_known_cost_themselves_alone() {
    for (key, value, reason) in [
        ("podmeter.io/afinity", "cookie", "unknown_annotation"),
        ("podmeter.io/affinity", "ip", "bad_annotation"),
        ("podmeter.io/ssl-redirect", "yes", "bad_annotation"),
        ("podmeter.io/rewrite-target", "/$1", "bad_annotation"),
        ("podmeter.io/canary-weight", "10", "bad_annotation"),
        ("podmeter.io/canary-weight", "101", "bad_annotation"),
        ("podmeter.io/request-headers-set", "Host: other", "bad_annotation"),
        ("podmeter.io/request-headers-remove", "Keep-Alive", "bad_annotation"),
        ("podmeter.io/response-headers-remove", "proxy-connection", "bad_annotation"),
        ("podmeter.io/session-cookie-name", &"c".repeat(65), "bad_annotation"),
        ("podmeter.io/session-cookie-path", "/a,b", "bad_annotation"),
        ("podmeter.io/rewrite-target", "/a/../b", "bad_annotation"),
        ("podmeter.io/rewrite-target", "/a\\b", "bad_annotation"),
        ("nginx.ingress.kubernetes.io/rewrite-target", "/$2", "bad_annotation"),
        ("nginx.ingress.kubernetes.io/server-snippet", "return 403;", "unsupported_annotation"),
        ("nginx.ingress.kubernetes.io/use-regex", "true", "unsupported_annotation"),
        ("nginx.ingress.kubernetes.io/backend-protocol", "HTTPS", "unsupported_annotation"),
        ("nginx.ingress.kubernetes.io/limit-rps", "5", "unsupported_annotation"),
    ] {
        let found = one(&json!({ key: value }));
        assert_eq!((reasons(&found), found.routes.len()), (vec![reason], 1), "{key}");
        assert!(found.faults[0].sentence.contains(key), "{}", found.faults[0].sentence);
    }
    for (key, value) in [
        ("nginx.ingress.kubernetes.io/use-regex", "false"),
        ("nginx.ingress.kubernetes.io/backend-protocol", "HTTP"),
        ("nginx.ingress.kubernetes.io/canary", "false"),
        ("nginx.ingress.kubernetes.io/proxy-buffer-size", "8k"),
        ("kubectl.kubernetes.io/last-applied-configuration", "{}"),
    ] {
        assert_eq!(one(&json!({ key: value })).faults, [], "{key}");
    }
}

#[test]
fn what_is_to_be_protected_is_not_served_without_the_protection() {
    let spec = json!({
        "rules": [rule("a.example", "/admin", "Prefix"), rule("a.example", "/v[0-9]+", "ImplementationSpecific"),
            {"host": "b.example", "http": {"paths": [{"path": "/", "pathType": "Exact"}]}}],
        "tls": [{"hosts": ["a.example"], "secretName": "cert"}],
    });
    for key in ["auth-url", "auth-tls-secret", "auth-type", "whitelist-source-range", "canary"] {
        let key = format!("nginx.ingress.kubernetes.io/{key}");
        let found = ingress(&json!({ key.as_str(): "true" }), &spec);
        let refused =
            ["a.example /admin -> Refuse", "a.example / -> Refuse", "b.example = / -> Refuse"];
        if key.ends_with("canary") {
            assert_eq!(
                (lines(&found).len(), found.tls.len()),
                (0, 0),
                "the main one has its paths"
            );
            assert!(reasons(&found).contains(&"guard_not_supported"));
        } else {
            assert_eq!(lines(&found), refused, "{key}");
            assert_eq!((reasons(&found), found.tls.len()), (vec!["guard_not_supported"], 1));
        }
        assert!(!found.is_unusable(), "so that what it was before does not stay in force");
    }
}

#[test]
fn routes_and_faults_of_one_ingress_are_bounded() {
    let rules: Vec<_> = (0..200)
        .map(|host| {
            let path = |path| {
                json!({"path": format!("/{path}"), "pathType": "Prefix", "backend": {"service": {"name": "web", "port": {"number": 80}}}})
            };
            json!({"host": format!("h{host}"), "http": {"paths": (0..10).map(path).collect::<Vec<_>>()}})
        })
        .collect();
    let found = ingress(&json!({}), &json!({ "rules": rules }));
    assert_eq!((found.routes.len(), reasons(&found)), (MAX_ROUTES, vec!["too_many"]));
    let bad: Vec<_> = (0..200).map(|_| rule("a", "x", "Prefix")).collect();
    assert!(ingress(&json!({}), &json!({ "rules": bad })).faults.len() < 100);
}

#[test]
fn regular_expressions_of_one_ingress_are_bounded() {
    let rules: Vec<_> =
        (0..70).map(|at| rule("a", &format!("/{at}[a-z]"), "ImplementationSpecific")).collect();
    let found = ingress(&json!({"podmeter.io/use-regex": "true"}), &json!({ "rules": rules }));
    assert_eq!((found.routes.len(), reasons(&found)), (MAX_REGEXES, vec!["too_many"]));
}

#[test]
fn what_is_too_long_to_be_kept_is_told() {
    let spec = |hosts: usize, entries: usize| {
        let hosts: Vec<_> = (0..hosts).map(|at| format!("h{at}.example")).collect();
        let entry = json!({"secretName": "cert", "hosts": hosts});
        json!({"rules": [rule("a", "/", "Prefix")], "tls": vec![entry; entries]})
    };
    assert_eq!(reasons(&ingress(&json!({}), &spec(256, 1))), [""; 0]);
    assert_eq!(reasons(&ingress(&json!({}), &spec(257, 1))), ["too_many"]);
    assert_eq!(reasons(&ingress(&json!({}), &spec(0, 257))), ["too_many"]);
    let long = |bytes: usize| {
        let value = format!("X-A: {}", "ü".repeat(bytes / 2));
        one(&json!({"podmeter.io/request-headers-set": value}))
    };
    assert_eq!(long(4_000).routes[0].request.set.len(), 1);
    let cut = long(5_000);
    assert_eq!((reasons(&cut), cut.routes[0].request.set.len()), (vec!["bad_annotation"], 0));
    let many: serde_json::Map<_, _> =
        (0..600).map(|at| (format!("example.com/{at}"), "x".into())).collect();
    assert_eq!(reasons(&one(&many.into())), ["too_many"]);
}

#[test]
fn object_without_a_name_that_could_be_asked_for_is_none() {
    for metadata in [json!({}), json!({"name": "a"}), json!({"name": "a/b", "namespace": "shop"})] {
        let object = serde_json::from_value(json!({ "metadata": metadata })).unwrap();
        assert!(read(object).is_none(), "{metadata}");
    }
}

/// Keys that the readers know.
const KEYS: &str = "metadata spec status name namespace uid annotations rules http paths path pathType backend \
    service port number tls hosts secretName ports selector endpoints addresses conditions targetRef subsets data \
    tls.crt defaultBackend ownerReferences labels type podmeter.io/canary-service podmeter.io/canary-weight \
    podmeter.io/proxy-body-size nginx.ingress.kubernetes.io/affinity";
const WORDS: [&str; 8] = ["shop", "web", "/", "Prefix", "10.0.0.1", "a.example", "Pod", "9é"];

/// Those keys at any depth, with values of any kind.
fn anything() -> impl Strategy<Value = Value> {
    let key = prop::sample::select(KEYS.split_whitespace().collect::<Vec<_>>());
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        prop::sample::select(WORDS.to_vec()).prop_map(Value::from),
    ];
    let object = |entries: Vec<(&str, Value)>| {
        let entries = entries.into_iter().map(|(key, value)| (key.to_owned(), value));
        Value::Object(entries.collect())
    };
    leaf.prop_recursive(6, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..6).prop_map(object),
        ]
    })
}

proptest! {
    #[test]
    fn no_object_makes_a_reader_panic(metadata in anything(), spec in anything(), whole in anything()) {
        let named = json!({"metadata": {"name": "web", "namespace": "shop", "annotations": metadata}, "spec": spec});
        let rules = crate::pods::labels::Rules::new(&crate::pods::labels::Settings::default()).unwrap();
        for object in [named, whole] {
            let text = object.to_string();
            if let Ok(object) = serde_json::from_str(&text) {
                let _ = read(object);
            }
            if let Ok(object) = serde_json::from_str(&text) {
                let _ = place::of_slice(object);
            }
            if let Ok(object) = serde_json::from_str(&text) {
                let _ = place::of_endpoints(object);
            }
            if let Ok(object) = serde_json::from_str(&text) {
                let _ = pod::read(object, &rules);
            }
            let _ = serde_json::from_str::<SecretObject>(&text);
        }
    }
}
