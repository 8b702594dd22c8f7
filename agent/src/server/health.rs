//! Whether Podmeter works: ready when every check holds, alive while it goes on sampling.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::tick::Ticks;

/// The outcome of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    name: String,
    note: Option<String>,
    fault: Option<Fault>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault {
    missing: String,
    fix: String,
}

impl Check {
    /// It holds.
    #[must_use]
    pub fn ok(name: impl Into<String>) -> Self {
        Self { name: name.into(), note: None, fault: None }
    }

    /// It does not: what is missing, and what someone can do about it.
    #[must_use]
    pub fn failed(
        name: impl Into<String>,
        missing: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        let fault = Fault { missing: missing.into(), fix: fix.into() };
        Self { name: name.into(), note: None, fault: Some(fault) }
    }

    /// Something that those who look should know although the check holds.
    #[must_use]
    pub fn noting(self, note: impl Into<String>) -> Self {
        Self { note: Some(note.into()), ..self }
    }

    /// Whether it holds.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.fault.is_none()
    }
}

/// What must hold before Podmeter is ready. Asked on the event loop, so a check must not block.
#[derive(Default)]
pub struct Readiness {
    checks: Vec<Box<dyn Fn() -> Check + Send + Sync>>,
}

impl Readiness {
    /// Ready when all of these hold; at once when there are none.
    #[must_use]
    pub fn new(checks: Vec<Box<dyn Fn() -> Check + Send + Sync>>) -> Self {
        Self { checks }
    }

    /// Asks every check.
    #[must_use]
    pub fn checks(&self) -> Vec<Check> {
        self.checks.iter().map(|check| check()).collect()
    }
}

/// One line for each check.
pub(super) fn report(checks: &[Check]) -> String {
    checks.iter().fold(String::new(), |mut report, Check { name, note, fault }| {
        // Writing to a String does not fail.
        let _ = match (fault, note) {
            (None, None) => writeln!(report, "{name}: ok"),
            (None, Some(note)) => writeln!(report, "{name}: ok, but {note}"),
            (Some(Fault { missing, fix }), _) => {
                writeln!(report, "{name}: not ok: {missing}; {fix}")
            }
        };
        report
    })
}

/// Why sampling counts as stuck, in a sentence; `None` while it does not.
///
/// Judged by the wall clock, as that is what a snapshot carries: a clock set forward may fail one
/// probe, which the next tick mends, and one set back hides a stuck thread until it has caught up.
pub(super) fn stuck(ticks: &Ticks, started: Instant, bound: Duration) -> Option<String> {
    let (age, what) = match ticks.latest() {
        Some(snapshot) => (
            SystemTime::now().duration_since(snapshot.taken()).unwrap_or_default(),
            "the last tick was",
        ),
        None => (started.elapsed(), "there has been no tick since the start"),
    };
    (age > bound).then(|| {
        format!("Sampling is stuck: {what} {} s ago and at most {} s are allowed; the log says what the sampling thread met.\n", age.as_secs(), bound.as_secs())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_names_what_is_missing_and_the_fix() {
        let checks = [
            Check::ok("listeners"),
            Check::ok("node").noting("what is known is 5 s old"),
            Check::failed("pods", "no complete list yet", "allow `list` on pods"),
        ];
        assert_eq!(
            report(&checks),
            "listeners: ok\nnode: ok, but what is known is 5 s old\npods: not ok: no complete list yet; allow `list` on pods\n"
        );
        assert_eq!(report(&[]), "");
    }
}
