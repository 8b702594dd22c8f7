//! Connections that turn into something else.

use crate::client::{Client, request, with};
use crate::config::Config;
use crate::pod::Pod;
use crate::running::Proxy;

const WEBSOCKET: &str = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n";

/// Agrees, says something at once, and then everything again.
fn echo() -> Pod {
    Pod::new(|link| {
        if link.read().is_some() {
            link.say("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: y\r\n\r\nhello");
            while let Some(some) = link.some() {
                link.say(some);
            }
        }
    })
}

fn upgraded(proxy: &Proxy) -> Client {
    let mut client = proxy.connect();
    // What follows at once belongs to the new protocol already.
    let answer = client.ask(with("GET", "/chat", WEBSOCKET) + "early");
    assert_eq!((answer.status, answer.header("upgrade")), (101, Some("websocket")));
    assert_eq!(answer.header("sec-websocket-accept"), Some("y"));
    let (mut both, mut said) = (client.take(10), b"helloearly".to_vec());
    both.sort_unstable();
    said.sort_unstable();
    assert_eq!(both, said);
    client
}

#[test]
fn a_websocket_passes_whatever_both_sides_say_and_is_measured() {
    let pod = echo();
    let proxy = Proxy::to(&[&pod]);
    let mut client = upgraded(&proxy);
    let got = pod.last();
    assert_eq!(
        (got.header("upgrade"), got.header("sec-websocket-key")),
        (Some("websocket"), Some("x"))
    );
    for said in ["GET / HTTP/1.1\n\n", "\0\u{1}\u{2}", "0\r\n\r\n"] {
        client.send(said);
        assert_eq!(client.take(said.len()), said.as_bytes());
    }
    proxy.counts("http_server_active_requests", &[], 1.0);
    client.finish();
    assert!(client.ended().is_empty());
    pod.closed(1);
    let page = proxy.rests();
    let status = [("http_response_status_code", "101")];
    assert_eq!(page.value("http_server_request_duration_seconds_count", &status), Some(1.0));
    proxy.counts("podmeter_http_route_response_bytes_total", &[], 34.0);
}

#[test]
fn a_tunnel_outlives_a_reload_that_takes_its_route_and_its_pod() {
    let (old, new) = (echo(), Pod::named("new"));
    let proxy = Proxy::to(&[&old]);
    let mut client = upgraded(&proxy);
    proxy.reload(&Config::to(&[&new]));
    assert_eq!(proxy.ask(&request("GET", "/")).text(), "new");
    client.send("still");
    assert_eq!(client.take(5), b"still");
}

#[test]
fn a_tunnel_in_which_nothing_moves_is_closed() {
    let pod = echo();
    let proxy = Proxy::start(&Config::to(&[&pod]).with("timeouts: {tunnel: 500ms}"));
    let mut client = upgraded(&proxy);
    assert!(client.ended().is_empty());
    pod.closed(1);
    proxy.rests();
}

#[test]
fn an_upgrade_that_the_pod_refuses_leaves_both_connections_to_http() {
    let pod = Pod::saying("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno");
    let proxy = Proxy::to(&[&pod]);
    let mut client = proxy.connect();
    let answer = client.ask(with("GET", "/chat", WEBSOCKET));
    assert_eq!((answer.status, answer.text().as_str()), (403, "no"));
    assert_eq!(client.ask(request("GET", "/")).status, 403);
    // What comes behind a refused upgrade is held to the rules of HTTP.
    client.send(with("GET", "/chat", WEBSOCKET) + "GET / HTTP/1.1\nHost: a.test\r\n\r\n");
    assert_eq!(client.answer().status, 403);
    assert_eq!(client.answer().refusal(), (400, "bare_lf"));
    assert_eq!(pod.requests(), 3);
}

#[test]
fn protocols_that_are_not_allowed_are_not_passed_on() {
    let pod = Pod::named("ok");
    let proxy = Proxy::start(&Config::to(&[&pod]).with("upgrades: [tcp]"));
    let mut client = proxy.connect();
    for upgrade in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n",
        "Connection: Upgrade\r\nUpgrade: TLS/1.2\r\n",
        "Upgrade: websocket\r\n",
    ] {
        let answer = client.ask(with("GET", "/", upgrade));
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"), "{upgrade}");
        let got = pod.last();
        assert_eq!(
            (got.header("upgrade"), got.header("http2-settings")),
            (None, None),
            "{upgrade}"
        );
    }
    client.ask(with("GET", "/", "Connection: Upgrade\r\nUpgrade: tcp\r\n"));
    assert_eq!(pod.last().header("upgrade"), Some("tcp"));
    let body = "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n";
    let answer = proxy.ask(&(with("POST", "/", body) + "hi"));
    assert_eq!(answer.refusal(), (400, "upgrade"));
}
