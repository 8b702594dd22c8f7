//! Whether a value grows, and how fast: a robust slope over a short history.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Points kept; at one a tick of 10 s this is ten minutes.
const POINTS: usize = 60;
/// The history is looked at in this many parts.
const BLOCKS: usize = 10;
/// Fewer points say nothing about a trend.
const ENOUGH: usize = 6;
/// A limit that is further away than this is not being approached in any useful sense.
const FAR: Duration = Duration::from_secs(30 * 24 * 3600);

/// The history of one value.
#[derive(Clone, Debug, Default)]
pub struct Trend {
    points: VecDeque<(Instant, f64)>,
}

impl Trend {
    /// Remembers a value, at most one for each `spacing`: extra ticks must not shorten the history.
    pub fn push(&mut self, now: Instant, value: f64, spacing: Duration) {
        // Half a tick of tolerance: a tick that comes a little early must not leave a hole.
        if self.points.back().is_some_and(|(last, _)| now.duration_since(*last) < spacing / 2) {
            return;
        }
        if self.points.capacity() == 0 {
            self.points.reserve_exact(POINTS);
        }
        if self.points.len() == POINTS {
            self.points.pop_front();
        }
        self.points.push_back((now, value));
    }

    /// Growth a second: the median of the slopes between the lowest points of each tenth of the history.
    ///
    /// The lowest points are what is left after a garbage collection, so a saw-tooth shows its floor; the
    /// median of all pairs (Theil and Sen) shrugs off a quarter of wild ones. `None` when there is too
    /// little history or when less than two thirds of the slopes are upwards.
    #[must_use]
    pub fn slope(&self) -> Option<f64> {
        if self.points.len() < ENOUGH {
            return None;
        }
        let blocks = self.points.len().min(BLOCKS);
        let mut floors = [None; BLOCKS];
        for (at, point) in self.points.iter().enumerate() {
            let floor = &mut floors[at * blocks / self.points.len()];
            if floor.is_none_or(|(_, lowest)| point.1 < lowest) {
                *floor = Some(*point);
            }
        }
        let mut slopes = [0.0_f64; BLOCKS * (BLOCKS - 1) / 2];
        let mut count = 0;
        for (at, late) in floors.iter().enumerate() {
            for early in &floors[..at] {
                let (Some(early), Some(late)) = (early, late) else { continue };
                slopes[count] = (late.1 - early.1)
                    / late.0.duration_since(early.0).as_secs_f64().max(f64::MIN_POSITIVE);
                count += 1;
            }
        }
        let slopes = &mut slopes[..count];
        let rising = slopes.iter().filter(|slope| **slope > 0.0).count();
        if count == 0 || rising * 3 < count * 2 {
            return None;
        }
        let (_, median, _) = slopes.select_nth_unstable_by(count / 2, f64::total_cmp);
        (*median > 0.0 && median.is_finite()).then_some(*median)
    }

    /// Seconds until the latest value reaches `limit` at the present growth.
    #[must_use]
    pub fn seconds_to(&self, limit: f64) -> Option<f64> {
        let (_, value) = self.points.back()?;
        let seconds = (limit - value).max(0.0) / self.slope()?;
        (seconds <= FAR.as_secs_f64()).then_some(seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_secs(10);

    fn trend(values: impl IntoIterator<Item = f64>) -> Trend {
        let start = Instant::now();
        let mut trend = Trend::default();
        for (at, value) in values.into_iter().enumerate() {
            trend.push(start + TICK * u32::try_from(at).unwrap(), value, TICK);
        }
        trend
    }

    #[test]
    fn steady_growth_reaches_the_limit_when_arithmetic_says() {
        let trend = trend((0..30).map(|at| 100.0 + 5.0 * f64::from(at)));
        assert_eq!(trend.slope(), Some(0.5));
        assert_eq!(trend.seconds_to(345.0), Some(200.0));
        assert_eq!(trend.seconds_to(10.0), Some(0.0), "already above");
    }

    #[test]
    fn saw_tooth_and_flat_and_falling_are_not_growth() {
        for period in 2..10 {
            assert_eq!(
                trend((0..60).map(|at| 100.0 + f64::from(at % period) * 20.0)).seconds_to(1000.0),
                None,
                "period {period}"
            );
        }
        assert_eq!(trend([100.0; 20]).seconds_to(1000.0), None);
        assert_eq!(trend((0..20).map(|at| 100.0 - f64::from(at))).seconds_to(1000.0), None);
    }

    #[test]
    fn a_few_wild_points_do_not_change_the_slope() {
        let wild = |at: u32| if at.is_multiple_of(11) { 1e9 } else { 100.0 + 5.0 * f64::from(at) };
        assert_eq!(trend((1..50).map(wild)).slope(), Some(0.5));
    }

    #[test]
    fn little_history_says_nothing_and_a_far_limit_is_no_limit() {
        assert_eq!(trend([1.0, 2.0, 3.0]).slope(), None);
        assert_eq!(trend((0..30).map(f64::from)).seconds_to(1e12), None);
    }

    #[test]
    fn extra_ticks_do_not_shorten_the_history() {
        let start = Instant::now();
        let mut trend = Trend::default();
        for at in 0..100_u32 {
            trend.push(start + Duration::from_secs(1) * at, f64::from(at), TICK);
        }
        assert_eq!(trend.points.len(), 20, "one for each half tick at most");
        assert_eq!(trend.slope(), Some(1.0));
    }
}
