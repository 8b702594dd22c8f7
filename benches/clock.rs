//! Times that can be compared although the machine is busy with other things.
//!
//! Two measures against a noisy machine: the thread's own CPU time instead of the wall clock, so that
//! what others run is not counted, and turns taken in each round, so that a slow phase hits all alike.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Fewest and most rounds, whatever they take.
const ROUNDS: std::ops::RangeInclusive<usize> = 15..=1000;

/// What is measured: does its work once and answers how long that took.
pub(crate) type Subject<'a> = Box<dyn FnMut() -> f64 + 'a>;

/// Times of one subject, in seconds, sorted.
#[derive(Clone, Debug)]
pub(crate) struct Times(Vec<f64>);

impl Times {
    fn quantile(&self, q: f64) -> f64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
        let at = (q * (self.0.len().max(1) - 1) as f64).round() as usize;
        self.0.get(at).copied().unwrap_or(f64::NAN)
    }

    /// The middle one.
    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The one that nine of ten are below.
    pub(crate) fn p90(&self) -> f64 {
        self.quantile(0.9)
    }
}

/// CPU time of this thread so far.
fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// How much CPU time of this thread `work` takes, in seconds.
pub(crate) fn timed(work: impl FnOnce()) -> f64 {
    let began = cpu();
    work();
    cpu() - began
}

/// A subject that is timed by the CPU time of this thread.
pub(crate) fn subject<'a>(mut work: impl FnMut() + 'a) -> Subject<'a> {
    Box::new(move || timed(&mut work))
}

/// Runs all subjects in turn, again and again for about `budget`, each round starting with another one.
pub(crate) fn interleave<const N: usize>(
    budget: Duration,
    mut subjects: [Subject<'_>; N],
) -> [Times; N] {
    let mut times = [const { Vec::new() }; N];
    let start = Instant::now();
    for round in 0..*ROUNDS.end() {
        if round >= *ROUNDS.start() && start.elapsed() > budget {
            break;
        }
        for turn in 0..N {
            let at = (round + turn) % N;
            times[at].push((subjects[at])());
        }
    }
    times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        Times(times)
    })
}
