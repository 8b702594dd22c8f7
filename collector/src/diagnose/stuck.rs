//! Which pods are stuck, and what their status alone says of why.

use std::time::{Duration, SystemTime};

use super::reason::{Diagnosis, Reason};
use super::text;
use crate::pods::model::{Container, Phase, Pod, Role, State, Status};

/// How long containers may take to be made before that is worth a word. Most pods take a few seconds.
const USUAL: Duration = Duration::from_secs(20);

/// A pod that waits for its containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// Since when it has been waiting.
    pub since: SystemTime,
    /// How long that is nothing unusual.
    pub after: Duration,
    /// Why, by its status.
    pub diagnosis: Diagnosis,
    /// Whether the status says all: nothing is to be asked.
    pub is_clear: bool,
}

impl Stuck {
    /// How long it has been stuck; `None` while that is nothing unusual.
    #[must_use]
    pub fn lasts(&self, now: SystemTime) -> Option<Duration> {
        // A clock behind the API server's has seen no time pass.
        let waited = now.duration_since(self.since).unwrap_or_default();
        (waited >= self.after).then_some(waited)
    }
}

/// Whether and why this pod waits for its containers.
///
/// A container that ends again and again is none of this, save an init container that keeps the others from being
/// made: what `kube_pod_container_status_*` says of it is plain.
#[must_use]
pub fn stuck(pod: &Pod) -> Option<Stuck> {
    if pod.deleted.is_some() || pod.phase.has_ended() {
        return None;
    }
    let scheduled = pod.scheduled?;
    if let Some(stuck) = pod.containers.iter().find_map(|one| named(pod, one, scheduled)) {
        return Some(stuck);
    }
    if pod.phase != Phase::Pending || is_at_work(pod) {
        return None;
    }
    let detail = match first_waiting(pod) {
        Some((container, reason)) => format!("container {} waits: {reason}", container.name),
        None if pod.containers.iter().all(|container| container.status.is_none()) => {
            "the kubelet has told nothing of its containers".to_owned()
        }
        None => return None,
    };
    Some(Stuck {
        since: initialized(pod).max(scheduled),
        after: USUAL,
        diagnosis: Diagnosis::new(Reason::Unknown, &detail),
        is_clear: false,
    })
}

/// A container whose status names what is wrong with it.
fn named(pod: &Pod, container: &Container, scheduled: SystemTime) -> Option<Stuck> {
    // A debugging container is nothing that the pod needs.
    let status = container.status.as_ref().filter(|_| container.role != Role::Ephemeral)?;
    let State::Waiting(reason) = &status.state else { return None };
    let message = status.message.as_deref().unwrap_or_default();
    let (reason, text, is_clear) = match reason.as_deref()? {
        "ErrImagePull"
        | "ImagePullBackOff"
        | "RegistryUnavailable"
        | "SignatureValidationFailed"
        | "ImageInspectError" => pull(message),
        "ErrImageNeverPull" => {
            (Reason::ImagePull, image(message, "is not on the node, and its policy is Never"), true)
        }
        "InvalidImageName" => (Reason::ImageName, "the name of its image is none".to_owned(), true),
        "CreateContainerConfigError" => config(message, &pod.namespace),
        "CreateContainerError"
        | "RunContainerError"
        | "PreCreateHookError"
        | "PreStartHookError" => {
            (Reason::ContainerCreate, or(text::brief(message), "the runtime refuses it"), true)
        }
        "CrashLoopBackOff" if container.role == Role::Init && pod.phase == Phase::Pending => {
            (Reason::InitFailing, ended(status), true)
        }
        _ => return None,
    };
    let detail = format!("container {}: {text}", container.name);
    // One that ran before waits since it ended.
    let since = status.last.as_ref().and_then(|last| last.finished).unwrap_or(scheduled);
    Some(Stuck {
        since: since.max(scheduled),
        after: Duration::ZERO,
        diagnosis: Diagnosis::new(reason, &detail),
        is_clear,
    })
}

/// While the kubelet pauses between two tries its message names the image only; the pod's Events know more.
fn pull(message: &str) -> (Reason, String, bool) {
    let cause = text::pull_cause(message);
    let sentence =
        format!("cannot be pulled{}", cause.map(|cause| format!(": {cause}")).unwrap_or_default());
    (Reason::ImagePull, image(message, &sentence), cause.is_some())
}

fn image(message: &str, sentence: &str) -> String {
    let name = text::image(message).map(|name| format!(" {name}")).unwrap_or_default();
    format!("image{name} {sentence}")
}

fn config(message: &str, namespace: &str) -> (Reason, String, bool) {
    match text::missing(message) {
        Some(missing) => (missing.reason, missing.sentence(namespace), true),
        None => (
            Reason::ContainerCreate,
            or(text::brief(message), "its configuration is of no use"),
            true,
        ),
    }
}

fn or(text: String, otherwise: &str) -> String {
    if text.is_empty() { otherwise.to_owned() } else { text }
}

fn ended(status: &Status) -> String {
    let Some(last) = &status.last else { return "it ends again and again".to_owned() };
    let reason = last.reason.as_deref().unwrap_or("Error");
    format!("it ends again and again: {reason}, exit code {}", last.exit_code)
}

/// Whether an init container runs: then the others wait for good reason.
fn is_at_work(pod: &Pod) -> bool {
    pod.containers.iter().any(|container| {
        let state = container.status.as_ref().map(|status| &status.state);
        container.role == Role::Init && matches!(state, Some(State::Running(_)))
    })
}

/// The first container that waits and has not run before.
fn first_waiting(pod: &Pod) -> Option<(&Container, &str)> {
    pod.containers.iter().filter(|container| container.role != Role::Ephemeral).find_map(|one| {
        match &one.status.as_ref()?.state {
            State::Waiting(reason) if reason.as_deref() != Some("CrashLoopBackOff") => {
                Some((one, reason.as_deref().unwrap_or("no reason given")))
            }
            _ => None,
        }
    })
}

/// When the last init container that ended did so; long before everything where there is none.
fn initialized(pod: &Pod) -> SystemTime {
    let ends = pod.containers.iter().filter(|container| container.role == Role::Init);
    let ends = ends.filter_map(|container| match &container.status.as_ref()?.state {
        State::Terminated(end) => end.finished,
        _ => None,
    });
    ends.max().unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
pub(crate) mod tests;
