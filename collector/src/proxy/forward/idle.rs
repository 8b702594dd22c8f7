//! Notices that nothing has moved for a while, without touching a timer on each move.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Bounds the time that something is waited for.
#[derive(Debug)]
pub(crate) struct Idle {
    bound: Duration,
    /// Since when there was something to wait for; `None` while nobody waits.
    since: Option<Instant>,
    /// Made on the first wait, and set again only when it rings too early.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Idle {
    pub(crate) fn new(bound: Duration) -> Self {
        Self { bound, since: None, timer: None }
    }

    /// Something moved.
    pub(crate) fn progress(&mut self) {
        self.since = None;
    }

    /// Ready once nothing has moved for the bound; call it when there is nothing to do.
    pub(crate) fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = *self.since.get_or_insert_with(Instant::now) + self.bound;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        loop {
            ready!(timer.as_mut().poll(cx));
            if deadline <= Instant::now() {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    async fn waits(idle: &mut Idle, seconds: u64) -> bool {
        let wait = poll_fn(|cx| idle.poll_expired(cx));
        tokio::time::timeout(Duration::from_secs(seconds), wait).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn progress_puts_the_end_off() {
        let mut idle = Idle::new(Duration::from_secs(10));
        assert!(!waits(&mut idle, 6).await);
        idle.progress();
        assert!(!waits(&mut idle, 9).await);
        assert!(waits(&mut idle, 2).await);
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_nobody_waited_does_not_count() {
        let mut idle = Idle::new(Duration::from_secs(10));
        assert!(!waits(&mut idle, 6).await);
        idle.progress();
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(!waits(&mut idle, 9).await);
        assert!(waits(&mut idle, 2).await);
    }
}
