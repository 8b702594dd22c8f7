//! How long and how much: one place for every number that the cases share.

use std::time::Duration;

use anyhow::Context;

/// Connections that ask at once, here as in `wrk`.
pub(crate) const CONNECTIONS: usize = 64;
/// Threads of `wrk`, and of each proxy.
pub(crate) const THREADS: usize = 2;
/// Clients that are idle, or slow.
pub(crate) const CROWD: usize = 1000;
/// Of nginx's rate at saturation: what the cases of a fixed rate ask for.
pub(crate) const PART: f64 = 0.5;
/// Makes every window this many seconds long and every case one round.
const SHORT: &str = "PODMETER_BENCH_SECONDS";

/// Rounds of a case and the seconds of each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows {
    /// In each, every proxy has its turn.
    pub(crate) rounds: usize,
    /// Of one proxy's turn.
    pub(crate) seconds: u64,
}

/// The windows of every case. All together are five minutes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// As fast as it goes.
    pub(crate) saturation: Windows,
    /// A new connection for each request.
    pub(crate) connections: Windows,
    /// At a fixed rate.
    pub(crate) paced: Windows,
    /// The same beside a crowd.
    pub(crate) crowd: Windows,
    /// Under the profiler.
    pub(crate) profile: Windows,
}

impl Plan {
    /// The whole one, or as short as the environment says.
    pub(crate) fn from_environment() -> anyhow::Result<Self> {
        let short = match std::env::var(SHORT) {
            Ok(text) => Some(text.parse().with_context(|| format!("{SHORT} is no number"))?),
            Err(_) => None,
        };
        let windows = |rounds, seconds| match short {
            Some(seconds) => Windows { rounds: 1, seconds },
            None => Windows { rounds, seconds },
        };
        Ok(Self {
            saturation: windows(5, 2),
            connections: windows(3, 2),
            paced: windows(3, 3),
            crowd: windows(2, 3),
            profile: windows(1, 3),
        })
    }
}

impl Windows {
    /// Of one turn.
    pub(crate) fn length(self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}
