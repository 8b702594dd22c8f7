//! Which route a request takes, what the route does to it, and how routes change while requests are under way.

use crate::client::{request, with};
use crate::config::Config;
use crate::gate::Gate;
use crate::pod::Pod;
use crate::running::Proxy;

/// A pod for each of these names, with a Service of that name.
fn named<'a>(mut config: Config, names: &[&'a str]) -> (Config, Vec<(&'a str, Pod)>) {
    let pods: Vec<_> = names.iter().map(|name| (*name, Pod::named(name))).collect();
    for (name, pod) in &pods {
        config = config.service_of(name, &[pod]);
    }
    (config, pods)
}

#[test]
fn the_most_particular_route_has_the_request() {
    let names =
        ["exact", "wild", "any", "path", "long", "short", "regex", "header", "cookie", "both"];
    let (config, _pods) = named(Config::default(), &names);
    let config = config
        .route("name: any, backends: [any]")
        .route("name: wild, host: \"*.b.test\", backends: [wild]")
        .route("name: exact, host: a.test, backends: [exact]")
        .route("name: short, host: a.test, prefix: /p, backends: [short]")
        .route("name: long, host: a.test, prefix: /p/q, backends: [long]")
        .route("name: path, host: a.test, path: /p/q/r, backends: [path]")
        .route("name: regex, host: r.test, regex: \"/[0-9]+/x\", backends: [regex]")
        .route("name: by-prefix, host: r.test, prefix: /42, backends: [short]")
        .route("name: header, host: a.test, path: /c, headers: {x-canary: \"yes\"}, backends: [header]")
        .route("name: cookie, host: a.test, path: /c, cookies: {who: me}, backends: [cookie]")
        .route("name: both, host: a.test, path: /c, headers: {x-canary: \"yes\"}, cookies: {who: me}, backends: [both]");
    let proxy = Proxy::start(&config);
    let cases = [
        ("a.test", "/", "", "exact"),
        ("A.TEST:8080", "/anything", "", "exact"),
        ("a.test", "/p", "", "short"),
        ("a.test", "/p/", "", "short"),
        ("a.test", "/pq", "", "exact"),
        ("a.test", "/p/q", "", "long"),
        ("a.test", "/p/qr", "", "short"),
        ("a.test", "/p/q/r", "", "path"),
        ("a.test", "/p/q/r?x=1", "", "path"),
        ("a.test", "/p/q/r/", "", "long"),
        ("r.test", "/43/x", "", "regex"),
        ("r.test", "/42/x", "", "short"),
        ("r.test", "/43/x/y", "", "any"),
        ("a.test", "/c", "", "exact"),
        ("a.test", "/c", "X-Canary: yes\r\n", "header"),
        ("a.test", "/c", "X-Canary: no\r\n", "exact"),
        ("a.test", "/c", "Cookie: x=y; who=me\r\n", "cookie"),
        ("a.test", "/c", "Cookie: who=you\r\n", "exact"),
        ("a.test", "/c", "X-Canary: yes\r\nCookie: who=me\r\n", "both"),
        ("x.b.test", "/", "", "wild"),
        ("x.y.b.test", "/", "", "any"),
        ("b.test", "/", "", "any"),
        ("other.test", "/p/q", "", "any"),
    ];
    let mut client = proxy.connect();
    for (host, path, headers, right) in cases {
        let answer = client.ask(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n"));
        assert_eq!(answer.text(), right, "{host}{path} {headers}");
    }
}

#[test]
fn without_a_route_for_every_host_the_others_are_not_found() {
    let pod = Pod::named("ok");
    let config = Config::default().service_of("web", &[&pod]);
    let proxy =
        Proxy::start(&config.route("name: one, host: a.test, prefix: /in, backends: [web]"));
    let mut client = proxy.connect();
    let of = |host: &str, path: &str| format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    assert_eq!(client.ask(of("a.test", "/in")).status, 200);
    assert_eq!(client.ask(of("a.test", "/out")).refusal(), (404, "no_route"));
    for host in ["b.test", "made.up", "192.0.2.1"] {
        assert_eq!(client.ask(of(host, "/in")).refusal(), (404, "no_route"), "{host}");
    }
    assert_eq!(client.ask(of("a.test", "/in")).status, 200, "the connection goes on");

    proxy.counts("podmeter_proxy_refused_total", &[("reason", "no_route")], 4.0);
    // Whoever asks for made up hosts makes no series.
    let missing = [("http_response_status_code", "404")];
    let page = proxy.counts("http_server_request_duration_seconds_count", &missing, 1.0);
    let hosts: Vec<_> =
        page.samples("http_server_request_duration_seconds_count", &missing).collect();
    assert_eq!(hosts[0].labels["server_address"], "a.test");
}

#[test]
fn what_a_route_changes_is_changed_and_nothing_else() {
    let pod = Pod::saying(
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-powered-by: pod\r\nx-kept: 1\r\nserver: s\r\n\r\nok",
    );
    let config = Config::default()
        .service_of("web", &[&pod])
        .route("name: old, host: a.test, prefix: /old, rewrite: /new, request: {set: {x-set: \"1\", x-there: new}, remove: [x-secret]}, response: {set: {x-served: podmeter}, remove: [x-powered-by]}, backends: [web]")
        .route("name: moved, host: a.test, prefix: /moved, redirect: {status: 308, scheme: https, host: b.test, path: /here}")
        .route("name: found, host: a.test, path: /found, redirect: {path: /there}")
        .route("name: safe, host: safe.test, https_only: true, backends: [web]");
    let proxy = Proxy::start(&config);
    let mut client = proxy.connect();
    let answer = client.ask(with(
        "GET",
        "/old/a%20b?q=1&r=%2F",
        "X-Secret: s\r\nX-There: old\r\nX-There: older\r\nX-Mine: 1\r\n",
    ));
    assert_eq!(
        (answer.header("x-served"), answer.header("x-powered-by")),
        (Some("podmeter"), None)
    );
    assert_eq!((answer.header("x-kept"), answer.header("server")), (Some("1"), Some("s")));
    let got = pod.last();
    assert_eq!(got.asked(), "GET /new/a%20b?q=1&r=%2F");
    assert_eq!((got.header("x-set"), got.header("x-there")), (Some("1"), Some("new")));
    assert_eq!((got.header("x-secret"), got.header("x-mine")), (None, Some("1")));

    for (host, target, status, location) in [
        ("a.test", "/moved/on?q=1", 308, "https://b.test/here/on?q=1"),
        ("a.test:8080", "/found?q=1", 302, "http://a.test:8080/there?q=1"),
        ("safe.test:8080", "/x?y", 308, "https://safe.test/x?y"),
    ] {
        let answer = client.ask(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!((answer.status, answer.header("location")), (status, Some(location)));
    }
    assert_eq!(pod.requests(), 1);
}

#[test]
fn services_get_their_share_of_the_requests() {
    let (config, pods) = named(Config::default(), &["many", "few", "none"]);
    let proxy = Proxy::start(&config.route(
        "name: all, backends: [{service: many, weight: 3}, {service: few}, {service: none, weight: 0}]",
    ));
    let mut client = proxy.connect();
    (0..600).for_each(|_| assert_eq!(client.ask(request("GET", "/")).status, 200));
    let [many, few, none] = [0, 1, 2].map(|at: usize| pods[at].1.requests());
    // 450 are due; seven standard deviations are 74.
    assert!((376..=524).contains(&many) && few == 600 - many && none == 0, "{many}, {few}, {none}");
}

#[test]
fn a_reload_touches_neither_the_request_under_way_nor_the_connection() {
    let gate = Gate::default();
    let of_pod = gate.clone();
    let before = Pod::new(move |link| {
        while link.read().is_some() {
            link.say("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nol");
            of_pod.wait();
            link.say("d po");
        }
    });
    let after = Pod::named("new");
    let proxy = Proxy::to(&[&before]);
    let mut client = proxy.connect();
    client.send(request("GET", "/"));
    let head = client.head();

    proxy.reload(&Config::to(&[&after]));
    assert_eq!(proxy.ask(&request("GET", "/")).text(), "new");
    gate.open();
    assert_eq!(client.with_body(head).text(), "old po");
    assert_eq!(client.ask(request("GET", "/")).text(), "new");
    before.closed(1);
}

#[test]
fn a_broken_file_leaves_the_last_good_routes_in_force_and_says_so() {
    let pods = (Pod::named("one"), Pod::named("two"));
    let proxy = Proxy::to(&[&pods.0]);
    proxy.counts("podmeter_config_valid", &[], 1.0);
    for broken in ["proxy: [", "proxy: {routes: [{name: x}]}", "intervall: 1s\n"] {
        proxy.rewrite(broken, "the last good one stays in force");
        assert_eq!(proxy.ask(&request("GET", "/")).text(), "one", "{broken}");
        proxy.page_with("an invalid file", |page| {
            page.value("podmeter_config_valid", &[]) == Some(0.0)
        });
    }
    proxy.reload(&Config::to(&[&pods.1]));
    assert_eq!(proxy.ask(&request("GET", "/")).text(), "two");
    let page = proxy.counts("podmeter_config_valid", &[], 1.0);
    assert_eq!(page.value("podmeter_config_reloads_total", &[("result", "ok")]), Some(1.0));
    assert_eq!(page.value("podmeter_config_reloads_total", &[("result", "failed")]), Some(3.0));
}
