//! Services and routes of the file.

use collector::labels::Origin;
use collector::proxy::route::{Action, Condition, Host, Path};
use collector::proxy::service::{Protocol, State};

use super::*;

#[test]
fn services_of_the_file_have_series_like_pods() {
    let services = proxy(
        "
  services:
    - name: legacy
      labels: {app: legacy, team.Name: shop}
      protocol: h2c
      tls: true
      endpoints:
        - \"10.0.0.7:80\"
        - {address: \"[fd00::1]:80\", name: two, node: n1, zone: a, labels: {app: other}}
    - name: none
",
    )
    .services;
    let (key, legacy) = &services[0];
    assert_eq!((key, services[1].1.endpoints.len()), (&fixed("legacy"), 0));
    assert_eq!((legacy.protocol, legacy.tls), (Protocol::H2c, true));
    let labels = |at: usize| {
        let labels = legacy.endpoints[at].labels.labels();
        assert!(
            labels.iter().all(|l| (l.origin == Origin::PodLabel) == l.name.starts_with("label_"))
        );
        labels.iter().map(|l| format!("{}={}", l.name, l.value)).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(labels(0), "pod=10.0.0.7:80 label_app=legacy label_team_name=shop");
    assert_eq!(labels(1), "pod=two node=n1 label_app=other label_team_name=shop");
    let two = &legacy.endpoints[1];
    assert_eq!(
        (&*two.id, two.zone.as_deref(), two.state),
        ("[fd00::1]:80", Some("a"), State::Ready)
    );
}

#[test]
fn faults_of_services_are_told_with_their_place() {
    assert_eq!(
        faults(
            "
  services:
    - {name: a, endpoints: [\"10.0.0.1:80\", {address: \"10.0.0.1:80\"}, \"0.0.0.0:80\", web:80, {name: x}]}
    - {name: a, labels: {app: 1}}
    - {endpoint: []}
    - b
"
        ),
        [
            "proxy.services[0].endpoints[1].address: 10.0.0.1:80 stands twice",
            "proxy.services[0].endpoints[2].address: \"0.0.0.0:80\" is not an IP address with a port; write one such as \"10.0.0.7:8080\"",
            "proxy.services[0].endpoints[3].address: \"web:80\" is not an IP address with a port; write one such as \"10.0.0.7:8080\"",
            "proxy.services[0].endpoints[4].address: not set; write one such as \"10.0.0.7:8080\"",
            "proxy.services[1].name: \"a\" stands twice",
            "proxy.services[1].labels.app: a number where a text is expected; write it in quotes: \"…\"",
            "proxy.services[2].name: not set; routes name a service by it",
            "proxy.services[2].endpoint: unknown key; did you mean \"endpoints\"?",
            "proxy.services[3]: a text where keys are expected; write \"key: value\" lines",
            "proxy.services[3].name: not set; routes name a service by it",
        ]
    );
}

#[test]
fn every_key_of_a_route_is_read() {
    let routes = proxy(
        "
  services: [{name: fixed}]
  routes:
    - name: all
      host: \"*.Example.com\"
      prefix: /a
      headers: {X-Canary: \"yes\", x-any: }
      cookies: {beta: }
      backends: [fixed, {service: \"shop/web:8080\", weight: 3}, {service: \"shop/web:http\", weight: 0}]
      rewrite: /b
      request: {set: {x-a: b}, remove: cookie}
      response: {remove: [server]}
      affinity: {cookie: sid, max_age: 1h, path: /a, same_site: lax}
      https_only: true
      timeouts: {connect: 2s, request: 0s}
      max_body: 1MiB
    - {name: rest, affinity: true, backends: [fixed]}
    - {name: away, path: /x, redirect: {scheme: HTTPS}}
    - {name: pattern, regex: \"/x+\", host: \"*\", redirect: {status: 308, host: b, path: /y}}
",
    )
    .routes;
    let all = &routes[0];
    assert_eq!(all.host, Host::Wildcard("example.com".into()));
    assert_eq!(all.path, Path::Prefix("/a".into()));
    assert_eq!(all.conditions.len(), 3);
    assert_eq!(all.conditions[2], Condition::Cookie("beta".into(), None));
    let Action::Forward(backends) = &all.action else { panic!("{all:?}") };
    assert_eq!(backends[0], (fixed("fixed"), 1));
    assert_eq!(
        (&*backends[1].0.namespace, &backends[1].0.port, backends[1].1),
        ("shop", &Port::Number(8080), 3)
    );
    assert_eq!((&backends[2].0.port, backends[2].1), (&Port::Name("http".into()), 0));
    assert_eq!(all.rewrite.as_deref(), Some("/b"));
    assert_eq!(
        (all.request.set.len(), all.request.remove.len(), all.response.remove.len()),
        (1, 1, 1)
    );
    let affinity = all.affinity.as_ref().unwrap();
    assert_eq!((&*affinity.cookie, affinity.same_site.as_deref()), ("sid", Some("Lax")));
    assert!(all.https_only);
    assert_eq!((all.bounds.request, all.bounds.body), (Some(Duration::ZERO), Some(1 << 20)));
    assert_eq!((&routes[1].host, &routes[1].path), (&Host::Any, &Path::Prefix("/".into())));
    assert_eq!(routes[1].affinity.as_ref().map(|affinity| &*affinity.cookie), Some("podmeter"));
    let redirect = |at: usize| match &routes[at].action {
        Action::Redirect(redirect) => redirect.clone(),
        Action::Forward(_) | Action::Refuse => panic!("{at}"),
    };
    assert_eq!((redirect(2).status.as_u16(), redirect(2).scheme.as_deref()), (302, Some("https")));
    assert_eq!((redirect(3).status.as_u16(), redirect(3).path.as_deref()), (308, Some("/y")));
    assert_eq!((&routes[2].path, &routes[3].host), (&Path::Exact("/x".into()), &Host::Any));
}

#[test]
fn faults_of_routes_are_told_with_their_place() {
    assert_eq!(
        faults(
            "
  services: [{name: a}]
  routes:
    - {prefix: /a, path: /b, backends: [a], redirect: {scheme: https}}
    - {name: b}
    - {name: c, backends: [x, \"shop/web\", {weight: 2}]}
    - {name: d, prefix: a, backends: [a]}
    - {name: e, prefix: /e/, backends: [a]}
    - {name: f, prefix: /e, backends: [a]}
    - {name: e, regexp: \"(\", backends: [a]}
    - {name: g, regex: \"(\", backends: [a]}
    - {name: h, headers: {\"a b\": x, ok: \"\\u0001\"}, request: {set: {x: }}, backends: [a]}
"
        ),
        [
            "proxy.routes[0].name: not set; series and faults name the route by it",
            "proxy.routes[0].prefix: excludes path; leave one of them out",
            "proxy.routes[0].redirect: excludes backends; leave one of them out",
            "proxy.routes[1]: goes nowhere; write backends or redirect",
            "proxy.routes[2].backends[0].service: proxy.services has no \"x\"; add it there, or write a Service of the cluster as \"namespace/name:port\"",
            "proxy.routes[2].backends[1].service: \"shop/web\" is not a Service with a port; write it as \"namespace/name:port\", such as \"shop/web:http\"",
            "proxy.routes[2].backends[2].service: not set; write which service gets the requests",
            "proxy.routes[6].name: \"e\" stands twice",
            "proxy.routes[6].regexp: unknown key; did you mean \"regex\"?",
            "proxy.routes[8].headers.a b: no header's name; write letters, digits and -",
            "proxy.routes[8].headers.ok: no header's value; write visible characters",
            "proxy.routes[8].request.set.x: nothing where a value is expected; to remove it, name it under remove",
            "proxy.routes[3]: no request has the path \"a\"; write a path such as \"/shop\", with a slash in front and without query, white space and segments of dots only",
            "proxy.routes[5]: route e of the configuration file has any host and /e with the same conditions already; remove one of them",
            "proxy.routes[7]: \"(\" is no regular expression of the regex crate: unclosed group",
        ]
    );
}

#[test]
fn without_an_api_server_only_the_files_own_services_are_known() {
    let text = section(
        "  ingress_class: a\n  services: [{name: a}]\n  routes: [{name: r, backends: [\"shop/web:80\"]}, {name: s, prefix: /s, backends: [a]}]",
    );
    let standalone = Launch { standalone: true, ..Launch::default() };
    assert_eq!(
        checked(&text, &standalone).unwrap_err(),
        [
            "proxy.routes: r names shop/web, which only an API server knows; with standalone name a service of proxy.services",
            "proxy.ingress_class: needs an API server; leave it out with standalone",
        ]
    );
    assert!(checked(&text, &Launch::default()).is_ok());
}
