//! The whole proxy in one process, between raw clients and pods that behave as a test needs it.

mod pod;
mod running;

use pod::Pod;
use running::{Running, key, request, route};

use super::route::{Action, Affinity, Redirect, Route};
use super::settings::Settings;

#[test]
fn requests_go_to_the_pod_and_answers_come_back_over_one_kept_connection() {
    let pod = Pod::answering("HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-pod: yes\r\n\r\nhello");
    let proxy = Running::start(&[&pod]);
    let mut client = proxy.connect();
    for _ in 0..3 {
        let answer = client.ask("GET /some/path?q=1 HTTP/1.1\r\nHost: a.test\r\nX-Mine: 1\r\n\r\n");
        assert_eq!((answer.status, &*answer.body), (200, "hello"));
        assert_eq!(answer.header("x-pod"), Some("yes"));
    }
    let heads = pod.heads();
    assert_eq!((heads.len(), pod.connections()), (3, 1));
    assert!(heads[0].starts_with("GET /some/path?q=1 HTTP/1.1\r\n"), "{}", heads[0]);
    assert!(heads[0].contains("x-mine: 1\r\n") && heads[0].contains("host: a.test\r\n"));
    assert!(heads[0].contains("x-forwarded-for: 127.0.0.1\r\n"), "{}", heads[0]);
}

#[test]
fn bodies_go_both_ways_chunked_or_not() {
    let pod = Pod::answering(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
    );
    let proxy = Running::start(&[&pod]);
    let mut client = proxy.connect();
    for head in [
        "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\n\r\nbody",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n",
    ] {
        let answer = client.ask(head);
        assert_eq!((answer.status, &*answer.body), (200, "hello world"));
    }
    assert_eq!(pod.bodies(), ["body", "body"]);
}

#[test]
fn a_refused_connection_is_tried_elsewhere_and_nobody_notices() {
    let (dead, pod) = (Pod::refusing(), Pod::answering("HTTP/1.1 204 No Content\r\n\r\n"));
    let proxy = Running::start(&[&dead, &pod]);
    let mut client = proxy.connect();
    for _ in 0..50 {
        let method = if fastrand::bool() { "POST" } else { "GET" };
        let head = request(method, "/").header("Content-Length", "0");
        assert_eq!(client.ask(&head.text()).status, 204);
    }
}

#[test]
fn a_kept_connection_that_the_pod_closed_costs_no_request() {
    let pod = Pod::answering_once("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    let proxy = Running::start(&[&pod]);
    let mut client = proxy.connect();
    for _ in 0..20 {
        assert_eq!(client.ask(&request("GET", "/").text()).body, "ok");
    }
    assert_eq!(pod.heads().len(), 20);
}

#[test]
fn an_answer_that_breaks_off_is_never_taken_for_whole() {
    let pod = Pod::answering_once("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf");
    let proxy = Running::start(&[&pod]);
    let answer = proxy.connect().read_after(&request("GET", "/").text());
    // What was there already may or may not have been sent on; all ten bytes can never be.
    assert!(answer.is_empty() || answer.ends_with("half"), "{answer}");

    let pod =
        Pod::answering_once("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n");
    let proxy = Running::start(&[&pod]);
    let answer = proxy.connect().read_after(&request("GET", "/").text());
    assert!(!answer.ends_with("0\r\n\r\n"), "{answer}");
}

#[test]
fn no_route_and_no_pod_say_so_themselves() {
    let proxy = Running::start(&[]);
    let answer = proxy.connect().ask("GET / HTTP/1.1\r\nHost: other.test\r\n\r\n");
    assert_eq!((answer.status, answer.header("podmeter-reason")), (404, Some("no_route")));
    let answer = proxy.connect().ask(&request("GET", "/").text());
    assert_eq!((answer.status, answer.header("podmeter-reason")), (503, Some("no_endpoint")));
    assert_eq!(answer.header("retry-after"), Some("1"));
}

#[test]
fn what_is_to_be_kept_safe_is_refused_where_a_wider_path_would_let_it_through() {
    let pod = Pod::answering("HTTP/1.1 204 No Content\r\n\r\n");
    let proxy = Running::start(&[&pod]);
    let mut admin = route("/admin");
    (admin.action, admin.https_only) = (Action::Refuse, true);
    proxy.routes(vec![route("/"), admin]);
    let mut client = proxy.connect();
    for (path, status, reason) in
        [("/admin/users", 403, Some("guarded")), ("/administer", 204, None), ("/", 204, None)]
    {
        let answer = client.ask(&request("GET", path).text());
        assert_eq!((answer.status, answer.header("podmeter-reason")), (status, reason), "{path}");
    }
}

#[test]
fn a_balancer_that_ends_tls_and_announces_its_clients_leads_into_no_redirect_to_https() {
    let pod = Pod::answering("HTTP/1.1 204 No Content\r\n\r\n");
    let balancer: Vec<ipnet::IpNet> = vec!["127.0.0.1/32".parse().unwrap()];
    let settings = Settings {
        workers: 1,
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        trusted: balancer.clone(),
        proxy_protocol: balancer,
        ..Settings::default()
    };
    let proxy = Running::start_with(settings, &[&pod]);
    proxy.routes(vec![Route { https_only: true, ..route("/") }]);
    for (scheme, status) in [("https", 204), ("http", 308)] {
        let head = request("GET", "/").header("X-Forwarded-Proto", scheme).text();
        let head = format!("PROXY TCP4 203.0.113.9 192.0.2.1 4000 80\r\n{head}");
        assert_eq!(proxy.connect().ask(&head).status, status, "{scheme}");
    }
}

#[test]
fn a_redirect_to_the_very_same_url_is_refused() {
    let proxy = Running::start(&[]);
    let to = Redirect {
        status: http::StatusCode::FOUND,
        scheme: Some("http".into()),
        host: Some("A.test:80".into()),
        path: None,
    };
    let mut shop = route("/shop");
    shop.action = Action::Redirect(Redirect { path: Some("/b".into()), ..to.clone() });
    proxy.routes(vec![Route { action: Action::Redirect(to), ..route("/") }, shop]);
    for (path, status, reason) in [("/x", 508, Some("redirect_loop")), ("/shop", 302, None)] {
        let answer = proxy.connect().ask(&request("GET", path).text());
        assert_eq!((answer.status, answer.header("podmeter-reason")), (status, reason), "{path}");
    }
}

/// Sessions of this cookie on a route, for all of the host.
fn sticky(route: Route) -> Route {
    let affinity =
        Affinity { cookie: "s".into(), max_age: None, path: "/".into(), same_site: None };
    Route { affinity: Some(affinity), ..route }
}

/// The cookie that an answer sets, as a request sends it.
fn session(answer: &running::Answer) -> String {
    let set = answer.header("set-cookie").unwrap();
    set.split(';').next().unwrap().to_owned()
}

#[test]
fn a_session_stays_with_the_service_that_the_weights_once_chose() {
    let (web, next) = (
        Pod::answering("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nweb"),
        Pod::answering("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnext"),
    );
    let proxy = Running::start(&[&web]);
    proxy.service("next", &[&next]);
    let weighted = |web, next| {
        let action = Action::Forward(vec![(key("web"), web), (key("next"), next)]);
        proxy.routes(vec![sticky(Route { action, ..route("/") })]);
    };
    weighted(0, 1);
    let mut client = proxy.connect();
    let first = client.ask(&request("GET", "/").text());
    let cookie = session(&first);
    let asked = request("GET", "/").header("Cookie", &cookie).text();
    weighted(1000, 1);
    for _ in 0..20 {
        let answer = client.ask(&asked);
        assert_eq!((&*answer.body, answer.header("set-cookie")), ("next", None));
    }
    weighted(1, 0);
    assert_eq!(client.ask(&asked).body, "web", "what gets nothing any more keeps no session");
}

#[test]
fn cookies_of_the_same_name_for_two_services_do_not_hide_each_other() {
    let (web, shop) = (
        Pod::answering("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nweb"),
        Pod::answering("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nshop"),
    );
    let proxy = Running::start(&[&web]);
    proxy.service("shop", &[&shop]);
    let action = Action::Forward(vec![(key("shop"), 1)]);
    proxy.routes(vec![sticky(route("/")), sticky(Route { action, ..route("/shop") })]);
    let mut client = proxy.connect();
    let cookies = ["/", "/shop"].map(|path| session(&client.ask(&request("GET", path).text())));
    let cookies = cookies.join("; ");
    for (path, body) in [("/", "web"), ("/shop", "shop")] {
        let answer = client.ask(&request("GET", path).header("Cookie", &cookies).text());
        assert_eq!((&*answer.body, answer.header("set-cookie")), (body, None), "{path}");
    }
}

#[test]
fn what_pods_do_wrong_has_a_status_and_a_reason() {
    let cases = [
        ("garbage", 502, "bad_response"),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
            502,
            "bad_response",
        ),
        ("", 502, "reset"),
    ];
    for (said, status, reason) in cases {
        let pod = Pod::answering_once(said);
        let proxy = Running::start(&[&pod]);
        let answer =
            proxy.connect().ask(&request("POST", "/").header("Content-Length", "0").text());
        assert_eq!(
            (answer.status, answer.header("podmeter-reason")),
            (status, Some(reason)),
            "{said:?}"
        );
    }
}

#[test]
fn a_websocket_is_passed_through_after_101_only() {
    let pod = Pod::upgrading();
    let proxy = Running::start(&[&pod]);
    let upgrade =
        request("GET", "/").header("Connection", "upgrade").header("Upgrade", "websocket").text();
    let mut client = proxy.connect();
    let answer = client.ask(&upgrade);
    assert_eq!((answer.status, answer.header("upgrade")), (101, Some("websocket")));
    assert_eq!(client.echo("anything\0goes"), "anything\0goes");

    let pod = Pod::answering("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n");
    let proxy = Running::start(&[&pod]);
    let mut client = proxy.connect();
    assert_eq!(client.ask(&upgrade).status, 403);
    assert_eq!(client.ask(&request("GET", "/").text()).status, 403, "it is HTTP still");
}
