//! What is written to the API server: Events on Ingresses, and their status. Both are optional, best effort
//! and given up at the first refusal for want of a right.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use kube::Client;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::warn;

use super::core::Notice;
use super::ingress::address;
use super::name::Name;
use crate::api::feed::Fault;
use crate::api::health::Failure;
use crate::api::limit::Limit;
use crate::api::outbox::Outbox;
use crate::api::write::{self, EVENT_APART, Event, send};

/// Shortest time between two Events of one object and reason.
const EVENT_EVERY: Duration = Duration::from_secs(600);
/// Shortest time between two writings of one status: another controller may write something else there.
const STATUS_EVERY: Duration = Duration::from_secs(60);
/// Agents of a cluster write the same status; the first of them spares the others the trouble.
const STATUS_JITTER: Duration = Duration::from_secs(3);

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
    let Notice { about, fault, uid } = notice;
    let event = Event {
        regards: ("networking.k8s.io/v1", "Ingress"),
        namespace: &fault.origin.namespace,
        name: &fault.origin.name,
        uid,
        tag: tag(notice),
        reason: about.as_str(),
        action: "Route",
        note: &format!("{} ({})", fault.sentence, fault.reason),
        controller: super::routes::CONTROLLER,
        node,
    };
    write::post(client, &event).await
}

/// Made of what is said, so that of all agents of a cluster only one can write it.
fn tag(notice: &Notice) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&notice.uid, notice.fault.reason, &notice.fault.sentence).hash(&mut hasher);
    hasher.finish()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::discovery::fault::About;
    use crate::proxy::route::{self, Origin, Source};

    #[test]
    fn what_is_said_makes_the_tag_whoever_says_it() {
        let notice = |sentence: &str| Notice {
            about: About::Certificate,
            uid: "u1".into(),
            fault: route::Fault {
                origin: Origin {
                    source: Source::Ingress,
                    namespace: "shop".into(),
                    name: "web".into(),
                },
                reason: "certificate_missing",
                sentence: sentence.to_owned(),
            },
        };
        let one = tag(&notice("there is no Secret"));
        assert_eq!(one, tag(&notice("there is no Secret")));
        assert_ne!(one, tag(&notice("there is another")));
    }
}
