//! What a pod's Events say of why it has no containers.
//!
//! Events are told by the kubelet and by the controller that attaches volumes. They stay for an hour and are
//! repeated while a problem lasts, so the newest count, and what was told before a step that worked is over.

use std::time::{Duration, SystemTime};

use serde::Deserialize;

use super::reason::{Diagnosis, Reason};
use super::text;
use crate::api::lax::{Lax, List, Text};
use crate::api::object::Metadata;

/// A problem that was not told again for this long before the newest of them is over. The kubelet tries again at
/// most every two minutes, and repeats an Event at most every five when there are many.
const WINDOW: Duration = Duration::from_secs(360);
/// Bytes of a message that are kept; the API takes 1,024.
const MAX_MESSAGE: usize = 1_024;

/// A list of Events, one page.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Events {
    pub(super) items: List<Event>,
}

/// An Event of the core group.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Event {
    metadata: Lax<Metadata>,
    reason: Text,
    message: Text<MAX_MESSAGE>,
    #[serde(rename = "eventTime")]
    time: Text,
    first_timestamp: Text,
    last_timestamp: Text,
    series: Lax<Series>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Series {
    last_observed_time: Text,
}

/// What Events tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Evidence {
    pub(super) diagnosis: Diagnosis,
    /// Whether who holds the pod's volumes may tell more.
    pub(super) is_of_volumes: bool,
}

impl Event {
    /// When it was last told.
    fn last(&self) -> Option<SystemTime> {
        let observed = self.series.0.as_ref().and_then(|series| series.last_observed_time.time());
        let created = || self.metadata.0.as_ref()?.creation_timestamp.time();
        observed
            .or_else(|| self.last_timestamp.time())
            .or_else(|| self.time.time())
            .or_else(|| self.first_timestamp.time())
            .or_else(created)
    }

    /// Events of the same second are told apart by their names, which end in a time in nanoseconds.
    fn order(&self) -> (Option<SystemTime>, &str) {
        (self.last(), self.metadata.0.as_ref().map_or("", |metadata| metadata.name.as_str()))
    }
}

/// What an Event means for the question.
enum Said {
    /// A problem; the more particular one has the higher rank.
    Problem(u8, Evidence),
    /// All steps before the containers' images worked.
    Pulling(Diagnosis),
    /// A container's image is there, or more.
    Passed,
    /// The volumes are attached.
    Attached,
    /// Nothing of interest, such as an Event of the scheduler or one of our own.
    Nothing,
}

/// Why a pod of this namespace is stuck, by its Events; `None` when they do not say.
pub(super) fn verdict(events: &[Event], namespace: &str) -> Option<Evidence> {
    let mut newest_first: Vec<&Event> = events.iter().collect();
    newest_first.sort_by_key(|event| std::cmp::Reverse(event.order()));
    let mut best: Option<(u8, Evidence)> = None;
    let mut newest = None;
    let mut is_attached = false;
    for event in newest_first {
        match said(event, namespace) {
            Said::Nothing => {}
            Said::Attached => is_attached = true,
            Said::Passed => break,
            Said::Pulling(diagnosis) => {
                best = best.or(Some((0, Evidence { diagnosis, is_of_volumes: false })));
                break;
            }
            Said::Problem(_, evidence) if is_attached && is_attach(&evidence) => {}
            Said::Problem(rank, evidence) => {
                let time = event.last();
                let is_over = newest.zip(time).is_some_and(|(newest, time): (SystemTime, _)| {
                    newest.duration_since(time).is_ok_and(|apart| apart > WINDOW)
                });
                if is_over {
                    break;
                }
                newest = newest.or(time);
                // Of two of the same rank the newer one stands.
                if best.as_ref().is_none_or(|(than, _)| rank > *than) {
                    best = Some((rank, evidence));
                }
            }
        }
    }
    best.map(|(_, evidence)| evidence)
}

fn is_attach(evidence: &Evidence) -> bool {
    matches!(evidence.diagnosis.reason, Reason::Attach | Reason::AttachedElsewhere)
}

fn said(event: &Event, namespace: &str) -> Said {
    let message = event.message.as_str();
    let problem = |rank, reason, detail: &str, is_of_volumes| {
        let diagnosis = Diagnosis::new(reason, detail);
        Said::Problem(rank, Evidence { diagnosis, is_of_volumes })
    };
    match event.reason.as_str() {
        "FailedMount" | "FailedMapVolume" => mount(message, namespace),
        "FailedAttachVolume" => {
            let volume = text::volume(message).unwrap_or("of the pod");
            if message.contains("Multi-Attach") {
                let detail = format!("volume {volume} is attached to another node");
                problem(3, Reason::AttachedElsewhere, &detail, true)
            } else {
                let detail = format!("volume {volume}: {}", text::brief(message));
                problem(3, Reason::Attach, &detail, true)
            }
        }
        "FailedCreatePodSandBox" | "FailedPodSandBoxStatus" => {
            let reason = if text::is_network(message) { Reason::Network } else { Reason::Sandbox };
            problem(3, reason, &text::brief(message), false)
        }
        "NetworkNotReady" => problem(2, Reason::Network, &text::brief(message), false),
        // What a status says of images and containers it says better; here is the cause that it forgets.
        "Failed" => match (text::image(message), text::pull_cause(message)) {
            (Some(image), Some(cause)) => {
                let detail = format!("image {image} cannot be pulled: {cause}");
                problem(3, Reason::ImagePull, &detail, false)
            }
            _ => Said::Nothing,
        },
        "Pulling" => {
            let image = text::image(message).map(|name| format!(" {name}")).unwrap_or_default();
            let detail = format!("image{image} is being pulled");
            Said::Pulling(Diagnosis::new(Reason::ImagePulling, &detail))
        }
        "Pulled" | "Created" | "Started" => Said::Passed,
        "SuccessfulAttachVolume" => Said::Attached,
        _ => Said::Nothing,
    }
}

/// A volume that cannot be mounted: what is missing, what went wrong, or only that it takes too long.
fn mount(message: &str, namespace: &str) -> Said {
    let problem = |rank, reason, detail: &str| {
        let diagnosis = Diagnosis::new(reason, detail);
        Said::Problem(rank, Evidence { diagnosis, is_of_volumes: reason == Reason::Mount })
    };
    let volume = text::volume(message).map(|name| format!("volume {name}: ")).unwrap_or_default();
    if let Some(missing) = text::missing(message) {
        return problem(4, missing.reason, &format!("{volume}{}", missing.sentence(namespace)));
    }
    if let Some(names) = text::unmounted(message) {
        return problem(1, Reason::Mount, &format!("volumes that are not mounted: {names}"));
    }
    problem(2, Reason::Mount, &format!("{volume}{}", text::brief(message)))
}

#[cfg(test)]
mod tests;
