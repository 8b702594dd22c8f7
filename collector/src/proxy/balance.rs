//! Which pod a request goes to.
//!
//! A session goes to its pod. Everything else goes to ready pods whose circuit is closed, preferred ones first,
//! then to terminating ones that still serve; where all circuits are open, one request at a time tries each.

pub(crate) mod budget;
pub(crate) mod circuit;
pub(crate) mod ewma;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::affinity::EndpointTag;
use super::backend::{Backend, Busy};
use super::refusal::Refusal;
use super::settings::Balance;
use circuit::Passage;

/// The pods of a Service's port, sorted by how they may be used. Immutable.
#[derive(Debug, Default)]
pub(crate) struct Pods {
    /// Ready ones that are preferred; empty when nothing is preferred.
    pub(crate) near: Vec<Arc<Backend>>,
    /// Ready ones, the preferred among them.
    pub(crate) ready: Vec<Arc<Backend>>,
    /// Being deleted and still serving.
    pub(crate) terminating: Vec<Arc<Backend>>,
    /// All of them by what a session's cookie says.
    pub(crate) by_tag: HashMap<EndpointTag, Arc<Backend>>,
    /// Where round robin stands.
    pub(crate) turn: AtomicUsize,
}

/// How to choose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice<'a> {
    pub(crate) balance: Balance,
    /// Most requests at once to one pod.
    pub(crate) most: usize,
    /// Microseconds of the proxy's clock.
    pub(crate) now: u64,
    /// Tried before, for this request.
    pub(crate) tried: &'a [Arc<Backend>],
    /// The session's pod.
    pub(crate) session: Option<&'a EndpointTag>,
}

impl Pods {
    /// Takes a place at a pod.
    ///
    /// # Errors
    /// When there is no pod, all are full, or all failed too often.
    pub(crate) fn claim(&self, choice: &Choice<'_>) -> Result<Busy, Refusal> {
        if let Some(busy) = self.session(choice) {
            return Ok(busy);
        }
        for pods in [&self.near, &self.ready, &self.terminating] {
            if let Some(busy) = claim_free(pods, &self.turn, choice) {
                return Ok(busy);
            }
        }
        self.last_resort(choice)
    }

    fn session(&self, choice: &Choice<'_>) -> Option<Busy> {
        let backend = self.by_tag.get(choice.session?)?;
        let is_usable = !was_tried(backend, choice) && backend.circuit.is_closed();
        if is_usable { Busy::claim(backend, choice.most, false) } else { None }
    }

    /// No closed circuit with a free place is left.
    fn last_resort(&self, choice: &Choice<'_>) -> Result<Busy, Refusal> {
        let all = || self.ready.iter().chain(&self.terminating);
        if all().next().is_none() {
            return Err(Refusal::NoEndpoint);
        }
        let open = || all().filter(|backend| !backend.circuit.is_closed());
        // While nothing else works the pause is not waited for: the first success ends the outage. From a random place
        // on, so that each of them has its turn.
        let offset = fastrand::usize(..all().count());
        let turned = open().skip(offset).chain(open().take(offset));
        let probed = turned
            .filter(|backend| !was_tried(backend, choice))
            .find_map(|backend| Busy::claim(backend, choice.most, true));
        match probed {
            Some(busy) => Ok(busy),
            None if open().next().is_some() => Err(Refusal::CircuitOpen),
            None => Err(Refusal::Overloaded),
        }
    }
}

fn was_tried(backend: &Arc<Backend>, choice: &Choice<'_>) -> bool {
    choice.tried.iter().any(|tried| Arc::ptr_eq(tried, backend))
}

/// A place at one of these that works and was not tried.
fn claim_free(pods: &[Arc<Backend>], turn: &AtomicUsize, choice: &Choice<'_>) -> Option<Busy> {
    if pods.is_empty() {
        return None;
    }
    let claim = |at: usize| {
        let backend = &pods[at];
        match passage(backend, choice) {
            Passage::Free => Busy::claim(backend, choice.most, false),
            // A pod whose pause is over gets one request that tries it.
            Passage::Probe => Busy::claim(backend, choice.most, true),
            Passage::Open => None,
        }
    };
    let chosen = match choice.balance {
        Balance::RoundRobin => {
            (0..pods.len()).find_map(|_| claim(turn.fetch_add(1, Relaxed) % pods.len()))
        }
        Balance::LeastRequest => least_busy(pods, choice).and_then(claim),
        Balance::PeakEwma => claim(better_of_two(pods, choice)),
    };
    // Seldom: the chosen one is full, open or tried. From a random place on, so that its share goes to all others.
    chosen.or_else(|| {
        let offset = fastrand::usize(..pods.len());
        (0..pods.len()).find_map(|step| claim((offset + step) % pods.len()))
    })
}

fn passage(backend: &Arc<Backend>, choice: &Choice<'_>) -> Passage {
    if was_tried(backend, choice) { Passage::Open } else { backend.circuit.passage(choice.now) }
}

/// The one with the fewest requests under way, or one that is to be tried.
fn least_busy(pods: &[Arc<Backend>], choice: &Choice<'_>) -> Option<usize> {
    let usable = |at: &usize| passage(&pods[*at], choice) != Passage::Open;
    // Equal ones take turns.
    (0..pods.len()).filter(usable).min_by_key(|at| (pods[*at].active(), fastrand::u32(..)))
}

/// Power of two choices: two at random, the one that is expected to answer earlier.
fn better_of_two(pods: &[Arc<Backend>], choice: &Choice<'_>) -> usize {
    if pods.len() == 1 {
        return 0;
    }
    let one = fastrand::usize(..pods.len());
    let other = (one + 1 + fastrand::usize(..pods.len() - 1)) % pods.len();
    let cost = |at: usize| match passage(&pods[at], choice) {
        Passage::Free => pods[at].latency.seconds(choice.now) * (pods[at].active() + 1) as f64,
        Passage::Probe => 0.0,
        Passage::Open => f64::INFINITY,
    };
    if cost(other) < cost(one) { other } else { one }
}
