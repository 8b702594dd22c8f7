//! How long to wait before the next try.

use std::time::Duration;

/// Longest wait that a server can ask for.
const MAX_ASKED: Duration = Duration::from_secs(300);

/// The bounds of the pauses between tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The first pause is at most this. Default 500 ms.
    pub min: Duration,
    /// No pause of our own is longer. Default 30 s.
    pub max: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { min: Duration::from_millis(500), max: Duration::from_secs(30) }
    }
}

/// Doubling pauses with full jitter: a random part of the bound, so that the agents of a cluster do not
/// come back at the same moment after the API server was away.
#[derive(Debug)]
pub(crate) struct Backoff {
    pace: Pace,
    doublings: u32,
}

impl Backoff {
    pub(crate) fn new(pace: Pace) -> Self {
        Self { pace, doublings: 0 }
    }

    pub(crate) fn reset(&mut self) {
        self.doublings = 0;
    }

    /// The next pause, not shorter than what the server asked for.
    pub(crate) fn next(&mut self, asked: Option<Duration>) -> Duration {
        let bound = self.pace.min.saturating_mul(1 << self.doublings.min(20)).min(self.pace.max);
        self.doublings = self.doublings.saturating_add(1);
        asked.unwrap_or_default().min(MAX_ASKED) + bound.mul_f64(fastrand::f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_bound_and_no_further() {
        let pace = Pace::default();
        let mut backoff = Backoff::new(pace);
        let pauses: Vec<_> = (0..200).map(|_| backoff.next(None)).collect();
        assert!(pauses[0] <= pace.min);
        assert!(pauses.iter().all(|pause| *pause <= pace.max));
        assert!(pauses[20..].iter().max().unwrap() > &Duration::from_secs(10), "they grow");
        assert!(pauses[20..].iter().min().unwrap() < &Duration::from_secs(10), "they are spread");

        backoff.reset();
        assert!(backoff.next(None) <= pace.min);
    }

    #[test]
    fn pause_is_never_shorter_than_asked_and_asking_is_bounded() {
        let mut backoff = Backoff::new(Pace::default());
        assert!(backoff.next(Some(Duration::from_secs(7))) >= Duration::from_secs(7));
        assert!(
            backoff.next(Some(Duration::from_secs(86_400))) <= MAX_ASKED + Duration::from_secs(1)
        );
    }
}
