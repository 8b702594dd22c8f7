//! The server through real sockets.

mod running;

use std::io::Read as _;
use std::time::SystemTime;

use collector::labels::{Label, LabelSet, Origin};
use collector::schema::{Id, Kernel, Scope, Series};
use collector::snapshot::Entity;
use flate2::read::GzDecoder;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::health::Check;
use super::*;
use running::{Reply, rest, sampled, sampled_by_hand, short, snapshot, start};

#[tokio::test]
async fn scrape_takes_a_fresh_snapshot_and_falls_back_to_the_latest() {
    let mut running = sampled_by_hand(Settings::default()).await;
    let mut scrape =
        running.send("GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    running.asks.recv().await.unwrap().send(Arc::new(snapshot(2))).unwrap();
    assert!(Reply::parse(&rest(&mut scrape).await).text().ends_with("node_load1{node=\"n1\"} 2\n"));

    running.asks.close();
    let reply = running.get("/metrics").await;
    assert_eq!(
        (reply.status, reply.text().lines().last()),
        (200, Some("node_load1{node=\"n1\"} 1"))
    );
    assert_eq!(reply.headers["content-length"], reply.body.len().to_string());
    assert_eq!(reply.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(reply.headers["x-content-type-options"], "nosniff");
}

#[tokio::test]
async fn before_the_first_tick_there_is_a_sentence() {
    let mut running = start(Settings::default(), None, Readiness::default()).await;
    running.asks.close();
    for what in ["GET /metrics", "GET /api/v1/snapshot"] {
        let reply = running.ask(what, "").await;
        assert_eq!(
            (reply.status, reply.text()),
            (503, "There has been no tick yet; the first one is under way.\n")
        );
    }
    assert_eq!(running.get("/livez").await.status, 200, "still within its time to start");
    running.latest.send_replace(Some(Arc::new(snapshot(1))));
    assert_eq!(running.get("/metrics").await.status, 200);
    assert_eq!(running.end().await.refused(Refusal::NotReady), 2);
}

#[tokio::test]
async fn stuck_sampling_fails_the_probe_and_old_numbers_are_kept_back() {
    let mut old = snapshot(1);
    old.reset(SystemTime::now() - Duration::from_secs(90));
    let mut running = start(Settings::default(), Some(old), Readiness::default()).await;
    running.asks.close();
    let reply = running.get("/livez").await;
    assert_eq!(reply.status, 503);
    assert!(reply.text().contains("and at most 60 s are allowed"), "{}", reply.text());
    assert_eq!(running.get("/metrics").await.status, 503);
    assert_eq!(running.end().await.refused(Refusal::Stuck), 1);
}

#[tokio::test]
async fn head_has_the_headers_and_no_body() {
    let running = sampled(Settings::default()).await;
    let reply = running
        .ask("HEAD /metrics", "accept: application/openmetrics-text;version=1.0.0\r\n")
        .await;
    assert_eq!((reply.status, reply.body.len()), (200, 0));
    assert_eq!(
        reply.headers["content-type"],
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    assert_eq!(reply.headers.get("content-length").map(String::as_str), None, "0 would be wrong");
    assert_eq!(running.ask("HEAD /livez", "").await.body.len(), 0);
}

#[tokio::test]
async fn compressed_answer_holds_the_same_bytes() {
    let running = sampled(Settings::default()).await;
    for path in ["/metrics", "/api/v1/snapshot"] {
        let plain = running.get(path).await;
        let packed =
            running.ask(&format!("GET {path}"), "accept-encoding: gzip;q=1.0, *;q=0\r\n").await;
        assert_eq!(packed.headers["content-encoding"], "gzip");
        assert_eq!(packed.headers["vary"], "accept, accept-encoding");
        assert!(!plain.headers.contains_key("content-encoding"));
        let mut text = String::new();
        GzDecoder::new(&packed.body[..]).read_to_string(&mut text).unwrap();
        assert_eq!(text.trim_end(), plain.text().trim_end());
    }
}

#[tokio::test]
async fn format_is_negotiated_over_several_header_lines() {
    let running = sampled(Settings::default()).await;
    let reply = running
        .ask(
            "GET /metrics",
            "accept: text/plain;q=0.1\r\naccept: application/openmetrics-text;version=1.0.0\r\n",
        )
        .await;
    assert_eq!(
        reply.headers["content-type"],
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    assert!(reply.text().ends_with("# EOF\n"));
}

#[tokio::test]
async fn snapshot_is_told_by_container() {
    let mut snapshot = snapshot(1);
    snapshot.reset(SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_500));
    let pod_label = |origin, key: &str| Label {
        origin,
        key: key.into(),
        name: "label_x".into(),
        value: "cart".into(),
    };
    let labels = vec![
        Label::own("pod", "cart-1"),
        Label::own("node", "n1"),
        pod_label(Origin::PodLabel, "app/name"),
        pod_label(Origin::PodAnnotation, "note"),
    ];
    let app = snapshot.add_entity(Entity {
        scope: Scope::Container,
        labels: Arc::new(LabelSet::new(labels)),
        start: None,
        cpu_cores: Some(0.5),
    });
    snapshot.add(Id::container(Kernel::Threads), app, None, 3.0);
    snapshot.add(
        Series::MemoryLimitRatio.into(),
        app,
        Some(Arc::new(LabelSet::new(vec![Label::own("basis", "working_set")]))),
        f64::NAN,
    );
    let mut running = start(
        Settings { stuck_after: Duration::MAX, ..Settings::default() },
        Some(snapshot),
        Readiness::default(),
    )
    .await;
    running.asks.close();

    let reply = running.get("/api/v1/snapshot").await;
    assert_eq!(reply.headers["content-type"], "application/json");
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&reply.body).unwrap(),
        json!({
            "node": "n1",
            "taken_unix_seconds": 1_700_000_000.5,
            "containers": [{
                "labels": { "pod": "cart-1", "node": "n1" },
                "pod_labels": { "app/name": "cart" },
                "pod_annotations": { "note": "cart" },
                "cpu_cores": 0.5,
                "series": { "container_threads": 3.0, "podmeter_memory_limit_ratio{basis=\"working_set\"}": null },
            }],
        })
    );
}

#[tokio::test]
async fn ready_once_every_check_holds() {
    let (tell, told) = watch::channel(false);
    let check = move || {
        if *told.borrow() {
            Check::ok("pods")
        } else {
            Check::failed("pods", "no list yet", "allow list on pods")
        }
    };
    let running = start(
        Settings::default(),
        None,
        Readiness::new(vec![Box::new(|| Check::ok("sockets")), Box::new(check)]),
    )
    .await;
    let reply = running.get("/readyz").await;
    assert_eq!(
        (reply.status, reply.text()),
        (503, "sockets: ok\npods: not ok: no list yet; allow list on pods\n")
    );
    tell.send_replace(true);
    let reply = running.get("/readyz").await;
    assert_eq!((reply.status, reply.text()), (200, "ok\n"));
    assert_eq!(running.get("/readyz?verbose").await.text(), "sockets: ok\npods: ok\n");
}

#[tokio::test]
async fn what_is_not_there_is_refused_and_counted() {
    let mut running = sampled(Settings::default()).await;
    let reply = running.get("/metric").await;
    assert_eq!(reply.status, 404);
    assert!(reply.text().contains("/metrics\tevery series"));
    let reply = running.ask("POST /metrics", "content-length: 2\r\n").await;
    assert_eq!((reply.status, &*reply.headers["allow"]), (405, "GET, HEAD"));
    assert_eq!(running.ask("GET /metrics", "content-length: 70000\r\n").await.status, 413);
    assert_eq!(running.raw("GARBAGE\r\n\r\n").await.status, 400);
    let big = format!("x-big: {}\r\n", "x".repeat(17 * 1024));
    assert_eq!(running.ask("GET /metrics", &big).await.status, 431);
    let index = running.get("/").await;
    assert!(index.text().contains("<a href=\"/metrics\">"));
    assert!(index.headers["content-security-policy"].contains("default-src 'none'"));

    let stats = running.end().await;
    for reason in [
        Refusal::NotFound,
        Refusal::MethodNotAllowed,
        Refusal::BodyTooLarge,
        Refusal::Malformed,
        Refusal::HeadTooLarge,
    ] {
        assert_eq!(stats.refused(reason), 1, "{reason:?}");
    }
}

#[tokio::test]
async fn slow_head_is_cut_off_but_an_idle_connection_just_ends() {
    let mut running = sampled(Settings { head_timeout: short(250), ..Settings::default() }).await;
    assert_eq!(rest(&mut running.send("GET /metr").await).await, b"");
    assert_eq!(rest(&mut running.connect().await).await, b"", "not a byte is slow too");
    let kept = Reply::parse(
        &rest(&mut running.send("GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await).await,
    );
    assert_eq!(kept.status, 200);
    assert_eq!(running.end().await.refused(Refusal::HeadTimeout), 2);
}

#[tokio::test]
async fn connection_beyond_the_bound_is_told_and_closed() {
    let mut running = sampled(Settings { connections: 1, ..Settings::default() }).await;
    let mut first = running.send("GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await;
    first.read_u8().await.unwrap();
    let reply = Reply::parse(&rest(&mut running.connect().await).await);
    assert_eq!(reply.status, 503);
    assert_eq!(reply.headers["content-length"], reply.body.len().to_string());
    assert_eq!(running.end().await.refused(Refusal::TooManyConnections), 1);
}

#[tokio::test]
async fn answers_beyond_the_bound_wait_and_then_are_refused() {
    let mut running =
        sampled_by_hand(Settings { renders: 1, render_wait: short(50), ..Settings::default() })
            .await;
    let mut first =
        running.send("GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    let held = running.asks.recv().await.unwrap();
    assert_eq!(running.get("/metrics").await.status, 503);
    assert_eq!(running.get("/livez").await.status, 200, "probes are not held up");
    held.send(Arc::new(snapshot(2))).unwrap();
    assert_eq!(Reply::parse(&rest(&mut first).await).status, 200);
    assert_eq!(running.end().await.refused(Refusal::Busy), 1);
}

#[tokio::test]
async fn client_that_does_not_read_its_answer_is_cut_off() {
    let mut large = snapshot(1);
    (0..1_000_000).for_each(|_| large.add(Series::NodeLoad1.into(), 0, None, 0.1));
    let settings = Settings {
        answer_timeout: short(50),
        grace: Duration::from_secs(60),
        ..Settings::default()
    };
    let mut running = start(settings, Some(large), Readiness::default()).await;
    running.asks.close();
    let mut slow = running.send("GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await;
    slow.read_u8().await.unwrap();
    assert_eq!(running.end().await.refused(Refusal::AnswerTimeout), 1);
}

#[tokio::test]
async fn request_under_way_is_answered_after_the_stop() {
    let mut running =
        sampled_by_hand(Settings { grace: Duration::from_secs(60), ..Settings::default() }).await;
    let mut scrape = running.send("GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let held = running.asks.recv().await.unwrap();
    running.stop.cancel();
    held.send(Arc::new(snapshot(2))).unwrap();
    assert_eq!(Reply::parse(&rest(&mut scrape).await).status, 200);
    running.end().await;
    assert!(TcpStream::connect(running.address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn grace_time_ends_what_does_not_end_by_itself() {
    let mut running = sampled_by_hand(Settings { grace: short(20), ..Settings::default() }).await;
    let mut scrape = running.send("GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let _held = running.asks.recv().await.unwrap();
    running.end().await;
    assert_eq!(rest(&mut scrape).await, b"");
}
