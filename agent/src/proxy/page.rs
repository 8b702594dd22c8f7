//! Holds `docs/proxy.md` to the code: its tables are made of the constants and lists that the proxy works with.

use std::time::Duration;

use collector::proxy::failure::Failure;
use collector::proxy::refusal::Refusal;
use collector::proxy::settings::{Limits, Timeouts};
use collector::schema::{Id, Metric, Scope};

use crate::export::golden;

const PAGE: &str = "../docs/proxy.md";

fn table(heading: [&str; 3], rows: impl Iterator<Item = [String; 3]>) -> String {
    let mut text = format!("| {} |\n|---|---|---|\n", heading.join(" | "));
    text.extend(rows.map(|row| format!("| {} |\n", row.join(" | "))));
    text
}

fn series() -> String {
    let is_here = |metric: &&Metric| {
        matches!(metric.scope, Scope::Backend | Scope::Route)
            || (metric.scope == Scope::Agent && metric.name.starts_with("podmeter_proxy_"))
    };
    let rows = Id::all().map(Id::metric).filter(is_here).map(|metric| {
        let of = match metric.scope {
            Scope::Backend => "each pod",
            Scope::Route => "each route",
            _ => "the proxy",
        };
        [format!("`{}`", metric.name), of.to_owned(), metric.help.to_owned()]
    });
    table(["Series", "Of", "Meaning"], rows)
}

fn refusals() -> String {
    let rows = Refusal::ALL.iter().map(|refusal| {
        let status = refusal.status().as_u16().to_string();
        [format!("`{}`", refusal.as_str()), status, refusal.sentence().to_owned()]
    });
    table(["Reason", "Status", "Meaning"], rows)
}

fn failures() -> String {
    let rows = Failure::ALL.iter().map(|failure| {
        let status = failure.status().as_u16().to_string();
        [format!("`{}`", failure.as_str()), status, failure.sentence().to_owned()]
    });
    table(["Reason", "Status", "Meaning"], rows)
}

/// Taken apart field by field, so that a new one cannot be forgotten.
fn limits() -> String {
    let Timeouts {
        connect,
        first_byte,
        idle,
        tunnel,
        request,
        client_head,
        client_idle,
        backend_idle,
    } = Timeouts::default();
    let Limits {
        connections,
        connections_per_address,
        head_bytes,
        headers,
        body_bytes,
        streams,
        backend_connections,
        backend_idle: kept,
        series,
    } = Limits::default();
    let time = shown;
    let count = |count: usize| count.to_string();
    let body = if body_bytes == 0 { "none".to_owned() } else { body_bytes.to_string() };
    let rows = [
        ("timeouts.connect", time(connect), "`connect_timeout`; another pod is tried"),
        ("timeouts.first_byte", time(first_byte), "`first_byte_timeout`"),
        ("timeouts.idle", time(idle), "`idle_timeout`, or `body_timeout` for a client's body"),
        ("timeouts.tunnel", time(tunnel), "the upgraded connection is closed"),
        ("timeouts.request", time(request), "`request_timeout`"),
        (
            "timeouts.client_head",
            time(client_head),
            "`head_timeout`, `tls_handshake`, `proxy_protocol`",
        ),
        ("timeouts.client_idle", time(client_idle), "the connection is closed"),
        ("timeouts.backend_idle", time(backend_idle), "the kept connection is closed"),
        ("limits.connections", count(connections), "`connections`"),
        ("limits.connections_per_address", count(connections_per_address), "`address_connections`"),
        (
            "limits.head_bytes",
            format!("{} KiB", head_bytes >> 10),
            "`headers`; `response_headers` for an answer",
        ),
        ("limits.headers", count(headers), "the same"),
        ("limits.body_bytes", body, "`body_too_large`"),
        ("limits.streams", streams.to_string(), "further HTTP/2 streams wait or are refused"),
        (
            "limits.backend_connections",
            count(backend_connections),
            "another pod is asked; `overloaded` when all are full",
        ),
        ("limits.backend_idle", count(kept), "the connection is closed after its request"),
        ("limits.series", count(series), "counted under `otel_metric_overflow`"),
    ];
    let rows = rows
        .into_iter()
        .map(|(key, default, beyond)| [format!("`proxy.{key}`"), default, beyond.to_owned()]);
    table(["Key", "Default", "Beyond it"], rows)
}

fn shown(time: Duration) -> String {
    if time.is_zero() { "none".to_owned() } else { humantime::format_duration(time).to_string() }
}

/// The page with this between `<!-- name -->` and the next `<!-- end -->`.
fn with(page: &str, name: &str, text: &str) -> String {
    let (before, rest) = page.split_once(&format!("<!-- {name} -->\n")).expect(name);
    let (_, after) = rest.split_once("<!-- end -->").expect(name);
    format!("{before}<!-- {name} -->\n{text}<!-- end -->{after}")
}

#[test]
fn page_has_every_series_reason_and_limit_with_its_default() {
    let page = std::fs::read_to_string(format!("{}/{PAGE}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let tables = [
        ("series", series()),
        ("refusals", refusals()),
        ("failures", failures()),
        ("limits", limits()),
    ];
    let filled = tables.iter().fold(page, |page, (name, text)| with(&page, name, text));
    golden::check(PAGE, &filled);
}

#[test]
fn every_configured_limit_is_a_key_of_the_configuration() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
    let page = std::fs::read_to_string(page).unwrap();
    for row in limits().lines().skip(2) {
        let key = row.split(" | ").next().unwrap();
        assert!(page.contains(&format!("\n{key} |")), "{key}");
    }
}
