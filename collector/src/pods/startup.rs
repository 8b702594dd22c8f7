//! How long a pod took from being scheduled to being ready for the first time.
//!
//! A status tells only when readiness last changed. So the first time is kept once it was seen, and of a pod that
//! was there before Podmeter it is told only where the status shows that readiness has not changed since.

use std::time::{Duration, SystemTime};

use super::model::{Container, Phase, Pod, Role, State};

/// Readiness that came later than this after the last container's start is taken for a return of it: a Deployment
/// gives up on a rollout after the same time.
const PLAUSIBLE: Duration = Duration::from_secs(600);
/// The kubelet writes a pod's first conditions within this time after `status.startTime`.
const FIRST_STATUS: Duration = Duration::from_secs(5);

/// What is known of a pod's first readiness.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Startup {
    /// It has not been ready yet.
    Awaited,
    /// It took so long.
    Took(Duration),
    /// It was, at a time that nothing tells any more.
    #[default]
    Missed,
}

/// What a status says of readiness.
pub(super) struct Readiness<'a> {
    pub(super) phase: Phase,
    pub(super) is_ready: bool,
    /// When condition `Ready` last changed.
    pub(super) changed: Option<SystemTime>,
    pub(super) scheduled: Option<SystemTime>,
    /// `status.startTime`.
    pub(super) started: Option<SystemTime>,
    pub(super) containers: &'a [Container],
}

impl Startup {
    /// What the status of a pod that was not known before tells.
    pub(super) fn at_first_sight(seen: &Readiness<'_>) -> Self {
        if seen.is_ready {
            let took = seen.changed.zip(seen.scheduled).filter(|_| is_first(seen));
            return took.map_or(Self::Missed, |(ready, scheduled)| between(scheduled, ready));
        }
        let never_changed = seen
            .changed
            .zip(seen.started)
            .is_some_and(|(changed, started)| changed <= started + FIRST_STATUS);
        match seen.phase {
            Phase::Pending => Self::Awaited,
            Phase::Running if never_changed => Self::Awaited,
            _ => Self::Missed,
        }
    }

    /// What is known after a pod that was known to be so is now seen as `pod`.
    pub(super) fn then(self, pod: &Pod) -> Self {
        match (self, pod.ready_since.zip(pod.scheduled)) {
            (Self::Awaited, Some((ready, scheduled))) => between(scheduled, ready),
            _ => self,
        }
    }

    /// How long it took, once that is known.
    #[must_use]
    pub fn took(self) -> Option<Duration> {
        match self {
            Self::Took(time) => Some(time),
            Self::Awaited | Self::Missed => None,
        }
    }
}

/// A clock that was set back between the two has shown no time at all.
fn between(scheduled: SystemTime, ready: SystemTime) -> Startup {
    Startup::Took(ready.duration_since(scheduled).unwrap_or_default())
}

/// Whether readiness that is there now can be the first: no container was replaced, and it came soon after the last
/// of them had started.
fn is_first(seen: &Readiness<'_>) -> bool {
    let mut statuses = seen
        .containers
        .iter()
        .filter(|container| matches!(container.role, Role::Regular | Role::Sidecar))
        .filter_map(|container| container.status.as_ref());
    let started = statuses.clone().filter_map(|status| match status.state {
        State::Running(since) => since,
        _ => None,
    });
    let is_soon = started.max().zip(seen.changed).is_some_and(|(started, changed)| {
        changed.duration_since(started).is_ok_and(|waited| waited <= PLAUSIBLE)
    });
    is_soon && statuses.all(|status| status.restarts == 0)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::pods::model::{Resources, Status};

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn container(started: u64, restarts: u32) -> Container {
        let state = State::Running(Some(at(started)));
        Container {
            name: "main".into(),
            role: Role::Regular,
            resources: Resources::default(),
            status: Some(Status { restarts, state, ..Status::default() }),
        }
    }

    #[track_caller]
    fn check(ready: bool, changed: u64, container: Container, expected: Startup) {
        let seen = Readiness {
            phase: Phase::Running,
            is_ready: ready,
            changed: Some(at(changed)),
            scheduled: Some(at(100)),
            started: Some(at(101)),
            containers: &[container],
        };
        assert_eq!(Startup::at_first_sight(&seen), expected);
    }

    #[test]
    fn ready_pod_whose_containers_are_the_first_tells_its_time() {
        check(true, 130, container(110, 0), Startup::Took(Duration::from_secs(30)));
    }

    #[test]
    fn readiness_that_came_back_before_podmeter_was_there_is_not_taken_for_the_first() {
        check(true, 130, container(110, 1), Startup::Missed);
        check(true, 90_000, container(110, 0), Startup::Missed);
        // Running since after it was ready: an odd status.
        check(true, 130, container(140, 0), Startup::Missed);
    }

    #[test]
    fn pod_that_is_not_ready_was_never_ready_only_if_that_has_not_changed_since_it_was_taken() {
        check(false, 101, container(110, 7), Startup::Awaited);
        check(false, 500, container(110, 0), Startup::Missed);
    }

    #[test]
    fn pending_pod_has_not_been_ready() {
        let seen = Readiness {
            phase: Phase::Pending,
            is_ready: false,
            changed: None,
            scheduled: None,
            started: None,
            containers: &[],
        };
        assert_eq!(Startup::at_first_sight(&seen), Startup::Awaited);
    }
}
