//! The folder of `state.path`: one file, replaced as a whole, and a lock that the process holds that writes it.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::fault::Fault;
use super::format::MAX_BYTES;

/// What is kept.
const FILE: &str = "state.json";
/// What it is written to first; a crash may leave it, the next writing takes it over.
const NEW: &str = "state.json.new";

/// The folder. Nothing is open between calls.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

/// The right to write, until dropped or the process ends, however it does.
#[derive(Debug)]
pub struct Lock {
    directory: File,
}

/// Which writing of the file something is: each makes a new inode.
pub type Edition = (u64, i64, i64);

impl Folder {
    /// The folder at `path`.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The right to write; `None` while another process has it. The folder is made if only it is missing.
    ///
    /// The folder itself is locked, so that there is no file of a lock to be left behind.
    ///
    /// # Errors
    /// When the folder cannot be opened or has no locks.
    pub fn lock(&self) -> Result<Option<Lock>, Fault> {
        let opened = File::open(&self.path).or_else(|error| match error.kind() {
            ErrorKind::NotFound => {
                DirBuilder::new().mode(0o700).create(&self.path)?;
                File::open(&self.path)
            }
            _ => Err(error),
        });
        let directory = opened.map_err(|error| self.refused(error))?;
        match directory.try_lock() {
            Ok(()) => Ok(Some(Lock { directory })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(self.refused(error)),
        }
    }

    /// Which writing lies there now.
    #[must_use]
    pub fn edition(&self) -> Option<Edition> {
        let found = fs::symlink_metadata(self.path.join(FILE)).ok()?;
        Some((found.ino(), found.mtime(), found.mtime_nsec()))
    }

    /// The file's text; `None` if there is no file.
    ///
    /// # Errors
    /// When it cannot be read, is no plain file, is too long, or everybody may write to it.
    pub fn read(&self) -> Result<Option<Vec<u8>>, Fault> {
        let path = self.path.join(FILE);
        // Neither what a link leads to nor what would wait for a writer is read.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let open =
            OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(&path);
        let file = match open {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                return Err(Fault::Permissions { path, what: error.to_string() });
            }
            Err(error) => return Err(Fault::Unreadable { path, error }),
        };
        let unreadable = |error| Fault::Unreadable { path: path.clone(), error };
        if let Some(what) = stranger(&file.metadata().map_err(unreadable)?) {
            return Err(Fault::Permissions { path, what: what.to_owned() });
        }
        let mut text = Vec::new();
        let bound = MAX_BYTES as u64 + 1;
        file.take(bound).read_to_end(&mut text).map_err(unreadable)?;
        Ok(Some(text))
    }

    /// Replaces the file: whoever reads it sees the text before or this one, whole, even after a loss of power.
    ///
    /// # Errors
    /// When the kernel refuses; the text before stays.
    pub fn write(&self, lock: &Lock, text: &[u8]) -> Result<(), Fault> {
        let new = self.path.join(NEW);
        let written = write_new(&new, text)
            .and_then(|()| fs::rename(&new, self.path.join(FILE)))
            .and_then(|()| lock.directory.sync_all());
        written.map_err(|error| {
            // It may be what filled the disk.
            let _ = fs::remove_file(&new);
            self.refused(error)
        })
    }

    /// Whether [`Folder::write`] would succeed, without changing what is kept.
    ///
    /// # Errors
    /// When it would not.
    pub fn try_out(&self, _lock: &Lock) -> Result<(), Fault> {
        let new = self.path.join(NEW);
        let tried = write_new(&new, b"{}").and_then(|()| fs::remove_file(&new));
        tried.map_err(|error| self.refused(error))
    }

    fn refused(&self, error: io::Error) -> Fault {
        let path = self.path.clone();
        if error.kind() == ErrorKind::PermissionDenied && path.exists() {
            return Fault::Permissions { path, what: error.to_string() };
        }
        Fault::Unwritable { path, error }
    }
}

fn write_new(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)?;
    file.write_all(text)?;
    file.sync_all()
}

/// What is wrong with the file's kind or mode. Its group may write: the kubelet lets `fsGroup` do so.
fn stranger(found: &Metadata) -> Option<&'static str> {
    if !found.is_file() {
        return Some("it is not a plain file");
    }
    (found.mode() & 0o002 != 0).then_some("everybody may write to it")
}
