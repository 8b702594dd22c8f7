//! Events that Podmeter writes on pods of this node, so that `kubectl describe pod` shows them. Opt-in.
//!
//! Whoever notices something about a pod hands a [`Notice`] in; one task writes. Of one pod and matter one goes
//! out in half an hour, and of all together ten a minute.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kube::Client;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::api::feed::{Fault, is_name};
use crate::api::health::Failure;
use crate::api::limit::{Bucket, Limit};
use crate::api::outbox::Outbox;
use crate::api::write::{self, EVENT_APART, Event};
use crate::labels::{Label, LabelSet};
use crate::pods::model::Pod;
use crate::schema::Series;
use crate::snapshot::{Contribute, Snapshot};

/// Shortest time between two Events about one matter of a pod.
const EVERY: Duration = Duration::from_secs(1_800);
/// Events that may go out at once.
const AT_ONCE: u32 = 10;
/// Events that wait their turn; what comes later than that is old news.
const MAX_WAITING: usize = 20;
/// Who we say we are.
const CONTROLLER: &str = "podmeter.io/agent";

/// What an Event is about. The `reason` label, and the words of the key `kubernetes.events`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Matter {
    /// The pod does not get its containers.
    Stuck,
    /// A container is near its memory limit.
    Memory,
    /// A container is throttled for long.
    Throttling,
}

impl Matter {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Stuck, Self::Memory, Self::Throttling];

    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stuck => "stuck",
            Self::Memory => "memory",
            Self::Throttling => "throttling",
        }
    }

    /// The Event's `reason` and `action`.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Stuck => ("PodStuck", "Diagnose"),
            Self::Memory => ("NearMemoryLimit", "Measure"),
            Self::Throttling => ("CpuThrottled", "Measure"),
        }
    }
}

/// How handing in a notice ended. The `outcome` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The API server has the Event.
    Written,
    /// Said of this pod not long ago, or too many at once.
    Limited,
    /// The right is missing.
    Forbidden,
    /// Anything else.
    Failed,
}

impl Outcome {
    const ALL: [Self; 4] = [Self::Written, Self::Limited, Self::Forbidden, Self::Failed];

    fn as_str(self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::Limited => "limited",
            Self::Forbidden => "forbidden",
            Self::Failed => "failed",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Notice {
    matter: Matter,
    namespace: Arc<str>,
    name: Arc<str>,
    uid: String,
    sentence: String,
}

/// Where notices are handed in. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Notices(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    wanted: HashSet<Matter>,
    limit: Mutex<Limit<(String, Matter)>>,
    waiting: Outbox<Notice>,
    counts: [[AtomicU64; Outcome::ALL.len()]; Matter::ALL.len()],
}

impl Notices {
    /// Takes notices of these matters; others are passed over.
    #[must_use]
    pub fn new(wanted: &[Matter]) -> Self {
        Self(Arc::new(Inner {
            wanted: wanted.iter().copied().collect(),
            limit: Mutex::new(Limit::new(EVERY)),
            waiting: Outbox::of(MAX_WAITING),
            counts: Default::default(),
        }))
    }

    /// Whether notices of this matter are of any use.
    #[must_use]
    pub fn wants(&self, matter: Matter) -> bool {
        self.0.wanted.contains(&matter)
    }

    /// Hands in what was noticed. Never waits.
    pub fn give(&self, matter: Matter, pod: &Pod, sentence: String) {
        if !self.wants(matter) {
            return;
        }
        let uid = pod.uid.to_string();
        let mut limit = self.0.limit.lock().unwrap_or_else(PoisonError::into_inner);
        let may = limit.lets((uid.clone(), matter), Instant::now());
        drop(limit);
        let (namespace, name) = (pod.namespace.clone(), pod.name.clone());
        let notice = Notice { matter, namespace, name, uid, sentence };
        if !may || !self.0.waiting.push(notice) {
            self.count(matter, Outcome::Limited);
        }
    }

    /// Writes what was handed in until `stop`. No failure ends it.
    pub async fn write(self, client: Client, node: Arc<str>, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            never = self.write_all(&client, &node) => match never {},
        }
    }

    async fn write_all(&self, client: &Client, node: &str) -> std::convert::Infallible {
        let mut bucket = Bucket::new(AT_ONCE, EVENT_APART);
        let mut in_trouble = false;
        loop {
            let notice = self.0.waiting.next().await;
            bucket.wait().await;
            let posted = post(client, &notice, node, SystemTime::now()).await;
            self.count(notice.matter, outcome(&posted));
            match posted {
                Ok(()) if std::mem::take(&mut in_trouble) => {
                    info!("Events are written on pods again");
                }
                Err(fault) if !std::mem::replace(&mut in_trouble, true) => complain(&fault),
                Ok(()) | Err(_) => {}
            }
        }
    }

    fn count(&self, matter: Matter, outcome: Outcome) {
        self.0.counts[matter as usize][outcome as usize].fetch_add(1, Relaxed);
    }
}

fn complain(fault: &Fault) {
    if fault.kind == Failure::Forbidden {
        warn!(
            "no Events on pods: grant create on events (events.k8s.io), as deploy/manifests/rbac-events.yaml does, or take them out of kubernetes.events"
        );
    } else {
        warn!(
            cause = fault.cause,
            "an Event could not be written; further failures are not logged"
        );
    }
}

fn outcome(posted: &Result<(), Fault>) -> Outcome {
    match posted {
        Ok(()) => Outcome::Written,
        Err(fault) if fault.kind == Failure::Forbidden => Outcome::Forbidden,
        Err(_) => Outcome::Failed,
    }
}

async fn post(client: &Client, notice: &Notice, node: &str, at: SystemTime) -> Result<(), Fault> {
    let Notice { matter, namespace, name, uid, sentence } = notice;
    if !is_name(namespace) || !is_name(name) {
        return Err(Fault::new(Failure::Other, "the pod's name is none"));
    }
    let (reason, action) = matter.words();
    let event = Event {
        regards: ("v1", "Pod"),
        namespace,
        name,
        uid,
        tag: tag(notice, at),
        reason,
        action,
        note: sentence,
        controller: CONTROLLER,
        node,
    };
    write::post(client, &event).await
}

/// The same for half an hour, so that a restart of Podmeter does not say everything again.
fn tag(notice: &Notice, at: SystemTime) -> u64 {
    let mut hasher = DefaultHasher::new();
    let half_hours = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / EVERY.as_secs();
    (&notice.uid, notice.matter, half_hours).hash(&mut hasher);
    hasher.finish()
}

/// Adds `podmeter_pod_events_total` of the matters that are wanted.
pub struct Observer {
    notices: Notices,
    sets: Vec<(Matter, Outcome, Arc<LabelSet>)>,
}

impl Observer {
    /// Observes these.
    #[must_use]
    pub fn new(notices: Notices) -> Self {
        let all = Matter::ALL.into_iter().filter(|matter| notices.wants(*matter));
        let sets = all.flat_map(|matter| Outcome::ALL.map(|outcome| (matter, outcome)));
        let sets = sets.map(|(matter, outcome)| {
            let labels =
                [Label::own("reason", matter.as_str()), Label::own("outcome", outcome.as_str())];
            (matter, outcome, Arc::new(LabelSet::new(labels.into())))
        });
        Self { sets: sets.collect(), notices }
    }
}

impl Contribute for Observer {
    fn contribute(&mut self, snapshot: &mut Snapshot, agent: u32) {
        for (matter, outcome, set) in &self.sets {
            let count = self.notices.0.counts[*matter as usize][*outcome as usize].load(Relaxed);
            snapshot.add(Series::PodEvents.into(), agent, Some(set.clone()), count as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::stuck::tests::waiting;

    fn count(notices: &Notices, matter: Matter, outcome: Outcome) -> u64 {
        notices.0.counts[matter as usize][outcome as usize].load(Relaxed)
    }

    fn pod(number: usize) -> Pod {
        let uid = crate::cgroup::PodUid::Uid(number as u128);
        Pod { uid, ..waiting("ErrImagePull", "") }
    }

    #[tokio::test(start_paused = true)]
    async fn matter_of_a_pod_goes_once_in_half_an_hour() {
        let notices = Notices::new(&[Matter::Stuck, Matter::Memory]);
        notices.give(Matter::Stuck, &pod(1), "a".to_owned());
        notices.give(Matter::Stuck, &pod(1), "b".to_owned());
        notices.give(Matter::Memory, &pod(1), "c".to_owned());
        notices.give(Matter::Throttling, &pod(1), "not wanted".to_owned());
        let said: Vec<_> = std::iter::from_fn(|| notices.0.waiting.pop()).collect();
        assert_eq!(said.iter().map(|one| &*one.sentence).collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(count(&notices, Matter::Stuck, Outcome::Limited), 1);

        tokio::time::advance(EVERY).await;
        notices.give(Matter::Stuck, &pod(1), "d".to_owned());
        assert_eq!(notices.0.waiting.pop().unwrap().sentence, "d");
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_wait_is_dropped_and_counted() {
        let notices = Notices::new(&[Matter::Stuck]);
        (0..MAX_WAITING + 7).for_each(|n| notices.give(Matter::Stuck, &pod(n), String::new()));
        assert_eq!(count(&notices, Matter::Stuck, Outcome::Limited), 7);
    }

    #[test]
    fn tag_is_the_same_within_half_an_hour() {
        let notice = Notice {
            matter: Matter::Stuck,
            namespace: "shop".into(),
            name: "web".into(),
            uid: "u".to_owned(),
            sentence: String::new(),
        };
        let at = |seconds| tag(&notice, UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(1_800), at(3_599));
        assert_ne!(at(1_799), at(1_800));
    }
}
