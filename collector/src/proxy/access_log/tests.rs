//! Lines as a reader of the file finds them.

use std::fs;

use proptest::prelude::*;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::*;

fn entry() -> Entry<'static> {
    Entry {
        time: SystemTime::UNIX_EPOCH + Duration::from_micros(1_700_000_000_123_456),
        method: &Method::GET,
        host: "shop.example",
        path: "/cart/7?token=secret",
        route: "web",
        template: "/cart",
        status: StatusCode::OK,
        error: None,
        total: Duration::from_micros(1_500),
        first_byte: Some(Duration::from_micros(1_200)),
        added: Duration::from_micros(80),
        request_bytes: 0,
        response_bytes: 512,
        client: "::ffff:192.0.2.7".parse().unwrap(),
        pod_namespace: "shop",
        pod: "cart-1",
        protocol: Version::HTTP_11,
        trace: Some([0xab; 16]),
        user_agent: Some(b"curl/8"),
    }
}

fn line(entry: &Entry<'_>) -> String {
    let mut out = Vec::new();
    super::line::write(&mut out, entry).unwrap();
    String::from_utf8(out).unwrap()
}

fn settings(path: &std::path::Path, sample: f64) -> settings::AccessLog {
    settings::AccessLog { path: Some(path.to_owned()), sample }
}

fn lost(log: &AccessLog, why: Lost) -> u64 {
    log.0.lost[why as usize].0.load(Ordering::Relaxed)
}

#[test]
fn line_says_what_happened_and_nothing_of_the_query() {
    assert_eq!(
        line(&entry()),
        concat!(
            r#"{"time":"2023-11-14T22:13:20.123456Z","method":"GET","host":"shop.example","path":"/cart/7","#,
            r#""route":"web","http_route":"/cart","status":200,"total_us":1500,"first_byte_us":1200,"added_us":80,"#,
            r#""request_bytes":0,"response_bytes":512,"client":"192.0.2.7","namespace":"shop","pod":"cart-1","#,
            r#""protocol":"HTTP/1.1","trace_id":"abababababababababababababababab","user_agent":"curl/8"}"#,
            "\n"
        )
    );
}

#[test]
fn what_there_is_not_is_left_out() {
    let refused = Entry {
        route: "",
        template: "",
        status: StatusCode::NOT_FOUND,
        error: Some("no_route"),
        first_byte: None,
        pod_namespace: "",
        pod: "",
        trace: None,
        user_agent: None,
        ..entry()
    };
    let value: Value = serde_json::from_str(&line(&refused)).unwrap();
    assert_eq!(value["error_type"], "no_route");
    for absent in
        ["route", "http_route", "first_byte_us", "namespace", "pod", "trace_id", "user_agent"]
    {
        assert_eq!(value.get(absent), None, "{absent}");
    }
}

#[test]
fn time_that_cannot_be_written_is_the_nearest_that_can() {
    let at = |time| line(&Entry { time, ..entry() });
    assert!(
        at(SystemTime::UNIX_EPOCH - Duration::from_secs(9)).contains("1970-01-01T00:00:00.000000Z")
    );
    assert!(
        at(SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40)).contains("9999-12-31T23:59:59")
    );
}

proptest! {
    #[test]
    fn line_is_one_line_of_json_whatever_a_client_sends(
        host in any::<String>(),
        path in any::<String>(),
        agent in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let text = line(&Entry { host: &host, path: &path, user_agent: Some(&agent), ..entry() });
        prop_assert_eq!(text.find('\n'), Some(text.len() - 1));
        let value: Value = serde_json::from_str(&text).unwrap();
        let expected = path.split(['?', '#']).next().unwrap();
        prop_assert!(expected.starts_with(value["path"].as_str().unwrap()));
        prop_assert!(host.starts_with(value["host"].as_str().unwrap()));
        // A byte that is no text becomes a character of three bytes.
        prop_assert!(value["user_agent"].as_str().unwrap().len() <= 3 * 256);
    }
}

#[test]
fn known_line_is_written_without_allocating() {
    let directory = tempfile::tempdir().unwrap();
    let (log, _writer) = AccessLog::open(&settings(&directory.path().join("log"), 1.0), 1).unwrap();
    (0..9).for_each(|_| log.write(0, &entry()));
    log.0.lane(0).clear();
    assert_eq!(allocation_counter::measure(|| log.write(0, &entry())).count_total, 0);
}

#[test]
fn failures_of_the_server_are_always_written_and_of_the_rest_a_part() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let written = |sample: f64, status: StatusCode| {
        let (log, _writer) = AccessLog::open(&settings(&path, sample), 1).unwrap();
        (0..400).for_each(|_| log.write(0, &Entry { path: "/", status, ..entry() }));
        memchr::memchr_iter(b'\n', &log.0.lane(0)).count()
    };
    assert_eq!(written(0.0, StatusCode::OK), 0);
    assert_eq!(written(0.0, StatusCode::INTERNAL_SERVER_ERROR), 400);
    assert_eq!(written(1.0, StatusCode::OK), 400);
    fastrand::seed(7);
    assert!((100..300).contains(&written(0.5, StatusCode::NOT_FOUND)));
}

#[tokio::test(start_paused = true)]
async fn lines_of_all_workers_are_in_the_file_after_the_stop() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let (log, writer) = AccessLog::open(&settings(&path, 1.0), 3).unwrap();
    let stop = CancellationToken::new();
    let feed = async {
        log.write(0, &Entry { path: "/first", ..entry() });
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1, "without a stop");
        (0..30).for_each(|number| log.write(number, &entry()));
        stop.cancel();
    };
    tokio::join!(writer.run(&stop), feed);
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 31);
    assert!(text.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
    assert_eq!(lost(&log, Lost::Full), 0);
}

#[test]
fn what_comes_faster_than_it_is_written_is_dropped_and_counted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let (mut log, writer) = AccessLog::open(&settings(&path, 1.0), 100).unwrap();
    (0..1_000).for_each(|_| log.write(5, &entry()));
    let waiting = memchr::memchr_iter(b'\n', &log.0.lane(5)).count() as u64;
    assert!(log.0.lane(5).len() < LEAST_WAITING + 1_000);
    assert_eq!(lost(&log, Lost::Full), 1_000 - waiting);
    let stop = CancellationToken::new();
    stop.cancel();
    writer.block(&stop).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count() as u64, waiting);

    let mut snapshot = Snapshot::default();
    log.contribute(&mut snapshot, 0);
    let points = snapshot.points(Series::AccessLogDropped.into());
    let reasons: Vec<_> =
        points.iter().map(|point| point.extra.as_ref().unwrap().value("reason").unwrap()).collect();
    assert_eq!(reasons, ["full", "write"]);
    assert!((points[0].value - (1_000 - waiting) as f64).abs() < f64::EPSILON);
}

#[tokio::test(start_paused = true)]
async fn file_that_was_moved_away_is_opened_anew_within_a_second() {
    let directory = tempfile::tempdir().unwrap();
    let (path, old) = (directory.path().join("log"), directory.path().join("log.1"));
    let (log, writer) = AccessLog::open(&settings(&path, 1.0), 1).unwrap();
    let stop = CancellationToken::new();
    let feed = async {
        log.write(0, &Entry { path: "/before", ..entry() });
        tokio::time::sleep(Duration::from_millis(100)).await;
        fs::rename(&path, &old).unwrap();
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        log.write(0, &Entry { path: "/after", ..entry() });
        stop.cancel();
    };
    tokio::join!(writer.run(&stop), feed);
    assert!(fs::read_to_string(&old).unwrap().contains("/before"));
    let new = fs::read_to_string(&path).unwrap();
    assert!(new.contains("/after") && !new.contains("/before"));
}

#[tokio::test(start_paused = true)]
async fn old_file_goes_on_while_the_new_one_cannot_be_opened() {
    let directory = tempfile::tempdir().unwrap();
    let (logs, moved) = (directory.path().join("logs"), directory.path().join("moved"));
    fs::create_dir(&logs).unwrap();
    let (log, writer) = AccessLog::open(&settings(&logs.join("log"), 1.0), 1).unwrap();
    let stop = CancellationToken::new();
    let feed = async {
        fs::rename(&logs, &moved).unwrap();
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        log.write(0, &entry());
        stop.cancel();
    };
    tokio::join!(writer.run(&stop), feed);
    assert_eq!(fs::read_to_string(moved.join("log")).unwrap().lines().count(), 1);
}

#[test]
fn file_that_cannot_be_written_counts_its_lines() {
    // The kernel's file for a disk that is always full.
    let (log, writer) = AccessLog::open(&settings("/dev/full".as_ref(), 1.0), 1).unwrap();
    (0..3).for_each(|_| log.write(0, &entry()));
    let stop = CancellationToken::new();
    stop.cancel();
    writer.block(&stop).unwrap();
    assert_eq!(lost(&log, Lost::Write), 3);
}

#[test]
fn file_that_cannot_be_opened_is_named() {
    let error = AccessLog::open(&settings("/nowhere/at/all/log".as_ref(), 1.0), 1).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot open the access log /nowhere/at/all/log; make its directory writable"
    );
}
