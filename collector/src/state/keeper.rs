//! Reads what was kept at the start and writes what is to be kept, beside the sampling thread.
//!
//! Two threads, since a disk may take seconds for what a tick must not wait for. The sampling thread leaves what
//! it would keep at its [`Desk`] after every tick; the keeper's thread takes it from there every [`EVERY`] and
//! writes when something changed. During an update by surge two processes have the folder: the one that came
//! first writes until it ends, the other follows its file and takes over then.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{self, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::Kept;
use super::fault::{Fault, Stats};
use super::folder::{Edition, Folder, Lock};
use super::format::{self, Place};

/// Between two writings, and so how much of what was counted a crash may cost.
pub const EVERY: Duration = Duration::from_secs(2);
/// How many rounds are left out after a fault of the folder: it will not mend within seconds.
const PAUSE: u32 = 15;

/// The sampling thread's end. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Desk(Arc<Mutex<Slots>>);

#[derive(Debug, Default)]
struct Slots {
    /// What the last tick would keep.
    put: Option<Kept>,
    /// What another process kept meanwhile, to be joined with what is counted here.
    found: Option<Kept>,
}

impl Desk {
    /// What is to be taken up before the next tick.
    #[must_use]
    pub fn found(&self) -> Option<Kept> {
        self.slots(|slots| slots.found.take())
    }

    /// Leaves what is to be kept after a tick.
    pub fn put(&self, kept: Kept) {
        self.slots(|slots| slots.put = Some(kept));
    }

    fn slots<T>(&self, take: impl FnOnce(&mut Slots) -> T) -> T {
        take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Hands something to the sampling thread. What it left before knows nothing of it, so that is dropped.
    fn hand(&self, found: Kept) {
        self.slots(|slots| *slots = Slots { put: None, found: Some(found) });
    }

    /// What the sampling thread left since the last call; `None` while it has yet to take something up.
    fn take(&self) -> Option<Kept> {
        self.slots(|slots| if slots.found.is_some() { None } else { slots.put.take() })
    }
}

/// The other end: who reads and writes.
#[derive(Debug)]
pub struct Keeper {
    folder: Folder,
    place: Place,
    desk: Desk,
    stats: Stats,
    lock: Option<Lock>,
    /// The writing that was read last, while another process writes.
    seen: Option<Edition>,
    /// What lies in the file, as far as this process wrote it.
    saved: Option<Kept>,
    /// The fault that was told last: it is told again when it changes.
    told: Option<String>,
    pause: u32,
}

impl Keeper {
    /// Takes the lock if it is free and reads; what was kept lies at the desk then. Whatever is wrong with the folder or
    /// the file is told and counted, and Podmeter goes on without.
    #[must_use]
    pub fn open(folder: Folder, place: Place) -> (Self, Desk, Stats) {
        let (desk, stats) = (Desk::default(), Stats::default());
        let mut keeper = Self {
            folder,
            place,
            desk: desk.clone(),
            stats: stats.clone(),
            lock: None,
            seen: None,
            saved: None,
            told: None,
            pause: 0,
        };
        keeper.take_over();
        if keeper.lock.is_none() && keeper.told.is_none() {
            info!(path = %keeper.folder.path().display(), "another Podmeter keeps its state here; this one takes over when that ends");
            keeper.follow();
        }
        (keeper, desk, stats)
    }

    /// Works until `stop`, on the calling thread, which it blocks; then writes what the last tick left.
    ///
    /// # Errors
    /// When there is no clock to wait on.
    pub fn block(mut self, stop: &CancellationToken) -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        runtime.block_on(async {
            let mut rounds = time::interval(EVERY);
            rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while stop.run_until_cancelled(rounds.tick()).await.is_some() {
                self.round();
            }
        });
        self.finish();
        Ok(())
    }

    /// One round: write what changed, or look whether writing is now this one's turn.
    pub(super) fn round(&mut self) {
        if self.pause > 0 {
            self.pause -= 1;
        } else if self.lock.is_some() {
            self.save(Kept::is_same);
        } else {
            self.take_over();
            if self.lock.is_none() {
                self.follow();
            }
        }
    }

    /// The last writing, with what changes every tick as well.
    pub(super) fn finish(&mut self) {
        if self.lock.is_some() {
            self.save(Kept::eq);
        }
    }

    fn take_over(&mut self) {
        match self.folder.lock() {
            Ok(None) => {}
            Ok(Some(lock)) => {
                self.lock = Some(lock);
                self.read();
            }
            Err(fault) => {
                self.tell(&fault);
                self.pause = PAUSE;
            }
        }
    }

    /// Reads what another process wrote since the last look.
    fn follow(&mut self) {
        let edition = self.folder.edition();
        if edition != self.seen {
            self.seen = edition;
            self.read();
        }
    }

    fn read(&mut self) {
        let read = self
            .folder
            .read()
            .and_then(|text| text.map(|text| format::parse(&text, &self.place)).transpose());
        match read {
            Ok(None) => {}
            Ok(Some(kept)) => {
                debug!(pods = kept.pods.len(), "counts go on from what was kept");
                self.desk.hand(kept);
            }
            Err(fault) => self.tell(&fault),
        }
    }

    fn save(&mut self, is_same: impl Fn(&Kept, &Kept) -> bool) {
        let (Some(lock), Some(kept)) = (&self.lock, self.desk.take()) else { return };
        if self.saved.as_ref().is_some_and(|saved| is_same(&kept, saved)) {
            return;
        }
        let (text, is_whole) = format::render(&kept, &self.place);
        match self.folder.write(lock, &text) {
            Ok(()) => {
                self.saved = Some(kept);
                if is_whole { self.told = None } else { self.tell(&Fault::Full) }
            }
            Err(fault) => {
                self.tell(&fault);
                self.pause = PAUSE;
            }
        }
    }

    fn tell(&mut self, fault: &Fault) {
        self.stats.count(fault);
        let text = fault.to_string();
        if self.told.as_ref() != Some(&text) {
            warn!(reason = fault.reason(), "{text}");
            self.told = Some(text);
        }
    }
}
