//! What is written to the API server: Events on Ingresses, and their status. Both are optional and best effort; a
//! refusal for want of a right is told once for each namespace, and tried again seldom.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use kube::Client;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use super::core::Notice;
use super::ingress::address;
use super::name::Name;
use super::turns::{Spacing, Turns};
use crate::api::feed::Fault;
use crate::api::health::Failure;
use crate::api::outbox::Outbox;
use crate::api::write::{self, EVENT_APART, Event, send};

/// How Events are spaced: each fault is told once in a while.
const EVENTS: Spacing = Spacing {
    spread: Duration::ZERO,
    again: Duration::from_secs(600),
    most: Duration::from_secs(3_600),
    bound: 1_000,
};
/// How writings of a status are spaced: another controller may write something else there.
const STATUSES: Spacing = Spacing {
    spread: Duration::ZERO,
    again: Duration::from_secs(60),
    most: Duration::from_secs(3_600),
    bound: 8_192,
};
/// Namespaces whose refusal is remembered.
const MAX_NAMESPACES: usize = 1_000;

/// What was said about failures.
#[derive(Debug, Default)]
struct Complaints {
    /// Rights may be given by namespaces, and one that is being deleted takes nothing more.
    forbidden: HashSet<Arc<str>>,
    has_failed: bool,
}

impl Complaints {
    /// Whether a lack of rights in this namespace is to be told.
    fn is_new(&mut self, namespace: &Arc<str>) -> bool {
        self.forbidden.len() < MAX_NAMESPACES && self.forbidden.insert(namespace.clone())
    }

    /// Tells of a failure, in this namespace or at all.
    fn tell(&mut self, fault: &Fault, namespace: &Arc<str>, what: &str, fix: &str) {
        if fault.kind == Failure::Forbidden {
            if self.is_new(namespace) {
                warn!(%namespace, "no {what} here: {fix}, as deploy/manifests/rbac-proxy.yaml does");
            }
        } else if !std::mem::replace(&mut self.has_failed, true) {
            let cause = &fault.cause;
            warn!(cause, "{what} cannot be written; further failures are not logged");
        }
    }
}

/// The next whose turn it is, not before `free`.
async fn next<K>(turns: &mut Turns<K>, asked: &Outbox<K>, free: Instant) -> K
where
    K: Clone + Eq + Hash,
{
    loop {
        let now = Instant::now();
        if now >= free
            && let Some(key) = turns.take(now)
        {
            return key;
        }
        let due = turns.next().map(|due| due.max(free));
        tokio::select! {
            key = asked.next() => turns.ask(key, Instant::now()),
            () = async { sleep_until(due.unwrap_or(now)).await }, if due.is_some() => {}
        }
    }
}

/// Writes Events of faults that are still there when it is their turn.
pub(super) async fn events<F: Future<Output = Result<(), Fault>>>(
    notices: &Outbox<Notice>,
    spread: Duration,
    still_holds: impl Fn(&Notice) -> bool,
    post: impl Fn(Notice) -> F,
) {
    let mut turns = Turns::new(Spacing { spread, ..EVENTS });
    let mut complaints = Complaints::default();
    let mut free = Instant::now();
    loop {
        let notice = next(&mut turns, notices, free).await;
        if !still_holds(&notice) {
            continue;
        }
        free = Instant::now() + EVENT_APART;
        match post(notice.clone()).await {
            Ok(()) => turns.written(&notice, Instant::now()),
            Err(fault) => {
                turns.failed(&notice, Instant::now());
                let fix = "grant create on events (events.k8s.io)";
                let namespace = &notice.fault.origin.namespace;
                complaints.tell(&fault, namespace, "Events on Ingresses", fix);
            }
        }
    }
}

/// Writes one Event.
pub(super) async fn post(client: &Client, notice: &Notice, node: &str) -> Result<(), Fault> {
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

/// Writes the status of Ingresses that still lack it when it is their turn.
pub(super) async fn statuses<F: Future<Output = Result<(), Fault>>>(
    unpublished: &Outbox<Name>,
    spread: Duration,
    still_lacks: impl Fn(&Name) -> bool,
    patch: impl Fn(Name) -> F,
) {
    let mut turns = Turns::new(Spacing { spread, ..STATUSES });
    let mut complaints = Complaints::default();
    loop {
        let name = next(&mut turns, unpublished, Instant::now()).await;
        // Of all nodes the first spares the others the trouble.
        if !still_lacks(&name) {
            continue;
        }
        match patch(name.clone()).await {
            Ok(()) => turns.written(&name, Instant::now()),
            Err(fault) => {
                turns.failed(&name, Instant::now());
                let fix = "grant patch on ingresses/status";
                let what = "addresses in the status of Ingresses";
                complaints.tell(&fault, &name.namespace, what, fix);
            }
        }
    }
}

/// Writes where the proxy is reached into the status of an Ingress.
pub(super) async fn patch(client: &Client, name: &Name, publish: &[Arc<str>]) -> Result<(), Fault> {
    let addresses: Vec<Value> = publish.iter().map(|text| address(text)).collect();
    let wanted = json!({"status": {"loadBalancer": {"ingress": addresses}}});
    let Name { namespace, name } = name;
    let path = format!("/apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses/{name}/status");
    send(client, (Method::PATCH, "application/merge-patch+json"), &path, &wanted).await
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::proxy::discovery::fault::About;
    use crate::proxy::route::{self, Origin, Source};

    fn notice(namespace: &str, sentence: &str) -> Notice {
        Notice {
            about: About::Certificate,
            uid: "u1".into(),
            fault: route::Fault {
                origin: Origin {
                    source: Source::Ingress,
                    namespace: namespace.into(),
                    name: "web".into(),
                },
                reason: "certificate_missing",
                sentence: sentence.to_owned(),
            },
        }
    }

    const SPREAD: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn event_that_is_refused_costs_no_other_and_has_another_turn() {
        let notices = Outbox::default();
        let said = RefCell::new(Vec::new());
        for (namespace, sentence) in [("ends", "one"), ("shop", "two"), ("shop", "three")] {
            notices.push(notice(namespace, sentence));
        }
        notices.push(notice("shop", "mended"));
        let post = async |notice: Notice| {
            said.borrow_mut().push((notice.fault.sentence.clone(), Instant::now()));
            let is_ending = &*notice.fault.origin.namespace == "ends";
            if is_ending { Err(Fault::new(Failure::Forbidden, "no")) } else { Ok(()) }
        };
        let began = Instant::now();
        let events = events(&notices, SPREAD, |notice| notice.fault.sentence != "mended", post);
        let _ = tokio::time::timeout(Duration::from_secs(1_000), events).await;
        let said = said.into_inner();
        let times = |sentence: &str| {
            let own = said.iter().filter(|(said, _)| said == sentence);
            own.map(|(_, at)| *at - began).collect::<Vec<_>>()
        };
        assert_eq!((times("two").len(), times("three").len(), times("mended").len()), (1, 1, 0));
        assert!(times("two")[0].abs_diff(times("three")[0]) >= EVENT_APART);
        assert!(times("two")[0] <= SPREAD + 3 * EVENT_APART);
        let refused = times("one");
        assert_eq!(refused.len(), 2, "{refused:?}");
        assert!(refused[1].abs_diff(refused[0]) >= EVENTS.again);
    }

    #[tokio::test(start_paused = true)]
    async fn status_that_another_keeps_writing_is_written_ever_more_seldom() {
        let unpublished = Outbox::default();
        let name = |name: &str| Name { namespace: "shop".into(), name: name.into() };
        let at = RefCell::new(Vec::new());
        unpublished.push(name("web"));
        unpublished.push(name("done"));
        let patch = async |name: Name| {
            at.borrow_mut().push((name.name.to_string(), Instant::now()));
            // The other one is back at once.
            unpublished.push(name.clone());
            Ok(())
        };
        let statuses = statuses(&unpublished, SPREAD, |name| &*name.name == "web", patch);
        let _ = tokio::time::timeout(Duration::from_secs(86_400), statuses).await;
        let at = at.into_inner();
        assert!(at.iter().all(|(name, _)| name == "web"), "another node was first");
        assert!((20..40).contains(&at.len()), "{at:?}");
        let last = at.len() - 1;
        assert!(at[last].1 - at[last - 1].1 >= STATUSES.most);
    }

    #[test]
    fn lack_of_rights_is_told_once_for_each_namespace() {
        let mut complaints = Complaints::default();
        let told = ["shop", "shop", "ends"].map(|name| complaints.is_new(&name.into()));
        assert_eq!(told, [true, false, true]);
    }

    #[test]
    fn what_is_said_makes_the_tag_whoever_says_it() {
        let one = tag(&notice("shop", "there is no Secret"));
        assert_eq!(one, tag(&notice("shop", "there is no Secret")));
        assert_ne!(one, tag(&notice("shop", "there is another")));
    }
}
