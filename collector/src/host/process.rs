//! What this process itself uses.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::{Resource, getrlimit};

/// Where `/proc/self/fd` does not tell its size (before Linux 6.2) it is listed, no more often than this.
const COUNT_EVERY: Duration = Duration::from_secs(60);

/// One reading.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// CPU time, user and system.
    pub cpu: Option<Duration>,
    /// Resident bytes.
    pub resident: Option<u64>,
    /// Files open.
    pub fds: Option<u64>,
    /// Most files that may be open.
    pub max_fds: Option<u64>,
    /// When it started.
    pub started: Option<SystemTime>,
}

/// Reads what this process uses.
#[derive(Debug, Default)]
pub struct Reader {
    usage: Usage,
    counted: Option<Instant>,
}

impl Reader {
    /// Reads. What cannot be read keeps its last value.
    pub fn tick(&mut self, now: Instant, booted: Option<SystemTime>) -> Usage {
        if let Ok(stat) = procfs::process::Process::myself().and_then(|process| process.stat()) {
            let ticks = rustix::param::clock_ticks_per_second().max(1);
            let seconds =
                |jiffies: u64| Duration::from_millis(jiffies.saturating_mul(1000) / ticks);
            self.usage.cpu = Some(seconds(stat.utime) + seconds(stat.stime));
            self.usage.resident = Some(stat.rss.saturating_mul(rustix::param::page_size() as u64));
            let boot = booted.unwrap_or(UNIX_EPOCH);
            self.usage.started = (boot != UNIX_EPOCH).then(|| boot + seconds(stat.starttime));
        }
        self.usage.max_fds = getrlimit(Resource::Nofile).current;
        self.fds(now);
        self.usage
    }

    fn fds(&mut self, now: Instant) {
        let directory = Path::new("/proc/self/fd");
        let size = directory.metadata().map_or(0, |metadata| metadata.len());
        if size > 0 {
            self.usage.fds = Some(size);
        } else if self.counted.is_none_or(|counted| now.duration_since(counted) >= COUNT_EVERY) {
            self.counted = Some(now);
            self.usage.fds = directory.read_dir().ok().map(|entries| entries.count() as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_about_this_process() {
        let usage =
            Reader::default().tick(Instant::now(), Some(UNIX_EPOCH + Duration::from_secs(1)));
        assert!(usage.cpu.is_some() && usage.started.is_some());
        assert!(usage.resident.unwrap() > 1 << 20);
        assert!((3..=usage.max_fds.unwrap()).contains(&usage.fds.unwrap()));
    }
}
