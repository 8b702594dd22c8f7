//! What is found out and said of single pods: why they are stuck, and, on request, Events on them.
//!
//! Owns the tasks and which snapshots are looked at; what is near a limit is decided in [`memory`] and
//! [`throttling`], what is written and how often in [`collector::pods::notices`].

mod memory;
mod throttling;

use std::sync::Arc;

use collector::diagnose::Examiner;
use collector::diagnose::reason::Findings;
use collector::labels::LabelSet;
use collector::pods::index::Index;
use collector::pods::model::Pod;
use collector::pods::notices::{Matter, Notices, Observer};
use collector::snapshot::{Contribute, Snapshot};
use kube::Client;
use tokio::sync::watch::Receiver;
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::tasks::{Stage, Tasks};
use crate::tick::Ticks;
use memory::Memory;
use throttling::Throttling;

/// What others need of it.
pub(crate) struct Explained {
    pub(crate) findings: Arc<Findings>,
    notices: Notices,
    index: Receiver<Arc<Index>>,
}

/// Something worth an Event on the pod of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    /// The container's.
    labels: Arc<LabelSet>,
    sentence: String,
}

impl Explained {
    /// Watches over stuck pods of `index`, and writes the Events that the settings ask for.
    pub(crate) fn start(
        settings: &Settings,
        client: Client,
        index: Receiver<Arc<Index>>,
        tasks: &mut Tasks,
        contributors: &mut Vec<Box<dyn Contribute>>,
    ) -> Self {
        let node = settings.node.clone();
        let notices = Notices::new(&settings.events);
        if !settings.events.is_empty() {
            contributors.push(Box::new(Observer::new(notices.clone())));
            let (notices, client, node) = (notices.clone(), client.clone(), node.clone());
            tasks.start(Stage::Watch, "Events on pods", |stop| async move {
                notices.write(client, node, stop).await;
                Ok(())
            });
        }
        let asked = settings.diagnose.then_some((client, node));
        let examiner = Examiner::new(index.clone(), asked, notices.clone());
        if let Some(observer) = examiner.observer() {
            contributors.push(Box::new(observer));
        }
        let findings = examiner.findings();
        tasks.start(Stage::Watch, "watch over stuck pods", |stop| async move {
            examiner.run(stop).await;
            Ok(())
        });
        Self { findings, notices, index }
    }

    /// Looks at each snapshot for containers that are worth an Event, where such Events are asked for.
    pub(crate) fn look(self, tasks: &mut Tasks, ticks: &Ticks) {
        if self.notices.wants(Matter::Memory) || self.notices.wants(Matter::Throttling) {
            let snapshots = ticks.changes();
            tasks.start(Stage::Watch, "watch over limits", |stop| async move {
                self.follow(snapshots, stop).await;
                Ok(())
            });
        }
    }

    async fn follow(self, mut snapshots: Receiver<Option<Arc<Snapshot>>>, stop: CancellationToken) {
        let mut memory = self.notices.wants(Matter::Memory).then(Memory::default);
        let mut throttling = self.notices.wants(Matter::Throttling).then(Throttling::default);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                // The sampling thread ends before this; nothing is to be seen any more.
                changed = snapshots.changed() => if changed.is_err() {
                    return stop.cancelled().await;
                },
            }
            let Some(snapshot) = snapshots.borrow_and_update().clone() else { continue };
            if let Some(memory) = &mut memory {
                self.give(Matter::Memory, memory.look(&snapshot));
            }
            if let Some(throttling) = &mut throttling {
                self.give(Matter::Throttling, throttling.look(&snapshot));
            }
        }
    }

    fn give(&self, matter: Matter, found: Vec<Found>) {
        let index = self.index.borrow();
        for Found { labels, sentence } in found {
            if let Some(pod) = pod_of(&index, &labels) {
                self.notices.give(matter, pod, sentence);
            }
        }
    }
}

/// The pod of a container with these labels.
fn pod_of<'a>(index: &'a Index, labels: &LabelSet) -> Option<&'a Arc<Pod>> {
    let (namespace, name) = (labels.value("namespace")?, labels.value("pod")?);
    index.pods().find(|pod| &*pod.namespace == namespace && &*pod.name == name)
}

/// A container as sentences name it.
fn name(labels: &LabelSet) -> &str {
    labels.value("container").unwrap_or("?")
}

/// A container between two snapshots: its label set stays the same allocation while its names do.
fn key(labels: &Arc<LabelSet>) -> usize {
    Arc::as_ptr(labels).addr()
}
