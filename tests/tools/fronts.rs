//! haproxy and nginx in front of the proxy, as a load balancer of the cluster would be: the backend sees the client's
//! address, whichever way it was told.

use std::net::SocketAddr;
use std::process::Command;

use crate::curl::{Curl, MOST};
use crate::haproxy::Haproxy;
use crate::load::H2load;
use crate::nginx::Nginx;
use crate::program::{find, run};
use crate::proxy::{HOST, Proxy, Settings, sum};
use crate::{Case, Shown};

pub(crate) const CASES: &[Case] = &[
    ("haproxy_in_front_tells_the_client_in_a_text_header", || announced("send-proxy")),
    ("haproxy_in_front_tells_the_client_in_a_binary_header", || announced("send-proxy-v2")),
    ("haproxy_in_front_speaks_http2_to_the_proxy", speaks_http2),
    ("haproxy_in_front_checks_and_keeps_connections", checks_and_keeps),
    ("nginx_in_front_is_believed_where_it_is_trusted", believed_where_trusted),
];

/// Clients come from here, so that they differ from whatever is in front.
const CLIENT: &str = "127.0.0.3";

fn ask(address: SocketAddr, arguments: &[&str]) -> Result<String, String> {
    let answer = Curl::new(arguments)?
        .with(&["--interface", CLIENT, "-H", "Host: front.test"])
        .get(address, "/client");
    assert_eq!((answer.exit, answer.status.as_str()), (0, "200"), "{arguments:?}: {answer:?}");
    Ok(answer.text())
}

fn pair(proxy: &'static str) -> Result<(Nginx, Proxy), String> {
    let nginx = Nginx::site("")?;
    let proxy = Settings { proxy, is_tls: true, ..Settings::to(nginx.address) }.start()?;
    Ok((nginx, proxy))
}

fn announced(option: &str) -> Shown {
    let (_nginx, proxy) = pair("proxy_protocol: [\"127.0.0.1/32\"]")?;
    let plain = Haproxy::before(proxy.plain, "tcp", option)?;
    for version in ["--http1.0", "--http1.1", "--http2-prior-knowledge"] {
        assert_eq!(
            ask(plain.address, &[version])?,
            format!("{CLIENT}|http|front.test"),
            "{version}"
        );
    }
    // haproxy passes TLS on as it comes, or speaks HTTP itself and adds a header of its own.
    let secure = Haproxy::before(proxy.secure(), "tcp", option)?;
    let certificate = proxy.certificate();
    for version in ["--http1.1", "--http2"] {
        let curl = Curl::new(&[version, "--interface", CLIENT])?;
        let answer = curl
            .with(&["--cacert", certificate.to_str().unwrap()])
            .get_secure(secure.address, "/client");
        let host = format!("{HOST}:{}", secure.address.port());
        assert_eq!(answer.text(), format!("{CLIENT}|https|{host}"), "{version}: {answer:?}");
    }
    let http = Haproxy::before(proxy.plain, "http", option)?;
    assert_eq!(ask(http.address, &[])?, format!("{CLIENT}|http|front.test"));
    // Kept connections carry one header each, at their start.
    let done = H2load::new(&["--h1", "-n", "500", "-c", "10"])?.run(plain.address, "/1k");
    assert_eq!((done.succeeded, done.failed, done.ok), (500, 0, 500), "{done:?}");
    assert_eq!(proxy.refused("proxy_protocol"), 0.0);
    Ok(())
}

fn speaks_http2() -> Shown {
    let (_nginx, proxy) = pair("trusted: [\"127.0.0.1/32\"]")?;
    let front = Haproxy::before(proxy.plain, "http", "proto h2")?;
    assert_eq!(ask(front.address, &[])?, format!("{CLIENT}, 127.0.0.1|http|front.test"));
    // h2load cannot read an answer without a reason, and HTTP/2 has none.
    let mut wrk = Command::new(find("wrk")?);
    wrk.args(["-t", "1", "-c", "10", "-d", "1s"]).arg(format!("http://{}/64k", front.address));
    let said = run(&mut wrk, MOST).text();
    assert!(!said.contains("Socket errors") && !said.contains("Non-2xx"), "{said}");
    let secure = Haproxy::before(proxy.secure(), "http", "ssl verify none alpn h2,http/1.1")?;
    assert_eq!(ask(secure.address, &[])?, format!("{CLIENT}, 127.0.0.1|https|front.test"));
    Ok(())
}

/// Health checks of every kind are no requests that fail, and no refusals.
fn checks_and_keeps() -> Shown {
    let (_nginx, proxy) = pair("")?;
    let plain = proxy.plain;
    let front = Haproxy::start(&format!(
        "listen front\n  bind ADDRESS\n  mode http\n  option httpchk GET /1k HTTP/1.1\\r\\nHost:\\ front.test\n  \
         http-reuse always\n  server http {plain} check inter 50ms",
    ))?;
    let _opener = Haproxy::before(plain, "tcp", "check inter 20ms")?;
    for _ in 0..3 {
        let done = H2load::new(&["--h1", "-n", "500", "-c", "10"])?.run(front.address, "/1k");
        assert_eq!((done.succeeded, done.failed, done.ok), (500, 0, 500), "{done:?}");
    }
    // A check that haproxy was in when it was ended is one that the client gave up.
    drop(front);
    let [all, ok] =
        [&[][..], &[("http_response_status_code", "200")]].map(|labels| proxy.answered(labels));
    assert!(
        ok > 1500.0 && all - ok <= 1.0,
        "{all} requests with the checks, {ok} of them answered"
    );
    assert_eq!(sum(&proxy.page(), "podmeter_proxy_refused_total", &[]), 0.0);
    Ok(())
}

fn believed_where_trusted() -> Shown {
    let (_nginx, trusting) = pair("trusted: [\"127.0.0.1/32\"]")?;
    let front = Nginx::before(trusting.plain)?;
    assert_eq!(ask(front.address, &[])?, format!("{CLIENT}, 127.0.0.1|http|front.test"));
    let (_nginx, wary) = pair("trusted: [\"10.0.0.0/8\"]")?;
    let front = Nginx::before(wary.plain)?;
    assert_eq!(ask(front.address, &[])?, "127.0.0.1|http|front.test");
    let done = H2load::new(&["--h1", "-n", "1000", "-c", "10"])?.run(front.address, "/1k");
    assert_eq!((done.succeeded, done.failed, done.ok), (1000, 0, 1000), "{done:?}");
    Ok(())
}
