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
        // While nothing else works the pause is not waited for: the first success ends the outage.
        let probed = open()
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
    // A pod whose pause is over gets one request that tries it.
    let claim = |backend: &Arc<Backend>| {
        if was_tried(backend, choice) {
            return None;
        }
        let is_probe = match backend.circuit.passage(choice.now) {
            Passage::Free => false,
            Passage::Probe => true,
            Passage::Open => return None,
        };
        Busy::claim(backend, choice.most, is_probe)
    };
    let first = match choice.balance {
        Balance::RoundRobin => turn.fetch_add(1, Relaxed) % pods.len(),
        Balance::LeastRequest => {
            // From a random place on, so that equal ones take turns.
            let offset = fastrand::usize(..pods.len());
            let at = |step: usize| (offset + step) % pods.len();
            (0..pods.len()).map(at).min_by_key(|at| pods[*at].active()).unwrap_or_default()
        }
        Balance::PeakEwma => better_of_two(pods, choice.now),
    };
    // The usual case is the first; the others are asked in order when it is full, open or tried.
    (0..pods.len()).find_map(|step| claim(&pods[(first + step) % pods.len()]))
}

/// Power of two choices: two at random, the one that is expected to answer earlier.
fn better_of_two(pods: &[Arc<Backend>], now: u64) -> usize {
    if pods.len() == 1 {
        return 0;
    }
    let one = fastrand::usize(..pods.len());
    let other = (one + 1 + fastrand::usize(..pods.len() - 1)) % pods.len();
    let cost = |at: usize| pods[at].latency.seconds(now) * (pods[at].active() + 1) as f64;
    if cost(other) < cost(one) { other } else { one }
}
