//! A timer that costs next to nothing while its deadline keeps moving away.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

/// Made when it is first asked for, and set anew only when it has run out or must ring earlier than it would: a
/// deadline that moves with each byte would otherwise take the timer's lock for each byte.
#[derive(Debug, Default)]
pub(super) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Whether `due` has come. If not, the task is woken then, or earlier to ask again.
    pub(super) fn is_due(&mut self, cx: &mut Context<'_>, due: Instant) -> bool {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if sleep.deadline() > due {
            sleep.as_mut().reset(due);
        }
        loop {
            match sleep.as_mut().poll(cx) {
                Poll::Pending => return false,
                Poll::Ready(()) if sleep.deadline() >= due => return true,
                Poll::Ready(()) => sleep.as_mut().reset(due),
            }
        }
    }
}
