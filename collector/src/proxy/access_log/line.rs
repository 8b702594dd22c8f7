//! What a line says. Every field that a client can fill is bounded, and JSON's escapes keep it in its line.

use std::borrow::Cow;
use std::fmt::Display;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use http::Version;
use serde::{Serialize, Serializer};

use super::Entry;
use crate::histogram::trace_text;
use crate::labels::cut;

/// Bytes of a path that are written.
const MAX_PATH: usize = 2048;
/// Of anything else.
const MAX_FIELD: usize = 256;
/// 9999-12-31T23:59:59Z, the last second that RFC 3339 can write.
const LAST_SECOND: Duration = Duration::from_secs(253_402_300_799);

/// In the order of the line. The names are those of the labels where there is one.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(serialize_with = "shown")]
    time: humantime::Rfc3339Timestamp,
    method: &'a str,
    host: &'a str,
    path: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    route: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    http_route: &'a str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_type: Option<&'static str>,
    total_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_byte_us: Option<u64>,
    added_us: u64,
    request_bytes: u64,
    response_bytes: u64,
    client: IpAddr,
    #[serde(skip_serializing_if = "str::is_empty")]
    namespace: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pod: &'a str,
    protocol: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<Cow<'a, str>>,
}

/// Appends the line with its end.
pub(super) fn write(out: &mut Vec<u8>, entry: &Entry<'_>) -> serde_json::Result<()> {
    let path = entry.path.split(['?', '#']).next().unwrap_or_default();
    let trace = entry.trace.map(trace_text);
    let line = Line {
        time: humantime::format_rfc3339_micros(writable(entry.time)),
        method: cut(entry.method.as_str(), MAX_FIELD),
        host: cut(entry.host, MAX_FIELD),
        path: cut(path, MAX_PATH),
        route: cut(entry.route, MAX_FIELD),
        http_route: cut(entry.template, MAX_FIELD),
        status: entry.status.as_u16(),
        error_type: entry.error,
        total_us: micros(entry.total),
        first_byte_us: entry.first_byte.map(micros),
        added_us: micros(entry.added),
        request_bytes: entry.request_bytes,
        response_bytes: entry.response_bytes,
        client: entry.client.to_canonical(),
        namespace: cut(entry.pod_namespace, MAX_FIELD),
        pod: cut(entry.pod, MAX_FIELD),
        protocol: protocol(entry.protocol),
        trace_id: trace.as_ref().and_then(|trace| std::str::from_utf8(trace).ok()),
        user_agent: entry.user_agent.map(text),
    };
    serde_json::to_writer(&mut *out, &line)?;
    out.push(b'\n');
    Ok(())
}

fn shown<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// The nearest time that can be written.
fn writable(time: SystemTime) -> SystemTime {
    time.clamp(SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + LAST_SECOND)
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_11 => "HTTP/1.1",
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_3 => "HTTP/3",
        _ => "",
    }
}

fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(cut(text, MAX_FIELD)),
        Err(_) => String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_FIELD)]),
    }
}
