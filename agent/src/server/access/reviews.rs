//! Asks about tokens: each only once at a time, few at once, none for long, and what came of it is kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use collector::api::health::Failure;
use collector::api::review::{Review, Trouble};
use futures::FutureExt;
use futures::future::{BoxFuture, Shared, WeakShared};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use super::cache::{Cache, Verdict};
use super::stats::{Outcome, Stats};
use super::token::{Key, Token};

/// Reviews at once; a client that tries many tokens is not to be a flood for the API server.
const AT_ONCE: usize = 8;
/// How long one may wait for its turn.
const TURN: Duration = Duration::from_secs(2);
/// How long it may take from then on.
const LIMIT: Duration = Duration::from_secs(5);

/// Who is asked.
pub(super) trait Judge: Send + Sync + 'static {
    /// Whether the token's owner may read this path.
    fn judge(
        &self,
        token: Token,
        path: &'static str,
    ) -> BoxFuture<'static, Result<Verdict, Trouble>>;
}

type Judged = Result<Verdict, Trouble>;
type Flight = Shared<BoxFuture<'static, Judged>>;

/// The reviews of one judge. A clone is the same.
#[derive(Clone)]
pub(super) struct Reviews(Arc<Inner>);

struct Inner {
    judge: Box<dyn Judge>,
    turns: Semaphore,
    state: Mutex<State>,
    stats: Stats,
}

struct State {
    cache: Cache,
    /// Those under way, each as long as somebody waits for it: a client that goes takes its question along.
    flights: HashMap<Key, (u64, WeakShared<BoxFuture<'static, Judged>>)>,
    begun: u64,
    /// Why the last one failed, so that the log says it once.
    trouble: Option<Failure>,
}

impl Reviews {
    pub(super) fn new(judge: impl Judge, grace: Duration, stats: Stats) -> Self {
        let first =
            State { cache: Cache::new(grace), flights: HashMap::new(), begun: 0, trouble: None };
        Self(Arc::new(Inner {
            judge: Box::new(judge),
            turns: Semaphore::new(AT_ONCE),
            state: Mutex::new(first),
            stats,
        }))
    }

    /// Whether the token's owner may read this path, as of a few seconds ago at most; longer while the API server is
    /// away.
    pub(super) async fn verdict(&self, token: Token, path: &'static str) -> Judged {
        let key = token.key(path);
        let flight = {
            let mut state = self.0.lock();
            if let Some(verdict) = state.cache.fresh(&key, Instant::now()) {
                return Ok(verdict);
            }
            match state.flights.get(&key).and_then(|(_, flight)| flight.upgrade()) {
                Some(flight) => flight,
                None => self.begin(&mut state, key, (token, path)),
            }
        };
        flight.await
    }

    fn begin(&self, state: &mut State, key: Key, asked: (Token, &'static str)) -> Flight {
        state.begun += 1;
        let landing = Landing { inner: self.0.clone(), key, number: state.begun };
        let flight = async move {
            let inner = &landing.inner;
            // As old as its question: what changed while it was on its way is not known to it.
            let start = Instant::now();
            let judged = inner.review(asked).await;
            inner.settle(key, start, judged)
        };
        let flight = flight.boxed().shared();
        if let Some(weak) = flight.downgrade() {
            state.flights.insert(key, (state.begun, weak));
        }
        flight
    }

    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize) {
        let state = self.0.lock();
        (state.cache.len(), state.flights.len())
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn review(&self, (token, path): (Token, &'static str)) -> Judged {
        let Ok(turn) = timeout(TURN, self.turns.acquire()).await else {
            return Err(Trouble::crowded());
        };
        let _turn = turn.expect("the semaphore is never closed");
        let judged = timeout(LIMIT, self.judge.judge(token, path)).await;
        judged.unwrap_or_else(|_| Err(Trouble::late(Review::Token)))
    }

    /// Keeps an answer, or holds on to an earlier yes where there is none.
    fn settle(&self, key: Key, asked: Instant, judged: Judged) -> Judged {
        let mut state = self.lock();
        let settled = match judged {
            Ok(verdict) => {
                state.cache.keep(key, verdict.clone(), asked);
                (Outcome::of(&verdict), Ok(verdict))
            }
            Err(trouble) => {
                state.report(&trouble);
                let holds = trouble.is_outage() && state.cache.hold(&key, Instant::now());
                match trouble.kind {
                    _ if holds => (Outcome::Held, Ok(Verdict::Allowed)),
                    Failure::Forbidden | Failure::Unauthorized => (Outcome::Refused, Err(trouble)),
                    _ if trouble.is_outage() => (Outcome::Unreachable, Err(trouble)),
                    _ => (Outcome::Failed, Err(trouble)),
                }
            }
        };
        let (outcome, settled) = settled;
        if matches!(outcome, Outcome::Allowed | Outcome::Forbidden | Outcome::Unknown)
            && state.trouble.take().is_some()
        {
            info!("tokens are reviewed again");
        }
        self.stats.reviewed(outcome);
        settled
    }
}

impl State {
    /// One line when a kind of trouble begins, not one for each request.
    fn report(&mut self, trouble: &Trouble) {
        if self.trouble.replace(trouble.kind) != Some(trouble.kind) {
            warn!("tokens cannot be reviewed: {trouble}");
        }
    }
}

/// The end of a review, whether it came to one or nobody waits for it any more.
struct Landing {
    inner: Arc<Inner>,
    key: Key,
    number: u64,
}

impl Drop for Landing {
    fn drop(&mut self) {
        let mut state = self.inner.lock();
        // Another one may have begun between the last waiter's end and this.
        if state.flights.get(&self.key).is_some_and(|(number, _)| *number == self.number) {
            state.flights.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests;
