//! Scrapes all the time, holds every page against the rules that hold at every moment, and keeps what
//! a case wants to look at afterwards.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::cluster::agent::Agent;
use crate::cluster::continuity::went_back;
use crate::cluster::page::{Page, Series};

/// Between two scrapes: shorter than the agent's interval, so that no tick is missed.
const PAUSE: Duration = Duration::from_millis(400);

/// The scraping thread.
pub(crate) struct Recorder {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    stopped: AtomicBool,
}

#[derive(Default)]
struct State {
    latest: Option<Arc<Page>>,
    scrapes: u64,
    fault: Option<String>,
    films: Vec<Weak<Film>>,
}

/// Every page since it was asked for, reduced to what names one pod.
pub(crate) struct Film {
    pod: String,
    frames: Mutex<Vec<Arc<Page>>>,
}

impl Film {
    /// The pages so far, oldest first.
    pub(crate) fn frames(&self) -> Vec<Arc<Page>> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Recorder {
    /// Starts scraping.
    pub(crate) fn start(agent: Arc<Agent>) -> Self {
        let shared = Arc::new(Shared::default());
        let worker = shared.clone();
        let thread = thread::spawn(move || {
            while !worker.stopped.load(Relaxed) {
                let asked = Instant::now();
                let mut page = agent.scrape();
                if let Ok(page) = &mut page {
                    page.asked = asked;
                }
                worker.take(page);
                thread::sleep(PAUSE);
            }
        });
        Self { shared, thread: Some(thread) }
    }

    /// Keeps the pages from now on, as far as they are about a pod.
    pub(crate) fn film(&self, pod: &str) -> Arc<Film> {
        let film = Arc::new(Film { pod: pod.to_owned(), frames: Mutex::default() });
        self.shared.lock().films.push(Arc::downgrade(&film));
        film
    }

    /// A page whose tick began after this call.
    pub(crate) fn fresh(&self) -> Arc<Page> {
        // The next tick may have been under way, the one after it not.
        let ended = self.now().ticks();
        self.until("two more ticks", Duration::from_secs(30), |page| {
            (page.ticks() >= ended + 2.0).then(|| Arc::new(page.clone()))
        })
    }

    /// A page that was asked for after this call; its tick may be up to a second older.
    pub(crate) fn now(&self) -> Arc<Page> {
        let asked = Instant::now();
        self.until("a scrape", Duration::from_secs(30), |page| {
            (page.asked > asked).then(|| Arc::new(page.clone()))
        })
    }

    /// The last page.
    pub(crate) fn latest(&self) -> Arc<Page> {
        self.shared.lock().latest.clone().expect("it scraped")
    }

    /// Looks at each page, beginning with the last one, until there is something on it.
    pub(crate) fn until<T>(
        &self,
        what: &str,
        patience: Duration,
        mut look: impl FnMut(&Page) -> Option<T>,
    ) -> T {
        let deadline = Instant::now() + patience;
        let mut state = self.shared.lock();
        loop {
            if let Some(fault) = &state.fault {
                let fault = fault.clone();
                drop(state);
                panic!("{fault}");
            }
            if let Some(page) = state.latest.clone() {
                drop(state);
                if let Some(found) = look(&page) {
                    return found;
                }
                state = self.shared.lock();
            }
            assert!(Instant::now() < deadline, "waited {} s in vain: {what}", patience.as_secs());
            let scrapes = state.scrapes;
            (state, _) = self
                .shared
                .changed
                .wait_timeout_while(state, Duration::from_secs(30), |state| {
                    state.scrapes == scrapes
                })
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// What was wrong with the pages, if anything, and how many there were.
    pub(crate) fn verdict(&self) -> (Option<String>, u64) {
        let state = self.shared.lock();
        (state.fault.clone(), state.scrapes)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, page: Result<Page, String>) {
        let mut state = self.lock();
        state.scrapes += 1;
        match page {
            Ok(page) => {
                let page = Arc::new(page);
                let back =
                    state.latest.as_ref().and_then(|before| went_back(before, &page, |_| true));
                state.fault = state.fault.take().or(back);
                for film in state.films.iter().filter_map(Weak::upgrade) {
                    let frame = Arc::new(page.only(|series| is_about(series, &film.pod)));
                    film.frames.lock().unwrap_or_else(PoisonError::into_inner).push(frame);
                }
                state.latest = Some(page);
            }
            Err(fault) => {
                state.fault = state.fault.take().or(Some(format!("a scrape failed: {fault}")));
            }
        }
        self.changed.notify_all();
    }
}

fn is_about(series: &Series, pod: &str) -> bool {
    series.label("pod") == pod || series.name == "podmeter_tick_duration_seconds_count"
}
