//! Steady traffic from several clients, each with a connection that it keeps.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::cluster::client::Target;

/// Failures that are written down by each client.
const MAX_TOLD: usize = 10;

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traffic {
    /// How many clients at once.
    pub(crate) clients: u32,
    /// From one request of a client to its next.
    pub(crate) every: Duration,
    /// Each so-manieth request of a client is a POST; 0 for none.
    pub(crate) posts: u32,
}

/// The traffic, under way.
pub(crate) struct Load {
    clients: Vec<JoinHandle<Report>>,
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    began: Instant,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Requests in all.
    pub(crate) sent: u64,
    /// How many of them were POST.
    pub(crate) posts: u64,
    /// Whatever was not answered with 200.
    pub(crate) failed: u64,
    /// The first of those, in words.
    pub(crate) failures: Vec<String>,
    /// Connections that the clients made.
    pub(crate) connections: u32,
    /// Answers by pod.
    pub(crate) by_pod: BTreeMap<String, u64>,
    /// The longest time that a request took.
    pub(crate) slowest: Duration,
    /// How long it went on.
    pub(crate) took: Duration,
}

impl Load {
    /// Sends until it is stopped.
    pub(crate) fn start(target: &Target, traffic: Traffic) -> Self {
        let (stop, sent) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let began = Instant::now();
        let clients = (0..traffic.clients)
            .map(|number| {
                let (target, stop, sent) = (target.clone(), stop.clone(), sent.clone());
                // Not all at the same moment.
                let first = began + traffic.every * number / traffic.clients;
                thread::spawn(move || client(&target, traffic, first, (&stop, &sent)))
            })
            .collect();
        Self { clients, stop, sent, began }
    }

    /// How many requests were answered or have failed so far.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    /// Stops, and says what came of it.
    pub(crate) fn finish(self) -> Report {
        self.stop.store(true, Relaxed);
        let mut report = Report::default();
        for client in self.clients {
            report.add(client.join().expect("a client does not panic"));
        }
        report.took = self.began.elapsed();
        report
    }
}

impl Report {
    /// One line for whoever reads the suite's output.
    pub(crate) fn line(&self) -> String {
        format!(
            "{} requests ({} POST) in {:.1} s over {} connections to {} pods, slowest {:.2} s, {} failed",
            self.sent,
            self.posts,
            self.took.as_secs_f64(),
            self.connections,
            self.by_pod.len(),
            self.slowest.as_secs_f64(),
            self.failed,
        )
    }

    fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.posts += other.posts;
        self.failed += other.failed;
        self.failures.extend(other.failures);
        self.connections += other.connections;
        self.slowest = self.slowest.max(other.slowest);
        for (pod, count) in other.by_pod {
            *self.by_pod.entry(pod).or_default() += count;
        }
    }
}

fn client(
    target: &Target,
    traffic: Traffic,
    first: Instant,
    (stop, sent): (&AtomicBool, &AtomicU64),
) -> Report {
    let (mut client, mut report) = (target.client(), Report::default());
    let mut next = first;
    let mut turn = 0;
    while !stop.load(Relaxed) {
        thread::sleep(next.saturating_duration_since(Instant::now()));
        next += traffic.every;
        turn += 1;
        let is_post = traffic.posts > 0 && turn % traffic.posts == 0;
        let asked = Instant::now();
        let outcome =
            if is_post { client.ask("POST", "/", "twelve bytes") } else { client.get("/") };
        report.sent += 1;
        report.posts += u64::from(is_post);
        report.slowest = report.slowest.max(asked.elapsed());
        let method = if is_post { "POST" } else { "GET" };
        let failure = match outcome {
            Ok(answer) if answer.status == 200 => {
                *report.by_pod.entry(answer.pod().to_owned()).or_default() += 1;
                None
            }
            Ok(answer) => Some(format!("{method}: {} {:?}", answer.status, answer.body)),
            Err(error) => Some(format!("{method}: {error}")),
        };
        if let Some(failure) = failure {
            report.failed += 1;
            if report.failures.len() < MAX_TOLD {
                let at = asked.saturating_duration_since(first).as_secs_f64();
                report.failures.push(format!("{at:.2} s: {failure}"));
            }
        }
        sent.fetch_add(1, Relaxed);
    }
    report.connections = client.connections;
    report
}
