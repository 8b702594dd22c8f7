//! Requests at a fixed rate, whatever becomes of the ones before.
//!
//! Every request has a time at which it is due. Its latency counts from that time on, so one that has to
//! wait because all connections are busy with slow answers is as late as its client would find it: a stall
//! cannot hide by keeping the generator from asking (coordinated omission). `proof` proves it in every run.
//! One thread, sockets that never block, and a clock finer than epoll's milliseconds.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::ensure;
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use super::client::{Connection, Flaw, Target};
use super::errors::Errors;

/// How long the last answers are waited for.
const PATIENCE: Duration = Duration::from_secs(3);
/// Connections that may fail to open before the case is given up.
const MAX_FAILURES: u64 = 1000;

/// How fast, how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Requests a second.
    pub(crate) rate: f64,
    /// Kept connections, used in turn.
    pub(crate) connections: usize,
    /// Not measured.
    pub(crate) warm: Duration,
    /// Measured.
    pub(crate) length: Duration,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Of the measured requests, from the time each was due, sorted.
    latencies: Vec<Duration>,
    /// Good answers, those of the warm-up as well.
    pub(crate) answered: u64,
    /// The others.
    pub(crate) errors: Errors,
}

impl Outcome {
    /// The latency that `parts` of 1,000 do not exceed.
    pub(crate) fn quantile(&self, parts: usize) -> Duration {
        let rank = (self.latencies.len() * parts).div_ceil(1000);
        self.latencies.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }
}

/// Asks at that pace; the connections are shared out to all targets.
pub(crate) fn run(targets: &[Target], pace: &Pace) -> anyhow::Result<Outcome> {
    ensure!(pace.rate >= 1.0, "a rate of {} a second is none", pace.rate);
    // Left alone, the kernel wakes a sleeper up to 50 µs late.
    rustix::thread::set_current_timer_slack(std::num::NonZero::new(1))?;
    let mut generator = Generator::open(targets, pace)?;
    let outcome = generator.run(pace);
    rustix::thread::set_current_timer_slack(None)?;
    outcome
}

struct Generator<'a> {
    targets: &'a [Target],
    epoll: OwnedFd,
    connections: Vec<Connection>,
    /// For each connection when the request under way was due.
    due: Vec<Option<Duration>>,
    idle: VecDeque<usize>,
    /// Requests that are due and have no connection.
    waiting: VecDeque<Duration>,
    warm: Duration,
    buffer: Vec<u8>,
    outcome: Outcome,
    start: Instant,
}

impl<'a> Generator<'a> {
    fn open(targets: &'a [Target], pace: &Pace) -> anyhow::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let mut buffer = vec![0; 64 << 10];
        let mut connections = Vec::new();
        for number in 0..pace.connections {
            let connection = Connection::used(&targets[number % targets.len()], &mut buffer)?;
            let data = EventData::new_u64(number as u64);
            epoll::add(&epoll, &connection, data, EventFlags::IN)?;
            connections.push(connection);
        }
        Ok(Self {
            targets,
            epoll,
            due: vec![None; connections.len()],
            idle: (0..connections.len()).collect(),
            connections,
            waiting: VecDeque::new(),
            warm: pace.warm,
            buffer,
            outcome: Outcome::default(),
            start: Instant::now(),
        })
    }

    fn run(&mut self, pace: &Pace) -> anyhow::Result<Outcome> {
        let apart = Duration::from_secs_f64(1.0 / pace.rate);
        let end = pace.warm + pace.length;
        let mut events: Vec<Event> = Vec::with_capacity(64);
        let mut next = Duration::ZERO;
        self.start = Instant::now();
        loop {
            let now = self.start.elapsed();
            while next <= now && next < end {
                self.waiting.push_back(next);
                next += apart;
            }
            self.send()?;
            let is_over = next >= end && self.idle.len() == self.connections.len();
            if is_over || now > end + PATIENCE {
                break;
            }
            let pause =
                if next < end { next.saturating_sub(self.start.elapsed()) } else { PATIENCE };
            epoll::wait(
                &self.epoll,
                spare_capacity(&mut events),
                Some(&Timespec::try_from(pause)?),
            )?;
            for event in events.drain(..) {
                self.read(usize::try_from(event.data.u64())?)?;
            }
        }
        Ok(self.close())
    }

    fn send(&mut self) -> anyhow::Result<()> {
        while let (Some(due), false) = (self.waiting.front().copied(), self.idle.is_empty()) {
            let Some(number) = self.idle.pop_front() else { break };
            self.waiting.pop_front();
            self.due[number] = Some(due);
            if let Err(flaw) = self.connections[number].ask() {
                self.fail(number, flaw)?;
            }
        }
        Ok(())
    }

    fn read(&mut self, number: usize) -> anyhow::Result<()> {
        match self.connections[number].advance(&mut self.buffer) {
            Ok(false) => {}
            Err(flaw) => self.fail(number, flaw)?,
            Ok(true) => {
                if let Some(due) = self.due[number].take() {
                    self.outcome.answered += 1;
                    self.idle.push_back(number);
                    self.record(due);
                }
            }
        }
        Ok(())
    }

    fn record(&mut self, due: Duration) {
        if due >= self.warm {
            self.outcome.latencies.push(self.start.elapsed().saturating_sub(due));
        }
    }

    /// Counts what was under way as lost, if anything was, and opens the connection anew.
    fn fail(&mut self, number: usize, flaw: Flaw) -> anyhow::Result<()> {
        if self.due[number].take().is_some() {
            self.outcome.errors.add(flaw);
            self.idle.push_back(number);
        }
        let target = &self.targets[number % self.targets.len()];
        let connection = loop {
            match Connection::open(target) {
                Ok(connection) => break connection,
                Err(error) if self.outcome.errors.connect == MAX_FAILURES => return Err(error),
                Err(_) => self.outcome.errors.connect += 1,
            }
        };
        let data = EventData::new_u64(number as u64);
        epoll::add(&self.epoll, &connection, data, EventFlags::IN)?;
        self.connections[number] = connection;
        Ok(())
    }

    /// What has no answer yet is as late as it is now, at the least.
    fn close(&mut self) -> Outcome {
        let under_way: Vec<Duration> = self.due.iter_mut().filter_map(Option::take).collect();
        for due in under_way.into_iter().chain(std::mem::take(&mut self.waiting)) {
            self.outcome.errors.timeout += 1;
            self.record(due);
        }
        let mut outcome = std::mem::take(&mut self.outcome);
        outcome.latencies.sort_unstable();
        outcome
    }
}
