//! The one task that keeps an eye on stuck pods: says when one is, finds out why, says when it goes on.
//!
//! It follows the index of the pods' watch and asks nothing while no pod is stuck. Questions go one after
//! another, and no more than a few a minute; the sampling thread only ever reads what is published.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use kube::Client;
use tokio::sync::Notify;
use tokio::sync::watch::Receiver;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::ask::{Asking, Counts, Observer};
use super::cases::{Cases, Tell};
use super::reason::Findings;
use crate::api::limit::Bucket;
use crate::pods::index::Index;
use crate::pods::notices::{Matter, Notices};

/// Pods that are asked about at once when trouble begins.
const AT_ONCE: u32 = 16;
/// Time between two pods after that.
const APART: Duration = Duration::from_secs(5);
/// Warnings that go out at once; a node whose network is broken has a hundred stuck pods.
const WARNINGS: u32 = 20;
/// Time between two warnings after that.
const WARNINGS_APART: Duration = Duration::from_secs(6);

/// Watches over stuck pods; not yet running.
pub struct Examiner {
    index: Receiver<Arc<Index>>,
    notices: Notices,
    findings: Arc<Findings>,
    /// The way to the API server and this node's name, where it is to be asked.
    client: Option<(Client, Arc<str>)>,
    counts: Arc<Counts>,
    cases: Mutex<Cases>,
    warnings: Mutex<Bucket>,
    woken: Notify,
}

impl Examiner {
    /// Watches over the pods of `index`. With a `client` and this node's name it asks why they are stuck, else
    /// their status has to do.
    #[must_use]
    pub fn new(
        index: Receiver<Arc<Index>>,
        client: Option<(Client, Arc<str>)>,
        notices: Notices,
    ) -> Self {
        Self {
            index,
            notices,
            findings: Arc::default(),
            cases: Mutex::new(Cases::new(client.is_some())),
            client,
            counts: Arc::default(),
            warnings: Mutex::new(Bucket::new(WARNINGS, WARNINGS_APART)),
            woken: Notify::new(),
        }
    }

    /// Where it tells what it found.
    #[must_use]
    pub fn findings(&self) -> Arc<Findings> {
        self.findings.clone()
    }

    /// What its questions cost, if it asks any.
    #[must_use]
    pub fn observer(&self) -> Option<Observer> {
        self.client.as_ref().map(|_| Observer::new(self.counts.clone()))
    }

    /// Watches until `stop`. No failure ends it.
    pub async fn run(self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.follow() => {}
            () = self.ask() => {}
        }
    }

    /// Takes each change of the pods, and the moments at which one has waited too long.
    async fn follow(&self) {
        let mut index = self.index.clone();
        loop {
            let pods = index.borrow_and_update().clone();
            let (tells, next) = self.cases().update(pods.pods(), now());
            self.tell(tells);
            let wait = async {
                match next {
                    Some(next) => sleep(next).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = index.changed() => if changed.is_err() {
                    // The watch has ended, and so will this.
                    return std::future::pending().await;
                },
                () = wait => {}
            }
        }
    }

    /// Asks about one pod after another.
    async fn ask(&self) {
        let Some((client, node)) = self.client.clone() else {
            return std::future::pending().await;
        };
        let mut asking = Asking::new(client, node, self.counts.clone());
        let mut bucket = Bucket::new(AT_ONCE, APART);
        loop {
            let next = self.cases().next();
            let Some((pod, told, due)) = next else {
                asking.rest();
                self.woken.notified().await;
                continue;
            };
            if due > Instant::now() {
                tokio::select! {
                    () = sleep_until(due) => {}
                    () = self.woken.notified() => {}
                }
                continue;
            }
            bucket.wait().await;
            let answer = asking.about(&pod, told).await;
            debug!(namespace = %pod.namespace, pod = %pod.name, ?answer, "asked why a pod is stuck");
            let tells = self.cases().answered(pod.uid, answer, now());
            self.tell(tells);
        }
    }

    /// Publishes what is known, then says what is new.
    fn tell(&self, tells: Vec<Tell>) {
        self.findings.publish(self.cases().known());
        self.woken.notify_one();
        for tell in tells {
            match tell {
                Tell::Stuck(pod, diagnosis, lasts) => {
                    let (reason, detail) = (diagnosis.reason.as_str(), &*diagnosis.detail);
                    let (namespace, name, seconds) = (&*pod.namespace, &*pod.name, lasts.as_secs());
                    if self.may_warn() {
                        warn!(
                            namespace,
                            pod = name,
                            reason,
                            detail,
                            seconds,
                            "a pod gets no containers"
                        );
                    } else {
                        debug!(
                            namespace,
                            pod = name,
                            reason,
                            detail,
                            seconds,
                            "a pod gets no containers"
                        );
                    }
                }
                Tell::Why(pod, diagnosis) => {
                    let reason = diagnosis.reason.as_str();
                    let sentence = format!("{} ({reason})", diagnosis.detail);
                    self.notices.give(Matter::Stuck, &pod, sentence);
                }
                Tell::GoesOn(pod, reason) => {
                    let (namespace, name, reason) = (&*pod.namespace, &*pod.name, reason.as_str());
                    info!(namespace, pod = name, reason, "a pod is no longer stuck");
                }
            }
        }
    }

    fn may_warn(&self) -> bool {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now())
    }

    fn cases(&self) -> MutexGuard<'_, Cases> {
        self.cases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now() -> (SystemTime, Instant) {
    (SystemTime::now(), Instant::now())
}
