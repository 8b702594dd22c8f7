//! Whether a pod is left alone for a while.
//!
//! Closed while it works. After failures in a row it opens for a pause; then one request at a time may try
//! whether the pod works again: a success closes it, a failure opens it for twice the pause.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::proxy::settings::Ejection;

/// A pod's circuit. Times are microseconds of the proxy's clock.
#[derive(Debug, Default)]
pub(crate) struct Circuit {
    failures: AtomicU32,
    /// How often in a row it opened; 0 while closed.
    opened: AtomicU32,
    /// Open until then.
    until: AtomicU64,
    /// A request tries whether the pod works again.
    probing: AtomicBool,
}

/// What a request may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passage {
    /// Go on.
    Free,
    /// Go on only after [`Circuit::probe`].
    Probe,
    /// Leave it alone.
    Open,
}

impl Circuit {
    pub(crate) fn passage(&self, now: u64) -> Passage {
        if self.opened.load(Relaxed) == 0 {
            Passage::Free
        } else if self.probing.load(Relaxed) || now < self.until.load(Relaxed) {
            Passage::Open
        } else {
            Passage::Probe
        }
    }

    /// Whether it works, as far as is known.
    pub(crate) fn is_closed(&self) -> bool {
        self.opened.load(Relaxed) == 0
    }

    /// Claims the one trial; false when another request has it.
    pub(crate) fn probe(&self) -> bool {
        !self.probing.swap(true, Relaxed)
    }

    /// A trial ended without telling anything, such as by a client that went away.
    pub(crate) fn unprobe(&self) {
        self.probing.store(false, Relaxed);
    }

    /// It answered to the end.
    pub(crate) fn finished(&self) {
        // The usual case writes nothing.
        if self.failures.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
        }
    }

    /// It began to answer. Whether that closed the circuit.
    pub(crate) fn worked(&self) -> bool {
        if self.opened.load(Relaxed) == 0 {
            return false;
        }
        self.probing.store(false, Relaxed);
        self.opened.swap(0, Relaxed) != 0
    }

    /// It failed, maybe the trial. Whether that opened the circuit.
    pub(crate) fn failed(&self, now: u64, is_trial: bool, ejection: &Ejection) -> bool {
        let failures = self.failures.fetch_add(1, Relaxed).saturating_add(1);
        let was_open = !self.is_closed();
        if is_trial {
            self.unprobe();
        }
        if ejection.consecutive == 0 || (!was_open && failures < ejection.consecutive) {
            return false;
        }
        // Requests that were under way when it opened say nothing new, and neither do those that would not wait for
        // the end of the pause.
        if was_open && (!is_trial || now < self.until.load(Relaxed)) {
            return false;
        }
        let opened = self.opened.fetch_add(1, Relaxed);
        let pause = ejection.pause.saturating_mul(1 << opened.min(16)).min(ejection.max_pause);
        let pause = u64::try_from(pause.as_micros()).unwrap_or(u64::MAX);
        self.until.store(now.saturating_add(pause), Relaxed);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn opened() -> (Circuit, Ejection) {
        let (circuit, ejection) = (Circuit::default(), Ejection::default());
        for failure in 1..=ejection.consecutive {
            assert_eq!(circuit.failed(0, false, &ejection), failure == ejection.consecutive);
        }
        (circuit, ejection)
    }

    #[test]
    fn a_success_between_failures_keeps_it_closed() {
        let (circuit, ejection) = (Circuit::default(), Ejection::default());
        for _ in 0..10 * ejection.consecutive {
            circuit.failed(0, false, &ejection);
            assert!(!circuit.worked());
            circuit.finished();
        }
        assert_eq!(circuit.passage(0), Passage::Free);
    }

    #[test]
    fn one_trial_after_the_pause_closes_it_or_doubles_the_pause() {
        let (circuit, ejection) = opened();
        assert_eq!(circuit.passage(4 * SECOND), Passage::Open);
        assert_eq!(circuit.passage(5 * SECOND), Passage::Probe);
        assert!(circuit.probe() && !circuit.probe());
        assert_eq!(circuit.passage(5 * SECOND), Passage::Open, "another one is trying");

        assert!(circuit.failed(5 * SECOND, true, &ejection));
        assert_eq!(circuit.passage(14 * SECOND), Passage::Open);
        assert_eq!(circuit.passage(15 * SECOND), Passage::Probe);
        assert!(circuit.probe());
        assert!(circuit.worked());
        assert_eq!(circuit.passage(15 * SECOND), Passage::Free);
    }

    #[test]
    fn failures_of_requests_that_were_under_way_do_not_lengthen_the_pause() {
        let (circuit, ejection) = opened();
        for _ in 0..100 {
            assert!(!circuit.failed(SECOND, false, &ejection));
        }
        assert_eq!(circuit.passage(5 * SECOND), Passage::Probe);
    }

    #[test]
    fn trials_before_the_end_of_the_pause_do_not_lengthen_it() {
        let (circuit, ejection) = opened();
        for now in 1..100 {
            assert!(circuit.probe());
            assert!(!circuit.failed(now, true, &ejection));
        }
        assert_eq!(circuit.passage(5 * SECOND), Passage::Probe);
    }

    #[test]
    fn a_late_failure_is_not_the_trials() {
        let (circuit, ejection) = opened();
        assert!(circuit.probe());
        assert!(!circuit.failed(6 * SECOND, false, &ejection));
        assert_eq!(circuit.passage(6 * SECOND), Passage::Open, "the trial is still under way");
        assert!(circuit.worked());
    }

    #[test]
    fn answers_that_break_off_count_although_they_began() {
        let (circuit, ejection) = (Circuit::default(), Ejection::default());
        for failure in 1..=ejection.consecutive {
            circuit.worked();
            assert_eq!(circuit.failed(0, false, &ejection), failure == ejection.consecutive);
        }
    }

    #[test]
    fn a_trial_that_told_nothing_lets_the_next_one_try() {
        let (circuit, _) = opened();
        assert!(circuit.probe());
        circuit.unprobe();
        assert_eq!(circuit.passage(5 * SECOND), Passage::Probe);
    }

    #[test]
    fn zero_failures_turns_it_off() {
        let circuit = Circuit::default();
        let never = Ejection { consecutive: 0, ..Ejection::default() };
        assert!((0..100).all(|_| !circuit.failed(0, false, &never)));
    }
}
