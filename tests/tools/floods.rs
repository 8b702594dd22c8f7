//! HTTP/2 frame by frame: floods, faults and slow readers, while somebody else is served.

use std::time::Duration;

use serde_json::Value;

use crate::curl::Curl;
use crate::nginx::Nginx;
use crate::program::run;
use crate::proxy::{Proxy, Settings, sum};
use crate::{Case, Shown, python};

pub(crate) const CASES: &[Case] = &[
    ("http2_flood_of_resets", || flood("rapid_reset", "http2_flood")),
    ("http2_flood_of_pings", || flood("pings", "http2_flood")),
    ("http2_flood_of_pongs", || flood("pongs", "http2_flood")),
    ("http2_flood_of_settings", || flood("empty_settings", "http2_flood")),
    ("http2_flood_of_changing_settings", || flood("changing_settings", "http2_flood")),
    ("http2_flood_of_table_sizes", || flood("table_sizes", "http2_flood")),
    ("http2_flood_of_empty_data", || flood("empty_data", "http2_flood")),
    ("http2_flood_of_padding", || flood("padding_only", "http2_flood")),
    ("http2_flood_of_tiny_data", || flood("tiny_data", "http2_flood")),
    ("http2_flood_of_continuations", || flood("continuations", "http2_flood")),
    ("http2_flood_of_empty_continuations", || flood("empty_continuations", "http2_flood")),
    ("http2_flood_of_window_updates", || flood("window_updates", "http2_flood")),
    ("http2_flood_of_a_streams_window_updates", || {
        flood("window_updates_of_a_stream", "http2_flood")
    }),
    ("http2_flood_of_priorities", || flood("priorities", "http2_flood")),
    ("http2_flood_of_unknown_frames", || flood("unknown_frames", "http2_flood")),
    ("http2_flood_of_resets_of_ended_streams", || flood("resets_of_ended_streams", "http2_flood")),
    ("http2_provoked_resets_end_the_connection", || flood("made_you_reset", "http2_flood")),
    ("http2_data_after_the_end_ends_the_connection", || flood("data_after_the_end", "")),
    ("http2_malformed_requests_end_the_connection", || flood("malformed_requests", "")),
    ("http2_header_bomb_is_not_unpacked", || bounded("header_bomb")),
    ("http2_too_many_streams_are_refused", || bounded("too_many_streams")),
    ("http2_faults_end_the_stream_or_the_connection", faults),
    ("http2_slow_readers_hold_no_memory_and_are_ended", slow_readers),
    ("http2_big_download_of_many_windows_is_not_cut", big_download),
];

const MOST: Duration = Duration::from_secs(120);
/// What may be added to resident memory, in MiB: allocators keep what was used once.
const GROWTH: f64 = 48.0;
/// Bytes of the big download.
const BIG: u64 = 256 << 20;

fn pair() -> Result<(Nginx, Proxy), String> {
    let nginx = Nginx::site("")?;
    let proxy =
        Settings { proxy: "timeouts: {idle: 3s, client_head: 2s}", ..Settings::to(nginx.address) };
    let proxy = proxy.start()?;
    Ok((nginx, proxy))
}

/// Runs a program of this folder, and somebody else's requests meanwhile: the program's word, and how much memory grew.
fn attack(proxy: &Proxy, program: &str, arguments: &[&str]) -> Result<(Value, f64), String> {
    let mut command = python::program(program)?;
    command.arg(proxy.plain.to_string()).args(arguments);
    let before = proxy.memory();
    let said = std::thread::scope(|scope| {
        let attack = scope.spawn(|| run(&mut command, MOST).text());
        while !attack.is_finished() {
            let served = Curl::new(&["--http2-prior-knowledge"])?.get(proxy.plain, "/1k");
            assert_eq!(
                (served.exit, served.status.as_str(), served.body.len()),
                (0, "200", 1 << 10)
            );
            assert!(served.seconds < 5.0, "another client waited {} s", served.seconds);
        }
        Ok::<_, String>(attack.join().unwrap())
    })?;
    Ok((serde_json::from_str(&said).unwrap(), proxy.memory() - before))
}

/// The connection is ended long before the flood is, for this reason if one is named.
fn flood(name: &str, reason: &str) -> Shown {
    let (_nginx, proxy) = pair()?;
    let (said, growth) = attack(&proxy, "floods.py", &[name])?;
    assert_eq!(said["closed"], true, "{said}");
    if !reason.is_empty() {
        proxy.has_refused(reason, 1.0);
    }
    assert!(growth < GROWTH, "memory grew by {growth} MiB: {said}");
    Ok(())
}

/// Whatever becomes of the connection, memory does not grow with it.
fn bounded(name: &str) -> Shown {
    let (_nginx, proxy) = pair()?;
    let (said, growth) = attack(&proxy, "floods.py", &[name])?;
    assert!(growth < GROWTH, "memory grew by {growth} MiB: {said}");
    let closed = said["closed"] == true;
    assert!(closed || said["resets"].as_u64() > Some(100), "neither ended nor refused: {said}");
    Ok(())
}

/// `faults.py` says for each of its cases what it did and whether that is one of the ends that it allows.
fn faults() -> Shown {
    let (_nginx, proxy) = pair()?;
    let mut command = python::program("faults.py")?;
    let said = run(command.arg(proxy.plain.to_string()), MOST).text();
    let said: Value = serde_json::from_str(&said).unwrap();
    let cases = said.as_array().unwrap();
    assert!(cases.len() > 50, "{} cases", cases.len());
    let wrong: Vec<_> =
        cases.iter().filter(|case| case["right"] != true).map(Value::to_string).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    // Nothing of a refused head reached the backend: it got the honest requests, and those that went wrong later.
    let count = |what: &str| cases.iter().filter_map(|case| case[what].as_f64()).sum::<f64>();
    let page = proxy.page();
    let get = [("http_request_method", "GET")];
    let seen = sum(&page, "http_client_request_duration_seconds_count", &get);
    let most = count("honest") + count("late");
    assert!((count("honest")..=most).contains(&seen), "{seen} of {most}");
    Ok(())
}

fn slow_readers() -> Shown {
    let (_nginx, proxy) = pair()?;
    let mut command = python::program("downloads.py")?;
    let before = proxy.memory();
    let said = run(command.args([&proxy.plain.to_string(), "stalled", "400"]), MOST).text();
    let said: Value = serde_json::from_str(&said).unwrap();
    let growth = proxy.memory() - before;
    assert!(growth < GROWTH, "memory grew by {growth} MiB: {said}");
    assert_eq!(said["unended"], 0, "{said}");
    // Nothing is left under way.
    proxy.answered(&[]);
    let served = Curl::new(&[])?.get(proxy.plain, "/1k");
    assert_eq!(served.status, "200");
    Ok(())
}

fn big_download() -> Shown {
    let nginx = Nginx::site("")?;
    nginx.make_sparse("big", BIG);
    let proxy = Settings::to(nginx.address).start()?;
    let (said, growth) = attack(&proxy, "downloads.py", &["big", &BIG.to_string()])?;
    assert_eq!(said["whole"], true, "{said}");
    assert_eq!(proxy.refused("http2_flood"), 0.0, "{said}");
    assert!(growth < GROWTH, "memory grew by {growth} MiB: {said}");
    Ok(())
}
