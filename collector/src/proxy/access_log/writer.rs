//! Takes lines to the file, on a thread that does nothing else.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{self, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Error, Lost, Shared};

/// How long lines are gathered after the first one: one write then takes them all.
const GATHER: Duration = Duration::from_millis(50);
/// How often it is checked whether the file was moved away.
const CHECK: Duration = Duration::from_secs(1);

/// The end that writes.
#[derive(Debug)]
pub struct Writer {
    shared: Arc<Shared>,
    target: Target,
    /// What was taken from a lane, whose buffer is handed to the next one.
    taken: Vec<u8>,
    /// The last line written ends in its middle.
    is_torn: bool,
    /// The last attempt to write failed, and was told of.
    is_failing: bool,
}

#[derive(Debug)]
enum Target {
    Stdout,
    File { path: PathBuf, file: File, is_moved: bool },
}

impl Writer {
    pub(super) fn open(shared: Arc<Shared>, path: Option<PathBuf>) -> Result<Self, Error> {
        let target = match path {
            None => Target::Stdout,
            Some(path) => match open(&path) {
                Ok(file) => Target::File { path, file, is_moved: false },
                Err(source) => return Err(Error::Open { path, source }),
            },
        };
        Ok(Self { shared, target, taken: Vec::new(), is_torn: false, is_failing: false })
    }

    /// Writes until `stop`, then what still waits, on the calling thread, which should do nothing else:
    /// writing blocks.
    ///
    /// # Errors
    /// When the kernel gives nothing to wait with. A line that cannot be written is counted, and no error.
    pub fn block(self, stop: &CancellationToken) -> Result<(), Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.map_err(Error::Runtime)?.block_on(self.run(stop));
        Ok(())
    }

    pub(super) async fn run(mut self, stop: &CancellationToken) {
        let shared = self.shared.clone();
        let mut checks = time::interval(CHECK);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let is_file = matches!(self.target, Target::File { .. });
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                _ = checks.tick(), if is_file => {
                    self.follow();
                    continue;
                }
                () = shared.some.notified() => {}
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = shared.much.notified() => {}
                () = time::sleep(GATHER) => {}
            }
            self.drain();
        }
        self.drain();
    }

    /// Writes what waits in all lanes.
    fn drain(&mut self) {
        let shared = self.shared.clone();
        for worker in 0..shared.lanes.len() {
            std::mem::swap(&mut *shared.lane(worker), &mut self.taken);
            let taken = std::mem::take(&mut self.taken);
            if !taken.is_empty() {
                self.put(&taken);
            }
            self.taken = taken;
            self.taken.clear();
        }
    }

    fn put(&mut self, lines: &[u8]) {
        // What was torn must not swallow the next line.
        let outcome = if self.is_torn { self.target.write(b"\n") } else { Ok(()) };
        let (rest, outcome) = match outcome {
            Ok(()) => {
                self.is_torn = false;
                let mut rest = lines;
                let outcome = self.target.write_from(&mut rest);
                (rest, outcome)
            }
            Err(error) => (lines, Err(error)),
        };
        if let Err(error) = outcome {
            let written = &lines[..lines.len() - rest.len()];
            self.is_torn |= written.last().is_some_and(|last| *last != b'\n');
            self.shared.lose(Lost::Write, memchr::memchr_iter(b'\n', rest).count() as u64);
            if !self.is_failing {
                warn!(%error, "cannot write the access log; its lines are dropped and counted");
            }
            self.is_failing = true;
        } else if self.is_failing {
            info!("the access log is written again");
            self.is_failing = false;
        }
    }

    /// Opens the file anew when another one, or none, has its name. While that fails, the old one goes on.
    fn follow(&mut self) {
        let Target::File { path, file, is_moved } = &mut self.target else { return };
        if is_at(file, path) {
            *is_moved = false;
            return;
        }
        match open(path) {
            Ok(new) => {
                *file = new;
                *is_moved = false;
                self.is_torn = false;
            }
            Err(error) => {
                if !*is_moved {
                    warn!(path = %path.display(), %error, "cannot open the access log anew; the old file is written");
                }
                *is_moved = true;
            }
        }
    }
}

impl Target {
    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.write_from(&mut bytes)
    }

    /// Leaves in `rest` what was not written.
    fn write_from(&mut self, rest: &mut &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout => {
                let mut out = io::stdout().lock();
                all(&mut out, rest)?;
                out.flush()
            }
            Self::File { file, .. } => all(file, rest),
        }
    }
}

fn all(out: &mut impl Write, rest: &mut &[u8]) -> io::Result<()> {
    while !rest.is_empty() {
        match out.write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => *rest = &rest[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Lines name clients, so they are not for everyone to read.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

fn is_at(file: &File, path: &Path) -> bool {
    let same = |own: fs::Metadata, there: fs::Metadata| {
        (own.dev(), own.ino()) == (there.dev(), there.ino())
    };
    file.metadata().and_then(|own| Ok(same(own, fs::metadata(path)?))).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes, then fails once.
    struct Full(usize, Vec<u8>);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.0);
            self.0 -= taken;
            self.1.extend_from_slice(&bytes[..taken]);
            if taken == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(taken) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_could_not_be_written_is_left() {
        let mut disk = Full(5, Vec::new());
        let mut rest = &b"one\ntwo\n"[..];
        assert_eq!(all(&mut disk, &mut rest).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!((&*disk.1, rest), (&b"one\nt"[..], &b"wo\n"[..]));
    }
}
