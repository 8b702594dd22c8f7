//! slowhttptest: clients that hold connections by being slow, while somebody else is served.

use std::process::Command;
use std::time::Duration;

use crate::curl::Curl;
use crate::nginx::Nginx;
use crate::program::{ended, find};
use crate::proxy::{Proxy, Settings, sum};
use crate::{Case, Shown};

pub(crate) const CASES: &[Case] = &[
    ("slowhttptest_slow_heads_are_ended_and_counted", slow_heads),
    ("slowhttptest_slow_bodies_are_ended_and_counted", slow_bodies),
    ("slowhttptest_slow_reads_are_ended", slow_reads),
    ("curl_that_takes_its_time_is_ended_by_the_bound_for_a_request", ended_by_the_bound),
    ("slowhttptest_ranges_are_only_passed_on", ranges),
];

const CONNECTIONS: &str = "200";

fn attack(proxy: &Proxy, arguments: &[&str], path: &str) -> Result<String, String> {
    let mut command = Command::new(find("slowhttptest")?);
    let url = format!("http://{}{path}", proxy.plain);
    command
        .args(["-c", CONNECTIONS, "-r", CONNECTIONS, "-p", "5", "-v", "1", "-u", &url])
        .args(arguments);
    command.env("TERM", "dumb");
    let said = std::thread::scope(|scope| {
        let attack = scope.spawn(|| ended(&mut command, Duration::from_secs(60)).1);
        while !attack.is_finished() {
            let served = Curl::new(&[])?.get(proxy.plain, "/64k");
            assert_eq!(
                (served.exit, served.status.as_str(), served.body.len()),
                (0, "200", 64 << 10)
            );
            assert!(served.seconds < 5.0, "another client waited {} s", served.seconds);
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok::<_, String>(attack.join().unwrap())
    })?;
    Ok(said.text() + &said.errors)
}

fn pair(proxy: &'static str) -> Result<(Nginx, Proxy), String> {
    let nginx = Nginx::site("")?;
    let proxy = Settings { proxy, ..Settings::to(nginx.address) }.start()?;
    Ok((nginx, proxy))
}

/// A header every second, for ever: the head's time is one for all of it.
fn slow_heads() -> Shown {
    let (_nginx, proxy) = pair("timeouts: {client_head: 2s}")?;
    attack(&proxy, &["-H", "-i", "1", "-l", "8"], "/1k")?;
    proxy.has_refused("head_timeout", 200.0);
    Ok(())
}

/// Part of a body, and then nothing for longer than a body may stand still.
fn slow_bodies() -> Shown {
    let (_nginx, proxy) = pair("timeouts: {idle: 2s}")?;
    attack(&proxy, &["-B", "-t", "PUT", "-i", "5", "-l", "8"], "/upload/slow")?;
    proxy.has_refused("body_timeout", 200.0);
    Ok(())
}

/// A few bytes a second of a large answer: only the bound for a whole request ends these.
fn slow_reads() -> Shown {
    let (_nginx, proxy) = pair("timeouts: {idle: 2s, request: 4s}")?;
    let before = proxy.memory();
    attack(&proxy, &["-X", "-n", "1", "-z", "5", "-w", "512", "-y", "1024", "-l", "9"], "/32m")?;
    proxy.answered(&[]);
    let page = proxy.page();
    let broken: f64 = ["request_timeout", "idle_timeout", "client_gone"]
        .iter()
        .map(|error| {
            sum(&page, "http_server_request_duration_seconds_count", &[("error_type", error)])
        })
        .sum();
    assert!(broken >= 200.0, "{broken} requests were broken off");
    let growth = proxy.memory() - before;
    assert!(growth < 200.0, "memory grew by {growth} MiB");
    Ok(())
}

/// A client that takes a little all the time never is idle.
fn ended_by_the_bound() -> Shown {
    let (_nginx, proxy) = pair("timeouts: {idle: 30s, request: 2s}")?;
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let curl = Curl::new(&[version, "--limit-rate", "1M"])?;
        let answer = curl.get(proxy.plain, "/32m");
        assert_ne!(answer.exit, 0, "{version}: {} bytes came", answer.body.len());
        assert!(answer.seconds < 20.0, "{version}: after {} s", answer.seconds);
    }
    let page = proxy.page();
    let late = [("error_type", "request_timeout")];
    assert_eq!(sum(&page, "http_server_request_duration_seconds_count", &late), 2.0);
    Ok(())
}

fn ranges() -> Shown {
    let (_nginx, proxy) = pair("")?;
    attack(&proxy, &["-R", "-t", "HEAD", "-l", "3"], "/32m")?;
    proxy.answered(&[]);
    Ok(())
}
