//! One line of JSON for each request, or for some.
//!
//! A worker writes its line into a buffer of its own, which a thread of its own takes to the file: no request
//! ever waits for a disk. What comes faster than it can be written is dropped and counted. A line has neither
//! query, nor cookies, nor any header but the user agent.

mod line;
mod writer;

#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use http::{Method, StatusCode, Version};
use tokio::sync::Notify;

pub use writer::Writer;

use super::settings;
use super::stats::TraceId;
use crate::labels::{Label, LabelSet};
use crate::schema::Series;
use crate::snapshot::{Contribute, Snapshot};

/// Bytes that may wait to be written, of all workers together.
const WAITING: usize = 1 << 20;
/// Of one worker, however many there are; a few times the longest line.
const LEAST_WAITING: usize = 64 << 10;

/// One request, answered or given up.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// When the request's head had come.
    pub time: SystemTime,
    /// As the client sent it.
    pub method: &'a Method,
    /// As the client sent it.
    pub host: &'a str,
    /// As the client sent it; what stands behind a `?` is not written.
    pub path: &'a str,
    /// The `route` label: the Ingress, or the name in the file. Empty without a route.
    pub route: &'a str,
    /// The `http_route` label: the route's path. Empty without a route.
    pub template: &'a str,
    /// What the client was answered.
    pub status: StatusCode,
    /// Why the proxy answered itself or the answer is not whole.
    pub error: Option<&'static str>,
    /// From the head of the request until the last byte of the answer was taken.
    pub total: Duration,
    /// Until the head of the pod's answer.
    pub first_byte: Option<Duration>,
    /// What the proxy itself added.
    pub added: Duration,
    /// Bytes of the request's body.
    pub request_bytes: u64,
    /// Bytes of the answer's body.
    pub response_bytes: u64,
    /// Who asked: behind trusted proxies, whom they name.
    pub client: IpAddr,
    /// The pod's namespace; empty when no pod was asked.
    pub pod_namespace: &'a str,
    /// The pod's name; empty when no pod was asked.
    pub pod: &'a str,
    /// What the client speaks.
    pub protocol: Version,
    /// Of the request's `traceparent`.
    pub trace: Option<TraceId>,
    /// As the client sent it, text or not.
    pub user_agent: Option<&'a [u8]>,
}

/// Why there is no access log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory is missing or not writable: check `access_log.path` and the volume.
    #[error("cannot open the access log {}; make its directory writable", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// The thread got nothing to wait with.
    #[error("cannot wait for lines of the access log")]
    Runtime(#[source] std::io::Error),
}

/// Why a line is not in the log. The `reason` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lost {
    /// As much as may wait was waiting.
    Full,
    /// It could not be written.
    Write,
}

impl Lost {
    const ALL: [Self; 2] = [Self::Full, Self::Write];

    fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Write => "write",
        }
    }
}

/// The workers' end. A clone writes into the same log.
#[derive(Clone, Debug)]
pub struct AccessLog(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    sample: f64,
    /// Lines that wait, by worker, so that no two wait for each other.
    lanes: Box<[Mutex<Vec<u8>>]>,
    /// Most bytes of one lane, less the line with which it is reached.
    bound: usize,
    /// There is a first line somewhere.
    some: Notify,
    /// A lane is half full.
    much: Notify,
    lost: [(AtomicU64, Arc<LabelSet>); Lost::ALL.len()],
}

impl AccessLog {
    /// Opens the file, and gives the end that a thread of its own must run.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(settings: &settings::AccessLog, workers: usize) -> Result<(Self, Writer), Error> {
        let lanes: Box<[_]> = (0..workers.max(1)).map(|_| Mutex::default()).collect();
        let shared = Arc::new(Shared {
            sample: settings.sample,
            bound: (WAITING / lanes.len()).max(LEAST_WAITING),
            lanes,
            some: Notify::new(),
            much: Notify::new(),
            lost: Lost::ALL.map(|lost| {
                let label = Label::own("reason", lost.as_str());
                (AtomicU64::new(0), Arc::new(LabelSet::new(vec![label])))
            }),
        });
        let writer = Writer::open(shared.clone(), settings.path.clone())?;
        Ok((Self(shared), writer))
    }

    /// Writes the request's line, if its turn has come: of all requests the configured part, and each with
    /// a status of 500 and above.
    pub fn write(&self, worker: usize, entry: &Entry<'_>) {
        let shared = &*self.0;
        let is_wanted = entry.status.as_u16() >= 500
            || shared.sample >= 1.0
            || (shared.sample > 0.0 && fastrand::f64() < shared.sample);
        if !is_wanted {
            return;
        }
        let mut lane = shared.lane(worker);
        let before = lane.len();
        if before >= shared.bound {
            drop(lane);
            return shared.lose(Lost::Full, 1);
        }
        let written = line::write(&mut lane, entry);
        if written.is_err() {
            lane.truncate(before);
        }
        let after = lane.len();
        drop(lane);
        if written.is_err() {
            shared.lose(Lost::Write, 1);
        }
        // Only at these two moments, since waking a thread costs more than a line.
        if before == 0 {
            shared.some.notify_one();
        }
        if (before..after).contains(&(shared.bound / 2)) {
            shared.much.notify_one();
        }
    }
}

impl Shared {
    /// A panic in the middle of a line leaves a torn line, and nothing worse.
    fn lane(&self, worker: usize) -> std::sync::MutexGuard<'_, Vec<u8>> {
        self.lanes[worker % self.lanes.len()].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lose(&self, why: Lost, lines: u64) {
        self.lost[why as usize].0.fetch_add(lines, Ordering::Relaxed);
    }
}

impl Contribute for AccessLog {
    fn contribute(&mut self, snapshot: &mut Snapshot, agent: u32) {
        for (count, labels) in &self.0.lost {
            let count = count.load(Ordering::Relaxed) as f64;
            snapshot.add(Series::AccessLogDropped.into(), agent, Some(labels.clone()), count);
        }
    }
}
