//! Writing to the API server: one request, and Events (`events.k8s.io/v1`) in particular.

use std::time::Duration;

use http::{Method, Request, header};
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use serde_json::{Value, json};

use super::feed::{Fault, exchange};
use super::health::Failure;
use super::lax::cut;

/// Time between two Events of one writer: at most 10 a minute.
pub(crate) const EVENT_APART: Duration = Duration::from_secs(6);
/// Bytes of an Event's note; the API takes 1,024.
const MAX_NOTE: usize = 1_000;

/// An Event about an object of a namespace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event<'a> {
    /// `apiVersion` and kind of what it is about.
    pub(crate) regards: (&'a str, &'a str),
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
    pub(crate) uid: &'a str,
    /// What tells it from other Events about the same object: the server takes each once.
    pub(crate) tag: u64,
    /// In the API's style, such as `CertificateRefused`.
    pub(crate) reason: &'a str,
    pub(crate) action: &'a str,
    pub(crate) note: &'a str,
    /// Who says so, such as `podmeter.io/proxy`.
    pub(crate) controller: &'a str,
    pub(crate) node: &'a str,
}

/// Writes a warning. One that is there already counts as written.
pub(crate) async fn post(client: &Client, event: &Event<'_>) -> Result<(), Fault> {
    send_event(client, event, "").await
}

/// Asks whether [`post`] would be let through; nothing is kept of it.
pub(crate) async fn try_post(client: &Client, event: &Event<'_>) -> Result<(), Fault> {
    send_event(client, event, "?dryRun=All").await
}

async fn send_event(client: &Client, event: &Event<'_>, query: &str) -> Result<(), Fault> {
    let path = format!("/apis/events.k8s.io/v1/namespaces/{}/events{query}", event.namespace);
    let body = body(event, &format!("{:.6}", Timestamp::now()));
    match send(client, (Method::POST, "application/json"), &path, &body).await {
        Err(fault) if fault.status == Some(409) => Ok(()),
        outcome => outcome,
    }
}

fn body(event: &Event<'_>, now: &str) -> Value {
    let Event { namespace, name, .. } = event;
    json!({
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            "name": format!("{}.{:016x}", cut(name, 200), event.tag),
            "namespace": namespace,
        },
        "eventTime": now,
        "type": "Warning",
        "reason": event.reason,
        "action": event.action,
        "note": cut(event.note, MAX_NOTE),
        "reportingController": event.controller,
        "reportingInstance": cut(event.node, 128),
        "regarding": {
            "apiVersion": event.regards.0,
            "kind": event.regards.1,
            "namespace": namespace,
            "name": name,
            "uid": event.uid,
        },
    })
}

/// Sends a body of this media type; the answer is not looked at.
pub(crate) async fn send(
    client: &Client,
    (method, kind): (Method, &str),
    path: &str,
    body: &Value,
) -> Result<(), Fault> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::CONTENT_TYPE, kind)
        .body(body.to_string().into_bytes())
        .map_err(|_| Fault::new(Failure::Other, "the request cannot be written"))?;
    exchange(client, request).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_names_its_object_and_is_told_apart_by_its_tag_alone() {
        let event = Event {
            regards: ("networking.k8s.io/v1", "Ingress"),
            namespace: "shop",
            name: "web",
            uid: "u1",
            tag: 7,
            reason: "CertificateRefused",
            action: "Route",
            note: &"é".repeat(900),
            controller: "podmeter.io/proxy",
            node: "n1",
        };
        let one = body(&event, "2026-01-01T00:00:00.000000Z");
        assert_eq!(one["regarding"]["uid"], "u1");
        assert_eq!(one["metadata"]["name"], "web.0000000000000007");
        assert!(one["note"].as_str().unwrap().len() <= 1_024);
        let other = body(&Event { node: "n2", ..event }, "later");
        assert_eq!(one["metadata"], other["metadata"]);
    }
}
