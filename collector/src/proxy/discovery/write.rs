//! What is written to the API server: Events on Ingresses, and their status. Both are optional, best effort
//! and given up at the first refusal for want of a right.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, header};
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::warn;

use super::core::Notice;
use super::ingress::address;
use super::name::Name;
use super::outbox::Outbox;
use crate::api::feed::{Fault, exchange};
use crate::api::health::Failure;
use crate::api::lax::cut;

/// Shortest time between two Events of one object and reason.
const EVENT_EVERY: Duration = Duration::from_secs(600);
/// Shortest time between any two Events: at most 10 a minute.
const EVENT_APART: Duration = Duration::from_secs(6);
/// Shortest time between two writings of one status: another controller may write something else there.
const STATUS_EVERY: Duration = Duration::from_secs(60);
/// Agents of a cluster write the same status; the first of them spares the others the trouble.
const STATUS_JITTER: Duration = Duration::from_secs(3);
/// Things whose times are remembered.
const MAX_REMEMBERED: usize = 1_000;
/// Bytes of an Event's note; the API takes 1,024.
const MAX_NOTE: usize = 1_000;

/// Lets each thing through once in a while.
#[derive(Debug)]
struct Limit<K> {
    every: Duration,
    last: HashMap<K, Instant>,
}

impl<K: Hash + Eq> Limit<K> {
    fn new(every: Duration) -> Self {
        Self { every, last: HashMap::new() }
    }

    /// Whether it may go now, which is remembered.
    fn lets(&mut self, key: K, now: Instant) -> bool {
        let every = self.every;
        self.last.retain(|_, last| now.duration_since(*last) < every);
        if self.last.contains_key(&key) || self.last.len() >= MAX_REMEMBERED {
            return false;
        }
        self.last.insert(key, now);
        true
    }
}

/// Writes Events, until one is refused for want of the right.
pub(super) async fn events(client: &Client, notices: &Outbox<Notice>, node: &str) {
    let mut limit = Limit::new(EVENT_EVERY);
    let mut free = Instant::now();
    let mut has_failed = false;
    loop {
        let notice = notices.next().await;
        if !limit.lets((notice.uid.clone(), notice.fault.reason), Instant::now()) {
            continue;
        }
        sleep_until(free).await;
        free = Instant::now() + EVENT_APART;
        let Err(fault) = post(client, &notice, node).await else { continue };
        if fault.kind == Failure::Forbidden {
            warn!(
                "no Events on Ingresses: grant create on events (events.k8s.io), as deploy/manifests/rbac-proxy.yaml does"
            );
            return;
        }
        if !std::mem::replace(&mut has_failed, true) {
            warn!(
                cause = fault.cause,
                "an Event could not be written; further failures are not logged"
            );
        }
    }
}

async fn post(client: &Client, notice: &Notice, node: &str) -> Result<(), Fault> {
    let path =
        format!("/apis/events.k8s.io/v1/namespaces/{}/events", notice.fault.origin.namespace);
    let event = event(notice, node, &format!("{:.6}", Timestamp::now()));
    match send(client, (Method::POST, "application/json"), &path, &event).await {
        // Another agent of the cluster has said so already.
        Err(fault) if fault.status == Some(409) => Ok(()),
        outcome => outcome,
    }
}

/// Named by what it says, so that of all agents of a cluster only one can write it.
fn event(notice: &Notice, node: &str, now: &str) -> Value {
    let Notice { about, fault, uid } = notice;
    let mut hasher = DefaultHasher::new();
    (uid, fault.reason, &fault.sentence).hash(&mut hasher);
    let (namespace, ingress) = (&*fault.origin.namespace, &*fault.origin.name);
    json!({
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            "name": format!("{}.{:016x}", cut(ingress, 200), hasher.finish()),
            "namespace": namespace,
        },
        "eventTime": now,
        "type": "Warning",
        "reason": about.as_str(),
        "action": "Route",
        "note": cut(&format!("{} ({})", fault.sentence, fault.reason), MAX_NOTE),
        "reportingController": super::routes::CONTROLLER,
        "reportingInstance": cut(node, 128),
        "regarding": {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "namespace": namespace,
            "name": ingress,
            "uid": **uid,
        },
    })
}

/// Writes where the proxy is reached into the status of Ingresses, until that is refused for want of the right.
pub(super) async fn statuses(
    client: &Client,
    unpublished: &Outbox<Name>,
    publish: &[Arc<str>],
    still_lacks: impl Fn(&Name) -> bool,
) {
    let mut limit = Limit::new(STATUS_EVERY);
    let mut has_failed = false;
    let addresses: Vec<Value> = publish.iter().map(|text| address(text)).collect();
    let wanted = json!({"status": {"loadBalancer": {"ingress": addresses}}});
    let mut next = Some(unpublished.next().await);
    loop {
        sleep(STATUS_JITTER.mul_f64(fastrand::f64())).await;
        while let Some(name) = next.or_else(|| unpublished.pop()) {
            next = None;
            if !still_lacks(&name) || !limit.lets(name.clone(), Instant::now()) {
                continue;
            }
            let path = format!(
                "/apis/networking.k8s.io/v1/namespaces/{}/ingresses/{}/status",
                name.namespace, name.name
            );
            let method = (Method::PATCH, "application/merge-patch+json");
            let Err(fault) = send(client, method, &path, &wanted).await else { continue };
            if fault.kind == Failure::Forbidden {
                warn!(
                    "no addresses in the status of Ingresses: grant patch on ingresses/status, as deploy/manifests/rbac-proxy.yaml does"
                );
                return;
            }
            if !std::mem::replace(&mut has_failed, true) {
                warn!(
                    cause = fault.cause,
                    "a status could not be written; further failures are not logged"
                );
            }
        }
        next = Some(unpublished.next().await);
    }
}

async fn send(
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
    use crate::proxy::discovery::fault::About;
    use crate::proxy::route::{self, Origin, Source};

    #[tokio::test(start_paused = true)]
    async fn each_thing_goes_once_in_a_while() {
        let mut limit = Limit::new(EVENT_EVERY);
        let now = Instant::now();
        assert!(limit.lets("a", now) && limit.lets("b", now));
        assert!(!limit.lets("a", now + EVENT_EVERY / 2));
        assert!(limit.lets("a", now + EVENT_EVERY));
    }

    #[test]
    fn event_names_the_ingress_and_is_the_same_from_every_node() {
        let notice = Notice {
            about: About::Certificate,
            uid: "u1".into(),
            fault: route::Fault {
                origin: Origin {
                    source: Source::Ingress,
                    namespace: "shop".into(),
                    name: "web".into(),
                },
                reason: "certificate_missing",
                sentence: "there is no Secret".to_owned(),
            },
        };
        let event = super::event(&notice, "n1", "2026-01-01T00:00:00.000000Z");
        assert_eq!(event["reason"], "CertificateRefused");
        assert_eq!(event["regarding"]["uid"], "u1");
        assert_eq!(event["note"], "there is no Secret (certificate_missing)");
        assert_eq!(event["metadata"]["name"].as_str().map(str::len), Some("web.".len() + 16));
        let other = super::event(&notice, "n2", "later");
        assert_eq!(event["metadata"], other["metadata"]);
    }
}
