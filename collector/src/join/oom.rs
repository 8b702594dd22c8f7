//! OOM kills of one (pod, container name), kept across the container's replacement.
//!
//! The kernel's counter dies with the cgroup, often milliseconds after it went up, so the pod's status
//! completes what the counter could not tell (cAdvisor's series stays 0 for that reason).

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::cgroup::ContainerId;
use crate::pods::model::{State, Status, Termination};

/// Ends that are remembered. A status tells of two at once, and tells them again at every reading.
const SETTLED: usize = 4;
/// Readings after which a kill is surely another than the one that ended the container; more are not told apart.
const OUTLIVED: u32 = 2;

/// The running total.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Oom {
    total: u64,
    /// What the kernel said last, and for which container.
    kernel: Option<Kernel>,
    /// Whose terminations were already looked at, the latest last.
    settled: VecDeque<ContainerId>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Kernel {
    id: ContainerId,
    kills: u64,
    /// Readings since the count last went up in which something still ran; `None` before it did.
    outlived: Option<u32>,
}

impl Oom {
    /// Takes the kernel's count of the container that runs now; `is_alive` unless it has no process left.
    pub(super) fn kernel(&mut self, id: &ContainerId, kills: u64, is_alive: bool) {
        match &mut self.kernel {
            Some(seen) if seen.id == *id => {
                if kills > seen.kills {
                    self.total = self.total.saturating_add(kills - seen.kills);
                    seen.outlived = Some(0);
                } else if is_alive {
                    seen.outlived =
                        seen.outlived.map(|readings| readings.saturating_add(1).min(OUTLIVED));
                }
                seen.kills = seen.kills.max(kills);
            }
            _ => {
                self.total = self.total.saturating_add(kills);
                let outlived = (kills > 0).then_some(0);
                self.kernel = Some(Kernel { id: id.clone(), kills, outlived });
            }
        }
    }

    /// Takes what the kubelet says about how containers ended.
    pub(super) fn status(&mut self, status: &Status) {
        if let Some(last) = &status.last {
            self.ended(last);
        }
        if let State::Terminated(now) = &status.state {
            self.ended(now);
        }
    }

    fn ended(&mut self, end: &Termination) {
        if end.reason.as_deref() != Some("OOMKilled") {
            return;
        }
        let Some(id) = &end.id else { return };
        if self.settled.contains(id) {
            return;
        }
        while self.settled.len() >= SETTLED {
            self.settled.pop_front();
        }
        self.settled.push_back(id.clone());
        // A count that went up and was outlived told of a child process: the kill that ended the container
        // came later, unseen. One reading may show processes that are still ending. A dead container's
        // cgroup may stay for any time, so readings as such mean nothing.
        let counted = self.kernel.as_ref().is_some_and(|seen| {
            seen.id == *id && seen.outlived.is_some_and(|readings| readings < OUTLIVED)
        });
        if !counted {
            self.total = self.total.saturating_add(1);
        }
    }

    /// Goes on from what was kept, by an earlier process or by one that still runs beside this one.
    ///
    /// Both may have counted the same kills, so the two are not added: whoever counted more is right, with all that
    /// belongs to its count.
    pub(super) fn resume(&mut self, kept: Self) {
        if self.is_new() || kept.total > self.total {
            *self = kept;
        }
    }

    /// Whether there is nothing to say yet that a new one would not say.
    pub(crate) fn is_new(&self) -> bool {
        self.total == 0
            && self.settled.is_empty()
            && self.kernel.as_ref().is_none_or(|seen| seen.kills == 0)
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn killed(id: &str) -> Status {
        let end = Termination {
            id: Some(ContainerId::new(id)),
            reason: Some("OOMKilled".into()),
            exit_code: 137,
            finished: None,
        };
        Status { last: Some(end), ..Status::default() }
    }

    #[test]
    fn kill_that_took_the_cgroup_with_it_is_counted_from_the_status_once() {
        let mut oom = Oom::default();
        oom.kernel(&ContainerId::new("a"), 0, true);
        oom.status(&killed("a"));
        oom.status(&killed("a"));
        assert_eq!(oom.total(), 1);
    }

    #[test]
    fn kill_that_the_kernel_told_is_not_counted_again_from_the_status() {
        let mut oom = Oom::default();
        oom.kernel(&ContainerId::new("a"), 0, true);
        oom.kernel(&ContainerId::new("a"), 1, true);
        oom.status(&killed("a"));
        assert_eq!(oom.total(), 1);
    }

    #[test]
    fn dead_container_that_stays_for_many_readings_counts_once() {
        let mut oom = Oom::default();
        oom.kernel(&ContainerId::new("a"), 0, true);
        for _ in 0..5 {
            oom.kernel(&ContainerId::new("a"), 1, false);
        }
        oom.status(&killed("a"));
        assert_eq!(oom.total(), 1);
    }

    #[test]
    fn children_killed_long_before_do_not_hide_the_last_kill() {
        let mut oom = Oom::default();
        oom.kernel(&ContainerId::new("a"), 0, true);
        for _ in 0..3 {
            oom.kernel(&ContainerId::new("a"), 2, true);
        }
        oom.status(&killed("a"));
        assert_eq!(oom.total(), 3);
    }

    #[test]
    fn replaced_container_goes_on_from_the_old_total() {
        let mut oom = Oom::default();
        oom.kernel(&ContainerId::new("a"), 2, true);
        oom.kernel(&ContainerId::new("b"), 0, true);
        oom.kernel(&ContainerId::new("b"), 1, true);
        assert_eq!(oom.total(), 3);
    }

    #[test]
    fn every_replacement_that_died_of_memory_counts() {
        let mut oom = Oom::default();
        oom.status(&killed("a"));
        oom.status(&killed("b"));
        assert_eq!(oom.total(), 2);
    }

    #[test]
    fn two_ends_that_stand_in_the_status_at_once_count_once_each() {
        let end = |id: &str| killed(id).last.unwrap();
        let both = Status { state: State::Terminated(end("b")), ..killed("a") };
        let mut oom = Oom::default();
        for _ in 0..5 {
            oom.status(&both);
        }
        oom.status(&killed("b"));
        assert_eq!(oom.total(), 2);
    }

    #[test]
    fn resumed_count_goes_on_where_the_other_process_left_it() {
        let mut before = Oom::default();
        before.kernel(&ContainerId::new("a"), 2, true);
        before.status(&killed("z"));
        let mut oom = Oom::default();
        oom.resume(before.clone());
        oom.kernel(&ContainerId::new("a"), 2, true);
        oom.status(&killed("z"));
        assert_eq!(oom.total(), 3, "neither is counted again");
        oom.kernel(&ContainerId::new("a"), 3, true);
        oom.kernel(&ContainerId::new("b"), 1, true);
        assert_eq!(oom.total(), 5);
        oom.resume(before);
        assert_eq!(oom.total(), 5, "an older count does not set it back");
    }

    #[test]
    fn count_of_a_process_that_saw_more_is_taken_over_once() {
        let mut ours = Oom::default();
        ours.kernel(&ContainerId::new("a"), 0, true);
        let mut theirs = ours.clone();
        theirs.kernel(&ContainerId::new("a"), 1, true);
        ours.resume(theirs);
        ours.kernel(&ContainerId::new("a"), 1, true);
        assert_eq!(ours.total(), 1);
    }

    #[test]
    fn totals_from_a_file_do_not_overflow() {
        let mut oom: Oom = serde_json::from_str(&format!("{{\"total\": {}}}", u64::MAX)).unwrap();
        oom.kernel(&ContainerId::new("a"), 7, true);
        oom.status(&killed("b"));
        assert_eq!(oom.total(), u64::MAX);
    }
}
