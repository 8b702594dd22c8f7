//! The pods that are stuck now, what is known of each, and when to ask again. No I/O; clocks are passed in.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::reason::{Diagnosis, Known, Reason};
use super::stuck::{Stuck, stuck};
use crate::cgroup::PodUid;
use crate::pods::model::Pod;

/// Stuck pods that are known at once: as many as any node runs. Those beyond show what their status says.
const MAX_CASES: usize = 512;
/// The pause after the first question about a pod; it doubles with each further one.
const AGAIN: Duration = Duration::from_secs(10);
/// The longest pause.
const SELDOM: Duration = Duration::from_secs(300);
/// How long what was said of a pod need not be said again.
pub(super) const REMIND: Duration = Duration::from_secs(1_800);

/// A pod that is stuck.
#[derive(Debug)]
struct Case {
    pod: Arc<Pod>,
    stuck: Stuck,
    /// What asking has told, or its status before it forgot.
    found: Option<Diagnosis>,
    asked: u32,
    due: Instant,
    is_told: bool,
    /// When its reason was last handed on for an Event.
    noticed: Option<Instant>,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Cases {
    cases: BTreeMap<PodUid, Case>,
    /// Whether the API server is asked about those whose status does not say enough.
    asks: bool,
}

/// What is to be said.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tell {
    /// It is stuck, for so long already: once.
    Stuck(Arc<Pod>, Diagnosis, Duration),
    /// It has a reason that is worth an Event: once in [`REMIND`].
    Why(Arc<Pod>, Diagnosis),
    /// It was said to be stuck, and is not any more.
    GoesOn(Arc<Pod>, Reason),
}

/// What asking gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Found(Diagnosis),
    /// Nothing there says why.
    Nothing,
    /// It could not be asked; what was known stays.
    Unasked,
}

impl Case {
    fn diagnosis(&self) -> &Diagnosis {
        self.found.as_ref().filter(|_| !self.stuck.is_clear).unwrap_or(&self.stuck.diagnosis)
    }

    /// Takes a newer status. What it forgot between two tries (the cause of a pull) is kept, and so is what
    /// was asked while it says as little as before.
    fn renew(&mut self, pod: &Arc<Pod>, stuck: Stuck) {
        let is_same = self.stuck.diagnosis.reason == stuck.diagnosis.reason;
        if !is_same {
            self.found = None;
        } else if self.stuck.is_clear && !stuck.is_clear {
            self.found = Some(self.stuck.diagnosis.clone());
        }
        self.pod = pod.clone();
        self.stuck = stuck;
    }

    /// What of it is to be said now.
    fn tell(&mut self, (at, now): (SystemTime, Instant), asks: bool) -> Vec<Tell> {
        let mut told = Vec::new();
        let diagnosis = self.diagnosis().clone();
        let is_known = self.stuck.is_clear || self.found.is_some() || self.asked > 0 || !asks;
        if !self.is_told && is_known {
            self.is_told = true;
            let lasts = self.stuck.lasts(at).unwrap_or_default();
            told.push(Tell::Stuck(self.pod.clone(), diagnosis.clone(), lasts));
        }
        let is_due = self.noticed.is_none_or(|last| now.duration_since(last) >= REMIND);
        if is_known && is_due && diagnosis.reason != Reason::Unknown {
            self.noticed = Some(now);
            told.push(Tell::Why(self.pod.clone(), diagnosis));
        }
        told
    }
}

impl Cases {
    pub(super) fn new(asks: bool) -> Self {
        Self { cases: BTreeMap::new(), asks }
    }

    /// Takes what pods there are now: what is to be said, and after what time to look again at the latest.
    pub(super) fn update<'a>(
        &mut self,
        pods: impl Iterator<Item = &'a Arc<Pod>>,
        (at, now): (SystemTime, Instant),
    ) -> (Vec<Tell>, Option<Duration>) {
        let mut before = std::mem::take(&mut self.cases);
        let (mut told, mut next) = (Vec::new(), None);
        for pod in pods {
            let Some(stuck) = stuck(pod) else { continue };
            if stuck.lasts(at).is_none() {
                let left = stuck.since + stuck.after;
                let left = left.duration_since(at).unwrap_or_default();
                next = Some(next.map_or(left, |next: Duration| next.min(left)));
                continue;
            }
            let case = match before.remove(&pod.uid) {
                Some(mut case) => {
                    case.renew(pod, stuck);
                    case
                }
                None if self.cases.len() >= MAX_CASES => continue,
                None => Case {
                    pod: pod.clone(),
                    stuck,
                    found: None,
                    asked: 0,
                    due: now,
                    is_told: false,
                    noticed: None,
                },
            };
            let case = self.cases.entry(pod.uid).or_insert(case);
            told.extend(case.tell((at, now), self.asks));
        }
        let gone = before.into_values().filter(|case| case.is_told);
        told.extend(gone.map(|case| Tell::GoesOn(case.pod.clone(), case.diagnosis().reason)));
        let remind = (!self.cases.is_empty()).then_some(REMIND);
        (told, next.into_iter().chain(remind).min())
    }

    /// The pod to ask about next, whether its status leaves the reason wholly open, and when it is due.
    pub(super) fn next(&self) -> Option<(Arc<Pod>, Reason, Instant)> {
        let unclear = self.cases.values().filter(|case| !case.stuck.is_clear);
        let case = unclear.min_by_key(|case| case.due).filter(|_| self.asks)?;
        Some((case.pod.clone(), case.stuck.diagnosis.reason, case.due))
    }

    /// Takes the answer about a pod.
    pub(super) fn answered(
        &mut self,
        uid: PodUid,
        answer: Answer,
        (at, now): (SystemTime, Instant),
    ) -> Vec<Tell> {
        let Some(case) = self.cases.get_mut(&uid) else { return Vec::new() };
        let pause = AGAIN.saturating_mul(1 << case.asked.min(10)).min(SELDOM);
        case.asked = case.asked.saturating_add(1);
        // Spread, so that the nodes of a cluster do not ask at the same moments about the same trouble.
        case.due = now + pause.mul_f64(0.75 + 0.5 * fastrand::f64());
        match answer {
            // Of an image's pull only what names its cause tells more than the status.
            Answer::Found(found)
                if matches!(case.stuck.diagnosis.reason, Reason::Unknown)
                    || case.stuck.diagnosis.reason == found.reason =>
            {
                case.found = Some(found);
            }
            Answer::Nothing if case.stuck.diagnosis.reason == Reason::Unknown => case.found = None,
            Answer::Found(_) | Answer::Nothing | Answer::Unasked => {}
        }
        case.tell((at, now), self.asks)
    }

    /// What asking has told, of each pod.
    pub(super) fn known(&self) -> Known {
        let found = |(uid, case): (&PodUid, &Case)| Some((*uid, case.found.clone()?));
        self.cases.iter().filter_map(found).collect()
    }

    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.cases.is_empty()
    }
}

#[cfg(test)]
mod tests;
