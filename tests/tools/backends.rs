//! nginx and haproxy as the servers behind the proxy.

use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::curl::Curl;
use crate::haproxy::Haproxy;
use crate::load::H2load;
use crate::nginx::{FILES, Nginx};
use crate::program::{find, run};
use crate::proxy::{Settings, sum};
use crate::{Case, Shown};

pub(crate) const CASES: &[Case] = &[
    ("nginx_that_closes_kept_connections_costs_no_request", closing_costs_no_request),
    ("nginx_under_many_clients_gives_every_byte", gives_every_byte),
    ("haproxy_as_a_backend", haproxy_as_a_backend),
    ("a_backend_that_is_restarted_is_served_from_again", restarted_backend),
];

/// Connections end by time, by number and in the middle of the next request, while 5,000 requests come.
fn closing_costs_no_request() -> Shown {
    // Far below podmeter's 4 s, so that it is always nginx that closes.
    let nginx = Nginx::site("keepalive_timeout 2ms; keepalive_requests 17;")?;
    let proxy = Settings::to(nginx.address).start()?;
    for round in 0..10_u64 {
        let done = H2load::new(&["--h1", "-n", "500", "-c", "20"])?.run(proxy.plain, "/1k");
        assert_eq!(
            (done.succeeded, done.failed, done.ok),
            (500, 0, 500),
            "round {round}: {done:?}"
        );
        // The pauses between rounds are around the time after which nginx closes.
        thread::sleep(Duration::from_millis(round));
    }
    assert_eq!(proxy.answered(&[("http_response_status_code", "200")]), 5000.0);
    assert_eq!(proxy.answered(&[]), 5000.0);
    Ok(())
}

fn gives_every_byte() -> Shown {
    let nginx = Nginx::site("")?;
    let proxy = Settings { is_tls: true, ..Settings::to(nginx.address) }.start()?;
    let program = find("curl")?;
    let folder = tempfile::tempdir().unwrap();
    for version in ["--http1.1", "--http2"] {
        let mut command = Command::new(&program);
        command.args([
            "-q",
            "-s",
            "-S",
            "-f",
            "-k",
            "--noproxy",
            "*",
            "-Z",
            "--parallel-max",
            "16",
            version,
        ]);
        let mut wanted = Vec::new();
        for (number, (name, _)) in FILES.into_iter().cycle().take(42).enumerate() {
            let file = folder.path().join(format!("{number}{version}"));
            command.arg("-o").arg(&file).arg(format!("https://{}/{name}", proxy.secure()));
            wanted.push((name, file));
        }
        run(&mut command, Duration::from_secs(120));
        for (name, file) in wanted {
            let got = std::fs::read(&file).unwrap_or_default();
            assert!(got == nginx.file(name), "{name} {version}: {} bytes", got.len());
        }
    }
    assert_eq!(proxy.answered(&[("http_response_status_code", "200")]), 84.0);
    Ok(())
}

fn haproxy_as_a_backend() -> Shown {
    let haproxy = Haproxy::start(
        "frontend back\n  bind ADDRESS\n  mode http\n  \
         http-request return status 201 content-type text/plain hdr x-by haproxy lf-string \"%[method] %[path] %[req.hdr(host)]\"",
    )?;
    let proxy = Settings::to(haproxy.address).start()?;
    for method in ["GET", "PUT", "DELETE", "OPTIONS", "PATCH", "FOO"] {
        for version in ["--http1.1", "--http2-prior-knowledge"] {
            let curl = Curl::new(&[version, "-X", method, "-H", "Host: back.test"])?;
            let answer = curl.get(proxy.plain, "/a?b");
            assert_eq!((answer.exit, answer.status.as_str()), (0, "201"), "{method} {version}");
            assert_eq!(answer.text(), format!("{method} /a back.test"), "{version}");
            assert_eq!(answer.header("x-by"), ["haproxy"]);
        }
    }
    let done = H2load::new(&["-n", "2000", "-c", "10", "-m", "10"])?.run(proxy.plain, "/");
    assert_eq!((done.succeeded, done.failed, done.ok), (2000, 0, 2000), "{done:?}");
    // 12 by curl, in 6 methods, the unknown one under one name for all such.
    assert_eq!(proxy.answered(&[("http_request_method", "_OTHER")]), 2.0);
    Ok(())
}

fn restarted_backend() -> Shown {
    let nginx = Nginx::site("")?;
    let proxy = Settings {
        proxy: "ejection: {pause: 100ms, max_pause: 200ms}",
        ..Settings::to(nginx.address)
    }
    .start()?;
    let ask = || Ok::<_, String>(Curl::new(&[])?.get(proxy.plain, "/1k").status);
    assert_eq!(ask()?, "200");
    let nginx = nginx.stop();
    assert_eq!(ask()?, "502");
    let failed = sum(
        &proxy.page(),
        "http_client_request_duration_seconds_count",
        &[("error_type", "connect_refused")],
    );
    assert!(failed >= 1.0, "{failed} connections were refused");
    let _nginx = nginx.start()?;
    crate::podmeter::until("it serves again", || (ask().ok()? == "200").then_some(()));
    Ok(())
}
