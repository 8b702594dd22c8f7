//! The agent's long-running tasks: started here, watched here, stopped here.
//!
//! Nothing else in the agent spawns, save the server for its connections. Every task has a name and is
//! joined; one that ends by itself ends the agent.

use std::collections::HashMap;
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, info, info_span, warn};

/// When a task is stopped: from where questions come in to where the answers come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The proxy: clients' requests end first, while all that watches and measures them goes on.
    Proxy,
    /// Listeners: no new questions.
    Serve,
    /// The sampling thread: the last answers have been given.
    Sample,
    /// Who keeps what outlives the process: the last tick is over.
    Keep,
    /// The pod watch: the last tick has had its names.
    Watch,
}

impl Stage {
    /// In the order of stopping.
    const ALL: [Self; 5] = [Self::Proxy, Self::Serve, Self::Sample, Self::Keep, Self::Watch];
}

/// The running tasks.
#[derive(Debug, Default)]
pub struct Tasks {
    set: JoinSet<anyhow::Result<()>>,
    names: HashMap<Id, (&'static str, Stage)>,
    stops: [CancellationToken; Stage::ALL.len()],
}

impl Tasks {
    /// Starts a task. It gets a token that says when to end; ending earlier ends the agent.
    pub fn start<F>(
        &mut self,
        stage: Stage,
        name: &'static str,
        work: impl FnOnce(CancellationToken) -> F,
    ) where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let work = work(self.stops[stage as usize].clone());
        let handle = self.set.spawn(work.instrument(info_span!("task", name)));
        self.names.insert(handle.id(), (name, stage));
    }

    /// Starts a thread of its own for work that blocks, with a small stack of `stack` bytes.
    ///
    /// # Errors
    /// When the kernel gives no thread.
    pub fn start_thread(
        &mut self,
        stage: Stage,
        name: &'static str,
        stack: usize,
        work: impl FnOnce(CancellationToken) -> anyhow::Result<()> + Send + 'static,
    ) -> anyhow::Result<()> {
        let (gone, ended) = oneshot::channel::<()>();
        let stop = self.stops[stage as usize].clone();
        let thread =
            thread::Builder::new().name(name.to_owned()).stack_size(stack).spawn(move || {
                // Dropped at the very end, in a panic too.
                let _gone = gone;
                work(stop)
            })?;
        self.start(stage, name, |_| async move {
            let _ = ended.await;
            thread
                .join()
                .unwrap_or_else(|payload| Err(anyhow!("panicked: {}", panic_text(&*payload))))
        });
        Ok(())
    }

    /// Runs until `ended` resolves or the first task ends, then stops the rest within `grace`.
    ///
    /// # Errors
    /// When a task ended by itself, failed or panicked (its name is in the text), or when some did not
    /// end within `grace`.
    pub async fn finish(
        mut self,
        ended: impl Future<Output = ()>,
        grace: Duration,
    ) -> anyhow::Result<()> {
        let outcome = tokio::select! {
            () = ended => Ok(()),
            Some(first) = self.set.join_next_with_id() => Err(self.explain(first)),
        };
        let deadline = Instant::now() + grace;
        for stage in Stage::ALL {
            self.stop(stage, deadline).await;
        }
        let stragglers = self.stragglers();
        self.set.abort_all();
        match (outcome, stragglers.is_empty()) {
            (outcome, true) => outcome,
            (Ok(()), false) => Err(anyhow!("{stragglers} did not end within {grace:?}")),
            (Err(error), false) => {
                Err(error.context(format!("{stragglers} did not end within {grace:?}")))
            }
        }
    }

    async fn stop(&mut self, stage: Stage, deadline: Instant) {
        self.stops[stage as usize].cancel();
        while self.names.values().any(|(_, of)| *of == stage) {
            let Ok(Some(ended)) = timeout_at(deadline, self.set.join_next_with_id()).await else {
                return;
            };
            let failed = matches!(&ended, Ok((_, Err(_))) | Err(_));
            let error = self.explain(ended);
            if failed {
                warn!(error = format!("{error:#}"), "while stopping");
            }
        }
    }

    /// Takes the task off the list and says how it ended.
    fn explain(&mut self, ended: Result<(Id, anyhow::Result<()>), JoinError>) -> anyhow::Error {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let name = self.names.remove(&id).map_or("task", |(name, _)| name);
        match ended {
            Ok((_, Ok(()))) => anyhow!("the {name} ended unasked"),
            Ok((_, Err(error))) => error.context(format!("the {name} failed")),
            Err(error) if error.is_panic() => {
                anyhow!("the {name} panicked: {}", panic_text(&*error.into_panic()))
            }
            Err(_) => anyhow!("the {name} was cancelled"),
        }
    }

    fn stragglers(&self) -> String {
        let mut names: Vec<_> = self.names.values().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.join(", ")
    }
}

/// What a panic said, as far as it is text.
pub(crate) fn panic_text(payload: &(dyn std::any::Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// SIGTERM, SIGINT and SIGHUP, from the moment this is made on.
#[derive(Debug)]
pub struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    /// The terminal was closed. Nobody listens for it under `nohup`, which is what that is for.
    hangup: Option<tokio::signal::unix::Signal>,
}

impl Signals {
    /// Takes the signals over from the kernel's default, which would end the process at once.
    ///
    /// # Errors
    /// When the handlers cannot be installed.
    pub fn install() -> anyhow::Result<Self> {
        let handler = |kind| signal(kind).context("cannot handle signals");
        Ok(Self {
            terminate: handler(SignalKind::terminate())?,
            interrupt: handler(SignalKind::interrupt())?,
            hangup: if is_hangup_ignored() { None } else { Some(handler(SignalKind::hangup())?) },
        })
    }

    /// Waits for the next signal and names it.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            Some(()) = async { self.hangup.as_mut()?.recv().await } => "SIGHUP",
        }
    }

    /// Runs `work`, telling it of the first signal through the token; a second signal ends at once.
    ///
    /// # Errors
    /// The work's own, or the second signal.
    pub async fn around<F>(
        mut self,
        work: impl FnOnce(CancellationToken) -> F,
    ) -> anyhow::Result<()>
    where
        F: Future<Output = anyhow::Result<()>>,
    {
        let stop = CancellationToken::new();
        let mut work = std::pin::pin!(work(stop.clone()));
        let first = tokio::select! {
            outcome = &mut work => return outcome,
            name = self.next() => name,
        };
        info!(signal = first, "stopping");
        stop.cancel();
        tokio::select! {
            outcome = &mut work => outcome,
            name = self.next() => Err(anyhow!("ended at once by a second signal ({name})")),
        }
    }
}

/// Whether whoever started this process has it ignore SIGHUP.
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // Bit n - 1 stands for signal n, and SIGHUP is 1 (proc_pid_status(5)).
    ignored.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & 1 == 1))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    const GRACE: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn tasks_stop_in_the_order_of_their_stages() {
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Tasks::default();
        for (stage, name) in
            [(Stage::Watch, "watch"), (Stage::Serve, "server"), (Stage::Sample, "sampler")]
        {
            let order = order.clone();
            tasks.start(stage, name, |stop| async move {
                stop.cancelled().await;
                order.lock().unwrap().push(name);
                Ok(())
            });
        }
        tasks.finish(async {}, GRACE).await.unwrap();
        assert_eq!(*order.lock().unwrap(), ["server", "sampler", "watch"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_ends_by_itself_ends_the_agent_under_its_name() {
        let mut tasks = Tasks::default();
        tasks.start(Stage::Watch, "pod watch", |_| async { Ok(()) });
        tasks.start(Stage::Serve, "server", |stop| async move {
            stop.cancelled().await;
            Ok(())
        });
        let error = tasks.finish(std::future::pending(), GRACE).await.unwrap_err();
        assert_eq!(error.to_string(), "the pod watch ended unasked");
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_is_an_error_that_says_what_and_where() {
        let mut tasks = Tasks::default();
        tasks.start(Stage::Sample, "sampling thread", |_| async { panic!("index out of bounds") });
        let error = tasks.finish(std::future::pending(), GRACE).await.unwrap_err();
        assert_eq!(error.to_string(), "the sampling thread panicked: index out of bounds");
    }

    #[tokio::test]
    async fn a_panic_on_a_thread_ends_the_agent_under_its_name() {
        let mut tasks = Tasks::default();
        tasks
            .start_thread(Stage::Sample, "sampling thread", 256 * 1024, |_| {
                panic!("index out of bounds")
            })
            .unwrap();
        let error = tasks.finish(std::future::pending(), GRACE).await.unwrap_err();
        assert_eq!(
            format!("{error:#}"),
            "the sampling thread failed: panicked: index out of bounds"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_stop_is_named_after_the_grace() {
        let mut tasks = Tasks::default();
        tasks.start(Stage::Serve, "server", |_| std::future::pending());
        let error = tasks.finish(async {}, GRACE).await.unwrap_err();
        assert_eq!(error.to_string(), "server did not end within 5s");
    }
}
